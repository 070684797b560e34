"""How much the program's containers hold, without pytest's own: each test has some twenty, its
reports ten more, and what is known is read for each test that asks to be judged."""

from __future__ import annotations

import gc
import sys
from collections import deque
from typing import TYPE_CHECKING

import pytest

from memscope import _memscope

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Containers", "held_by"]


class Containers:
    """Those of the program that runs these tests, and their lengths at one moment."""

    def __init__(self, tests: Iterable[pytest.Item] = ()) -> None:
        self._tests = tests
        self._lengths = _memscope.Lengths()
        # No more, for others than tests that ask nobody fetches them.
        self._owners: deque[pytest.Item | pytest.TestReport] = deque(maxlen=32)

    def leave_out(self, owner: pytest.Item | pytest.TestReport) -> None:
        """What it has when lengths are noted next is not the program's."""
        self._owners.append(owner)

    def note(self) -> None:
        """Note the lengths.  Cost: as Lengths.note, and the first time a look at each test."""
        self._leave_out(found_anew=self._lengths.note())

    def note_hot(self) -> None:
        """Those of containers that changed lately, to be compared by renew() (Lengths.note_hot)."""
        self._leave_out(found_anew=self._lengths.note_hot())

    def _leave_out(self, *, found_anew: bool) -> None:
        owners: Iterable[object] = self._owners
        if found_anew:
            owners = [*self._tests, *_memscope.gc_objects([pytest.TestReport])]
        self._lengths.leave_out(held_by(owners))
        self._owners.clear()

    def longest_rise(self, before: int) -> int | None:
        """By how many entries that one grew that grew most (Lengths.longest_rise)."""
        return self._lengths.longest_rise(before)

    def renew(self, before: int) -> int | None:
        """As longest_rise(), after note_hot() too; what they hold now is noted (Lengths.renew)."""
        return self._lengths.renew(before)

    def __len__(self) -> int:
        return len(self._lengths)


def held_by(owners: Iterable[object]) -> list[object]:
    """The containers that nobody has but one of these tests and reports, and what pytest made for
    it alone.  Not the parameters of a test: they are the program's."""
    found: list[object] = []
    left = [(owner, False) for owner in owners]
    while left:
        holder, is_of_pytest = left.pop()
        for each in gc.get_referents(holder):
            kind = type(each)
            if kind in CONTAINERS:
                if is_of_pytest or sys.getrefcount(each) == ALONE:
                    found.append(each)
                    left.append((each, False))
            elif kind.__name__ in OF_ONE_TEST:
                left.append((each, True))
    return found


CONTAINERS = {list, dict, set}
OF_ONE_TEST = {"FuncFixtureInfo", "NodeKeywords", "Stash", "SubRequest", "TopRequest"}
"""Classes of pytest's, each object of which is one test's."""


def _count_of_one() -> int:
    """What sys.getrefcount() says, in such a loop, of what only one has."""
    holder = [object()]
    for each in gc.get_referents(holder):
        count = sys.getrefcount(each)
    return count


ALONE = _count_of_one()
