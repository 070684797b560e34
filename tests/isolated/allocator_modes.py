"""Requested sizes, once each, under every allocator PYTHONMALLOC can choose."""

from _support import allocators, python

CODE = """
import os
from _support import ext, m, rows
SIZES = [1, 7, 8, 16, 511, 512, 513, 10000, 65534, 65535, 65536, 2**20, 2**20 + 1, 5 * 2**20]
m.start(2)
before = m.get_traced_memory()[0]
blocks = {}
for domain in range(3):
    for size in SIZES:
        blocks[ext.malloc(domain, size)] = size
        blocks[ext.calloc(domain, size, 1)] = size
        blocks[ext.calloc(domain, 1, size)] = size
        blocks[ext.realloc(domain, 0, size)] = size
        blocks[ext.realloc(domain, ext.malloc(domain, 40), size)] = size
        blocks[ext.realloc(domain, ext.malloc(domain, 70_000), size)] = size
table = rows()
assert {address: table[address][1] for address in blocks} == blocks
grown = m.get_traced_memory()[0] - before
truth = sum(blocks.values())
assert truth <= grown < truth + 300_000, (truth, grown)
assert sum(trace[1] for trace in table.values()) < before + truth + 300_000
for i, address in enumerate(blocks):
    ext.free(i // (6 * len(SIZES)), address)
# (Small blocks are given out again at once, to other owners.)
again = {address: trace[1] for address, trace in rows().items() if address in blocks}
assert not [address for address in again if again[address] == blocks[address] > 1000], again
assert len(again) < 100, again
thing = bytes(70_000)
size = max(trace[1] for trace in rows().values())
assert size == 70_000 + bytes.__basicsize__, size
assert m.get_traced_memory()[0] - before < 400_000
m.stop()
"""

for mode in allocators(
    *("default", "pymalloc", "pymalloc_debug", "malloc", "malloc_debug", "debug"),
    *("mimalloc", "mimalloc_debug"),
):
    python(CODE, env={"PYTHONMALLOC": mode})
python(CODE, "-X", "dev")
