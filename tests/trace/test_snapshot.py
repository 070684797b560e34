"""Columns against the standard library's own tracemalloc: same answers, same order.

tracemalloc.Snapshot is plain Python over the same tuples, so it is the oracle for
all that it can do; what goes beyond it is checked against a few naive lines here.
"""

from __future__ import annotations

import fnmatch
import gc
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memscope import _memscope
from memscope._memscope import Columns

LIMIT = 25

quick = settings(deadline=None, max_examples=50)

filenames = st.sampled_from(
    [
        "",
        "a.py",
        "b.py",
        "ab.pyc",
        "\0",
        "a\0b",
        "caf\xe9.py",
        "\u0431.py",
        "\udc80.py",
        "\U0001f40d",
    ]
) | st.text(st.characters(), max_size=3)
frames = st.lists(
    st.tuples(filenames, st.integers(0, 3) | st.just(2**32 - 1)), min_size=1, max_size=6
)
# A few tracebacks for many rows, as in a program: pick from a small pool.
sizes = st.integers(0, 20) | st.sampled_from([0, 2**16, 2**32 - 2, 2**32 - 1, 2**32, 2**40])
domains = st.sampled_from([0, 0, 0, 1, 2, 389047, 2**32 - 1])
totals = st.none() | st.integers(0, 9) | st.just(65535)


@st.composite
def raw_traces(draw: st.DrawFn, pool: list[Any] | None = None) -> list[Any]:
    pool = pool or draw(st.lists(frames.map(tuple), min_size=1, max_size=6))
    row = st.tuples(domains, sizes, st.sampled_from(pool), totals)
    return draw(st.lists(row, max_size=30))


