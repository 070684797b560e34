"""Errors are written to a log with their tracebacks, and then they are gone.

Formatting a traceback reads source files into ``linecache``: it keeps a file, not an error.
"""

from __future__ import annotations

import io
import itertools
import logging

LIMIT = 1

logger = logging.getLogger("shop.errors")
logger.propagate = False
_out = io.StringIO()
logger.addHandler(logging.StreamHandler(_out))
_numbers = itertools.count(1)


def convert(text: str) -> int:
    return int(text)


def handle(number: int) -> None:
    try:
        convert(f"{number} EUR")
    except ValueError:
        logger.exception("request %d", number)


def work() -> None:
    for number in itertools.islice(_numbers, 30):
        _out.seek(0)
        _out.truncate()
        handle(number)


def size() -> int:
    return _out.getvalue().count("Traceback")
