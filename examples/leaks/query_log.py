"""Every request adds its SQL to ``_context.queries``, a thread-local that nobody empties.

With a thread for each request it was empty each time.  Then came a pool: its threads do not
end, and neither do their thread-locals.
"""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

from examples.leaks._expected import Expected


class Query:
    def __init__(self, sql: str, rows: int) -> None:
        self.sql = sql
        self.rows = rows


class Context(threading.local):
    def __init__(self) -> None:
        self.queries: list[Query] = []


_context = Context()
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="web")
_requests = itertools.count(1)


def execute(sql: str) -> None:
    _context.queries.append(Query(sql, len(sql)))  # leaks


def handle(number: int) -> int:
    execute(f"select * from orders where id = {number}")
    execute(f"update orders set seen = 1 where id = {number}")
    return len(_context.queries)


def handle_fixed(number: int) -> int:
    """What belongs to a request ends with it."""
    try:
        return handle(number)
    finally:
        _context.queries.clear()


def work() -> None:
    list(_pool.map(handle, itertools.islice(_requests, 50)))


def work_fixed() -> None:
    list(_pool.map(handle_fixed, itertools.islice(_requests, 50)))


def close() -> None:
    _pool.shutdown()


_both = threading.Barrier(2)


def _count() -> int:
    _both.wait()  # so that each thread of the pool is asked once
    return len(_context.queries)


def leaked() -> int:
    return sum(future.result() for future in [_pool.submit(_count), _pool.submit(_count)])


EXPECTED = Expected(
    type="Query",
    kind="thread-local",
    holder="queries",
    per_round=100,
)
