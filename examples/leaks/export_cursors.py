"""Every export that is broken off leaves a generator that waits to be asked for its next row.

The exports are kept by their token, so that "next page" can go on.  Most people look at the
first page only; the generator has read the whole file for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from examples.leaks._expected import Expected

_exports: dict[str, Iterator[str]] = {}
_numbers = itertools.count(1)


def rows(number: int) -> Iterator[str]:  # leaks
    orders = [(number, order, order * 100) for order in range(50)]
    for export, order, cents in orders:
        yield f"{export};{order};{cents}"


def first_page(number: int) -> list[str]:
    export = rows(number)  # leaks
    _exports[f"token-{number}"] = export
    return list(itertools.islice(export, 10))


def first_page_fixed(number: int) -> list[str]:
    """A page is a query of its own, with an offset: nothing is kept between two of them."""
    return list(itertools.islice(rows(number), 0, 10))


def work() -> None:
    for number in itertools.islice(_numbers, 30):
        assert len(first_page(number)) == 10


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 30):
        assert len(first_page_fixed(number)) == 10


def close() -> None:
    _exports.clear()


def leaked() -> int:
    return len(_exports)


EXPECTED = Expected(
    type="generator",
    kind="suspended-generator",
    holder="module examples.leaks.export_cursors -> _exports",
    per_round=30,
)
