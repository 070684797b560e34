"""Memory that native code maps itself, past malloc, is called native too."""

import mmap

from _memory import MIB, explain, known, now

known("anonymous")

older = now()
mapped = mmap.mmap(-1, 64 * MIB, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, 64 * MIB, 4096):
    mapped[at] = 1
newer = now()
found = explain(older, newer)
assert found is not None and found.kind == "native-memory", (found, newer.diff(older))
mapped.close()
assert explain(older, now()) is None