@st.composite
def two_raw_traces(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    pool = draw(st.lists(frames.map(tuple), min_size=1, max_size=8))
    return draw(raw_traces(pool)), draw(raw_traces(pool))


def columns(traces: list[Any]) -> Columns:
    return Columns.from_traces(traces, LIMIT)


def frames_key(traceback: Any) -> Any:
    """A tracemalloc.Traceback as the raw tuple it was made from."""
    return tuple(reversed(traceback._frames))


MODES = [
    ("lineno", False),
    ("filename", False),
    ("traceback", False),
    ("lineno", True),
    ("filename", True),
]


@pytest.mark.parametrize(("key", "cumulative"), MODES)
@quick
@given(traces=raw_traces())
def test_group_is_tracemalloc_statistics(key: str, cumulative: bool, traces: list[Any]) -> None:
    oracle = tracemalloc.Snapshot(traces, LIMIT).statistics(key, cumulative)
    expected = [(frames_key(s.traceback), s.size, s.count) for s in oracle]
    rows = columns(traces).group(key, cumulative, per_occurrence=True)  # type: ignore[arg-type]
    if key == "traceback":
        rows = [(place[0], *rest) for place, *rest in rows]
    assert rows == expected


@pytest.mark.parametrize(("key", "cumulative"), MODES)
@quick
@given(both=two_raw_traces())
def test_compare_is_tracemalloc_compare_to(key: str, cumulative: bool, both: Any) -> None:
    new, old = both
    oracle = tracemalloc.Snapshot(new, LIMIT).compare_to(
        tracemalloc.Snapshot(old, LIMIT), key, cumulative
    )
    expected = [
        (frames_key(s.traceback), s.size, s.size_diff, s.count, s.count_diff) for s in oracle
    ]
    rows = columns(new).compare(
        columns(old),
        key,  # type: ignore[arg-type]
        cumulative,
        per_occurrence=True,
    )
    if key == "traceback":
        rows = [(place[0], *rest) for place, *rest in rows]
    assert rows == expected


@pytest.mark.parametrize(("key", "cumulative"), MODES)
@quick
@given(traces=raw_traces(), domain=domains)
def test_compare_on_one_tree(key: str, cumulative: bool, traces: list[Any], domain: int) -> None:
    """A filtered table has the tree of its origin; the answer is the same as with two trees."""
    table = columns(traces)
    part = table.filter([(True, None, None, False, domain)])
    assert part.traces() == [trace for trace in table.traces() if trace[0] == domain]
    apart = columns(part.traces())

    def difference(new: Columns, old: Columns) -> list[Any]:
        rows = new.compare(old, key, cumulative)  # type: ignore[arg-type]
        if key == "traceback":
            rows = [(place[0], *rest) for place, *rest in rows]
        return rows

    assert difference(table, part) == difference(table, apart)
    assert difference(part, table) == difference(apart, table)


PATTERNS = ["*", "a*", "*.py", "a.py", "*\u0431*", "nothing"]


@st.composite
def filters(draw: st.DrawFn) -> Any:
    inclusive = draw(st.booleans())
    if draw(st.booleans()):
        return tracemalloc.DomainFilter(inclusive, draw(domains | st.just(-1) | st.just(2**70)))
    return tracemalloc.Filter(
        inclusive,
        draw(st.sampled_from(PATTERNS)),
        draw(st.none() | st.integers(-1, 3) | st.just(2**40)),
        draw(st.booleans()),
        draw(st.none() | domains),
    )


def specification(one: Any, names: list[str]) -> tuple[bool, bytes | None, int | None, bool, Any]:
    if isinstance(one, tracemalloc.DomainFilter):
        return one.inclusive, None, None, False, one.domain
    pattern = one.filename_pattern
    matches = bytes(
        fnmatch.fnmatch(name[:-1] if name.endswith(".pyc") else name, pattern) for name in names
    )
    return one.inclusive, matches, one.lineno, one.all_frames, one.domain


@settings(deadline=None, max_examples=150)
@given(traces=raw_traces(), many=st.lists(filters(), max_size=4))
def test_filter_is_tracemalloc_filter_traces(traces: list[Any], many: list[Any]) -> None:
    expected = tracemalloc.Snapshot(traces, LIMIT).filter_traces(many).traces._traces  # type: ignore[attr-defined]
    table = columns(traces)
    kept = table.filter([specification(one, table.filenames()) for one in many])
    assert kept.traces() == expected
    assert kept.traceback_limit == LIMIT
    assert kept.total_size == sum(trace[1] for trace in expected)
    assert kept.filenames() == sorted({name for t in expected for name, _ in t[2]})


@quick
@given(traces=raw_traces(), low=st.integers(0, 2**33), high=st.none() | st.integers(0, 2**41))
def test_filter_by_size(traces: list[Any], low: int, high: int | None) -> None:
    kept = columns(traces).filter([], min_size=low, max_size=high)
    limit = 2**63 if high is None else high
    assert kept.traces() == [trace for trace in traces if low <= trace[1] <= limit]


def test_filter_many_domains() -> None:
    traces = [(number, 1, (("a.py", 1),), None) for number in range(254)]
    table = columns(traces)
    some = [7, 0, 253, 100]
    kept = table.filter([(True, None, None, False, number) for number in some])
    assert [trace[0] for trace in kept.traces()] == sorted(some)
    kept = table.filter([(False, None, None, False, number) for number in range(200)])
    assert [trace[0] for trace in kept.traces()] == list(range(200, 254))
    assert len(table.filter([(True, None, None, False, n) for n in range(254)])) == 254


def naive_groups(traces: list[Any], place: Any, once: bool) -> list[Any]:
    """(place, size, count) with each trace counted for all places of its frames."""
    size: Counter[Any] = Counter()
    count: Counter[Any] = Counter()
    for _, bytes_, stack, _ in traces:
        places = [place(frame) for frame in stack]
        for one in set(places) if once else places:
            size[one] += bytes_
            count[one] += 1
    return sorted(((one, size[one], count[one]) for one in count), key=lambda r: r[1:] + r[:1])[
        ::-1
    ]


@quick
@given(traces=raw_traces())
def test_cumulative_counts_recursion_once(traces: list[Any]) -> None:
    table = columns(traces)
    assert table.group("lineno", True) == naive_groups(traces, lambda frame: (frame,), True)
    assert table.group("filename", True) == naive_groups(
        traces, lambda frame: ((frame[0], 0),), True
    )


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("cumulative", [True, False])
@quick
@given(both=two_raw_traces(), data=st.data())
def test_group_by_label(once: bool, cumulative: bool, both: Any, data: st.DataObject) -> None:
    new, old = both
    table, other = columns(new), columns(old)
    label = {
        name: data.draw(st.integers(0, 2) | st.just(2**32 - 1))
        for name in {*table.filenames(), *other.filenames()}
    }
    labels = [label[name] for name in table.filenames()]
    old_labels = [label[name] for name in other.filenames()]
    cut = None if cumulative else 1
    expected, old_expected = (
        naive_groups(
            [(d, s, stack[:cut], n) for d, s, stack, n in traces],
            lambda frame: label[frame[0]],
            once,
        )
        for traces in (new, old)
    )
    assert expected == table.group("label", cumulative, per_occurrence=not once, labels=labels)
    before = {place: (size, count) for place, size, count in old_expected}
    after = {place: (size, count) for place, size, count in expected}
    rows = []
    for place in {**before, **after}:
        size, count = after.get(place, (0, 0))
        old_size, old_count = before.get(place, (0, 0))
        rows.append((place, size, size - old_size, count, count - old_count))
    rows.sort(key=lambda r: (abs(r[2]), r[1], abs(r[4]), r[3], r[0]), reverse=True)
    assert rows == table.compare(
        other, "label", cumulative, per_occurrence=not once, labels=labels, old_labels=old_labels
    )


@quick
@given(traces=raw_traces())
def test_group_by_function_without_names(traces: list[Any]) -> None:
    """Tuples do not say which function: it is the empty name, so groups are files."""
    table = columns(traces)
    assert table.group("function") == [
        ((place[0][0], ""), size, count) for place, size, count in table.group("filename")
    ]


@quick
@given(traces=raw_traces())
def test_rows_are_what_was_put_in(traces: list[Any]) -> None:
    table = columns(traces)
    assert len(table) == len(traces)
    assert table.traces() == traces
    assert [table.trace(i) for i in range(len(traces))] == traces
    assert [table.trace(i - len(traces)) for i in range(len(traces))] == traces
    assert table.total_size == sum(trace[1] for trace in traces)
    assert table.filenames() == sorted({name for trace in traces for name, _ in trace[2]})
    assert all(table.address(i) == table.row_epoch(i) == 0 for i in range(len(traces)))


@quick
@given(traces=raw_traces())
def test_equal_tracebacks_are_one_object(traces: list[Any]) -> None:
    # Tuples that are equal, and not the same object.
    table = columns([(d, s, tuple((f, n) for f, n in stack), t) for d, s, stack, t in traces])
    seen: dict[Any, Any] = {}
    names: dict[str, str] = {}
    for trace in table.traces():
        assert seen.setdefault(trace[2], trace[2]) is trace[2]
        for name, _ in trace[2]:
            assert names.setdefault(name, name) is name
    for i in range(len(table)):
        assert seen[table.trace(i)[2]] is table.trace(i)[2]


@pytest.mark.parametrize(
    "kind",
    [list, tuple, iter, lambda rows: (row for row in rows)],
    ids=["list", "tuple", "iterator", "generator"],
)
def test_from_any_iterable(kind: Any) -> None:
    rows = [(0, 1, (("a.py", 1),), 2), (0, 2, [("a.py", 1)], None), (3, 3, (("a.py", 2),))]
    table = Columns.from_traces(kind(rows), 1)
    assert table.traces() == [
        (0, 1, (("a.py", 1),), 2),
        (0, 2, (("a.py", 1),), None),
        (3, 3, (("a.py", 2),), None),
    ]


def test_group_key_of_traceback() -> None:
    """Tracebacks that differ only in the total are one group, and have one of the totals."""
    stack = (("a.py", 1), ("b.py", 2))
    table = columns([(0, 1, stack, 7), (0, 1, stack, 9), (0, 5, stack[:1], None)])
    assert table.group("traceback") in (
        [((stack[:1], None), 5, 1), ((stack, total), 2, 2)] for total in (7, 9)
    )


@pytest.mark.parametrize(
    ("trace", "kind", "message"),
    [
        (5, TypeError, r"a trace must be a tuple \(domain, size, frames\[, total_nframe\]\)"),
        ((0, 1), TypeError, "a trace must be a tuple"),
        ((0, 1, (("a", 1),), 1, 1), TypeError, "a trace must be a tuple"),
        (("0", 1, (("a", 1),)), TypeError, "a trace's domain must be an int, not str"),
        ((-1, 1, (("a", 1),)), ValueError, r"a trace's domain must be in range \[0; 4294967295\]"),
        ((2**32, 1, (("a", 1),)), ValueError, "a trace's domain must be in range"),
        ((0, 1.0, (("a", 1),)), TypeError, "a trace's size must be an int, not float"),
        (
            (0, -1, (("a", 1),)),
            ValueError,
            r"a trace's size must be in range \[0; 9223372036854775807",
        ),
        ((0, 2**63, (("a", 1),)), ValueError, "a trace's size must be in range"),
        ((0, 2**70, (("a", 1),)), ValueError, "a trace's size must be in range"),
        ((0, 1, 5), TypeError, "a trace's frames must be a sequence"),
        ((0, 1, ()), ValueError, "a trace must have 1 to 65535 frames, not 0"),
        ((0, 1, (("a", 1),) * 65536), ValueError, "a trace must have 1 to 65535 frames, not 65536"),
        ((0, 1, "ab"), TypeError, r"a frame must be a tuple \(file name, line\), not str"),
        ((0, 1, (("a", 1, 2),)), TypeError, "a frame must be a tuple"),
        ((0, 1, ((b"a", 1),)), TypeError, "a frame's file name must be a str, not bytes"),
        ((0, 1, (("a", None),)), TypeError, "a frame's line must be an int, not NoneType"),
        ((0, 1, (("a", -1),)), ValueError, r"a frame's line must be in range \[0; 4294967295\]"),
        ((0, 1, (("a", 1),), "x"), TypeError, "a trace's total_nframe must be an int, not str"),
        ((0, 1, (("a", 1),), -1), ValueError, "a trace's total_nframe must be in range"),
    ],
)
def test_what_is_no_trace(trace: Any, kind: type[Exception], message: str) -> None:
    good = (0, 1, (("a", 1),), 1)
    before = _memscope.get_tracemalloc_memory()
    with pytest.raises(kind, match=message):
        Columns.from_traces([good, trace], 1)
    assert _memscope.get_tracemalloc_memory() == before


def test_limits() -> None:
    stack = (("a", 1),)
    assert Columns.from_traces([(0, 2**63 - 1, stack)], 2**32 - 1).total_size == 2**63 - 1
    with pytest.raises(ValueError, match=r"come to more than 2\*\*63 - 1 bytes"):
        Columns.from_traces([(0, 2**63 - 1, stack), (0, 1, stack)], 1)
    with pytest.raises(ValueError, match="traces have more than 253 domains"):
        Columns.from_traces([(number, 1, stack) for number in range(255)], 1)
    with pytest.raises(ValueError, match="the traceback limit must be in range"):
        Columns.from_traces([], -1)
    with pytest.raises(TypeError, match="the traceback limit must be an int"):
        Columns.from_traces([], None)  # type: ignore[arg-type]
    deepest = tuple(("a", line) for line in range(65535))
    table = columns([(0, 1, deepest, 65535)])
    assert table.traces() == [(0, 1, deepest, 65535)]
    assert len(table.group("lineno", True)) == 65535


def test_sums_stop_at_the_limit() -> None:
    """Recursion counted at each occurrence can exceed any sum; it never wraps around."""
    table = columns([(0, 2**62, (("a", 1),) * 5, None)])
    assert table.group("lineno", True, per_occurrence=True) == [((("a", 1),), 2**63 - 1, 5)]
    assert table.group("lineno", True) == [((("a", 1),), 2**62, 1)]


def test_arguments() -> None:
    table = columns([(0, 1, (("a", 1), ("b", 2)), 2)])
    for wrong in (1, -2, 2**80):
        with pytest.raises(IndexError, match=r"row index out of range|cannot fit"):
            table.trace(wrong)
        with pytest.raises(IndexError):
            table.address(wrong)
        with pytest.raises(IndexError):
            table.row_epoch(wrong)
    with pytest.raises(TypeError):
        table.trace("0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown key_type: 'colour'"):
        table.group("colour")  # type: ignore[arg-type]
    message = "cumulative mode cannot by used with key type 'traceback'"
    with pytest.raises(ValueError, match=message):
        table.group("traceback", True)
    with pytest.raises(ValueError, match=message):
        table.compare(table, "traceback", True)
    with pytest.raises(TypeError):
        table.compare(5, "lineno")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="key 'label' needs labels"):
        table.group("label")
    with pytest.raises(ValueError, match=r"as many as filenames\(\): 2, not 1"):
        table.group("label", labels=[1])
    with pytest.raises(ValueError, match=r"a label must be in range \[0; 4294967295\]"):
        table.group("label", labels=[1, -1])
    with pytest.raises(TypeError, match="a label must be an int, not str"):
        table.compare(table, "label", labels=[1, 1], old_labels=[1, "2"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="a filter must be a tuple"):
        table.filter([(True, None)])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="matches must be bytes or None, not str"):
        table.filter([(True, "ab", None, False, None)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"as many as filenames\(\): 2, not 3"):
        table.filter([(True, b"abc", None, False, None)])
    with pytest.raises(TypeError):
        table.filter([(True, None, "1", False, None)])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="max_size must not be negative"):
        table.filter([], max_size=-1)
    with pytest.raises(TypeError):
        table.filter(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Columns()


def test_results_are_not_collected_for_nothing() -> None:
    """Tuples of str and int cannot be part of a cycle: the collector need not look at them."""
    table = columns([(0, 1, (("a", 1), ("b", 2)), 2)])
    assert not any(map(gc.is_tracked, [table.trace(0), table.trace(0)[2], table.trace(0)[2][0]]))
    assert gc.isenabled()
    gc.disable()
    try:
        table.traces()
        table.group("lineno")
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_empty() -> None:
    table = columns([])
    assert len(table) == table.total_size == 0
    assert table.traces() == table.filenames() == table.group("lineno", True) == []
    assert (
        table.group("traceback") == table.group("function") == table.group("label", labels=[]) == []
    )
    assert table.compare(table, "traceback") == []
    assert len(table.filter([(True, b"", 1, True, 0)])) == 0


def test_threads_ask_at_once() -> None:
    """The first question makes what all later ones share; two threads may both be first."""
    traces = [(0, i, ((f"{i % 97}.py", i % 31), (f"{i % 7}.py", 1)), None) for i in range(20000)]
    expected = columns(traces).group("traceback")
    for _ in range(10):
        table = columns(traces)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(table.group, ["traceback"] * 4))  # type: ignore[arg-type]
        assert answers == [expected] * 4


