"""CPython has one slot for a reference tracer: a taken one stays its owner's, whatever we do."""

import sys
import tracemalloc

from _support import exercise, ext, m, quick_start, skip

if sys.version_info < (3, 13):
    skip("PyRefTracer came with CPython 3.13")

# Taken before us.
ext.reftracer_set(True)
for _ in range(20):
    quick_start(3, reuse=True)
    assert ext.reftracer_get()[:2] == (True, True)
    exercise()
    m.take_snapshot()
    m.stop()
    assert ext.reftracer_get()[:2] == (True, True)
assert ext.reftracer_get()[2] > 0

# Taken while we trace.
ext.reftracer_set(False)
quick_start(3, reuse=True)
ext.reftracer_set(True)
exercise()
m.take_snapshot()
m.stop()
assert ext.reftracer_get()[:2] == (True, True), "stop() cleared somebody else's tracer"
ext.reftracer_set(False)

# tracemalloc takes and clears it.
quick_start(3, reuse=True)
tracemalloc.start()
exercise()
tracemalloc.stop()
exercise()
thing = [[] for _ in range(1000)]
assert m.get_object_traceback(thing) is not None
m.stop()
exercise()
quick_start(reuse=True)
assert m.status()["ref_tracer"] in ("on", "taken by another tool")
m.stop()
# (CPython 3.13.0's own tracemalloc leaves its tracer in the slot.)
assert m.status()["ref_tracer"] != "on", "our tracer stayed behind"
