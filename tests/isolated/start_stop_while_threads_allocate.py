"""start() and stop() race with hooks in flight in eight Python and four foreign threads."""

import bz2
import hashlib
import sys
import zlib
from collections.abc import Callable

from _support import WATCHED, deadline, exercise, ext, foreign_blocks, m, quick_start, threads

DATA = bytes(range(256)) * 40


def work(stopped: Callable[[], bool]) -> None:
    while not stopped():
        exercise(20)
        hashlib.sha256(DATA).digest()
        zlib.decompress(zlib.compress(DATA))
        bz2.decompress(bz2.compress(DATA[:500]))


sys.setswitchinterval(1e-4)
ext.hammer_start(4, 64, 3000, 512)
with threads(8, work):
    for cycle in deadline(3):
        quick_start(1 + cycle % 30, total_nframe=cycle % 4 == 1, reuse=cycle % 2 == 1)
        if cycle % 7 == 0:
            m.take_snapshot()
        elif cycle % 7 == 1:
            m.clear_traces()
        m.stop()
        assert m.get_traced_memory() == (0, 0)
ext.hammer_stop()
m.start()
truth = dict(ext.hammer(4, 5000, WATCHED, 0, 64, False))
assert foreign_blocks() == set(truth)
m.stop()
print(cycle, "cycles")
