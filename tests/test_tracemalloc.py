"""memscope.tracemalloc beside the standard library's module: same in, same out."""

from __future__ import annotations

import inspect
import pickle
import pickletools
import subprocess
import sys
import tracemalloc as stdlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memscope
from memscope import tracemalloc as dropin

if TYPE_CHECKING:
    from collections.abc import Iterator

timeless = settings(deadline=None)  # others use this machine too

FILES = ["a.py", "b.py", "b.pyc", "/usr/lib/x/c.py", "<unknown>", "Ä\u4e00.py", ""]
PATTERNS = ["a.py", "*.py", "b.pyc", "*/x/*", "[!a].py", "<unknown>", "?.py", "", "*"]

frames = st.tuples(st.sampled_from(FILES), st.integers(0, 3))
tracebacks = st.lists(frames, min_size=1, max_size=4).map(tuple)
traces = st.tuples(
    st.sampled_from([0, 0, 1, 389047]), st.integers(0, 5), tracebacks, st.sampled_from([None, 4, 9])
)
snapshots = st.lists(traces, max_size=12)
domains = st.sampled_from([None, 0, 1])
filters = st.lists(
    st.one_of(
        st.tuples(
            st.booleans(),
            st.sampled_from(PATTERNS),
            st.sampled_from([None, 0, 1]),
            st.booleans(),
            domains,
        ),
        st.tuples(st.booleans(), st.sampled_from([0, 1, 389047])),
    ),
    max_size=4,
)
KEYS = [
    ("lineno", False),
    ("filename", False),
    ("traceback", False),
    ("lineno", True),
    ("filename", True),
]


@pytest.fixture
def tracing() -> Iterator[None]:
    dropin.start(8)
    yield
    dropin.stop()


def both(raw: list[Any]) -> tuple[dropin.Snapshot, stdlib.Snapshot]:
    return dropin.Snapshot(list(raw), 4), stdlib.Snapshot(list(raw), 4)


def texts(statistics: Any) -> list[tuple[str, str]]:
    return [(str(one), repr(one)) for one in statistics]


# -- names ----------------------------------------------------------------------

PUBLIC = [
    name
    for name, value in vars(stdlib).items()
    if not name.startswith("_")
    and (inspect.isclass(value) or callable(value))
    and name not in ("Sequence", "Iterable", "total_ordering")
]


@pytest.mark.parametrize("module", [dropin, memscope])
@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there(module: Any, name: str) -> None:
    assert name in module.__all__
    assert hasattr(module, name)
    assert getattr(module, name).__doc__ or name == "BaseFilter"


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", PUBLIC)
def test_signatures_are_the_same(name: str) -> None:
    ours, theirs = getattr(dropin, name), getattr(stdlib, name)
    assert parameters(ours) == parameters(theirs)
    if inspect.isclass(theirs):
        for method, value in vars(theirs).items():
            if inspect.isfunction(value) and not method.startswith("_"):
                assert parameters(getattr(ours, method)) == parameters(value), method


@pytest.mark.parametrize("name", PUBLIC)
def test_native_api_takes_what_tracemalloc_takes(name: str) -> None:
    theirs = parameters(getattr(stdlib, name))
    ours = parameters(getattr(memscope, name))
    assert ours[: len(theirs)] == theirs
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in ours[len(theirs) :])


def test_linecache_is_found_where_it_is_replaced() -> None:
    assert dropin.linecache is stdlib.linecache  # type: ignore[attr-defined]


# -- data -----------------------------------------------------------------------


@timeless
@given(snapshots)
def test_traces(raw: list[Any]) -> None:
    ours, theirs = both(raw)
    ours.columns  # noqa: B018 - from here on the traces live in the C table
    assert len(ours.traces) == len(theirs.traces)
    assert [repr(t) for t in ours.traces] == [repr(t) for t in theirs.traces]
    assert [str(t) for t in ours.traces] == [str(t) for t in theirs.traces]
    assert [t.traceback.total_nframe for t in ours.traces] == [row[3] for row in raw]
    assert ours.traces._traces == raw
    assert list(ours.traces._traces) == raw
    assert ours.traces == dropin.Snapshot(raw, 4).traces
    assert [t in ours.traces for t in ours.traces] == [True] * len(raw)
    assert ours.traces[1:3] == tuple(dropin.Trace(row) for row in raw[1:3])
    assert repr(ours.traces) == repr(theirs.traces)


@timeless
@given(snapshots, st.sampled_from(KEYS))
def test_statistics(raw: list[Any], key: tuple[str, bool]) -> None:
    ours, theirs = both(raw)
    assert texts(ours.statistics(*key)) == texts(theirs.statistics(*key))


