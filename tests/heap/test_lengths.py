"""How much containers hold, against len() and a loop."""

from __future__ import annotations

import gc
import random
import sys
from abc import ABCMeta
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memscope import _memscope


class MyList(list[Any]):
    """With a length of its own, which is not to be asked."""

    def __len__(self) -> int:
        raise AssertionError("code of the program ran")


class MyDict(dict[Any, Any]):
    pass


class Slim(dict[Any, Any]):
    __slots__ = ()


class MySet(set[Any]):
    pass


class MyDeque(deque[Any]):
    pass


class Thing:
    pass


ONE = Thing()
NUMBERS = [Thing() for _ in range(2000)]
"""That can be put into something, and are there already."""


def put(made: Any, count: int) -> None:
    """More entries, none of which is new to it."""
    if isinstance(made, (list, deque)):
        made.extend(NUMBERS[:count])
    elif isinstance(made, dict):
        dict.update(made, dict.fromkeys(NUMBERS[:count], ONE))
    else:
        made.update(NUMBERS[:count])


def size_of(made: Any) -> int:
    return list.__len__(made) if isinstance(made, list) else len(made)


KINDS: dict[str, Callable[[], Any]] = {
    "list": list,
    "dict": dict,
    "set": set,
    "deque": deque,
    "OrderedDict": OrderedDict,
    "defaultdict": lambda: defaultdict(list),
    "Counter": Counter,
    "subclass of list": MyList,
    "subclass of dict": MyDict,
    "subclass of dict without a dict": Slim,
    "subclass of set": MySet,
    "subclass of deque": MyDeque,
}


@pytest.fixture
def tracing() -> Iterator[None]:
    _memscope.start()
    yield
    _memscope.stop()


@pytest.fixture
def lengths() -> Any:
    gc.collect()  # which empties the free lists
    return _memscope.Lengths()


def rise(lengths: Any) -> int | None:
    """With all that was made before now."""
    found: int | None = lengths.longest_rise(_memscope.get_epoch() + 1)
    return found


def renewed(lengths: Any) -> int | None:
    """As rise(), and what they hold now is noted."""
    found: int | None = lengths.renew(_memscope.get_epoch() + 1)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_one_from_before_memory_was_traced(kind: str, lengths: Any) -> None:
    made = KINDS[kind]()
    # One that is empty may not be tracked by the collector, and then is no entry's value.
    put(made, 1)
    held = {"it": made}
    _memscope.start()
    try:
        lengths.note()
        put(made, 1000)
        assert rise(lengths) == 999 + isinstance(made, (list, deque))
    finally:
        _memscope.stop()
    del held


@pytest.mark.parametrize("kind", KINDS)
def test_one_from_before_the_first_note(kind: str, tracing: None, lengths: Any) -> None:
    made = KINDS[kind]()
    put(made, 1)
    lengths.note()
    put(made, 1000)
    assert rise(lengths) == 999 + isinstance(made, (list, deque))


