"""Where the memory of this process is: Python's, pymalloc's, the C library's, or nobody's.

A process can grow while Python does not.  ``process_memory()`` divides what is
resident, and :func:`explain` says of two such divisions which part of the growth
is not Python's objects.

It runs no code of the program and takes no lock of Python's; any thread may ask.
Cost: 50 us in a small process; then about 6 ms for each GiB of small objects and
20 ms for each million of free chunks of the C library's malloc.

======================= ========================================================
figure                  from
======================= ========================================================
rss, anonymous, files   /proc/self/status (Linux)
peak_rss                the same; elsewhere getrusage
traced                  memscope's own count, while it traces
python_blocks           sys.getallocatedblocks()
arenas_*                pymalloc's own statistics, 3.11 to 3.15; not in a
                        subinterpreter, nor beside one while hooks are in place
libc_*                  mallinfo2 (glibc 2.33+), unless malloc is another's
======================= ========================================================

What is not known is None.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from memscope import _memscope
from memscope.report import share_text, size_text
from memscope.table import Column, Row, Table

__all__ = [
    "Explanation",
    "MemoryChange",
    "ProcessMemory",
    "explain",
    "process_memory",
    "resident_bytes",
]

MIB = 1 << 20

LEAST_BYTES = 8 * MIB
"""Growth below this is not explained.  pymalloc takes and gives arenas of 1 MiB, malloc
gives back its top only beyond a threshold of its own, and an import relocates some MiB of
library data: a few MiB more or less is any process's normal day."""

LEAST_SHARE = 0.02
"""The same, as a share of what is resident: in a process of 4 GiB, 8 MiB are noise too."""


@dataclass(frozen=True, kw_only=True)
class ProcessMemory:
    """The memory of a process at one moment, in bytes; None where it is not known."""

    rss: int | None = None
    """Resident: what the kernel charges the process for."""
    peak_rss: int | None = None
    anonymous: int | None = None
    """The part of rss that no file backs: heaps, stacks, relocated data of libraries."""
    files: int | None = None
    """The part that files or other processes share: code, mapped files."""
    traced: int | None = None
    """Blocks that memscope has a trace of."""
    memscope: int | None = None
    """What memscope itself holds."""
    python_blocks: int | None = None
    """A number, not bytes: blocks that Python's allocator has given out."""
    arenas_total: int | None = None
    """All that pymalloc has from the system, for blocks of up to 512 bytes."""
    arenas_used: int | None = None
    """Of that, in blocks given out."""
    arenas_free: int | None = None
    """Of that, free; it cannot go back to the system while an arena holds any block."""
    arenas_scattered: int | None = None
    """Of what is free, in pools (16 KiB, one size each) that a block in use keeps."""
    libc_used: int | None = None
    """In the C library's heaps, given out: larger Python blocks, and native code's."""
    libc_free: int | None = None
    """In those heaps, free; the library may have returned pages of it already."""
    libc_mmapped: int | None = None
    """Blocks that the C library mapped one by one, each at least 128 KiB."""
    other: int | None = None
    """Resident, and none of the above: code, files, stacks, what native code mapped
    itself, memscope's tables.  Smaller than the truth where parts of the above are not
    resident."""
    notes: tuple[str, ...] = ()
    """Why a figure is not known."""

    def diff(self, older: ProcessMemory) -> MemoryChange:
        """What changed since *older*; None where either is not known."""
        mine, theirs = self.to_dict(), older.to_dict()
        changes = {
            name: None if mine[name] is None or theirs[name] is None else mine[name] - theirs[name]
            for name in mine
        }
        return MemoryChange(**changes, notes=self.notes)

    def to_dict(self) -> dict[str, Any]:
        """The numbers by name, for json."""
        return {one.name: getattr(self, one.name) for one in fields(self) if one.name != "notes"}

    def __str__(self) -> str:
        return _table(self).text()

    def show(self) -> None:
        """Print the table to sys.stdout."""
        _table(self).show()


class MemoryChange(ProcessMemory):
    """The difference of two moments: every number has a sign."""


