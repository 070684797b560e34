"""What a test left behind, found out in microseconds: memory, threads, files, tasks.

Live bytes are the tracer's own count, so that most tests, which leave nothing, cost a few
reads of a number.  What pytest makes of a test (its reports) is taken out by reading
the number around it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from memscope import _memscope
from memscope.caches import all_frozen, empty_free_lists, empty_type_cache
from memscope.leaks import WORKING_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Floor",
    "Leftovers",
    "Scale",
    "Sweeper",
    "collects",
    "full_collections",
    "leftovers",
    "pending_tasks",
    "settled",
    "young_garbage",
]

FD_FOLDERS = ("/proc/self/fd", "/dev/fd")
PATIENCE = 0.3
"""Seconds that a thread is given to end after its test."""

INCREMENTAL = (3, 14) <= sys.version_info < (3, 14, 5)
"""Whether the collector has a young and an old generation only, and looks at parts of the old
one (gh-108362); before and after, it has three."""

NOISE = 512
"""Bytes that two runs may leave: pytest's directories for tmp_path, entries of its caches.  A test
that asks to be judged is held to less."""

NATIVE_LEAST = 1 << 20
"""Growth of the process by so many bytes, beyond what was traced, is worth a second look."""


class Scale:
    """Weighs the process: what lives, less what was not the test's.

    ``grown()`` is what was added since ``zero()``, without what was added between
    ``pause()`` and ``resume()``.
    """

    def __init__(self) -> None:
        self._live = self._resident = self._paused = 0
        self._statm = _open_statm()
        self._pid = os.getpid()

    def zero(self) -> None:
        self._live = _memscope.get_traced_memory()[0]
        self._resident = self.resident()

    def pause(self) -> None:
        self._paused = _memscope.get_traced_memory()[0]

    def resume(self) -> None:
        self._live += _memscope.get_traced_memory()[0] - self._paused

    def grown(self) -> int:
        """Bytes that live more than at zero."""
        return _memscope.get_traced_memory()[0] - self._live

    def native(self) -> int:
        """Bytes by which the process grew that are no Python's; 0 if that is normal."""
        grown = self.resident() - self._resident - max(self.grown(), 0)
        return grown if grown >= NATIVE_LEAST else 0

    def resident(self) -> int:
        if self._pid != os.getpid():  # of a fork, /proc/self is still the parent
            self.close()
            self._statm, self._pid = _open_statm(), os.getpid()
        if self._statm < 0:
            return 0
        return int(os.pread(self._statm, 100, 0).split()[1]) * PAGE

    def close(self) -> None:
        if self._statm >= 0:
            os.close(self._statm)
            self._statm = -1


class Floor:
    """What pytest itself leaves of each test: learned from tests that proved to be clean.

    A test is of a kind (its class, how many fixtures it has), and of each kind tests leave
    nearly the same.  Only tests whose repetitions left nothing teach: leaks do not.
    """

    def __init__(self) -> None:
        self._seen: dict[object, deque[int]] = {}

    def is_below(self, kind: object, grown: int) -> bool:
        """Whether *grown* is no more than usual; of a kind that is not yet known, never."""
        seen = self._seen.get(kind, ())
        return len(seen) >= LESSONS and grown <= min(seen) + GRAIN

    def learn(self, kind: object, grown: int) -> None:
        self._seen.setdefault(kind, deque(maxlen=LESSONS_KEPT)).append(grown)


LESSONS, LESSONS_KEPT = 2, 9
GRAIN = 16
"""Bytes: the smallest block."""

PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def _open_statm() -> int:
    try:
        return os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, AttributeError):
        return -1


def collects() -> bool:
    """Whether the program lets the collector work: else its garbage is a leak."""
    return gc.isenabled() and 0 < gc.get_threshold()[0] < WORKING_THRESHOLD


def young_garbage() -> None:
    """Collect what the test made and dropped, at the price of what it made."""
    if collects():
        gc.collect(0 if INCREMENTAL else 1)


class Sweeper:
    """Collects the garbage of runs and empties the interpreter's caches: what lives then is held by
    somebody.

    The young garbage, that is.  All of it, at the price of many a test, only where it matters: the
    collector itself ran in between, which makes garbage old, and more lives than after the
    last sweep.
    """

    def __init__(self) -> None:
        self._live = 0
        self._collections = _collections()
        self._is_exact = False

    @contextlib.contextmanager
    def exactly(self) -> Iterator[None]:
        """Until the end, collect all garbage of the runs, also what was replaced when it was old.

        What is there already is frozen meanwhile, so that a full collection looks at what the
        runs make, and takes no longer.  A test can notice: gc.get_objects() and
        gc.get_referrers() leave out what is frozen.
        """
        with all_frozen() as frozen:
            self._is_exact = frozen  # else full collections are what it makes anyway
            try:
                yield
            finally:
                self._is_exact = False

    def sweep(self) -> bool:
        """Whether it took a full collection, which may have freed what was garbage before."""
        empty_type_cache()
        if self._is_exact:
            gc.collect()  # which empties the free lists too
            return False
        # To be known before the free lists are emptied, for nothing may fill them after that.
        collections = _collections()
        may_be_old = collections != self._collections
        young_garbage()
        emptied = empty_free_lists()
        live = _memscope.get_traced_memory()[0]
        is_full = collects() and (not emptied or (may_be_old and live > self._live + NOISE))
        if is_full:
            gc.collect()
            live = _memscope.get_traced_memory()[0]
        self._live, self._collections = live, collections + collects() + emptied + is_full
        return is_full


