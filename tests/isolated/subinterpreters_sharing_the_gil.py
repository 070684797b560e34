"""Interpreters that share our GIL are created, allocate while traced, and are destroyed."""

import sys

from _support import WATCHED, exercise, ext, m, quick_start, rows

CODE = f"""
import sys
sys.path[:0] = {sys.path!r}
kept = [[i, str(i), {{i: i}}] for i in range(2000)]
class Thing: pass
kept += [Thing() for _ in range(200)]
exec(compile("def f():\\n\\n\\n    return bytes(7919 - bytes.__basicsize__)", "<inside>", "exec"))
kept.append(f())
"""

for cycle in range(15):
    quick_start(1 + cycle, reuse=cycle % 2 == 1)
    assert ext.run_in_subinterp(CODE, False) == 0
    block = ext.malloc(2, WATCHED)
    assert set(rows(WATCHED)) == {block}
    # The interpreter is gone, its blocks too.
    assert not [trace for trace in rows(7919).values() if trace[2][0][0] == "<inside>"]
    ext.free(2, block)
    m.stop()
    assert ext.run_in_subinterp(CODE, False) == 0

# Started before, stopped and started again inside, asked from outside.
m.start(3)
assert ext.run_in_subinterp(CODE + "kept.clear()\nimport gc\ngc.collect()\n", False) == 0
exercise()
size, peak = m.get_traced_memory()
assert 0 < size <= peak
assert m.take_snapshot().lost == 0
m.stop()
