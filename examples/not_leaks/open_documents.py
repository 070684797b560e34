"""All open documents are in a WeakValueDictionary, "so that two people edit the same one".

It holds none of them: a document that is closed by all is gone from it.
"""

from __future__ import annotations

import itertools
import weakref

LIMIT = 5


class Document:
    def __init__(self, number: int) -> None:
        self.number = number
        self.text = f"document {number}\n" * 10


_open: weakref.WeakValueDictionary[int, Document] = weakref.WeakValueDictionary()
_editors: dict[int, Document] = {}
_numbers = itertools.count(1)


def edit(number: int) -> Document:
    document = _open.get(number)
    if document is None:
        document = _open[number] = Document(number)
    return document


def work() -> None:
    for number in itertools.islice(_numbers, 80):
        document = edit(number)
        assert edit(number) is document
        _editors[number % LIMIT] = document  # the editor closes what was open before


def size() -> int:
    return len(_open)
