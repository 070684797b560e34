"""Every connection starts a heartbeat thread; when the connection ends, the thread does not.

Each waits on an event of its own, which nobody sets.  ``threading.enumerate()`` is long, and
each of its threads has a stack, an object, and the connection it was made for.
"""

from __future__ import annotations

import itertools
import threading

from examples.leaks._expected import Expected


class Connection:
    def __init__(self, number: int) -> None:
        self.number = number
        self.closed = threading.Event()
        self.beats = 0

    def beat(self) -> None:
        while not self.closed.wait(timeout=3600):
            self.beats += 1


_numbers = itertools.count(1)


def connect(number: int, *, close: bool = False) -> int:
    connection = Connection(number)  # leaks
    heartbeat = threading.Thread(target=connection.beat, name=f"beat-{number}")  # leaks
    heartbeat.daemon = True
    heartbeat.start()
    if close:
        connection.closed.set()
        heartbeat.join()
    return connection.number


def work() -> None:
    for number in itertools.islice(_numbers, 10):
        connect(number)


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 10):
        connect(number, close=True)


def close() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("beat-"):
            thread._target.__self__.closed.set()  # type: ignore[attr-defined]
            thread.join()


def leaked() -> int:
    return sum(thread.name.startswith("beat-") for thread in threading.enumerate())


EXPECTED = Expected(
    type=("Thread", "Connection"),
    kind="thread",
    holder=("module threading -> _active", "beat-", "thread"),
    per_round=10,
)
