"""Every job installs a SIGUSR1 handler that tells its progress, and then calls the one before.

"Be polite to whoever else handles the signal": the others are all the jobs that ever ran,
each holding the next older one.
"""

from __future__ import annotations

import itertools
import signal
from types import FrameType

from examples.leaks._expected import Expected


class ImportJob:
    def __init__(self, number: int) -> None:
        self.number = number
        self.rows = [f"row {number}-{row}" for row in range(10)]
        self.done = 0


def run(number: int, *, restore: bool = False) -> int:
    job = ImportJob(number)  # leaks
    previous = signal.getsignal(signal.SIGUSR1)

    def tell(signum: int, frame: FrameType | None) -> None:  # leaks
        print(f"job {job.number}: {job.done} of {len(job.rows)}")
        if callable(previous):
            previous(signum, frame)

    signal.signal(signal.SIGUSR1, tell)
    try:
        for _ in job.rows:
            job.done += 1
        return job.done
    finally:
        if restore:
            signal.signal(signal.SIGUSR1, previous)


_numbers = itertools.count(1)


def work() -> None:
    for number in itertools.islice(_numbers, 30):
        assert run(number) == 10


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 30):
        assert run(number, restore=True) == 10


def close() -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)


def leaked() -> int:
    """How many handlers are behind the one that is installed."""
    handler, count = signal.getsignal(signal.SIGUSR1), 0
    while callable(handler):
        count += 1
        cells = dict(zip(handler.__code__.co_freevars, handler.__closure__ or (), strict=True))
        handler = cells["previous"].cell_contents
    return count


EXPECTED = Expected(
    type=("ImportJob", "function"),
    kind="callback",
    holder=("SIGUSR1", "signal"),
    per_round=30,
)
