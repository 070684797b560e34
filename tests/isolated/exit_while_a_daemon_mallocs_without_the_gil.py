"""Daemon threads in GIL-released C code go on allocating after their thread states were freed."""

from _support import SURVIVES_FOREIGN_THREADS, python, skip

if not SURVIVES_FOREIGN_THREADS:
    skip("a debug build before 3.14 does not survive such an exit, traced or not")

CODE = """
import os, sys, threading, time
from _support import ext, m
def deep(n):
    return deep(n - 1) if n else ext.spin_nogil(30.0)
if not {late}:
    m.start({nframe})
for n in (0, 50, 400):
    threading.Thread(target=deep, args=(n,), daemon=True).start()
time.sleep(0.05)
class Slow:
    def __del__(self, start=m.start, is_tracing=m.is_tracing, sleep=time.sleep, write=os.write):
        if {late}:
            start({nframe})
        write(1, b"on" * is_tracing())
        sleep(0.02)
sys.kept = [Slow() for _ in range(3)]
"""

# Freed memory does not keep its contents.
FILLED = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.perturb=165"}
for late in (False, True):
    for i in range(6):
        said = python(CODE.format(nframe=(1, 5, 1000)[i % 3], late=late), timeout=20, env=FILLED)
        assert not late or "on" in said, "the interpreter was gone before the test began"
