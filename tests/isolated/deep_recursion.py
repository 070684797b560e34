"""Thousands of frames, at every limit: bounded depth, no overrun of the C stack."""

import sys
import threading

from _support import BYTES, m, rows

DEPTH = 6000
sys.setrecursionlimit(DEPTH * 3)


def down(n: int) -> object:
    if n == 0:
        return bytes(7919 - BYTES)
    return down(n - 1)


def check(nframe: int) -> None:
    kept = down(DEPTH)
    (trace,) = rows(7919).values()
    frames = trace[2]
    assert len(frames) >= min(nframe, DEPTH + 1) and len(frames) <= nframe
    assert {name for name, _ in frames[:DEPTH]} == {__file__}
    line = down.__code__.co_firstlineno
    assert frames[0][1] == line + 2
    assert {number for _, number in frames[1 : DEPTH - 1]} <= {line + 3}
    assert trace[3] is None or trace[3] > DEPTH
    del kept
    assert not rows(7919)


for nframe in (1, 2, 25, 5000, 65535):
    for total in (False, True):
        m.start(nframe, total_nframe=total)
        check(nframe)
        thread = threading.Thread(target=check, args=(nframe,))
        thread.start()
        thread.join()
        m.stop()

# And through the C stack: each level is a C call that allocates.
m.start(65535)


class Nested:
    def __init__(self, n: int) -> None:
        self.inner = (
            sorted([n], key=lambda n: Nested(n - 1) if n else 0) if n < 150 and n > 0 else n
        )


try:
    Nested(149)
except (RecursionError, TypeError):
    pass
m.stop()
