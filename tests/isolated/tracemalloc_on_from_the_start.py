"""PYTHONTRACEMALLOC and -X tracemalloc, with memscope started, stopped and left on."""

from _support import python

CODE = """
import _tracemalloc, tracemalloc
from _support import exercise, ext, m, rows
assert tracemalloc.is_tracing()
exercise()
m.start(3)
block = ext.malloc(1, 7919)
assert rows(7919)[block][2][0][0] == "<string>"
assert any(t[1] == 7919 for t in _tracemalloc._get_traces())
thing = [[] for _ in range(100)]
assert tracemalloc.get_object_traceback(thing) and m.get_object_traceback(thing)
{last}
exercise()
"""

for last in ("", "m.stop()", "tracemalloc.stop()", "tracemalloc.stop(); m.stop()"):
    python(CODE.format(last=last), env={"PYTHONTRACEMALLOC": "2"})
python(CODE.format(last="m.stop(); tracemalloc.stop(); m.start()"), "-X", "tracemalloc")
