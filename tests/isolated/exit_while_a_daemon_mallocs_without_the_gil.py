"""Daemon threads in GIL-released C code go on allocating after their thread states were freed."""

from _support import python

CODE = """
import sys, threading, time
from _support import ext, m
def deep(n):
    return deep(n - 1) if n else ext.spin_nogil(30.0)
m.start({nframe})
for n in (0, 50, 400):
    threading.Thread(target=deep, args=(n,), daemon=True).start()
time.sleep(0.05)
class Slow:
    def __del__(self):
        time.sleep(0.02)
kept = [Slow() for _ in range(3)]
"""

for i in range(9):
    python(CODE.format(nframe=(1, 5, 1000)[i % 3]), timeout=20)
