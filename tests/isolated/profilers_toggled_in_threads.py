"""sys.setprofile, sys.settrace and sys.monitoring go on and off in four threads while we trace."""

import sys
import threading
from collections.abc import Callable
from typing import Any

from _support import BYTES, deadline, exercise, m, quick_start, rows, threads


def hook(frame: Any, event: str, argument: Any) -> Any:
    kept = [event, {}]
    return hook if kept else None


def with_profile(stopped: Callable[[], bool]) -> None:
    while not stopped():
        sys.setprofile(hook)
        exercise(5)
        sys.setprofile(None)


def with_trace(stopped: Callable[[], bool]) -> None:
    while not stopped():
        sys.settrace(hook)
        exercise(5)
        sys.settrace(None)


def with_monitoring(stopped: Callable[[], bool]) -> None:
    if sys.version_info < (3, 12):
        return with_trace(stopped)
    events = sys.monitoring.events
    while not stopped():
        sys.monitoring.use_tool_id(3, "test")
        for event in (events.PY_START, events.LINE, events.CALL):
            sys.monitoring.register_callback(3, event, lambda *_: [0])
        sys.monitoring.set_events(3, events.PY_START | events.LINE | events.CALL)
        exercise(5)
        sys.monitoring.set_events(3, 0)
        sys.monitoring.free_tool_id(3)


def for_all_threads(stopped: Callable[[], bool]) -> None:
    while not stopped():
        if sys.version_info >= (3, 12):
            threading.setprofile_all_threads(hook)
        exercise(5)
        if sys.version_info >= (3, 12):
            threading.setprofile_all_threads(None)


sys.setswitchinterval(1e-4)
with (
    threads(1, with_profile),
    threads(1, with_trace),
    threads(1, with_monitoring),
    threads(1, for_all_threads),
):
    for _ in deadline(2.5):
        quick_start(20)
        exercise(5)
        m.stop()
    quick_start(20, reuse=True)
    for _ in deadline(1.5):
        m.take_snapshot()
m.clear_traces()
sys.settrace(hook)
block = bytes(7919 - BYTES)
sys.settrace(None)
assert [trace[2][0][0] for trace in rows(7919).values()] == [__file__], rows(7919)
m.stop()
