"""Every search is a regular expression of its own; ``re`` keeps those it has compiled.

Its cache is bounded (512 patterns), and nobody's but the interpreter's.
"""

from __future__ import annotations

import itertools
import re

LIMIT = 512

_searches = itertools.count(1)
PRODUCTS = [f"kettle {number}" for number in range(20)]


def search(words: str) -> list[str]:
    return [product for product in PRODUCTS if re.match(words, product)]


def work() -> None:
    for number in itertools.islice(_searches, 60):
        search(f"k[aeiou]t+le {number}$")


def size() -> int:
    return len(re._cache)  # type: ignore[attr-defined]
