"""Every report listens to the engine, to count its own statements, and never stops.

``event.listen`` is for the life of the engine.  Each statement runs the counters of all
reports so far; SQLAlchemy's registry holds each of them.
"""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.pool import StaticPool

from examples.leaks._expected import Expected

engine = create_engine("sqlite://", poolclass=StaticPool)
_numbers = itertools.count(1)


class StatementCounter:
    def __init__(self, report: int) -> None:
        self.report = report
        self.statements: list[str] = []

    def __call__(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if len(self.statements) < 3:
            self.statements.append(statement)


def report(engine: Engine, number: int, *, remove: bool = False) -> int:
    counter = StatementCounter(number)  # leaks
    event.listen(engine, "before_cursor_execute", counter)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    if remove:
        event.remove(engine, "before_cursor_execute", counter)
    return len(counter.statements)


def work() -> None:
    for number in itertools.islice(_numbers, 15):
        assert report(engine, number) == 1


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 15):
        assert report(engine, number, remove=True) == 1


def close() -> None:
    engine.dispose()


def leaked() -> int:
    return len(list(engine.dispatch.before_cursor_execute))


EXPECTED = Expected(
    type="StatementCounter",
    kind="callback",
    holder=(
        "module examples.leaks.sqlalchemy_listeners -> engine",
        "module sqlalchemy.event.registry",
    ),
    per_round=15,
)
