"""Every job that ever ran is still in ``Job.started``, a list on the class.

It looks like a field with a default.  It is one list, shared by all instances and as old
as the process; the dashboard that showed "jobs running" counted all that ever ran.
"""

from __future__ import annotations

import itertools
from typing import ClassVar

from examples.leaks._expected import Expected

_numbers = itertools.count(1)


class Job:
    started: ClassVar[list[Job]] = []

    def __init__(self, number: int, command: str) -> None:
        self.number = number
        self.command = command
        self.output: list[str] = []
        Job.started.append(self)

    def run(self) -> None:
        self.output.append(f"{self.command}: ok")

    def finish(self) -> None:
        Job.started.remove(self)


def work() -> None:
    for number in itertools.islice(_numbers, 80):
        job = Job(number, f"resize image-{number}.png")  # leaks
        job.run()


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 80):
        job = Job(number, f"resize image-{number}.png")
        try:
            job.run()
        finally:
            job.finish()


def leaked() -> int:
    return len(Job.started)


EXPECTED = Expected(
    type="Job",
    kind="growing-container",
    holder="module examples.leaks.jobs_of_the_class -> Job -> started",
    per_round=80,
)
