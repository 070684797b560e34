"""A trace removed after its block is freed would delete that of whoever got the address next."""

import os
import sys

from _support import UNKNOWN, ext, foreign_blocks, m, rows

# One arena and no cache for each thread: what one thread frees, the next to ask gets.
if "GLIBC_TUNABLES" not in os.environ:
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1"
    os.execv(sys.executable, [sys.executable, *sys.argv])

m.start()
for size, slots in ((237, 8), (237, 50_000), (1237, 20_000)):
    truth = dict(ext.hammer(8, 60_000, size, 0, slots, False))
    lost = set(truth) ^ foreign_blocks(size)
    assert not lost, f"{len(lost)} of {len(truth)}"
    for address in truth:
        ext.free(0, address)
    assert not foreign_blocks(size)

# Other sizes every time, moved by realloc; every block with the size it has now.
before = set(rows())
truth = dict(ext.hammer(8, 40_000, 8, 70_000, 300, False))
found = {address: trace[1] for address, trace in rows().items() if address not in before}
assert {address: found.get(address) for address in truth} == truth
for address in truth:
    ext.free(0, address)
assert not set(truth) & {address for address, trace in rows().items() if trace[2] == UNKNOWN}
assert m.take_snapshot().lost == 0
m.stop()