def _collections() -> int:
    """How often what the collector found alive has become older than young garbage is."""
    return sum(int(one["collections"]) for one in gc.get_stats()[1:])


def full_collections() -> int:
    """How often all garbage was collected."""
    return int(gc.get_stats()[-1]["collections"])


class Leftovers(NamedTuple):
    """Threads and open files at one moment."""

    threads: frozenset[int]
    files: frozenset[str]

    def since(self, before: Leftovers) -> Leftovers:
        return Leftovers(self.threads - before.threads, self.files - before.files)

    def __bool__(self) -> bool:
        return bool(self.threads or self.files)

    def names(self) -> list[str]:
        """Each in words, in a fixed order."""
        threads = threading._active  # type: ignore[attr-defined]
        running = [threads[ident] for ident in self.threads if ident in threads]
        words = sorted(f"thread {thread.name!r} still runs" for thread in running)
        return words + sorted(filter(None, map(_file_words, self.files)))


NOTHING = Leftovers(frozenset(), frozenset())


def leftovers() -> Leftovers:
    return Leftovers(
        frozenset(threading._active),  # type: ignore[attr-defined]
        _open_files(),
    )


def settled(before: Leftovers) -> Leftovers:
    """What is left since *before*, when threads that are about to end have ended."""
    left = leftovers()
    if left == before:
        return NOTHING
    left = left.since(before)
    if not left.threads:
        return left
    threads = threading._active  # type: ignore[attr-defined]
    patience = PATIENCE
    for ident in left.threads:
        thread = threads.get(ident)
        if thread is not None and thread is not threading.current_thread() and patience > 0:
            thread.join(patience)
            patience = patience if not thread.is_alive() else 0.0
    return leftovers().since(before)


class OpenFiles:
    """Which descriptors are in use.  Read anew only if it can be seen that it has changed."""

    def __init__(self) -> None:
        self._numbers: frozenset[str] = frozenset()
        self._sign: tuple[int, int] | None = None

    def __call__(self) -> frozenset[str]:
        for folder in FD_FOLDERS:
            try:
                sign = self._sign_of(folder)
                if sign is None or sign != self._sign:
                    self._numbers = _numbers_in(folder)
                    self._sign = sign
                return self._numbers
            except (OSError, ValueError):
                continue
        return frozenset()

    def _sign_of(self, folder: str) -> tuple[int, int] | None:
        """How many there are, and the lowest that is free: one that comes in the place of another
        changes the second, but for odd cases.  None where the kernel does not count (Linux
        before 6.2)."""
        count = os.stat(folder).st_size if folder == FD_FOLDERS[0] else 0
        return (count, _lowest_free(self._numbers)) if count and self._numbers else None


_open_files = OpenFiles()


def _numbers_in(folder: str) -> frozenset[str]:
    found = frozenset(os.listdir(folder))
    # Without the one by which the folder was read.
    return found - {str(_lowest_free(found))}


def _lowest_free(numbers: frozenset[str]) -> int:
    """The lowest descriptor that is not in use; some of *numbers* are."""
    for number in numbers:
        try:
            free = os.dup(int(number))
        except OSError:
            continue
        os.close(free)
        return free
    raise OSError("no descriptor is in use")


def _file_words(number: str) -> str:
    """What a descriptor is; "" if it is closed, or the one by which the folder was read."""
    try:
        name = os.readlink(f"{FD_FOLDERS[0]}/{number}")
    except OSError:
        return ""
    if name.startswith("socket:"):
        return f"{_socket_words(int(number))} is still open"
    if name.startswith(("pipe:", "anon_inode:")):
        return f"{name.partition(':')[0].replace('anon_inode', 'an event queue')} is still open"
    return f"file {name} is still open"


def _socket_words(number: int) -> str:
    import socket

    try:
        with socket.socket(fileno=os.dup(number)) as found:
            name = found.getsockname()
    except OSError:
        return "socket"
    if isinstance(name, tuple):
        return f"socket {name[0]}:{name[1]}"
    return f"socket {name!r}" if name else "socket"


def pending_tasks() -> list[str]:
    """The asyncio tasks that are not done, in words.  Cost: a pass over what gc tracks."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return []
    classes: list[Any] = [asyncio.Task]
    return sorted(
        f"task {task.get_name()!r} is pending"
        for task in _memscope.gc_objects(classes)
        if not task.done()
    )
