"""Every night's images are more than the last night's, and their memory stays with the C library.

A few previews are kept until the next night: few, and as many each time.  They lie among the
images, on a heap that ``free`` can only shorten at its end; and at the end lies a preview.
"""

from __future__ import annotations

import itertools
import resource

from examples.leaks._expected import Expected

PREVIEWS = 20
SIZE = 100 * 1024  # more than Python's own allocator takes, less than is mapped by itself

_nights = itertools.count(1)
_fixed_nights = itertools.count(1)
_previews: list[bytearray] = []


def images_of(night: int) -> int:
    return min(100 + 100 * night, 2000)


def decode(number: int) -> bytearray:
    return bytearray(number.to_bytes(4, "big") * (SIZE // 4))


def import_night(night: int) -> None:
    global _previews
    images = [decode(number) for number in range(images_of(night))]
    _previews = images[:: len(images) // PREVIEWS] + images[-1:]


def import_night_one_by_one(night: int) -> None:
    """One image at a time: what a night leaves does not depend on how many there were."""
    global _previews
    count = images_of(night)
    previews = []
    for number in range(count):
        image = decode(number)
        if number % (count // PREVIEWS) == 0:
            previews.append(image)
    _previews = previews


def work() -> None:
    import_night(next(_nights))


def work_fixed() -> None:
    import_night_one_by_one(next(_fixed_nights))


def leaked() -> int:
    """MiB of this process in memory."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 2**20


EXPECTED = Expected(
    type=(),
    kind=("fragmentation", "libc-retention"),
    line=None,
    per_round=1,
    exact=False,
)
