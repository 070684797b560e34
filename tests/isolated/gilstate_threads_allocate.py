"""Foreign threads come and go through PyGILState, whose thread states are made under locks."""

from _support import deadline, ext, m, quick_start

for cycle in deadline(1.5):
    quick_start(1 + cycle % 3)
    ext.gilstate_hammer(6, 150)
    m.take_snapshot()
    m.stop()
m.start(25)
ext.gilstate_hammer(8, 500)
size, peak = m.get_traced_memory()
assert 0 <= size <= peak
m.stop()