@timeless
@given(snapshots, snapshots, st.sampled_from(KEYS))
def test_differences(new: list[Any], old: list[Any], key: tuple[str, bool]) -> None:
    (our_new, their_new), (our_old, their_old) = both(new), both(old)
    ours = our_new.compare_to(our_old, *key)
    theirs = their_new.compare_to(their_old, *key)
    assert texts(ours) == texts(theirs)
    assert type(ours) is list


@timeless
@given(snapshots, filters)
def test_filter_traces(raw: list[Any], arguments: list[tuple[Any, ...]]) -> None:
    ours, theirs = both(raw)

    def made(module: Any) -> list[Any]:
        return [(module.Filter if len(a) == 5 else module.DomainFilter)(*a) for a in arguments]

    chosen = made(dropin)
    kept = ours.filter_traces(chosen)
    assert kept.traces._traces == theirs.filter_traces(made(stdlib)).traces._traces  # type: ignore[attr-defined]
    assert kept.traceback_limit == 4
    including = [one for one in chosen if one.inclusive]
    excluding = [one for one in chosen if not one.inclusive]
    assert kept.traces._traces == [
        row
        for row in raw
        if (not including or any(one._match(row) for one in including))
        and all(one._match(row) for one in excluding)
    ]


@timeless
@given(tracebacks, st.integers(-3, 3) | st.none(), st.booleans(), st.none() | st.integers(0, 9))
def test_traceback(raw: Any, limit: int | None, recent_first: bool, total: int | None) -> None:
    ours, theirs = dropin.Traceback(raw, total), stdlib.Traceback(raw, total)
    with patch("linecache.getline", lambda filename, lineno: f"  {filename}-{lineno}\n" * lineno):
        assert ours.format(limit, recent_first) == theirs.format(limit, recent_first)
    assert repr(ours) == repr(theirs)
    assert str(ours) == str(theirs)
    assert [str(frame) for frame in ours] == [str(frame) for frame in theirs]
    assert (ours[-1] in ours, len(ours), ours.total_nframe) == (True, len(theirs), total)


@timeless
@given(tracebacks, tracebacks)
def test_order_and_equality(one: Any, two: Any) -> None:
    for make in ("Traceback", "Frame"):
        args = (one, two) if make == "Traceback" else (one[0], two[0])
        a, b = (getattr(dropin, make)(arg) for arg in args)
        c, d = (getattr(stdlib, make)(arg) for arg in args)
        assert (a < b, a <= b, a == b, a != b, a > b) == (c < d, c <= d, c == d, c != d, c > d)
        assert (hash(a) == hash(b)) == (hash(c) == hash(d))
        assert a != c
        assert a.__lt__(c) is NotImplemented


@timeless
@given(st.integers(-(2**55), 2**55) | st.floats(-1e6, 1e6), st.booleans())
def test_sizes_are_written_the_same(size: float, sign: bool) -> None:
    assert dropin._format_size(size, sign) == stdlib._format_size(size, sign)  # type: ignore[attr-defined]


def test_statistic_equality() -> None:
    traceback = dropin.Traceback((("a.py", 1),))
    one = dropin.Statistic(traceback, 10, 2)
    assert one == dropin.Statistic(traceback, 10, 2)
    assert hash(one) == hash(dropin.Statistic(traceback, 10, 2))
    assert one != dropin.Statistic(traceback, 11, 2)
    assert one != dropin.StatisticDiff(traceback, 10, 10, 2, 2)
    diff = dropin.StatisticDiff(traceback, 10, 4, 2, 1)
    assert diff == dropin.StatisticDiff(traceback, 10, 4, 2, 1)
    assert diff != dropin.StatisticDiff(traceback, 10, 5, 2, 1)
    assert len({diff, dropin.StatisticDiff(traceback, 10, 4, 2, 1)}) == 1


def test_messages() -> None:
    ours, theirs = both([(0, 1, (("a.py", 1),), 1)])

    def message(call: Any, *arguments: Any) -> tuple[type, str]:
        with pytest.raises(Exception) as caught:
            call(*arguments)
        return caught.type, str(caught.value)

    for arguments in [("x",), ("function",), ("traceback", True), (3,), ("x", True)]:
        expected = message(theirs.statistics, *arguments)
        assert message(ours.statistics, *arguments) == expected
        assert message(theirs.compare_to, theirs, *arguments) == expected
        assert message(ours.compare_to, ours, *arguments) == expected
    one = dropin.Filter(True, "a")
    assert message(ours.filter_traces, one) == message(theirs.filter_traces, one)
    assert message(dropin.take_snapshot) == message(stdlib.take_snapshot)
    for nframe in (0, -1, 65536, 2**30):
        assert message(dropin.start, nframe) == message(stdlib.start, nframe)
    assert message(dropin.BaseFilter(True)._match, 1)[0] is NotImplementedError


# -- files ----------------------------------------------------------------------


