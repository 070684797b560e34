"""Daemon threads allocate through live hooks while their thread states are freed; twelve exits."""

from _support import SURVIVES_FOREIGN_THREADS, python

CODE = """
import sys, threading
from _support import exercise, ext, m
def for_ever():
    while True:
        exercise(5)
m.start({nframe})
sys.setswitchinterval(1e-5)
for _ in range(5):
    threading.Thread(target=for_ever, daemon=True).start()
ext.hammer_start({foreign}, 64, 3000, 64)
exercise(500)
"""

for i in range(12):
    foreign = 2 if SURVIVES_FOREIGN_THREADS else 0
    python(CODE.format(nframe=1 if i % 2 else 40, foreign=foreign), timeout=20)
