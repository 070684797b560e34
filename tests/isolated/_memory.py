"""What the scenarios of the process's memory share."""

from __future__ import annotations

import ctypes
import gc

from _support import m, skip

from memscope.process import ProcessMemory, explain, process_memory

MIB = 1 << 20

__all__ = ["MIB", "c_free", "c_malloc", "explain", "known", "libc", "now"]

libc = ctypes.CDLL(None)
c_malloc, c_free = libc.malloc, libc.free
c_malloc.restype, c_malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
c_free.restype, c_free.argtypes = None, [ctypes.c_void_p]


def known(*names: str) -> None:
    """Skip the scenario where one of these figures cannot be had."""
    memory = process_memory()
    missing = [name for name in names if getattr(memory, name) is None]
    if missing:
        skip(f"{', '.join(missing)}: {' '.join(memory.notes)}")


def now() -> ProcessMemory:
    """The memory now, which must agree with itself."""
    gc.collect()
    memory = process_memory()
    for name, value in memory.to_dict().items():
        assert value is None or value >= 0, (name, value)
    if memory.arenas_total is not None:
        used, free, scattered = memory.arenas_used, memory.arenas_free, memory.arenas_scattered
        assert used is not None and free is not None and scattered is not None
        assert used + free <= memory.arenas_total <= used + free + memory.arenas_total // 8 + MIB
        assert scattered <= free
    if memory.rss is not None:
        if memory.anonymous is not None and memory.files is not None:
            assert memory.anonymous + memory.files == memory.rss
        assert memory.peak_rss is None or memory.peak_rss >= memory.rss * 9 // 10
    assert (memory.traced is not None) == m.is_tracing()
    if memory.other is not None:
        parts = (memory.arenas_total, memory.libc_used, memory.libc_free, memory.libc_mmapped)
        assert memory.other + sum(part or 0 for part in parts) >= (memory.rss or 0)
    return memory
