"""What the interpreter keeps for its own use, and which looks like what a program retains.

    free lists    blocks that the next object of their kind gets
    type cache    the names of attributes that were looked up last, up to 4096 of them; a name
                  that is made anew for each look is another each time

They are emptied before memory is compared.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["all_frozen", "empty_caches", "empty_free_lists", "empty_type_cache", "has_frozen"]

FROZEN_BY_CPYTHON = 1000 if sys.version_info[:2] == (3, 12) else 0
"""Objects at most that are frozen without the program's doing: 3.12 begins with some 400 of its
own.  A program that freezes, freezes all that it has by then, several thousand at least."""

empty_type_cache: Callable[[], object] = (
    getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
)


def has_frozen() -> bool:
    """Whether the program has frozen objects (gc.freeze()).  What CPython 3.12 froze at its start
    is old after an unfreezing, not frozen, as in all others."""
    return gc.get_freeze_count() > FROZEN_BY_CPYTHON


@contextlib.contextmanager
def all_frozen() -> Iterator[bool]:
    """A full collection has nothing to do with what there is now, and takes no time; False if that
    cannot be had, because the program has frozen some itself."""
    if has_frozen():
        yield False
        return
    gc.freeze()
    try:
        yield True
    finally:
        gc.unfreeze()


def empty_free_lists() -> bool:
    """Empty them without a look at any object; False if that cannot be had, because the program has
    frozen some.

    It is a full collection that empties the free lists, and it has nothing else to do if all is
    frozen.  Not with all_frozen(): what that is made of would be in the free lists again.
    """
    if has_frozen():
        return False
    gc.freeze()
    try:
        gc.collect()
    finally:
        gc.unfreeze()
    return True


def empty_caches() -> bool:
    """Empty both, as empty_free_lists() does."""
    empty_type_cache()
    return empty_free_lists()
