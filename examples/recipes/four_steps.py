"""Confirm, locate, analyse, verify: a leak from the first doubt to the fix, in four steps.

1. Confirm with RSS, round by round, that it grows; warming up ends, a leak does not.
2. Locate the line: two snapshots of allocations.
3. Analyse who holds it: a heap snapshot, and the path from a root.
4. Fix it, and run the same again: flat.  ``memscope.diagnose`` does steps 2 and 3 in one, and
   its report is false once nothing leaks.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

import memscope
from examples.leaks import frame_history as service
from examples.recipes._process import mib, resident

ROUNDS = 5


def confirm(work: Callable[[], None]) -> list[int]:
    """Bytes of the process after each round."""
    sizes = []
    for _ in range(ROUNDS):
        work()
        gc.collect()
        sizes.append(resident())
    return sizes


def locate(work: Callable[[], None]) -> memscope.StatisticDiff:
    memscope.start()
    work()
    gc.collect()
    before = memscope.take_snapshot()
    for _ in range(ROUNDS):
        work()
    gc.collect()
    difference = memscope.take_snapshot().compare_to(before, "lineno")
    memscope.stop()
    return difference[0]


def main() -> None:
    service.work()
    print("1. RSS:", *map(mib, confirm(service.work)))

    worst = locate(service.work)
    print(f"2. {worst}")

    heap = memscope.take_heap_snapshot()
    print(f"3. {heap.paths_to_root(heap.find(type='ndarray'))}")

    service.work_fixed()
    print("4. repaired, RSS:", *map(mib, confirm(service.work_fixed)))
    report = memscope.diagnose(service.work_fixed)
    print(f"   {report}")
    assert not report


if __name__ == "__main__":
    main()
