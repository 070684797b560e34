"""Whether a test shows a sign of a leak, found out without a walk of the heap.

A walk takes a hundred times as long as a small test, so it is for those that show a sign:

    a glance    one look before the first rounds, and one after those that are enough to say that
                there is no leak: nothing lives that did not, and no container has grown.  So it
                is with most tests, and with these that is all.
    a trial     what each round left (``trial``).  For a leak the sign must come twice: the first
                rounds may be unlike those after them, for what pytest made before memory was
                traced is replaced there by what the tracer knows.  And what a run replaces when
                it is old, the second time is collected.

A glance compares sums, and what containers held at the end of the last one.  So it does not see a
leak that something else makes good to the byte between its looks, nor one into a container that
had become as much shorter, since the last glance, as it then grew.

It leaves caches and old garbage alone, and rounds that leave something are run again in the
trial.  Where that is so with one test, it is so with others that have the same fixtures, and there
it is tried less often.
"""

from __future__ import annotations

import gc
from array import array
from typing import TYPE_CHECKING

from memscope import _memscope
from memscope.caches import empty_free_lists, empty_type_cache
from memscope.pytest_plugin import screening
from memscope.pytest_plugin.repeats import CannotRepeatError
from memscope.pytest_plugin.trial import Trial, enough_of

if TYPE_CHECKING:
    from memscope.pytest_plugin.containers import Containers
    from memscope.pytest_plugin.outcome import Outcome
    from memscope.pytest_plugin.repeats import Repeats, Unseen

__all__ = ["Backoff", "Signs"]

MOST_WAIT = 64
"""Tests for which a Backoff waits at most."""


class Backoff:
    """Whether what is cheap if it works is worth a try, with tests of some kind: after each failure
    not for twice as many of them as before."""

    def __init__(self) -> None:
        self._waits: dict[object, tuple[int, int]] = {}

    def is_due(self, kind: object) -> bool:
        left, last = self._waits.get(kind, (0, 0))
        if left:
            self._waits[kind] = left - 1, last
        return not left

    def note(self, kind: object, *, worked: bool) -> None:
        last = 0 if worked else min(max(2 * self._waits.get(kind, (0, 0))[1], 1), MOST_WAIT)
        self._waits[kind] = last, last


class Signs:
    """Looks for them in one test after the other."""

    def __init__(self, scale: screening.Scale, containers: Containers) -> None:
        self._scale = scale
        self._containers = containers
        self._glances, self._glances_with_names = Backoff(), Backoff()
        self._resident = scale.resident()
        """Bytes at the end of the last glance."""
        # What a look reads must not be growth itself.
        self._bytes = array("Q", [0, 0, 0])

    def turns(
        self,
        repeats: Repeats,
        unseen: Unseen,
        outcome: Outcome,
        rounds: int,
        before: screening.Leftovers,
        sweeper: screening.Sweeper | None = None,
    ) -> tuple[int, ...]:
        """Of how many runs each round is to be that may show a leak, one try after the other: what
        comes with every second run comes with each two of them.  Empty without a sign.

        *before*: what there was before the test.  Raises CannotRepeatError.
        """
        if not screening.collects():
            repeats.run_unseen(unseen)
            return (1, 2)
        enough = enough_of(rounds)
        if enough < rounds and self._sees_nothing(repeats, unseen, enough, before):
            outcome.rounds = enough
            return ()
        sweeper = screening.Sweeper() if sweeper is None else sweeper
        trial, tries = self._try(repeats, unseen, outcome, rounds, sweeper)
        if not tries or trial.left_other_things():
            return tries
        try:
            with sweeper.exactly():
                repeats.run_unseen(unseen)
                return self._try(repeats, unseen, outcome, rounds, sweeper)[1]
        except CannotRepeatError:  # perhaps it missed what is frozen
            return (1, 2)

    def _sees_nothing(
        self, repeats: Repeats, unseen: Unseen, runs: int, before: screening.Leftovers
    ) -> bool:
        """Whether so many runs leave nothing: the glance.  False if it is not worth one."""
        kind = tuple(getattr(repeats.item, "fixturenames", ()))
        if not self._glances.is_due(kind):
            return False
        epoch = _memscope.advance_epoch()
        self._containers.note_hot()
        with_names = self._glances_with_names.is_due(kind)
        if not with_names:
            empty_type_cache()
        # Each look from the same line: the same objects of the interpreter's live then.
        is_same = False
        for look in (0, 1, 2):
            if look == 2:  # perhaps names of attributes, made for one use each
                empty_type_cache()
            for _ in range(runs if look == 1 else 0):
                repeats.run_unseen(unseen)
            self._look(look)
            is_same = look > 0 and self._bytes[look] == self._bytes[0]
            if is_same or (look == 1 and with_names):
                break
        if with_names:
            self._glances_with_names.note(kind, worked=is_same)
            if not is_same:
                return False
        resident = self._scale.resident()
        sees_nothing = (
            is_same
            and resident - self._resident < screening.NATIVE_LEAST
            and self._containers.renew(epoch) == 0
            and not screening.settled(before)
        )
        self._resident = resident
        self._glances.note(kind, worked=sees_nothing)
        return sees_nothing

    def _look(self, look: int) -> None:
        screening.young_garbage()
        if not empty_free_lists():
            gc.collect()
        self._bytes[look] = _memscope.get_traced_memory()[0]

    def _try(
        self,
        repeats: Repeats,
        unseen: Unseen,
        outcome: Outcome,
        rounds: int,
        sweeper: screening.Sweeper,
    ) -> tuple[Trial, tuple[int, ...]]:
        trial = Trial(rounds, self._scale, sweeper, self._containers)
        for number in range(rounds + 1):
            if number:
                repeats.run_unseen(unseen)
            trial.note(number)
            outcome.rounds = trial.over
            if trial.is_plain():
                return trial, (1,)
            if trial.is_clean():
                return trial, ()
        return trial, (1, 2) if trial.suspects() else ()
