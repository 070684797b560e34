"""The allocator below us fails: nothing is recorded, and a failed realloc keeps the old trace."""

from _support import ext, m, rows

FAILING = 65_537
ext.hook_install(0)
m.start(2)
ext.fail_size(FAILING)
for domain in range(3):
    for size in (24, 7919):
        block = ext.malloc(domain, size)
        known = rows(size)[block]
        traced = m.get_traced_memory()[0]
        assert ext.malloc(domain, FAILING) == 0
        assert ext.calloc(domain, 1, FAILING) == 0
        assert ext.calloc(domain, FAILING, 1) == 0
        assert ext.realloc(domain, 0, FAILING) == 0
        assert ext.realloc(domain, block, FAILING) == 0
        assert rows(size)[block] == known, (domain, size)
        assert not rows(FAILING)
        assert abs(m.get_traced_memory()[0] - traced) < 20_000, "failures were counted"
        moved = ext.realloc(domain, block, FAILING - 1)
        assert set(rows(FAILING - 1)) == {moved}
        ext.free(domain, moved)
        assert not rows(FAILING - 1)

# The same through the interpreter: MemoryError, and the objects are as they were.
buffer = bytearray(1000)
for _ in range(100):
    try:
        buffer.extend(bytes(FAILING - 1001))
        bytes(FAILING - b"".__sizeof__())
    except MemoryError:
        pass
    else:
        raise AssertionError("no MemoryError")
    del buffer[1000:]
ext.fail_size(0)

# Any request may be the one that fails.
for start in range(0, 60, 3):
    try:
        ext.fail_range(start, start + 20)
        things = [[i] * 10 for i in range(100)]
    except MemoryError:
        pass
    finally:
        ext.fail_range(0, 0)
m.take_snapshot()
m.stop()
assert ext.malloc(0, 100)
