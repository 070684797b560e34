"""Exporters import what they need when they are first used, one after the other.

A module that is imported brings hundreds of objects, and stays.  It does so once.
"""

from __future__ import annotations

import importlib
import io
import itertools

MODULES = ("csv", "colorsys", "plistlib", "mailbox", "netrc", "wave")
LIMIT = len(MODULES)

_exports = itertools.count()
_used: set[str] = set()


def export(number: int) -> str:
    name = MODULES[number // 30 % len(MODULES)]
    _used.add(name)
    module = importlib.import_module(name)
    out = io.StringIO()
    out.write(f"{module.__name__}: row {number}\n")
    return out.getvalue()


def work() -> None:
    for number in itertools.islice(_exports, 60):
        assert export(number)


def size() -> int:
    return len(_used)