@pytest.mark.parametrize("empty", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_one_from_between_two_notes(kind: str, empty: bool, tracing: None, lengths: Any) -> None:
    lengths.note()
    made = KINDS[kind]()
    if not empty:
        put(made, 1)
    lengths.note()
    put(made, 1000)
    assert rise(lengths) == 1000 - (not empty) + (not empty and isinstance(made, (list, deque)))
    lengths.note()
    assert rise(lengths) == 0


@pytest.mark.parametrize("metaclass", [type, ABCMeta])
@pytest.mark.parametrize("base", [list, dict, set, deque])
def test_one_of_a_class_from_between_two_notes(
    base: type, metaclass: type, tracing: None, lengths: Any
) -> None:
    lengths.note()
    kind = metaclass("Made", (base,), {})
    made = kind()
    lengths.note()
    put(made, 1000)
    assert rise(lengths) == 1000
    # The class and its instances end; what comes to lie there is something else.
    del made, kind
    gc.collect()
    lengths.note()
    others = [metaclass("Other", (object,), {"x": 1})() for _ in range(50)]
    lengths.note()
    assert rise(lengths) == 0
    del others


def test_the_pass_finds_what_is_not_seen_otherwise(tracing: None, lengths: Any) -> None:
    lengths.note()

    class Meta(type):
        pass

    class Made(dict[Any, Any], metaclass=Meta):
        pass

    made = Made()
    while not lengths.note():
        pass
    put(made, 1000)
    assert rise(lengths) == 1000


@pytest.mark.parametrize("other", [tuple, frozenset, Thing, bytearray])
def test_what_is_no_container(other: Callable[[], object], tracing: None, lengths: Any) -> None:
    lengths.note()
    before = len(lengths)
    made = [other() for _ in range(500)]
    if other is Thing:
        made = [(MyDict, number, ONE, ONE, ONE) for number in range(500)]
    lengths.note()
    assert len(lengths) < before + 100
    del made


def test_attributes_of_functions_and_classes(tracing: None, lengths: Any) -> None:
    """As many as there are names."""

    class Made:
        pass

    def made(*, option: int = 0) -> None:
        pass

    # Interned now: the interpreter has those in a dict.
    names = [sys.intern(f"name_{number}") for number in range(500)]
    held = dict.fromkeys(names[:5])
    for one in (Made, made):
        setattr(one, names[0], held)
    lengths.note()
    for name in names[1:]:
        setattr(Made, name, ONE)
        setattr(made, name, ONE)
        made.__annotations__[name] = ONE
    assert rise(lengths) == 0
    # What they have is the program's.
    held.update(dict.fromkeys(names))
    assert rise(lengths) == 495


def test_a_class_that_is_only_called_deque(tracing: None, lengths: Any) -> None:
    def length(self: object) -> int:
        raise AssertionError("code of the program ran")

    kind = type("collections.deque", (), {"__len__": length})
    old = kind()
    lengths.note()
    count = len(lengths)
    made = [kind() for _ in range(500)]
    lengths.note()
    assert len(lengths) < count + 100
    del made, old


def test_no_more_than_was_noted(tracing: None, lengths: Any) -> None:
    made = [ONE] * 1000
    lengths.note()
    made.clear()
    assert rise(lengths) == 0
    put(made, 900)
    assert rise(lengths) == 0
    lengths.note()
    made.clear()
    lengths.note()
    put(made, 900)
    assert rise(lengths) == 900


@pytest.mark.parametrize("kind", KINDS)
def test_the_dead_and_who_lies_where_they_lay(kind: str, tracing: None, lengths: Any) -> None:
    lengths.note()
    # More than a free list has: an object from there has an old block.
    made = tuple(KINDS[kind]() for _ in range(500))
    lengths.note()
    count = len(lengths)
    assert count >= 500
    epoch = _memscope.advance_epoch()
    del made
    again = tuple(KINDS[kind]() for _ in range(400))
    for one in again:
        put(one, 50)
    # One of a free list is what was noted.
    assert lengths.longest_rise(epoch) in (0, 1, 50)
    lengths.note()
    assert len(lengths) < count
    del again


def test_younger_ones_are_left_out(tracing: None, lengths: Any) -> None:
    older = list(ONE for _ in range(9))
    epoch = _memscope.advance_epoch()
    younger = [[ONE] for _ in range(500)]
    lengths.note()
    put(younger[200], 1000)
    put(older, 500)
    assert lengths.longest_rise(epoch) == 500
    assert lengths.longest_rise(epoch + 1) == 1000


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_out(kind: str, lengths: Any) -> None:
    old = tuple(KINDS[kind]() for _ in range(3))
    for one in old:
        put(one, 1)
    held = dict(enumerate(old))
    _memscope.start()
    try:
        lengths.note()
        new = tuple(KINDS[kind]() for _ in range(3))
        lengths.note()
        count = len(lengths)
        lengths.leave_out([old[0], new[0]])
        put(old[0], 900)
        put(new[0], 900)
        gc.collect()  # or there is what put() used, in a free list
        assert rise(lengths) in (0, 1)
        assert not lengths.note()
        assert len(lengths) <= count
        put(old[0], 1500)
        put(new[0], 1500)
        put(old[1], 300)
        gc.collect()
        assert rise(lengths) in (299, 300)
        while not lengths.note():
            pass
        put(new[0], 2000)
        assert rise(lengths) == 500 + 1500 * isinstance(new[0], (list, deque))
    finally:
        _memscope.stop()
    del held


def test_what_is_left_out_is_no_block_less(lengths: Any) -> None:
    made = {number: [ONE] for number in range(5000)}
    _memscope.start()
    try:
        lengths.note()
        before = _memscope.get_traced_blocks()
        lengths.leave_out(list(made.values()))
        assert abs(_memscope.get_traced_blocks() - before) < 100
        # Those that are left out have no slots any more; freed, they are no blocks either.
        made.clear()
        assert _memscope.get_traced_blocks() < before + 100
    finally:
        _memscope.stop()


def test_what_was_never_noted_can_be_left_out(lengths: Any) -> None:
    others: list[Any] = [1, "a", (), object(), type, Thing, [], {}, MyList(), lengths, None]
    lengths.leave_out(others)
    _memscope.start()
    try:
        lengths.leave_out(others)
        lengths.note()
        made: list[Any] = [[], {}, MyList(), MySet(), type("Made", (dict,), {})()]
        lengths.leave_out(others + made + others)
        lengths.leave_out([])
        del made
        assert rise(lengths) in (0, 1)
        lengths.note()
    finally:
        _memscope.stop()


def test_left_out_for_one_and_not_for_another(tracing: None, lengths: Any) -> None:
    made = [[ONE] for _ in range(3)]
    lengths.note()
    lengths.leave_out(made)
    other = _memscope.Lengths()
    other.note()
    put(made[0], 500)
    assert rise(other) == 500
    assert rise(lengths) is None


@pytest.mark.parametrize("containers", [None, (), {}, iter([]), 1])
def test_only_a_list_is_left_out(containers: Any, lengths: Any) -> None:
    with pytest.raises(TypeError, match="takes a list of containers, not"):
        lengths.leave_out(containers)


@pytest.mark.parametrize("state", ["lists", "frozen"])
def test_a_large_heap(state: str, lengths: Any) -> None:
    # So large that the collector's lists are walked in pieces.
    made = [[ONE] * (number % 50) for number in range(30_000)]
    gc.collect()
    if state == "frozen":
        gc.freeze()
    _memscope.start()
    try:
        lengths.note()
        assert len(lengths) >= 30_000
        lengths.note()
        put(made[100], 500)
        put(made[20_000], 700)
        made[49].clear()
        new = [ONE] * 900
        assert rise(lengths) == 700
        del new
    finally:
        _memscope.stop()
        gc.unfreeze()


@pytest.mark.parametrize("many", [1, 7, 1000])
@pytest.mark.parametrize("kind", [dict, OrderedDict, MyDict])
def test_dicts_that_are_values(kind: type[dict[Any, Any]], many: int, lengths: Any) -> None:
    inner: list[dict[str, int]] = [{"a": 1, "b": number} for number in range(many)]
    outer = kind(enumerate(inner))
    texts = [str(number) for number in range(300)]
    _memscope.start()
    try:
        lengths.note()
        inner[-1].update(dict.fromkeys(texts, 0))
        assert rise(lengths) == 300
    finally:
        _memscope.stop()
    del outer


def test_when_it_cannot_be_told(lengths: Any) -> None:
    assert rise(lengths) is None
    lengths.note()
    assert rise(lengths) is None
    _memscope.start()
    try:
        assert rise(lengths) is None
        lengths.note()
        assert rise(lengths) == 0
        _memscope.clear_traces()
        assert rise(lengths) is None
        lengths.note()
        _memscope.stop()
        _memscope.start()
        assert rise(lengths) is None
        lengths.note()
        _memscope.Lengths().note()
        assert rise(lengths) is None
        lengths.note()
        assert rise(lengths) == 0
    finally:
        _memscope.stop()
    assert rise(lengths) is None


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_changed_lately(kind: str, tracing: None, lengths: Any) -> None:
    made = KINDS[kind]()
    put(made, 1)
    lengths.note()
    put(made, 100)
    lengths.note()
    put(made, 300)
    lengths.note_hot()
    assert renewed(lengths) == 0
    put(made, 350)
    size = size_of(made)
    lengths.note_hot()
    put(made, 1000)
    assert renewed(lengths) == size_of(made) - size


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_new(kind: str, tracing: None, lengths: Any) -> None:
    lengths.note()
    made = KINDS[kind]()
    put(made, 5)
    lengths.note_hot()
    size = size_of(made)
    put(made, 1000)
    assert renewed(lengths) == size_of(made) - size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("grows", [True, False])
def test_one_that_did_not_change_lately(
    kind: str, when: str, grows: bool, tracing: None, lengths: Any
) -> None:
    made = KINDS[kind]()
    put(made, 50)
    lengths.note()
    lengths.note_hot()
    assert renewed(lengths) == 0
    if when == "after":
        lengths.note_hot()
    put(made, 100) if grows else made.clear()
    if when == "before":
        lengths.note_hot()
    # By how much it grew since the note is not known: it may have been less before.
    assert renewed(lengths) is None
    lengths.note_hot()
    put(made, 500)
    assert (renewed(lengths) or 0) >= 400


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("found", ["in a pass", "by its block"])
@pytest.mark.parametrize("between", ["nothing", "note", "note_hot"])
def test_who_lies_where_the_dead_lay(
    kind: str, found: str, between: str, tracing: None, lengths: Any
) -> None:
    if found == "by its block":
        lengths.note()
    # More than a free list has: an object from there has an old block.
    made = tuple(KINDS[kind]() for _ in range(500))
    lengths.note()
    if between != "nothing":
        getattr(lengths, between)()
    del made
    again = tuple(KINDS[kind]() for _ in range(400))
    for one in again[-250:]:
        put(one, 50)
    size = size_of(again[-1])
    lengths.note_hot()
    put(again[-1], 60)
    rose = renewed(lengths)
    # One of a free list is what was noted, with other entries.
    assert rose == size_of(again[-1]) - size or (rose is None and kind in ("list", "dict"))
    count = len(lengths)
    lengths.note_hot()
    assert renewed(lengths) == 0
    assert len(lengths) <= count
    size = size_of(again[-1])
    lengths.note_hot()
    put(again[-1], 1000)
    rose = renewed(lengths)
    assert rose == size_of(again[-1]) - size or (rose is None and kind in ("list", "dict"))


def test_a_rise_after_the_hot_were_noted_is_known_to_renew_alone(
    tracing: None, lengths: Any
) -> None:
    lengths.note()
    lengths.note_hot()
    assert rise(lengths) is None
    assert renewed(lengths) == 0
    assert rise(lengths) == 0


@pytest.mark.parametrize("epoch", [-1, 1 << 64, "1", 1.5, None])
@pytest.mark.parametrize("method", ["longest_rise", "renew"])
def test_what_is_no_epoch(method: str, epoch: Any, lengths: Any) -> None:
    with pytest.raises((OverflowError, TypeError)):
        getattr(lengths, method)(epoch)


@pytest.mark.parametrize("arguments", [(1,), ([],)])
def test_what_is_no_argument(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        _memscope.Lengths(*arguments)


PLACES = 12
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                *("make", "make", "put", "put", "take", "drop", "note", "epoch", "epochs"),
                *("collect", "freeze", "class", "look", "leave out", "note hot", "renew"),
            )
        ),
        st.integers(0, PLACES - 1),
        st.integers(0, 60),
    ),
    max_size=60,
)


