"""Thumbnails are kept in a cache for 100,000; so few were asked for that it is nowhere near.

It grows in every round that anybody will watch, and it has a limit all the same: the limit
is in the cache, as ``maxsize``.
"""

from __future__ import annotations

import itertools
from collections.abc import MutableMapping

LIMIT = 100_000


class LRUCache:
    """As in cachetools: a mapping that knows its ``maxsize``."""

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        self._data: MutableMapping[str, bytes] = {}

    def __getitem__(self, key: str) -> bytes:
        value = self._data.pop(key)
        self._data[key] = value  # the newest one is last
        return value

    def __setitem__(self, key: str, value: bytes) -> None:
        while len(self._data) >= self.maxsize:
            del self._data[next(iter(self._data))]
        self._data[key] = value

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __len__(self) -> int:
        return len(self._data)


thumbnails = LRUCache(maxsize=LIMIT)
_images = itertools.count(1)


def thumbnail(name: str) -> bytes:
    if name not in thumbnails:
        thumbnails[name] = name.encode() * 4
    return thumbnails[name]


def work() -> None:
    for number in itertools.islice(_images, 80):
        assert thumbnail(f"image-{number}.png")


def size() -> int:
    return len(thumbnails)
