"""Which numbers per round are growth, which class stands for a pile, and which piles are one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from memscope import _memscope
from memscope.piles import GARBAGE, Group, Kindred, Pile, find_piles, grows, grows_no_more

GROWTH = [
    [1],
    [5],
    [1, 1],
    [100, 1],
    [1, 1, 1],
    [7, 7, 7, 7, 7],
    [1, 2, 3, 4],
    [10, 9, 10, 11, 10],
    [0, 10, 10, 10, 10],  # the cause began after the baseline
    [10, 0, 10, 0, 10],
    [0, 10, 0, 10, 0, 10],
    [10, 0, 10, 0],
    [10, 0, 10, 0, 10, 0],
    [3, 1000, 3, 3, 3, 900],
    [1000, 1, 1, 1, 1, 1],  # a burst, and then a constant rate
]
NO_GROWTH = [
    [],
    [0],
    [0, 0],
    [0, 0, 0, 0],
    [100, 0],
    [0, 100],  # of two rounds each must
    [100, 0, 0],
    [100, 0, 0, 0, 0],
    [0, 0, 100, 0, 0],
    [0, 0, 0, 0, 100],  # may go on, and may not
    [100, 50, 0, 0, 0],
    [100, 50, 25, 12, 6],
    [100, 100, 100, 0, 0],
    [100, 100, 100, 0],
    [0, 100, 100, 100, 0, 0],
    [100, 0, 20, 0, 10, 0],
    [1, 0, 1, 0, 1],  # a handful
    [10, 0, 0, 10, 0, 0, 10],  # less than every second round
]


@pytest.mark.parametrize("born", GROWTH)
def test_growth(born: list[int]) -> None:
    assert grows(born)


@pytest.mark.parametrize("born", NO_GROWTH)
def test_no_growth(born: list[int]) -> None:
    assert not grows(born)


@given(st.integers(1, 10**9), st.integers(1, 200))
def test_any_constant_rate_is_growth(rate: int, rounds: int) -> None:
    assert grows([rate] * rounds)


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(1, 50))
def test_a_rising_rate_is_growth(first: int, more: int, rounds: int) -> None:
    assert grows([first + more * number for number in range(rounds)])


@given(st.integers(3, 100), st.data())
def test_once_and_then_never_again_is_none(rounds: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, rounds - 1))
    born = [0] * rounds
    born[at] = data.draw(st.integers(1, 10**9))
    assert not grows(born)


@given(st.integers(1, 10**6), st.integers(3, 60))
def test_a_cache_that_fills_in_a_few_rounds_is_none(rate: int, rounds: int) -> None:
    """It stops: the last two rounds leave nothing."""
    assert not grows([rate] * (rounds - 2) + [0, 0])


@given(st.integers(16, 10**9), st.integers(4, 40))
def test_a_rate_that_halves_is_none(first: int, rounds: int) -> None:
    assert not grows([first >> number for number in range(rounds)])


@given(st.integers(2, 10**6), st.integers(4, 100), st.booleans())
def test_every_second_round_is_growth(rate: int, rounds: int, first: bool) -> None:
    # As many busy rounds as idle ones at least, or chance has a hand in it.
    born = [rate * 2 * ((number % 2 == 0) == first) for number in range(rounds)]
    busy = sum(number > 0 for number in born)
    assume(busy * 2 >= rounds)
    assert grows(born)


@given(st.lists(st.integers(0, 100), max_size=12))
@example([1, 0, 7, 0, 4, 0])  # halves with its last idle round, and does not without
def test_what_is_always_so(born: list[int]) -> None:
    if grows(born):
        busy = [at for at, number in enumerate(born) if number]
        assert sum(born) > 0
        assert len(born) < 3 or any(born[-2:])
        assert len(born) < 3 or sum(number > 0 for number in born) >= 2
        trimmed = born[busy[0] : busy[-1] + 1]
        assert len(born) < 3 or not grows_no_more(born) or not grows_no_more(trimmed)
        # Ten times as much of it is no less.
        assert grows([10 * number for number in born])


@given(st.lists(st.integers(0, 100), min_size=2, max_size=12))
def test_falling_by_half(born: list[int]) -> None:
    half = len(born) // 2
    later = born[1:]
    steady = len(later) > 1 and 5 * min(later) >= 4 * max(later) > 0
    fell = 2 * sum(born[len(born) - half :]) <= sum(born[:half])
    assert grows_no_more(born) == (fell and not steady)


@pytest.mark.parametrize(
    ("born", "falling"),
    [([], False), ([5], False), ([4, 2], True), ([4, 3], False), ([4, 9, 2], True), ([0, 0], True)],
)
def test_falling_examples(born: list[int], falling: bool) -> None:
    assert grows_no_more(born) == falling


# -- which class stands for a pile


def kindred(name: str, count: int, below: int, entries: int = 0, **more: Any) -> Kindred:
    module, _, _ = name.rpartition(".")
    full = name.removeprefix("builtins.")
    more = {"born": [count // 2] * 2, "entries_below": below * entries // count, **more}
    return Kindred(0, module, full, count, 10 * count, below, entries, **more)


def pile_of(*kinds: Kindred) -> Pile:
    pile = Pile(0, 5, 0, 10, 10, 100, [5, 5])
    pile.kinds = dict(enumerate(kinds))
    return pile


def main_of(*kinds: Kindred) -> str:
    main = pile_of(*kinds).main()
    return main.full if main is not None else ""


def test_what_the_holder_has_directly_stands_for_the_pile() -> None:
    entry = kindred("app.Session", 10, 9000, 10)
    inside = kindred("builtins.dict", 10, 8000)
    assert main_of(entry, inside) == main_of(inside, entry) == "app.Session"


def test_keys_are_entries_though_most_objects_of_their_class_are_deeper() -> None:
    """A cache by tuples of invoices, whose lines are tuples: not the numbers that it keeps."""
    keys = kindred("builtins.tuple", 90, 9900, 10, entries_below=9000)
    numbers = kindred("builtins.int", 18, 500, 10)
    assert main_of(keys, numbers, kindred("app.Invoice", 10, 8900)) == "app.Invoice"
    assert main_of(keys, numbers) == "builtins.tuple"


def test_a_class_of_the_program_comes_before_its_keys() -> None:
    assert main_of(kindred("builtins.str", 10, 900, 10), kindred("app.User", 10, 400, 10)) == (
        "app.User"
    )


def test_unless_it_is_a_small_part() -> None:
    assert main_of(kindred("builtins.bytes", 10, 90_000, 10), kindred("app.Tag", 10, 40, 10)) == (
        "builtins.bytes"
    )


def test_of_garbage_the_program_s_class_is_told() -> None:
    pile = pile_of(kindred("builtins.bytes", 10, 90_000, 10), kindred("app.Tag", 10, 40, 10))
    pile.root = GARBAGE
    main = pile.main()
    assert main is not None
    assert main.full == "app.Tag"


@pytest.mark.parametrize(
    "wrapper",
    ["builtins.tuple", "builtins.dict", "functools._lru_list_elem", "functools.partial"],
)
def test_of_a_wrapper_one_asks_what_is_in_it(wrapper: str) -> None:
    outside = kindred(wrapper, 10, 9000, 10)
    assert main_of(outside, kindred("app.Session", 10, 800)) == "app.Session"
    assert main_of(outside, kindred("app.Session", 4, 800)) == wrapper  # not in each
    assert main_of(outside) == wrapper


def test_nobody_knows_the_links_of_a_cache_by_name() -> None:
    link = kindred("functools._lru_list_elem", 10, 9000, 10)
    assert main_of(link, kindred("builtins.bytes", 10, 800)) == "builtins.bytes"


def test_what_does_not_grow_stands_for_nothing() -> None:
    assert main_of(kindred("app.Once", 10, 9000, 10, born=[10, 0])) == ""
    assert (
        main_of(
            kindred("app.Once", 10, 9000, 10, born=[10, 0, 0]),
            kindred("app.Each", 9, 90, 9, born=[3, 3, 3]),
        )
        == "app.Each"
    )
    assert pile_of().main() is None


def test_the_standard_library_is_not_the_program() -> None:
    assert kindred("app.User", 1, 1).is_program
    assert kindred("numpy.ndarray", 1, 1).is_program
    for name in ("builtins.list", "collections.OrderedDict", "xml.dom.minidom.Text"):
        assert not kindred(name, 1, 1).is_program


def test_kindred_add_up() -> None:
    kind = Kindred(3, "app", "app.User")
    kind.add(Group(3, 7, True, 2, 20, 200, 41, (1, 1)))
    kind.add(Group(3, 8, False, 5, 50, 500, 42, (2, 3)))
    kind.add(Group(3, 7, False, 1, 10, 100, 43, (0, 1)))
    assert (kind.count, kind.bytes, kind.below) == (8, 80, 800)
    assert (kind.entries, kind.entries_below) == (2, 200)
    assert kind.born == [3, 5]
    assert {key: count for key, (count, _) in kind.tracebacks.items()} == {7: 3, 8: 5}
    other = Kindred(3, "app", "app.User")
    other.add(Group(3, 9, True, 1, 10, 100, 44, (1, 0)))
    kind.join(other)
    assert (kind.count, kind.born) == (9, [4, 5])
    assert (kind.entries, kind.entries_below) == (3, 300)
    assert set(kind.tracebacks) == {7, 8, 9}


# -- from a history to piles


def history(counts: list[int], pairs: list[tuple[int, int]], roots: list[int]) -> _memscope.History:
    made: Any = None
    for count in counts:
        graph = _memscope.Graph.from_pairs(
            count,
            [pair for pair in pairs if max(pair) < count],
            [root for root in roots if root < count],
        )
        made = made.advance(graph) if made is not None else _memscope.History.begin(graph)
    return made


def found(made: _memscope.History) -> list[Pile]:
    return find_piles(made.graph, made, made.survivors(), None, ())[0]


def test_piles_that_grow_largest_first() -> None:
    # 1 gets five objects at each moment, 2 gets one; 3 gets ten once.
    pairs: list[tuple[int, int]] = [(0, 1), (0, 2), (0, 3)]
    counts = [4]
    for moment in range(3):
        holders = [1] * 5 + [2] + [3] * (10 * (moment == 0))
        pairs += [(holder, counts[-1] + at) for at, holder in enumerate(holders)]
        counts.append(counts[-1] + len(holders))
    piles = found(history(counts, pairs, [0]))
    assert [(pile.holder, pile.count, pile.born) for pile in piles] == [
        (1, 15, [5, 5, 5]),
        (2, 3, [1, 1, 1]),
    ]
    assert [pile.way for pile in piles] == [(0, 1), (0, 2)]
    main = piles[0].main()
    assert main is not None
    assert (main.name, main.count, main.entries, main.born) == ("object", 15, 15, [5, 5, 5])


def test_holders_that_are_alike_are_one_pile() -> None:
    """Ten objects of one class, at one place: each gets something once, together they grow."""
    # 0 -> 1 -> 2 -> each of 3..8 -> one of its own -> what is new.
    holders = range(9, 15)
    pairs = [(0, 1), (1, 2)]
    pairs += [(2, node) for node in range(3, 9)]
    pairs += [(node, node + 6) for node in range(3, 9)]
    pairs += [(holder, holder + 6) for holder in holders]
    piles = found(history([15, 17, 19, 21], pairs, [0]))
    assert [(pile.alike, pile.count, pile.born) for pile in piles] == [(6, 6, [2, 2, 2])]
    # Directly at the root nothing says that they are.
    pairs = [(0, node) for node in range(1, 7)] + [(node, node + 6) for node in range(1, 7)]
    assert found(history([7, 9, 11, 13], pairs, [0])) == []


def test_one_round_tells_all() -> None:
    piles = found(history([2, 5], [(0, 1), (1, 2), (1, 3), (1, 4)], [0]))
    assert [(pile.holder, pile.count) for pile in piles] == [(1, 3)]


def test_nothing_new() -> None:
    assert found(history([3, 3, 3], [(0, 1)], [0])) == []
