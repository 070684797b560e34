"""The arenas can be asked for while everything allocates and is traced: no trace goes missing."""

import sys
import tracemalloc
from collections.abc import Callable

from _support import WATCHED, deadline, exercise, ext, foreign_blocks, m, quick_start, threads

sys.setswitchinterval(1e-4)


def work(stopped: Callable[[], bool]) -> None:
    while not stopped():
        exercise(50)
        m.libc_memory()


known = not isinstance(m.pymalloc_memory(), str)
for above in (False, True):
    quick_start()
    if above:
        tracemalloc.start()
    before = m.status()["hooks"]
    ext.hammer_start(4, WATCHED, 0, 2000)
    with threads(6, work):
        for _ in deadline(1.5):
            memory = m.pymalloc_memory()
            assert isinstance(memory, tuple) == known, memory
            if isinstance(memory, tuple):
                assert sum(memory[1:]) <= memory[0]
            # A block made right after is traced, and found.
            block = bytes(WATCHED)
            assert m.get_object_traceback(block) is not None
    truth = dict(ext.hammer_stop())
    assert foreign_blocks() == set(truth)
    for address in truth:
        ext.free(0, address)
    assert not foreign_blocks()
    assert m.status()["hooks"] == before
    assert m.take_snapshot().lost == 0
    if above:
        tracemalloc.stop()
    m.stop()
