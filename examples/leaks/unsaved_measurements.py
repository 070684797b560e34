"""Every measurement is added to a session of SQLAlchemy that is never committed.

The writer thread was to commit "when the batch is full"; the batch size came from a setting
that is None.  The session holds all that is not yet written.
"""

from __future__ import annotations

import itertools

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from examples.leaks._expected import Expected


class Base(DeclarativeBase):
    pass


class Measurement(Base):
    __tablename__ = "measurement"
    id: Mapped[int] = mapped_column(primary_key=True)
    sensor: Mapped[str]
    celsius: Mapped[float]


engine = create_engine("sqlite://", poolclass=StaticPool)
Base.metadata.create_all(engine)
_session = Session(engine)
_numbers = itertools.count(1)


def record(number: int) -> None:
    _session.add(Measurement(sensor=f"sensor {number % 5}", celsius=20 + number % 9))  # leaks


def measure(batch: int | None) -> None:
    for number in itertools.islice(_numbers, 40):
        record(number)
        if batch and len(_session.new) >= batch:
            _session.commit()


def work() -> None:
    measure(batch=None)


def work_fixed() -> None:
    measure(batch=20)


def close() -> None:
    _session.close()
    engine.dispose()


def leaked() -> int:
    return len(_session.new)


EXPECTED = Expected(
    type=("Measurement", "InstanceState"),
    kind="growing-container",
    holder="module examples.leaks.unsaved_measurements -> _session -> _new",
    per_round=40,
)
