"""The program runs into RLIMIT_AS with tracing on: MemoryError for it, and the tracer goes on."""

import resource

from _support import BYTES, m, rows

m.start(3)
kept: list[object] = [bytearray(100) for _ in range(1000)]
# Filled in place: append asserts in debug builds of 3.15 when it runs out of memory, and a chain
# of tuples takes stack to be freed, which cannot grow then.
mine: list[object] = [None] * 1_000_000
with open("/proc/self/statm") as statm:
    pages = int(statm.read().split()[0])
limit = pages * resource.getpagesize() + (80 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
failures = 0
for size in (50 << 20, 1 << 20, 5000, 400, 40):
    reserve: object = bytearray(8 << 20)
    try:
        for i in range(len(mine)):
            mine[i] = bytearray(size)
    except MemoryError:
        reserve = None  # first of all: there is no memory for anything else
        failures += 1
    for i in range(len(mine)):
        mine[i] = None
assert failures == 5, failures
kept += [bytes(7919 - BYTES) for _ in range(100)]
assert len(rows(7919)) == 100
snapshot = m.take_snapshot()
print("lost", snapshot.lost, "own bytes", m.get_tracemalloc_memory())
m.stop()