@timeless
@given(raw=snapshots)
def test_files_are_exchanged(raw: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("exchange") / "snapshot")
    ours, theirs = both(raw)
    for one in (ours, theirs):
        one.note = {"why": ["a test", one.traceback_limit]}  # type: ignore[union-attr]

    ours.dump(path)
    read = stdlib.Snapshot.load(path)
    assert type(read) is stdlib.Snapshot
    assert vars(read).keys() == vars(theirs).keys()
    assert read.traces == theirs.traces
    assert read.note == ours.note  # type: ignore[attr-defined]
    python_read = pickle._loads(Path(path).read_bytes())  # type: ignore[attr-defined]
    assert python_read.traces == theirs.traces

    theirs.dump(path)
    back = dropin.Snapshot.load(path)
    assert type(back) is dropin.Snapshot
    assert back.traces == ours.traces
    assert back.note == ours.note  # type: ignore[attr-defined]
    assert texts(back.statistics("lineno")) == texts(theirs.statistics("lineno"))

    ours.dump(path)
    assert dropin.Snapshot.load(path).traces == ours.traces
    assert memscope.Snapshot.load(path).traces == ours.traces


def test_dump_names_no_class_of_ours(tmp_path: Path) -> None:
    ours, theirs = both([(0, 1, (("a.py", 1), ("b.py", 2)), 1)] * 3)
    ours.dump(tmp_path / "ours")
    theirs.dump(str(tmp_path / "theirs"))
    names = []
    for name in ("ours", "theirs"):
        data = (tmp_path / name).read_bytes()
        strings = [arg for _, arg, _ in pickletools.genops(data) if isinstance(arg, str)]
        names.append({word for text in strings for word in text.split()})
    assert names[0] == names[1]


def test_dump_reads_back_where_we_stand_in_for_tracemalloc(tmp_path: Path) -> None:
    path = tmp_path / "snapshot"
    code = (
        "import sys; from memscope import tracemalloc; sys.modules['tracemalloc'] = tracemalloc\n"
        "import tracemalloc; tracemalloc.start()\n"
        f"kept = bytes(77777); tracemalloc.take_snapshot().dump({str(path)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    loaded = stdlib.Snapshot.load(str(path))
    assert type(loaded) is stdlib.Snapshot
    assert any(77777 <= trace.size < 78000 for trace in loaded.traces)


def test_pickle_module_copies_a_snapshot() -> None:
    ours, _ = both([(0, 1, (("a.py", 1),), 1)])
    ours.note = 3  # type: ignore[attr-defined]
    ours.columns  # noqa: B018
    copy = pickle.loads(pickle.dumps(ours))
    assert (type(copy), copy.note, copy.traces) == (dropin.Snapshot, 3, ours.traces)
    assert copy.traceback_limit == 4


# -- a living tracer ------------------------------------------------------------


@pytest.mark.usefixtures("tracing")
def test_records_as_tracemalloc_does() -> None:
    assert dropin.is_tracing()
    assert dropin.get_traceback_limit() == 8
    block = bytes(123456)
    traceback = dropin.get_object_traceback(block)
    assert traceback is not None
    assert traceback.total_nframe is None
    assert len(traceback) == 8
    assert traceback[-1].filename == __file__
    snapshot = dropin.take_snapshot()
    size, peak = dropin.get_traced_memory()
    assert peak >= size > 123456
    (found,) = [t for t in snapshot.traces if 123456 <= t.size < 123600]
    assert found.traceback == traceback
    assert found.domain == 0
    assert found.traceback.total_nframe is not None
    assert found.traceback.total_nframe > 8
    assert dropin.get_tracemalloc_memory() > 0


@pytest.mark.usefixtures("tracing")
def test_instance_of_an_ordinary_class_has_a_traceback() -> None:
    class Ordinary:
        pass

    class Slotted:
        __slots__ = ("__weakref__",)

    class Listed(list[int]):
        pass

    for kind in (Ordinary, Slotted, Listed):
        instance = kind()
        traceback = dropin.get_object_traceback(instance)
        assert traceback is not None, kind
        assert traceback[-1].filename == __file__


def test_limit_and_start_twice() -> None:
    dropin.start(3)
    try:
        dropin.start(9)
        assert dropin.get_traceback_limit() == 3
    finally:
        dropin.stop()
    assert dropin.get_traceback_limit() == 3
    assert dropin.get_traced_memory() == (0, 0)
    assert dropin._get_traces() == []
    assert dropin.get_object_traceback(object()) is None


@pytest.mark.usefixtures("tracing")
def test_clear_and_peak() -> None:
    block = bytes(200_000)
    dropin.clear_traces()
    assert dropin.get_object_traceback(block) is None
    assert dropin.get_traced_memory()[1] < 200_000
    block = bytes(300_000)
    del block
    assert dropin.get_traced_memory()[1] >= 300_000
    dropin.reset_peak()
    assert dropin.get_traced_memory()[1] < 300_000
