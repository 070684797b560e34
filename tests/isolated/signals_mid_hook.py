"""A signal every millisecond interrupts hooks; its handler allocates, asks and snapshots."""

import bz2
import signal
from typing import Any

from _support import WATCHED, deadline, exercise, ext, foreign_blocks, m, quick_start

signals = 0


def handler(number: int, frame: Any) -> None:
    global signals
    signals += 1
    exercise(3)
    if signals % 10 == 0:
        m.take_snapshot()
    m.get_traced_memory()
    if signals % 100 == 0 and m.is_tracing():
        m.stop()
        quick_start(4)


signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for cycle in deadline(3):
    quick_start(1 + cycle % 5, reuse=cycle % 2 == 1)
    exercise(50)
    bz2.compress(bytes(2000))
    ext.hammer(2, 500, WATCHED, 0, 16, False)
    m.stop()
signal.setitimer(signal.ITIMER_REAL, 0)
assert signals > 50, signals
m.start()
truth = set(dict(ext.hammer(4, 5000, WATCHED, 0, 64, True)))
assert truth <= foreign_blocks()
m.stop()
print(signals, "signals")
