"""Every build registers the removal of its workspace with ``atexit``, and has it removed.

For a command that ends after one build this is right.  In the build server the process
does not end, and the registrations of all finished builds wait for it.
"""

from __future__ import annotations

import atexit
import itertools
import sys
from typing import ClassVar

from examples.leaks._expected import Expected


class Workspace:
    def __init__(self, number: int) -> None:
        self.number = number
        self.files = {f"build-{number}/part-{part}.o": b"" for part in range(5)}
        self.register()

    def register(self) -> None:
        atexit.register(self.remove)  # leaks

    def __enter__(self) -> Workspace:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        self.files.clear()


class FixedWorkspace(Workspace):
    """One registration for all; at exit it removes those that are still there."""

    live: ClassVar[set[Workspace]] = set()

    def register(self) -> None:
        self.live.add(self)

    def remove(self) -> None:
        super().remove()
        self.live.discard(self)


@atexit.register
def remove_all() -> None:
    for workspace in list(FixedWorkspace.live):
        workspace.remove()


_numbers = itertools.count(1)


def work() -> None:
    for number in itertools.islice(_numbers, 50):
        with Workspace(number) as workspace:  # leaks
            assert len(workspace.files) == 5


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 50):
        with FixedWorkspace(number) as workspace:
            assert len(workspace.files) == 5


def leaked() -> int:
    """Each instance refers to its class."""
    return sys.getrefcount(Workspace)


EXPECTED = Expected(
    type=("Workspace", "method"),
    kind="callback",
    holder="atexit",
    per_round=50,
)
