"""Containers are known by their addresses only: none is read whose memory may be gone.

They die by the hundred thousand, so that the allocator gives whole arenas back to the system,
while the tracer looks and while it does not: in threads, in a forked child, in other
interpreters, with hooks that another tool throws off, under every allocator.
"""

from _support import allocators, python

CODE = """
import gc, os, sys, threading, tracemalloc
from _support import deadline, ext, in_fork, m, threads

ONE = object()
SMALL = 60_000 if os.environ.get("PYTHONMALLOC", "") else 150_000

class MyDict(dict):
    pass

def many(count):
    made = [[ONE, number] for number in range(count)]
    made += [{number: ONE} for number in range(count // 2)]
    made += [MyDict({number: ONE}) for number in range(count // 4)]
    made += [{ONE, number} for number in range(count // 8)]
    return made

def dies_seen(lengths):
    made = many(SMALL)
    lengths.note()
    count = len(lengths)
    assert count > SMALL
    del made
    gc.collect()
    assert lengths.longest_rise(m.get_epoch() + 1) is not None
    lengths.note()
    assert len(lengths) < count - SMALL, (count, len(lengths))

def grows(lengths):
    gc.collect()  # which empties the free lists, from where it would come
    kept = [ONE]
    lengths.note()
    kept.extend([ONE] * 500)
    found = lengths.longest_rise(m.get_epoch() + 1)
    assert found == 500, found
    del kept

def dies_unseen(lengths):
    made = many(SMALL)
    lengths.note()
    tracemalloc.stop()  # and our hooks with it
    del made
    gc.collect()
    assert lengths.longest_rise(m.get_epoch() + 1) is None
    again = many(SMALL // 10)
    # Any question puts the hooks back.
    m.get_traced_memory()
    assert lengths.longest_rise(m.get_epoch() + 1) is None
    lengths.note()
    del again
    grows(lengths)

old = many(SMALL)
tracemalloc.start()
m.start(1)
lengths = m.Lengths()
lengths.note()
del old
gc.collect()
assert lengths.longest_rise(m.get_epoch() + 1) is not None
dies_seen(lengths)
grows(lengths)
dies_unseen(lengths)
dies_seen(lengths)
m.stop()
del lengths

m.start(3)
lengths = m.Lengths()
def churn(stopped):
    while not stopped():
        made = many(2000)
        kind = type("Made", (dict,), {})
        other = [kind() for _ in range(99)]
        del made, kind, other
with threads(3, churn):
    for number in deadline(1):
        lengths.note()
        lengths.longest_rise(m.advance_epoch())
        if number % 50 == 49:
            m.stop()
            m.start(1)
made = many(1000)
lengths.note()
in_fork(lambda: (dies_seen(lengths), grows(lengths)), timeout=60)
grows(lengths)
INNER = '''
import sys
sys.path[:0] = PATHS
try:
    from memscope import _memscope as m
except ImportError:
    pass
else:
    one = m.Lengths()
    for _ in range(5):
        kept = [[number, {}] for number in range(500)]
        one.note()
        one.longest_rise(0)
'''.replace("PATHS", repr(sys.path))
for own in (False, True)[: 2 if sys.version_info >= (3, 12) else 1]:
    lengths.note()
    assert ext.run_in_subinterp(INNER, own) == 0
    lengths.longest_rise(0)
grows(lengths)
print("done")
"""

for mode in allocators("default", "malloc", "pymalloc_debug", "mimalloc"):
    assert "done" in python(CODE, env={"PYTHONMALLOC": mode}, timeout=120), mode
