"""The native API: importing, tracing, snapshots and the questions asked of them."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memscope
from memscope import Snapshot, objgraph, tracing
from memscope.report import size_text

if TYPE_CHECKING:
    from collections.abc import Callable

    RunPython = Callable[..., Any]

timeless = settings(deadline=None)  # others use this machine too

ROOT = Path(__file__).resolve().parent.parent

frames = st.tuples(st.sampled_from(["a.py", "pkg/b.py", "<unknown>"]), st.integers(0, 2))
traces = st.tuples(
    st.just(0), st.integers(0, 9), st.lists(frames, min_size=1, max_size=5).map(tuple), st.none()
)
snapshots = st.lists(traces, max_size=10)


# -- the package ----------------------------------------------------------------


def test_import_loads_nothing_else(run_python: RunPython) -> None:
    done = run_python(
        "import sys; before = set(sys.modules); import memscope\n"
        "print(sorted(set(sys.modules) - before), memscope.__version__)"
    )
    assert done.stdout.split() == ["['memscope']", memscope.__version__]


def test_fetching_the_api_starts_nothing(run_python: RunPython) -> None:
    done = run_python(
        "import memscope, threading\n"
        "memscope.Snapshot, memscope.tracemalloc, memscope.doctor\n"
        "status = memscope.status()\n"
        "print(status['tracing'], sorted(set(status['hooks'].values())), threading.active_count())"
    )
    assert done.stdout == "False ['not installed'] 1\n"


def test_names() -> None:
    assert sorted(memscope.__all__) == memscope.__all__
    own = {"__version__", "doctor", "heap", "objgraph", "tracemalloc", "tracing"}
    own |= {"HeapSnapshot", "take_heap_snapshot", "ProcessMemory", "process_memory"}
    own |= {"Leak", "LeakError", "LeakReport", "Watch", "diagnose", "leaks", "watch"}
    own |= {"WhyAlive", "why_alive"}
    assert set(memscope.__all__) - own == {*tracing.__all__, *objgraph.__all__}
    assert set(memscope.__all__) <= set(dir(memscope))
    for name in tracing.__all__:
        assert getattr(memscope, name) is getattr(tracing, name)
    with pytest.raises(AttributeError, match="module 'memscope' has no attribute 'nonsense'"):
        memscope.nonsense  # type: ignore[attr-defined]  # noqa: B018
    star: dict[str, Any] = {}
    exec("from memscope import *", star)
    assert set(memscope.__all__) <= set(star)


def test_type_checkers_see_the_same_names() -> None:
    source = inspect.getsource(memscope).partition("if TYPE_CHECKING:")[2].partition("\n)\n")[0]
    names = source.replace("(", ",").replace("import", ",").replace("\n", ",").split(",")
    assert {name.strip() for name in names} >= set(memscope.__all__) - {"__version__"}


def test_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert memscope.__version__ == project["version"]


@pytest.mark.parametrize("name", tracing.__all__)
def test_everything_is_documented(name: str) -> None:
    value = getattr(memscope, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value):
        for key, method in vars(value).items():
            if not key.startswith("_") and (inspect.isfunction(method) or key == "load"):
                assert inspect.getdoc(method), f"{name}.{key}"


# -- snapshots ------------------------------------------------------------------


def test_a_leak_is_found() -> None:
    memscope.start(5)
    try:
        before = memscope.take_snapshot()
        leak = [bytearray(10_000) for _ in range(100)]
        lineno = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        after = memscope.take_snapshot()
    finally:
        memscope.stop()
    top = after.compare_to(before, "lineno")[0]
    assert (top.traceback[-1].filename, top.traceback[-1].lineno) == (__file__, lineno)
    assert top.size_diff > 1_000_000
    assert after.statistics("filename")[0].traceback[-1].filename == __file__
    function = after.statistics("function")[0]
    assert isinstance(function, memscope.GroupStatistic)
    assert function.name.endswith("test_a_leak_is_found") or "listcomp" in function.name
    assert function.traceback[0].filename == __file__
    assert len(after) > len(before)
    assert after.total_size - before.total_size == sum(
        one.size_diff for one in after.compare_to(before, "module")
    )
    assert (after.lost, after.traceback_limit) == (0, 5)
    assert repr(after) == f"<Snapshot of {len(after)} blocks, {size_text(after.total_size)}>"
    del leak


def test_not_tracing() -> None:
    with pytest.raises(RuntimeError, match="must be tracing memory allocations to take a snapshot"):
        memscope.take_snapshot()
    assert memscope.get_object_traceback([]) is None


def test_total_nframe_is_not_recorded() -> None:
    memscope.start(3)
    try:
        block = bytes(1000)
        traceback = memscope.get_object_traceback(block)
        assert traceback is not None
        assert (len(traceback), traceback.total_nframe) == (3, None)
        assert traceback[-1].filename == __file__
        (trace,) = memscope.take_snapshot().filter(filename=__file__, min_size=1000).traces[:1]
        assert trace.traceback.total_nframe is None
    finally:
        memscope.stop()


@timeless
@given(snapshots)
def test_views_are_lazy_and_equal(raw: list[Any]) -> None:
    snapshot = Snapshot(raw, 5)
    assert len(snapshot) == len(snapshot.traces) == len(raw)
    assert bool(snapshot)
    assert [trace._trace for trace in snapshot.traces] == raw
    assert [trace._trace for trace in snapshot.traces[::-2]] == raw[::-2]
    assert snapshot.traces == Snapshot(raw, 5).traces
    assert snapshot.total_size == sum(row[1] for row in raw)
    for index in range(-len(raw), len(raw)):
        assert snapshot.traces[index]._trace == raw[index]
    for index in (len(raw), -len(raw) - 1):
        with pytest.raises(IndexError):
            snapshot.traces[index]


def test_a_view_makes_no_object_per_block() -> None:
    snapshot = Snapshot([(0, 1, (("a.py", 1),), None)] * 100_000, 1)
    snapshot.columns  # noqa: B018 - gives up the tuples
    memscope.start()
    try:
        before, _ = memscope.get_traced_memory()
        memscope.reset_peak()
        assert snapshot.traces[77_777].size == 1
        assert len(snapshot.filter(min_size=1).traces) == 100_000
        assert snapshot.statistics("lineno")[0].count == 100_000
        _, peak = memscope.get_traced_memory()
    finally:
        memscope.stop()
    assert peak - before < 100_000


def places(key: str, raw_frames: Any) -> list[Any]:
    """What a naive reading says a frame counts for."""
    of: dict[str, Callable[[str, int], Any]] = {
        "lineno": lambda filename, lineno: (filename, lineno),
        "filename": lambda filename, lineno: (filename, 0),
        "module": lambda filename, lineno: filename.removesuffix(".py").replace("/", "."),
        "package": lambda filename, lineno: filename.partition("/")[0].removesuffix(".py"),
    }
    return [of[key](*frame) for frame in raw_frames]


def grouped(key: str, cumulative: bool, raw: list[Any]) -> dict[Any, tuple[int, int]]:
    """The ten-line oracle: recursion counts once."""
    sums: dict[Any, tuple[int, int]] = {}
    for _, size, raw_frames, _ in raw:
        found = places(key, raw_frames if cumulative else raw_frames[:1])
        for place in set(found):
            total, count = sums.get(place, (0, 0))
            sums[place] = (total + size, count + 1)
    return sums


def named(key: str, one: Any) -> Any:
    frame = one.traceback[-1]
    return (frame.filename, frame.lineno) if key in ("lineno", "filename") else one.name


@timeless
@given(snapshots, st.sampled_from(["lineno", "filename", "module", "package"]), st.booleans())
def test_statistics(raw: list[Any], key: str, cumulative: bool) -> None:
    statistics = Snapshot(raw, 5).statistics(key, cumulative)
    assert {named(key, s): (s.size, s.count) for s in statistics} == grouped(key, cumulative, raw)
    order = [(s.size, s.count, named(key, s)) for s in statistics]
    assert order == sorted(order, reverse=True)


@timeless
@given(snapshots, snapshots, st.sampled_from(["lineno", "module", "package"]), st.booleans())
def test_differences(new: list[Any], old: list[Any], key: str, cumulative: bool) -> None:
    differences = Snapshot(new, 5).compare_to(Snapshot(old, 5), key, cumulative)
    now, then = grouped(key, cumulative, new), grouped(key, cumulative, old)
    expected = {}
    for place in {*now, *then}:
        size, count = now.get(place, (0, 0))
        old_size, old_count = then.get(place, (0, 0))
        expected[place] = (size, size - old_size, count, count - old_count)
    found = {named(key, d): (d.size, d.size_diff, d.count, d.count_diff) for d in differences}
    assert found == expected
    order = [
        (abs(d.size_diff), d.size, abs(d.count_diff), d.count, named(key, d)) for d in differences
    ]
    assert order == sorted(order, reverse=True)


def test_functions() -> None:
    memscope.start(20)
    try:
        blocks = recurse(4)
        snapshot = memscope.take_snapshot().filter(filename=__file__, min_size=5_000)
    finally:
        memscope.stop()
    (own,) = snapshot.statistics("function")
    assert isinstance(own, memscope.GroupStatistic)
    assert (own.name, own.count) == ("recurse", 1)
    assert own.traceback == memscope.Traceback(((__file__, 0),))
    assert str(own).startswith(f"recurse ({__file__}): size=")
    (cumulative,) = [
        one
        for one in snapshot.statistics("function", cumulative=True)
        if isinstance(one, memscope.GroupStatistic) and one.name == "recurse"
    ]
    assert cumulative == own, "recursion counts once"
    (diff,) = snapshot.compare_to(Snapshot([], 1), "function")
    assert isinstance(diff, memscope.GroupStatisticDiff)
    assert (diff.name, diff.size_diff, diff.count_diff) == ("recurse", own.size, 1)
    assert len(blocks) == 6_000


def recurse(depth: int) -> bytes:
    return recurse(depth - 1) if depth else bytes(6_000)


def test_messages() -> None:
    snapshot = Snapshot([], 1)
    for ask in (snapshot.statistics, lambda *args: snapshot.compare_to(snapshot, *args)):
        with pytest.raises(ValueError, match="unknown key_type: 'nonsense'"):
            ask("nonsense")
        with pytest.raises(ValueError, match="cumulative mode cannot by used with key type"):
            ask("traceback", True)
    with pytest.raises(TypeError, match="filters must be a list of filters, not Filter"):
        snapshot.filter_traces(memscope.Filter(True, "a"))  # type: ignore[arg-type]


def test_comparing_a_dropins_snapshot() -> None:
    raw: list[Any] = [(0, 5, (("a.py", 1),), 1)]
    new, old = Snapshot(raw, 1), memscope.tracemalloc.Snapshot([], 1)
    assert new.compare_to(old, "lineno")[0].size_diff == 5
    assert old.compare_to(new, "lineno")[0].size_diff == -5


def test_what_show_reads_does_not_stay() -> None:
    memscope.start()
    try:
        for _ in range(2):
            before = memscope.take_snapshot()
            str(before)
            after = memscope.take_snapshot()
            grown = after.filter(module="linecache").total_size
            grown -= before.filter(module="linecache").total_size
    finally:
        memscope.stop()
    assert grown == 0
