"""Every new worker is forked after ``gc.freeze()``, and each freeze keeps the garbage for good.

Freezing once, before the first fork, saves copied pages.  Here it is in the function that
starts a worker: what is frozen is never collected, not even by ``gc.collect()``.
"""

from __future__ import annotations

import gc
import itertools
import sys

from examples.leaks._expected import Expected


class Worker:
    def __init__(self, number: int) -> None:
        self.number = number
        self.channel = Channel(self)  # leaks


class Channel:
    def __init__(self, worker: Worker) -> None:
        self.worker = worker  # a cycle, as in every pair that knows each other
        self.buffer = [0] * 20


_numbers = itertools.count(1)


def start_worker(number: int) -> int:
    worker = Worker(number)  # leaks
    return worker.number  # os.fork() would be here


def work() -> None:
    for number in itertools.islice(_numbers, 40):
        start_worker(number)
    gc.freeze()


def work_fixed() -> None:
    """What was frozen is given back, and garbage is collected before a freeze, not after."""
    for number in itertools.islice(_numbers, 40):
        start_worker(number)
    gc.unfreeze()
    gc.collect()


def close() -> None:
    gc.unfreeze()
    gc.collect()


def leaked() -> int:
    """Frozen objects are in no list that gc gives out, but each refers to its class."""
    return sys.getrefcount(Worker)


EXPECTED = Expected(
    type=("Worker", "Channel"),
    kind="uncollected-cycle",
    per_round=40,
)
