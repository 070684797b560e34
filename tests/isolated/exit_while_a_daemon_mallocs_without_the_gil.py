"""Daemon threads in GIL-released C code go on allocating after their thread states were freed."""

from _support import python

CODE = """
import sys, threading, time
from _support import ext, m
def deep(n):
    return deep(n - 1) if n else ext.spin_nogil(30.0)
if not {late}:
    m.start({nframe})
for n in (0, 50, 400):
    threading.Thread(target=deep, args=(n,), daemon=True).start()
time.sleep(0.05)
class Slow:
    def __del__(self):
        if {late}:
            m.start({nframe})
        time.sleep(0.02)
kept = [Slow() for _ in range(3)]
"""

for late in (False, True):
    for i in range(6):
        python(CODE.format(nframe=(1, 5, 1000)[i % 3], late=late), timeout=20)
