"""A leaking list of numpy arrays is charged to its line; numpy works after stop()."""

import importlib.util
import tracemalloc

from _support import m, python, rows, skip

if importlib.util.find_spec("numpy") is None:
    skip("numpy is not installed")

CODE = """
import sys, tracemalloc
from _support import m, rows
DOMAIN = 389047
{before}
leak = []
def work(n):
    leak.append(numpy.zeros((n, 1000)))
for n in range(1, 101):
    work(n)
    temporary = numpy.ones(12345) + 1
line = work.__code__.co_firstlineno + 1
arrays = [t for t in rows(domain=DOMAIN).values() if t[2][0] == ("<string>", line)]
assert len(arrays) == 100, len(arrays)
assert sum(t[1] for t in arrays) == sum(a.nbytes for a in leak)
{more}
del leak[:]
assert not [t for t in rows(domain=DOMAIN).values() if t[2][0] == ("<string>", line)]
kept = numpy.arange(10.0)
m.stop()
assert numpy.fft.fft(numpy.arange(10.0) + kept).shape == (10,)
big = numpy.zeros(10_000_000); big = numpy.concatenate([big, big]); del big
"""
LATER = "import numpy.linalg, numpy.fft, numpy.random; numpy.linalg.inv(numpy.random.rand(50, 50))"
OWN = """
theirs = [t for t in tracemalloc.take_snapshot().traces if t.domain == DOMAIN]
assert sum(t.size for t in theirs) >= sum(a.nbytes for a in leak)
"""
for before, more in {
    "import numpy; m.start(2)": LATER,
    "m.start(2); import numpy": LATER,
    "m.start(2); m.stop(); import numpy; m.start(2)": "numpy.zeros(5)",
    "import numpy; tracemalloc.start(); m.start(2)": OWN,
    "import numpy; m.start(2); tracemalloc.start()": OWN,
}.items():
    python(CODE.format(before=before, more=more), timeout=60)

import numpy  # noqa: E402

m.start()
array = numpy.zeros(1000)
array.resize(5000, refcheck=False)
assert [t[1] for t in rows(domain=389047).values()] == [40_000]
m.stop()
assert not tracemalloc.is_tracing()
