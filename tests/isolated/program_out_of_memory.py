"""The program runs into RLIMIT_AS with tracing on: MemoryError for it, and the tracer goes on."""

import resource

from _support import BYTES, m, rows

m.start(3)
kept: list[object] = [bytearray(100) for _ in range(1000)]
# (No list: debug builds of 3.15 abort when append runs out of memory.)
chain: object = None
with open("/proc/self/statm") as statm:
    pages = int(statm.read().split()[0])
limit = pages * resource.getpagesize() + (160 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
failures = 0
for size in (50 << 20, 1 << 20, 5000, 400, 40):
    try:
        for _ in range(4_000_000):
            chain = (chain, bytearray(size))
    except MemoryError:
        chain = None  # first of all: there is no memory for anything else
        failures += 1
assert failures == 5, failures
kept += [bytes(7919 - BYTES) for _ in range(100)]
assert len(rows(7919)) == 100
snapshot = m.take_snapshot()
print("lost", snapshot.lost, "own bytes", m.get_tracemalloc_memory())
m.stop()