def process_memory() -> ProcessMemory:
    """The memory of this process now."""
    system = _system()
    arenas = _memscope.pymalloc_memory()
    libc = _memscope.libc_memory()
    tracing = _memscope.is_tracing()
    found: dict[str, int | None] = {
        **system,
        "traced": _memscope.get_traced_memory()[0] if tracing else None,
        "memscope": _memscope.get_tracemalloc_memory(),
        "python_blocks": sys.getallocatedblocks(),
    }
    notes = []
    if isinstance(arenas, str):
        notes.append(f"pymalloc's arenas: {arenas}.")
    else:
        total, used, scattered, unused = arenas
        found |= {
            "arenas_total": total,
            "arenas_used": used,
            "arenas_free": scattered + unused,
            "arenas_scattered": scattered,
        }
    if isinstance(libc, str):
        notes.append(f"C library's malloc: {libc}.")
    else:
        found |= dict(zip(("libc_used", "libc_free", "libc_mmapped"), libc, strict=True))
    rss = system.get("rss")
    if rss is None:
        notes.append("resident memory: this platform is not asked.")
    elif not isinstance(arenas, str) and not isinstance(libc, str):
        found["other"] = max(rss - arenas[0] - sum(libc), 0)
    return ProcessMemory(**found, notes=tuple(notes))


