"""Every report opens an SQLite database of its own, and the report list keeps it open.

"with connection" commits; it does not close.  That surprises everyone once.
"""

from __future__ import annotations

import itertools
import sqlite3

from examples.leaks._expected import Expected


class Report:
    def __init__(self, number: int) -> None:
        self.number = number
        self.database = sqlite3.connect(":memory:")  # leaks

    def build(self) -> int:
        with self.database:
            self.database.execute("create table sale (cents integer)")
            self.database.executemany("insert into sale values (?)", [(n,) for n in range(20)])
        total: int = self.database.execute("select sum(cents) from sale").fetchone()[0]
        return total


_databases: list[sqlite3.Connection] = []
_numbers = itertools.count(1)


def show(number: int, *, close: bool = False) -> int:
    report = Report(number)
    _databases.append(report.database)  # "to close them all at the end"
    total = report.build()
    if close:
        report.database.close()
        _databases.remove(report.database)
    return total


def work() -> None:
    for number in itertools.islice(_numbers, 10):
        assert show(number) == 190


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 10):
        assert show(number, close=True) == 190


def close() -> None:
    for database in _databases:
        database.close()
    _databases.clear()


def leaked() -> int:
    return len(_databases)


EXPECTED = Expected(
    type="Connection",
    kind="unclosed-resource",
    holder="module examples.leaks.report_databases -> _databases",
    per_round=10,
)
