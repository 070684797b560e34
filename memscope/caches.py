"""What the interpreter keeps for its own use, and which looks like what a program retains.

    free lists    blocks that the next object of their kind gets
    type cache    the names of attributes that were looked up last, up to 4096 of them; a name
                  that is made anew for each look is another each time

They are emptied before memory is compared.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FROZEN_BY_CPYTHON", "empty_caches", "empty_type_cache"]

FROZEN_BY_CPYTHON = 1000 if sys.version_info[:2] == (3, 12) else 0
"""Objects at most that are frozen without the program's doing: 3.12 begins with some 400 of its
own.  A program that freezes, freezes all that it has by then, several thousand at least."""

empty_type_cache: Callable[[], object] = (
    getattr(sys, "_clear_internal_caches", None) or sys._clear_type_cache
)


def empty_caches() -> bool:
    """Empty them without a look at any object; False if that cannot be had for the free lists,
    because the program has frozen some (gc.freeze()).

    It is a full collection that empties the free lists, and it has nothing else to do, and takes no
    time, if all is frozen.  What CPython 3.12 froze at its start is old after that, not frozen, as
    in all others.
    """
    empty_type_cache()
    if gc.get_freeze_count() > FROZEN_BY_CPYTHON:
        return False
    gc.freeze()
    try:
        gc.collect()
    finally:
        gc.unfreeze()
    return True
