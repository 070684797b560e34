"""No public function of the C core leaks: blocks, references and own bytes stay flat in a loop.

Every public function, method and property is listed here; a new one without
an entry fails the suite.  Error paths are entries of their own.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from memscope import _memscope

TRACES: list[Any] = [
    (0, 100, (("a.py", 1), ("b.py", 2)), 2),
    (0, 5 << 32, (("a.py", 1),), None),
    (389047, 1, (("\udc80 caf\xe9.py", 0),), 7),
    (0, 3, (("c.py", 1), ("c.py", 1), ("b.py", 2)), 3),
]


def columns() -> Any:
    return _memscope.Columns.from_traces(TRACES, 25)


class Thing:
    """An ordinary instance, with a managed dict on 3.11 and later."""


def raises(call: Callable[[], object], *kinds: type[BaseException]) -> None:
    with pytest.raises(kinds or (TypeError, ValueError)):
        call()


def broken_traces() -> Iterator[Any]:
    yield TRACES[0]
    raise KeyError("a trace that cannot be had")


MATCHES = bytes([1, 0, 1, 1])  # one for each of filenames()
FILTERS = [
    (True, MATCHES, None, True, None),
    (False, MATCHES, 1, False, 0),
    (True, None, None, False, 389047),
]


def session() -> None:
    _memscope.start(5)
    kept = [[i] for i in range(20)]
    _memscope.take_snapshot().traces()
    del kept
    _memscope.stop()


def all_keys(name: str, *arguments: Any) -> None:
    for key in ("lineno", "filename", "traceback", "function"):
        for cumulative, per_occurrence in ((False, False), (True, False), (True, True)):
            if key != "traceback" or not cumulative:
                call = getattr(columns(), name)
                call(*arguments, key, cumulative, per_occurrence=per_occurrence)


def damaged_files() -> None:
    data = columns().to_bytes()
    for broken in (
        b"",
        data[:10],
        data[:-3],
        b"x" * len(data),
        data[:30] + b"\xff" * 8 + data[38:],
    ):
        try:
            _memscope.Columns.from_bytes(broken)
        except (ValueError, EOFError, OSError, MemoryError):
            pass


# Name in the module, or Columns.name: what to repeat.  Several entries for one
# name are told apart by what follows the space.
CALLS: dict[str, Callable[[], object]] = {
    "start": session,
    "start with total_nframe": lambda: (_memscope.start(3, total_nframe=True), _memscope.stop()),
    "start with reuse": lambda: (
        _memscope.start(3, reuse=True),
        [[] for _ in range(99)],
        _memscope.stop(),
    ),
    "start out of range": lambda: raises(lambda: _memscope.start(0)),
    "start of the wrong type": lambda: raises(lambda: _memscope.start("x")),  # type: ignore[arg-type]
    "stop": lambda: (_memscope.start(), _memscope.stop()),
    "stop when off": _memscope.stop,
    "is_tracing": _memscope.is_tracing,
    "clear_traces": lambda: (_memscope.start(), [[] for _ in range(9)], _memscope.clear_traces()),
    "get_traceback_limit": _memscope.get_traceback_limit,
    "get_traced_memory": _memscope.get_traced_memory,
    "reset_peak": _memscope.reset_peak,
    "get_tracemalloc_memory": _memscope.get_tracemalloc_memory,
    "get_object_traceback": lambda: (
        _memscope.start(4),
        _memscope.get_object_traceback(Thing()),
        _memscope.get_object_traceback([1]),
        _memscope.get_object_traceback(Thing),
        _memscope.stop(),
    ),
    "get_object_traceback when off": lambda: _memscope.get_object_traceback([]),
    "get_epoch": _memscope.get_epoch,
    "advance_epoch": lambda: (_memscope.start(), _memscope.advance_epoch(), _memscope.stop()),
    "status": lambda: (_memscope.status(), _memscope.start(), _memscope.status(), _memscope.stop()),
    "take_snapshot": lambda: (_memscope.start(9), _memscope.take_snapshot(), _memscope.stop()),
    "take_snapshot when off": _memscope.take_snapshot,
    "advance_epoch when off": lambda: raises(_memscope.advance_epoch, RuntimeError),
    "Columns": lambda: raises(_memscope.Columns),
    "Columns.from_traces": columns,
    "Columns.from_traces of nothing": lambda: _memscope.Columns.from_traces([], 1),
    "Columns.from_traces of nonsense": lambda: [
        raises(lambda bad=bad: _memscope.Columns.from_traces(bad, 1))  # type: ignore[misc]
        for bad in ([1], [(0,)], [(0, 1, "x")], [(0, 1, (("f", "l"),))], [(0, 1, ((1, 1),))], 5)
    ],
    "Columns.from_traces that raises": lambda: raises(
        lambda: _memscope.Columns.from_traces(broken_traces(), 1), KeyError
    ),
    "Columns.from_bytes": lambda: _memscope.Columns.from_bytes(columns().to_bytes()),
    "Columns.from_bytes of damaged files": damaged_files,
    "Columns.to_bytes": lambda: columns().to_bytes(),
    "Columns.traceback_limit": lambda: columns().traceback_limit,
    "Columns.total_size": lambda: columns().total_size,
    "Columns.lost": lambda: columns().lost,
    "Columns.epoch": lambda: columns().epoch,
    "Columns.nbytes": lambda: columns().nbytes,
    "Columns.trace": lambda: [columns().trace(i) for i in range(len(TRACES))],
    "Columns.trace out of range": lambda: raises(lambda: columns().trace(99), IndexError),
    "Columns.address": lambda: columns().address(0),
    "Columns.address out of range": lambda: raises(lambda: columns().address(99), IndexError),
    "Columns.row_epoch": lambda: columns().row_epoch(0),
    "Columns.traces": lambda: columns().traces(),
    "Columns.filenames": lambda: columns().filenames(),
    "Columns.group": lambda: all_keys("group"),
    "Columns.group by label": lambda: columns().group("label", labels=[0, 1, 0, 1]),
    "Columns.group by nonsense": lambda: raises(lambda: columns().group("colour")),
    "Columns.group of tracebacks, cumulative": lambda: raises(
        lambda: columns().group("traceback", True)
    ),
    "Columns.group with too many labels": lambda: raises(
        lambda: columns().group("label", labels=[0] * 9)
    ),
    "Columns.compare by label": lambda: columns().compare(
        columns(), "label", labels=[0, 1, 0, 1], old_labels=[1, 1, 1, 0]
    ),
    "Columns.compare": lambda: all_keys("compare", columns()),
    "Columns.compare with nonsense": lambda: raises(lambda: columns().compare(5, "lineno")),
    "Columns.filter": lambda: [
        columns().filter([one], min_size=2, max_size=500).traces() for one in FILTERS
    ],
    "Columns.filter with nonsense": lambda: [
        raises(lambda bad=bad: columns().filter(bad))  # type: ignore[misc]
        for bad in ([(1, 2)], 5, [(True, b"1", None, False, None)])
    ],
}

# Called differently on purpose, or no function of their own.
NOT_CALLED = {"RawFrame", "RawTrace", "GroupKey"}


def public_names() -> set[str]:
    names = {name for name in dir(_memscope) if not name.startswith("_")}
    names |= {f"Columns.{name}" for name in dir(_memscope.Columns) if not name.startswith("_")}
    return names - NOT_CALLED


def test_every_public_function_has_a_leak_test() -> None:
    covered = {name.split(" ")[0] for name in CALLS}
    assert public_names() - covered == set(), "add them to CALLS"
    assert covered - public_names() == set(), "gone from the C core: remove them from CALLS"


@pytest.fixture(scope="module", autouse=True)
def nothing_old_to_collect() -> Iterator[None]:
    """start() collects: with what other tests left behind that would take most of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def counters() -> tuple[int, int, int]:
    gc.collect()
    references = sys.gettotalrefcount() if hasattr(sys, "gettotalrefcount") else 0
    own = _memscope.get_tracemalloc_memory()
    return sys.getallocatedblocks(), references, own


@pytest.mark.parametrize("name", CALLS)
def test_no_leak(name: str) -> None:
    _memscope.stop()
    call = CALLS[name]
    rounds = 20
    for _ in range(3):
        call()
    growth: list[tuple[int, ...]] = []
    before = counters()
    for _ in range(4):
        for _ in range(rounds):
            call()
        after = counters()
        growth.append(tuple(new - old for new, old in zip(after, before)))
        before = after
    _memscope.stop()
    # A leak shows in every batch; a cache that fills up, or a block or two of
    # the interpreter's own, does not.
    for position, unit in enumerate(("blocks", "references", "bytes of our own")):
        least = min(step[position] for step in growth)
        assert least < rounds // 2, f"{least} {unit} per {rounds} calls: {growth}"


def test_types_are_not_leaked() -> None:
    """Instances give back the reference they hold on their heap type."""
    before = sys.getrefcount(_memscope.Columns)
    for _ in range(1000):
        columns()
    assert abs(sys.getrefcount(_memscope.Columns) - before) < 10
