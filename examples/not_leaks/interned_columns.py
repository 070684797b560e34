"""Column names are interned as they are read: there are only as many as the table has columns.

Each row has strings of its own for them; the interned ones are shared, and the same each time.
"""

from __future__ import annotations

import itertools
import sys

COLUMNS = ("order", "customer", "product", "cents", "currency", "country")
LIMIT = len(COLUMNS)

_rows = itertools.count(1)
_names: set[str] = set()


def read(row: int) -> dict[str, str]:
    line = ",".join(f"{column.upper().lower()}={row}" for column in COLUMNS)
    pairs = (pair.partition("=") for pair in line.split(","))
    return {sys.intern(name): value for name, _, value in pairs}


def work() -> None:
    for row in itertools.islice(_rows, 60):
        _names.update(read(row))


def size() -> int:
    return len(_names)
