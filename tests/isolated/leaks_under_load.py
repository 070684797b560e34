"""Watching while threads allocate, end and collect: no hang, no crash, and the leak is told."""

import gc
import threading
from collections.abc import Callable

from _support import threads

import memscope

kept: list[list[object]] = []


def busy(stopped: Callable[[], bool]) -> None:
    while not stopped():
        made = [[number, str(number), {number: bytes(50)}] for number in range(200)]
        made[0].append(made)


def short_lived(stopped: Callable[[], bool]) -> None:
    while not stopped():
        thread = threading.Thread(target=lambda: [object() for _ in range(99)])
        thread.start()
        thread.join()


def collecting(stopped: Callable[[], bool]) -> None:
    while not stopped():
        gc.collect(0)


def work() -> None:
    kept.extend([object()] for _ in range(50))


with threads(2, busy), threads(1, short_lived), threads(1, collecting):
    for nframe in (12, 0):
        kept.clear()
        report = memscope.diagnose(work, rounds=3, warmup=0, nframe=nframe)
        found = [leak for leak in report.leaks if "kept" in leak.holder]
        # Without traces an address that is used again hides the new object.
        assert len(found) == 1 and 100 <= found[0].count <= 150, report
        str(report), report.to_dict()
    detector = memscope.watch()
    for _ in range(3):
        work()
        detector.checkpoint()
    assert detector.report()
    memscope.why_alive(kept[0])
    detector.stop()
assert not memscope.is_tracing()
