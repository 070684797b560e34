"""What grew between two moments: which lines, which classes, which containers?

Warm up first: what is filled once is not a leak.  Collect before each snapshot: what only
waits for the collector is not one either.
"""

from __future__ import annotations

import gc

import memscope
from examples.leaks import audit_trail as service


def main() -> None:
    memscope.start()
    service.work()  # warms up

    heap_before = memscope.take_heap_snapshot(collect=True)  # first: it imports memscope's half
    gc.collect()
    lines_before = memscope.take_snapshot()
    for _ in range(3):
        service.work()
    gc.collect()
    lines_after = memscope.take_snapshot()
    heap_after = memscope.take_heap_snapshot()
    memscope.stop()

    lines_after.compare_to(lines_before, "lineno").show(limit=3)
    print()
    heap_after.compare_to(heap_before).show(limit=3)


if __name__ == "__main__":
    main()
