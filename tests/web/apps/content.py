"""What both sites answer."""

from __future__ import annotations

import random

TEXT = b"The quick brown fox jumps over the lazy dog.\n"
CHUNKS = [b"%d " % number * (number + 1) for number in range(40)]
BIG = random.Random(1).randbytes(2_000_000)
FILE = random.Random(2).randbytes(100_000)


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte of "bytes=first-last"; None: all of it."""
    unit, _, text = header.partition("=")
    first, dash, last = text.partition("-")
    if unit != "bytes" or not dash:
        return None
    if not first:
        return size - int(last), size - 1
    return int(first), int(last) if last else size - 1
