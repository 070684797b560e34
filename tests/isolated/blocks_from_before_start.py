"""Blocks and code from before start(): their frees are ignored, their reallocs are new blocks."""

from _support import BYTES, ext, m, quick_start, rows

SIZES = [1, 24, 512, 513, 7919, 100_000]


def make(size: int) -> bytes:
    return bytes(size)


for _cycle in range(10):
    old = {
        ext.malloc(domain, size): domain for domain in range(3) for size in SIZES for _ in range(50)
    }
    lists = [[0] * 10 for _ in range(100)]
    quick_start(2)
    assert not set(rows()) & set(old)
    start = m.get_traced_memory()[0]
    moved: dict[int, int] = {}
    for i, (address, domain) in enumerate(old.items()):
        if i % 2:
            ext.free(domain, address)
        else:
            moved[ext.realloc(domain, address, 7919)] = domain
    table = rows(7919)
    assert set(table) == set(moved)
    assert all(trace[2][0][0] == __file__ for trace in table.values())
    for address, domain in moved.items():
        ext.free(domain, address)
    for grown in lists:
        grown.extend(range(100))
    del lists, grown, old
    # Code that existed before start() has its lines.
    kept = make(5001 - BYTES)
    (trace,) = rows(5001).values()
    assert trace[2][0] == (__file__, make.__code__.co_firstlineno + 1)
    del kept
    size, peak = m.get_traced_memory()
    assert 0 <= size <= peak and size < start + 300_000, (start, size, peak)
    m.stop()
