"""Zero, huge and overflowing sizes, realloc from and to nothing: NULL is no block, zero is one."""

import sys

from _support import ext, m, rows

HUGE = [sys.maxsize, sys.maxsize - 1, sys.maxsize + 1, 2**64 - 1, 2**62]
m.start()
for domain in range(3):
    before = set(rows())

    def new(before: set[int] = before) -> dict[int, int]:
        found = {address: trace[1] for address, trace in rows().items() if address not in before}
        return {address: found[address] for address in blocks if address in found}  # noqa: B023

    blocks = [ext.malloc(domain, 0), ext.calloc(domain, 0, 8), ext.calloc(domain, 8, 0)]
    blocks += [ext.realloc(domain, 0, 0), ext.realloc(domain, 0, 100)]
    assert all(blocks) and len(set(blocks)) == len(blocks)
    sizes = new()
    assert set(sizes) == set(blocks), "a live block without a trace"
    # CPython hands out one byte for zero; tracemalloc reports what was asked for.
    assert all(sizes[block] in (0, 1) for block in blocks[:4]) and sizes[blocks[4]] == 100

    for size in HUGE:
        assert ext.malloc(domain, size) == 0
        assert ext.realloc(domain, 0, size) == 0
        assert ext.calloc(domain, size, 2) == 0
        assert ext.calloc(domain, size, size) == 0
        assert ext.realloc(domain, blocks[4], size) == 0
    assert ext.calloc(domain, 2**62, 8) == 0 and ext.calloc(domain, 2**33, 2**33) == 0
    assert new() == sizes, "a failed call changed the table"
    assert not any(trace[1] > 2**40 for trace in rows().values())

    small = ext.realloc(domain, blocks[4], 0)
    assert small, "CPython never returns NULL for zero"
    blocks[4] = small
    assert new()[small] in (0, 1)
    ext.free(domain, 0)
    for block in blocks:
        ext.free(domain, block)
    assert not new()
assert m.get_traced_memory()[1] < 2**40
m.stop()