def resident_bytes() -> int | None:
    """What is resident now, alone: a few microseconds; None where it is not known."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    import resource

    return pages * resource.getpagesize()


def _system() -> dict[str, int | None]:
    """What the operating system says."""
    try:
        with open("/proc/self/status", "rb") as file:
            lines = dict(line.split(b":", 1) for line in file.read().splitlines() if b":" in line)
    except OSError:
        return {"peak_rss": _peak()}

    def size(*names: bytes) -> int | None:
        try:
            return sum(int(lines[name].split()[0]) for name in names) * 1024
        except (KeyError, ValueError, IndexError):
            return None

    return {
        "rss": size(b"VmRSS"),
        "peak_rss": size(b"VmHWM"),
        "anonymous": size(b"RssAnon"),
        "files": size(b"RssFile", b"RssShmem"),
    }


def _peak() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


ROWS = (
    ("arenas_used", "Python's small blocks, in use (pymalloc)"),
    ("arenas_free", "free in pymalloc's arenas"),
    ("libc_used", "in use in the C library's heaps"),
    ("libc_free", "free in the C library's heaps"),
    ("libc_mmapped", "large blocks, mapped by the C library"),
    ("other", "code, files, stacks, mapped by native code"),
)
"""Parts of what is resident; the names, in the order of the table."""


def _table(memory: ProcessMemory) -> Table:
    change = isinstance(memory, MemoryChange)
    numbers = memory.to_dict()

    def mib(value: int | None) -> str:
        return "?" if value is None else f"{value / MIB:{'+' if change else ''}.1f}"

    def row(name: str, what: str, style: Any = "") -> Row:
        value = numbers[name]
        share = ""
        if not change and memory.rss and value is not None and name != "rss":
            share = share_text(value, memory.rss)
        return Row((mib(value), share, what), "", style)

    rows = [row("rss", "resident (RSS)", "bold"), *(row(*one) for one in ROWS)]
    more = []
    if memory.peak_rss is not None and not change:
        more.append(f"The peak of what was resident: {size_text(memory.peak_rss)}.")
    if memory.traced is not None:
        more.append(f"Traced by memscope, in all of these: {size_text(memory.traced, change)}.")
    if memory.memscope:
        more.append(f"memscope's own: {size_text(memory.memscope, change)}.")
    title = "Change of the process's memory" if change else "Memory of the process"
    columns = (Column("MiB"), Column("" if change else "Share"), Column("What", "left"))
    return Table(title, columns, tuple(rows), (*more, *memory.notes))


class Explanation(NamedTuple):
    """Why a process grew, though Python did not."""

    kind: str
    """fragmentation, libc-retention or native-memory."""
    sentence: str
    advice: str


def explain(
    older: ProcessMemory | None, newer: ProcessMemory, python_growth_bytes: int = 0
) -> Explanation | None:
    """Why the process grew from *older* to *newer*, if not by Python's objects; None if it
    did not grow by much, or they did.

    *python_growth_bytes* is by how much Python's objects are known to have grown.  With
    *older* None the question is what the process holds now beyond its objects; memory
    of native code cannot be told from its normal needs then and is not judged.

    How it is judged.  What counts is anonymous memory: that of mapped files, such as
    the code of a library just imported, is not growth that anybody has to explain, and
    as much again is allowed for the data that such a library relocates or sets up.
    Growth is Python's, and no matter of this function, if at least half of it is in
    Python's blocks (the largest of: as given, as traced, blocks in use in arenas).  The
    rest is divided by what the allocators say of themselves: free in arenas, free in the
    C library's heaps, and what remains is native.  The largest of the three is named if
    it is at least LEAST_BYTES and LEAST_SHARE of what is resident.
    """
    change: ProcessMemory = newer if older is None else newer.diff(older)
    growth = change.rss if change.anonymous is None else change.anonymous
    if growth is None or newer.rss is None:
        return None
    # memscope's tables come and go in the same heaps: of what is free there, as much as it
    # holds now may have been its own.
    freed_by_us = newer.memscope or 0
    if change.libc_free is not None:
        freed_by_us = max(min(change.libc_free, freed_by_us), 0)
    growth = max(growth - max(change.memscope or 0, 0) - freed_by_us, 0)
    python = max(python_growth_bytes, change.traced or 0, change.arenas_used or 0, 0)
    least = max(LEAST_BYTES, int(LEAST_SHARE * newer.rss))
    if growth < least or 2 * python >= growth:
        return None
    beyond = growth - python

    # The arenas and the heaps may have pages that are not resident, so what they say is
    # believed only as far as the process has grown.
    def part(value: int | None) -> int:
        return min(max(value or 0, 0), beyond)

    free = None
    if change.arenas_total is not None and change.arenas_used is not None:
        free = change.arenas_total - change.arenas_used
    fragmented = part(free)
    retained = part((change.libc_free or 0) - freed_by_us)
    native = part(beyond - fragmented - retained - max(change.files or 0, 0))
    if older is None:
        native = 0
    largest = max(fragmented, retained, native)
    if largest < least:
        return None
    if older is None:
        head = f"The process holds {_mib(growth)} MiB, of which Python's objects are"
        head += f" {_mib(python)} MiB"
    else:
        head = f"The process grew by {_mib(growth)} MiB, Python's objects by {_mib(python)} MiB"
    if largest == fragmented:
        return _fragmentation(head, newer)
    if largest == retained:
        return _retention(head, newer)
    return _native(head, native, change)


def _mib(size: int | None) -> str:
    return f"{(size or 0) / MIB:,.1f}"


def _fragmentation(head: str, newer: ProcessMemory) -> Explanation:
    return Explanation(
        "fragmentation",
        f"{head}: pymalloc's arenas hold {_mib(newer.arenas_total)} MiB, of which"
        f" {_mib(newer.arenas_used)} MiB are in use and {_mib(newer.arenas_free)} MiB free,"
        f" {_mib(newer.arenas_scattered)} MiB of it between live blocks.  An arena of 1 MiB goes"
        " back to the system only when its last block is freed.",
        "This is not a leak: the free memory is reused by the next small objects.  To need less"
        " of it, do work that makes millions of objects in a process of its own"
        " (multiprocessing with maxtasksperchild), work through the data in parts, and make"
        " long-lived objects (caches, indexes) before such work and not during it.",
    )


def _retention(head: str, newer: ProcessMemory) -> Explanation:
    return Explanation(
        "libc-retention",
        f"{head}: the C library's malloc keeps {_mib(newer.libc_free)} MiB of freed memory,"
        f" beside {_mib((newer.libc_used or 0) + (newer.libc_mmapped or 0))} MiB in use.",
        "This is not a leak: malloc keeps what was freed for the next request."
        "  ctypes.CDLL(None).malloc_trim(0) gives back what it can, now; MALLOC_ARENA_MAX=2 in the"
        " environment helps where many threads allocate; jemalloc in malloc's place (LD_PRELOAD)"
        " keeps less.",
    )


def _native(head: str, native: int, change: ProcessMemory) -> Explanation:
    blocks = ""
    if change.python_blocks is not None:
        blocks = f", its blocks by {change.python_blocks:+,}"
    where = ""
    if change.libc_used is not None and change.libc_mmapped is not None:
        where = (
            f"; in use by malloc {change.libc_used / MIB:+,.1f} MiB, in large blocks of its"
            f" {change.libc_mmapped / MIB:+,.1f} MiB"
        )
        if change.other is not None:
            where += f", elsewhere {change.other / MIB:+,.1f} MiB"
    return Explanation(
        "native-memory",
        f"{head}{blocks}: {_mib(native)} MiB are memory of native code{where}.",
        "No Python object accounts for it, so look at what holds memory outside of Python:"
        " extension modules, ctypes and cffi (malloc without free, a missing close()), native"
        " caches and thread stacks.  memray run --native, heaptrack or jemalloc's profiler"
        " show the C stack that allocated it.",
    )
