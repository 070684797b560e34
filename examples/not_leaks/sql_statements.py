"""SQLAlchemy compiles each new statement once and keeps it: up to a size that it was given.

Reports build statements of any shape, so that the cache fills for some rounds.
"""

from __future__ import annotations

import itertools

from sqlalchemy import Column, Integer, MetaData, Table, create_engine, select
from sqlalchemy.pool import StaticPool

COLUMNS = 6
LIMIT = 60  # SQLAlchemy lets it grow by a half, and then cuts it back

engine = create_engine("sqlite://", poolclass=StaticPool, query_cache_size=40)
metadata = MetaData()
sales = Table("sales", metadata, *(Column(f"c{n}", Integer) for n in range(COLUMNS)))
metadata.create_all(engine)

# Which columns a report shows: each choice is another statement.
_choices = itertools.cycle(range(1, 2**COLUMNS))


def report(choice: int) -> int:
    columns = [column for n, column in enumerate(sales.c) if choice >> n & 1]
    with engine.connect() as connection:
        return len(connection.execute(select(*columns)).all())


def work() -> None:
    for choice in itertools.islice(_choices, 15):
        assert report(choice) == 0


def close() -> None:
    engine.dispose()


def size() -> int:
    return len(engine._compiled_cache or ())
