"""Every night's import is larger, and its memory does not come back, though its objects are gone.

Of each import one row in many is kept, as a sample, until the next night.  It is little, and
the number of samples does not grow.  But they are everywhere among the rows, and an arena
of Python's allocator goes back to the system only when nothing at all is left in it.
"""

from __future__ import annotations

import itertools
import resource

from examples.leaks._expected import Expected

SAMPLES = 200
CHUNK = 2000

Row = tuple[int, str]

_nights = itertools.count(1)
_fixed_nights = itertools.count(1)
_samples: list[Row] = []


def rows_of(night: int, first: int, count: int) -> list[Row]:
    return [(row, f"row {row} of night {night}: some text") for row in range(first, first + count)]


def size_of(night: int) -> int:
    return min(10_000 + 20_000 * night, 400_000)


def import_night(night: int) -> None:
    global _samples
    rows = rows_of(night, 0, size_of(night))
    assert rows[-1][0] == len(rows) - 1
    _samples = rows[:: len(rows) // SAMPLES]


def import_night_in_chunks(night: int) -> None:
    """The same from a stream: the peak is one chunk, however large the night."""
    global _samples
    samples: list[Row] = []
    for first in range(0, size_of(night), CHUNK):
        rows = rows_of(night, first, CHUNK)
        samples += rows[:: size_of(night) // SAMPLES]
    _samples = samples


def work() -> None:
    import_night(next(_nights))


def work_fixed() -> None:
    import_night_in_chunks(next(_fixed_nights))


def leaked() -> int:
    """MiB of this process in memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 2**20


EXPECTED = Expected(
    type=(),
    kind="fragmentation",
    line=None,
    per_round=1,
    exact=False,
)