class Naive:
    """What was noted, in containers that do not grow themselves."""

    def __init__(self) -> None:
        # Values of a dict: else a pass may not find those dicts that are not tracked.
        self.made: dict[int, Any] = dict.fromkeys(range(PLACES))
        self.kinds: list[Callable[[], Any]] = [*KINDS.values()] + [list] * PLACES
        self.noted: list[int | None] = [None] * PLACES
        self.out: list[bool] = [False] * PLACES
        self.lengths = _memscope.Lengths()
        self.last = len(KINDS)

    def step(self, action: str, place: int, count: int) -> None:
        made = self.made[place]
        if action == "make":
            self.made[place] = self.kinds[(place + count) % self.last]()
            self.noted[place], self.out[place] = None, False
        elif action == "drop":
            self.made[place] = self.noted[place] = None
        elif action == "leave out" and self.noted[place] is not None:
            self.lengths.leave_out([made])
            self.noted[place], self.out[place] = None, True
        elif action == "put" and made is not None:
            put(made, count)
        elif action == "take" and made is not None:
            made.clear()
        elif action == "note":
            self.note(self.lengths.note())
        elif action == "note hot":
            self.note(self.lengths.note_hot())
        elif action == "renew":
            self.compare(renewed(self.lengths))
            for at in range(PLACES):
                self.noted[at] = None if self.noted[at] is None else self.size(at)
        elif action in ("epoch", "epochs"):
            for _ in range(1 if action == "epoch" else 9 * count):
                _memscope.advance_epoch()
        elif action == "collect":
            gc.collect()
        elif action == "freeze":  # which empties the free lists
            gc.freeze()
            gc.collect()
            gc.unfreeze()
        elif action == "class" and self.last < len(self.kinds):
            self.kinds[self.last] = type("Made", (random.choice([list, dict, set]),), {})
            self.last += 1
        elif action == "look":
            self.compare(rise(self.lengths))

    def size(self, place: int) -> int:
        made = self.made[place]
        return 0 if made is None else size_of(made)

    def note(self, found_anew: bool) -> None:
        if found_anew:
            self.out = [False] * PLACES
        for place in range(PLACES):
            known = self.made[place] is not None and not self.out[place]
            self.noted[place] = self.size(place) if known else None

    def compare(self, found: int | None) -> None:
        longest = 0
        for place in range(PLACES):
            before = self.noted[place]
            if before is not None:
                longest = max(longest, self.size(place) - before)
        if found is not None and longest > 3:  # a few of those of pytest may grow meanwhile
            # One of a free list that is made anew counts as well.
            assert found >= longest


@given(STEPS)
def test_any_of_it(steps: list[tuple[str, int, int]]) -> None:
    _memscope.start()
    try:
        naive = Naive()
        naive.step("note", 0, 0)
        for one in steps:
            naive.step(*one)
        naive.step("look", 0, 0)
        naive.step("note", 0, 0)
        for place in range(PLACES):
            if naive.made[place] is not None:
                put(naive.made[place], 100)
        naive.step("look", 0, 0)
    finally:
        _memscope.stop()
