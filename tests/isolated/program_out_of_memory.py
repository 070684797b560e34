"""The program runs into RLIMIT_AS with tracing on: MemoryError for it, and the tracer goes on."""

import resource

from _support import BYTES, m, rows

m.start(3)
kept: list[object] = [bytearray(100) for _ in range(1000)]
with open("/proc/self/statm") as statm:
    pages = int(statm.read().split()[0])
limit = pages * resource.getpagesize() + (160 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
failures = 0
for size in (50 << 20, 1 << 20, 5000, 400, 40):
    count = 40_000_000 // size + 1_000_000
    # (Not by append: debug builds of 3.15 abort when that runs out of memory.)
    mine: list[object] = [None] * count
    try:
        for i in range(count):
            mine[i] = bytearray(size)
    except MemoryError:
        failures += 1
    del mine
assert failures == 5, failures
kept += [bytes(7919 - BYTES) for _ in range(100)]
assert len(rows(7919)) == 100
snapshot = m.take_snapshot()
print("lost", snapshot.lost, "own bytes", m.get_tracemalloc_memory())
m.stop()
