"""Memory that native code mallocs and forgets is called native, traced or not, small or large."""

import ctypes

from _memory import MIB, c_malloc, explain, known, now
from _support import m

known("anonymous", "libc_used")


def leak(block: int) -> None:
    for _ in range(64 * MIB // block):
        ctypes.memset(c_malloc(block), 1, block)


for tracing in (False, True):
    if tracing:
        m.start()
    for block in (10_000, 4 * MIB):
        older = now()
        leak(block)
        newer = now()
        found = explain(older, newer)
        assert found is not None and found.kind == "native-memory", (found, newer.diff(older))
        # All of it is seen, and nearly nothing of Python's.
        change = newer.diff(older)
        assert change.libc_used is not None and change.libc_mmapped is not None
        assert change.libc_used + change.libc_mmapped >= 60 * MIB, change
        assert "native code" in found.sentence and "MiB" in found.sentence
        # What Python is known to have grown by comes first.
        assert explain(older, newer, 60 * MIB) is None
        # A state alone does not tell native memory from what a process needs.
        assert explain(None, newer) is None
m.stop()