def questions(table: Columns) -> None:
    table.traces()
    for key, cumulative in MODES:
        table.group(key, cumulative)  # type: ignore[arg-type]
    table.group("function")
    table.compare(Columns.from_bytes(table.to_bytes()), "traceback")
    table.filter([(True, bytes([1] * len(table.filenames())), None, True, 0)])


def test_memory_ends_anywhere() -> None:
    """Whichever allocation fails, it is MemoryError and nothing stays behind."""
    traces = [(i % 3, i << 30, (("a.py", i), ("b.py", 2)), i) for i in range(40)]
    before = _memscope.get_tracemalloc_memory()
    n = 0
    while True:
        _memscope._fail_after(n)  # type: ignore[attr-defined]
        try:
            questions(columns(traces))
            break
        except MemoryError:
            pass
        finally:
            _memscope._fail_after(-1)  # type: ignore[attr-defined]
        assert _memscope.get_tracemalloc_memory() == before, f"allocation {n} failed"
        n += 1
    assert n > 50
    assert _memscope.get_tracemalloc_memory() == before


class Asks:
    """Garbage whose finaliser asks the table that is being asked."""

    def __init__(self, table: Columns) -> None:
        self.me = self
        self.table = table

    def __del__(self) -> None:
        self.table.traces()


def test_finaliser_asks_meanwhile() -> None:
    """A collection may run inside any question; the objects handed out stay the same ones."""
    traces = [(0, i, ((f"{i % 7}.py", i), ("b.py", 2)), None) for i in range(50)]
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(20):
            table = columns(traces)
            Asks(table)
            rows = [table.trace(i) for i in range(50)]
            assert all(one[2] is two[2] for one, two in zip(rows, table.traces(), strict=True))
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
