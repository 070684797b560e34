"""fork() copies a lock that another thread holds: the child must allocate, snapshot and stop."""

import os
import sys
import time
import warnings
from collections.abc import Callable

from _support import exercise, ext, in_fork, m, threads

warnings.simplefilter("ignore", DeprecationWarning)


def work(stopped: Callable[[], bool]) -> None:
    while not stopped():
        exercise(20)
        time.sleep(0.0005)


def child() -> None:
    assert m.is_tracing()
    exercise(50)
    block = ext.malloc(0, 7919)
    snapshot = m.take_snapshot()
    assert any(snapshot.address(i) == block for i in range(len(snapshot)))
    ext.free(0, block)
    m.clear_traces()
    m.stop()
    m.start(3)
    exercise(50)
    m.stop()


sys.setswitchinterval(1e-4)
for with_handlers in (False, True):
    if with_handlers:
        os.register_at_fork(
            before=exercise, after_in_child=exercise, after_in_parent=m.take_snapshot
        )
    m.start(5, reuse=True)
    ext.hammer_start(2, 64, 2000, 512)
    with threads(3, work):
        for i in range(60):
            in_fork(child, i, timeout=5)
    ext.hammer_stop()
    m.stop()
