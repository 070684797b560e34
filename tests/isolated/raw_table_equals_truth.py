"""A trace removed after its block is freed would delete that of whoever got the address next."""

from _support import UNKNOWN, WATCHED, ext, foreign_blocks, m, rows

m.start()
for slots in (8, 64, 1000):
    truth = dict(ext.hammer(8, 150_000, WATCHED, 0, slots, False))
    assert foreign_blocks() == set(truth)
    for address in truth:
        ext.free(0, address)
    assert not foreign_blocks()

# Other sizes every time, moved by realloc; every block with the size it has now.
before = set(rows())
truth = dict(ext.hammer(8, 60_000, 8, 70_000, 300, False))
found = {address: trace[1] for address, trace in rows().items() if address not in before}
assert {address: found.get(address) for address in truth} == truth
for address in truth:
    ext.free(0, address)
assert not set(truth) & {address for address, trace in rows().items() if trace[2] == UNKNOWN}
assert m.take_snapshot().lost == 0
m.stop()
