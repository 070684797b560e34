"""Parsed documents are cycles of parents and children; the collector is on, and frees them.

Between two collections they do pile up.  That is how it is meant to be.
"""

from __future__ import annotations

import gc
import itertools

LIMIT = 0


class Element:
    def __init__(self, name: str, parent: Element | None = None) -> None:
        self.name = name
        self.parent = parent
        self.children: list[Element] = []
        if parent:
            parent.children.append(self)


_documents = itertools.count(1)


def parse(number: int) -> Element:
    root = Element(f"document {number}")
    for section in range(8):
        Element(f"section {section}", root)
    return root


def work() -> None:
    for number in itertools.islice(_documents, 40):
        assert len(parse(number).children) == 8


def size() -> int:
    gc.collect()
    return sum(type(thing) is Element for thing in gc.get_objects())
