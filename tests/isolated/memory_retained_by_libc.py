"""Freed memory that malloc keeps is named so, and malloc_trim gives it back."""

import ctypes

from _memory import MIB, c_free, c_malloc, explain, known, libc, now

known("anonymous", "libc_free")

SIZE = 16_000
older = now()
blocks = []
for _ in range(64 * MIB // SIZE):
    blocks.append(c_malloc(SIZE))
    ctypes.memset(blocks[-1], 1, SIZE)
on_top = c_malloc(SIZE)  # a heap shrinks from its end only
for block in blocks:
    c_free(block)
del blocks
newer = now()
found = explain(older, newer)
assert found is not None and found.kind == "libc-retention", (found, newer.diff(older))
assert newer.libc_free is not None and newer.libc_free > 60 * MIB
assert "malloc_trim" in found.advice
alone = explain(None, newer)
assert alone is not None and alone.kind == "libc-retention", alone
libc.malloc_trim(0)
# malloc still calls it free, but its pages are gone: nothing is left to explain.
assert explain(older, now()) is None
c_free(on_top)
