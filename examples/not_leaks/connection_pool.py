"""The pool opens a connection when none is free, up to eight, and closes none.

Every round has two more requests at a time than the one before, until there are eight.
"""

from __future__ import annotations

import itertools
import sqlite3

LIMIT = 8


class Pool:
    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.free: list[sqlite3.Connection] = []
        self.opened = 0

    def take(self) -> sqlite3.Connection:
        if self.free:
            return self.free.pop()
        if self.opened == self.limit:
            raise TimeoutError("no connection is free")
        self.opened += 1
        return sqlite3.connect(":memory:")

    def give_back(self, connection: sqlite3.Connection) -> None:
        self.free.append(connection)


_pool = Pool(LIMIT)
_rounds = itertools.count(1)


def work() -> None:
    at_once = min(2 * next(_rounds), LIMIT)
    for _ in range(20):
        connections = [_pool.take() for _ in range(at_once)]
        for connection in connections:
            assert connection.execute("select 1").fetchone() == (1,)
            _pool.give_back(connection)


def close() -> None:
    for connection in _pool.free:
        connection.close()


def size() -> int:
    return _pool.opened
