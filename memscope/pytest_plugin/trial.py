"""Whether rounds leave more and more behind, found out without a walk of the heap.

A walk takes a hundred times as long as a small test, so a test is tried without one first.
After each round its garbage is collected (``screening.Sweeper``) and the interpreter's caches are
emptied: what lives then is held by somebody.  A leak shows in one of two ways:

    blocks        Live bytes changed, and blocks that were allocated live, both in as many
                  rounds as a leak must have.  Bytes alone change too where something larger
                  takes the place of another, and a block may change hands where nothing becomes
                  more.  A buffer that grows is one block, and told by its size.
    containers    Their lengths: what was there before, put into a list that has room,
                  allocates nothing.  Containers that the rounds made are left out, for they may
                  lie where others lay.

A leak comes with every second round, or with half of them in some other order, and has begun by the
middle of them.  So if none has shown by then, or those that are left are too few for one, they are
not run.

The free lists are empty when a round begins.  So an object that it makes lies in a block that it
allocated, although the tracer does not see who takes an object from a free list; or in that of
an older one which it dropped, and if that was replaced, there is a new block after all.

Each rule is weaker than those of ``memscope.piles`` and ``memscope.leak_analysis``, so what they
would call growth shows here.  A sign is no proof, but worth a ``Watch``.  Not seen are, in a
test that leaks nothing else,

    * texts and numbers that were there before, put into a dict that has room, holds nothing
      but such, and is no value of a dict, as a module's is: before CPython 3.14 the collector
      does not track it
    * a chain of tuples or other objects with a free list, if the rounds take as many old ones of
      the kind out of use
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

from memscope import _memscope
from memscope.pytest_plugin import screening

if TYPE_CHECKING:
    from memscope.pytest_plugin.containers import Containers

__all__ = ["Trial", "enough_of"]

MOST_EPOCHS = 100
"""Rounds whose blocks the tracer can tell apart, those of others among them."""

ENOUGH = 3
"""Rounds after which a leak that comes with each is plain."""

LEAST_OF_BUFFER = 512
"""Bytes for each round, half of what ``memscope.leak_analysis`` has a buffer grow by."""


def enough_of(rounds: int) -> int:
    """How many of these show that there is no leak, if they leave nothing: those up to the middle,
    and two, for what comes with every second one."""
    return min(max(rounds // 2, 2), rounds)


class Trial:
    """Up to so many rounds, which begin now, after a first run."""

    def __init__(
        self,
        rounds: int,
        scale: screening.Scale,
        sweeper: screening.Sweeper,
        containers: Containers,
    ) -> None:
        self._scale = scale
        self._containers = containers
        self._sweeper = sweeper
        self._rounds = rounds
        self._least_rise = max((rounds - 1) // 2, 1)
        """Entries that a container must have got to be suspected."""
        self._least_changes = max(rounds // 2, 2)
        """Rounds after which what lives must have been another number of bytes."""
        self._half = (rounds + 1) // 2
        """Rounds in which a pile must grow (``piles.grows``)."""
        self.over = 0
        """Rounds that were run."""
        self._left = screening.leftovers()
        # Arrays: what is noted after a round must not be growth itself.
        self._bytes = array("Q", [0] * (rounds + 1))
        self._epochs = array("Q", [0] * (rounds + 1))
        # What is in the free lists now, and not noted, is freed before the first round.
        containers.note()
        scale.zero()

    def note(self, over: int) -> None:
        """Note what lives after so many rounds.

        First before any: from the same line as the others, so that the same objects of the
        interpreter's live at each time.
        """
        self.over = over
        # First the epoch: what is in the free lists after them is from the next one.
        if _memscope.is_tracing():
            self._epochs[self.over] = _memscope.advance_epoch()
        self._sweeper.sweep()
        self._bytes[self.over] = _memscope.get_traced_memory()[0]

    def is_plain(self) -> bool:
        """Whether a leak shows by now, the same in each round: more of them would say no more."""
        steps = self._steps()
        return (
            self.over == ENOUGH
            and 0 < max(steps) <= 2 * min(steps)
            and self._leaves_blocks(ENOUGH - 1)
        )

    def is_clean(self) -> bool:
        """Whether nothing has shown, and the rounds that are left are too few for a leak.  Cost: a
        pass over the containers, at one of the rounds."""
        left = self._rounds - self.over
        if not self.over or not left or not _memscope.is_tracing():
            return False
        first, *later = self._steps()
        if not first and not any(later):
            return self.over >= enough_of(self._rounds) and not self._has_grown(left)
        if abs(first) >= LEAST_OF_BUFFER * self._rounds:
            return False
        if not any(later):
            # What comes with every second round would have shown, and what grows in longer steps,
            # a buffer, cannot grow twice in those that are left.
            can_leak = len(later) < max(left, 2)
        else:
            can_leak = sum(map(bool, later)) + left >= self._least_changes
        return not can_leak and self._is_minority(left) and not self._has_grown(left)

    def _is_minority(self, left: int) -> bool:
        """Whether rounds that left something, with those to come, are fewer than half.

        The first may change what lives, and leave nothing: its objects come in the place of those
        of the run before all, which had others, and make room for those of the second.
        """
        first, *later = self._steps()
        changes = sum(map(bool, later)) + left
        if changes + bool(first) < self._half:
            return True
        return changes < self._half and not self._left_by_first()

    def _left_by_first(self) -> bool:
        """Whether blocks of the first round live.  Cost: a pass over the pages of blocks."""
        epochs = tuple(range(self._epochs[0], self._epochs[1]))
        return not 0 < len(epochs) < MOST_EPOCHS or _memscope.memory_of_epochs(epochs)[1] > 0

    def _has_grown(self, left: int) -> bool:
        """Whether something else shows by now, or may with the rounds that are left."""
        rise = self._rise()
        return (
            rise >= max(self.over // 2, 1)
            or rise + left >= max(self._rounds - 1, 1)
            or bool(screening.settled(self._left))
            or self._scale.native() > 0
        )

    def suspects(self) -> bool:
        """Whether the rounds may have left more and more behind.  Cost: a pass over the
        containers."""
        return (
            not _memscope.is_tracing()
            or self.left_other_things()
            or self._rise() >= self._least_rise
            or (self._goes_on() and self._leaves_blocks(self._least_rise))
        )

    def left_other_things(self) -> bool:
        """Whether there are threads or files more, for each round, or memory that is no Python's:
        no collection would change that."""
        left = screening.settled(self._left)
        most = max(len(left.threads), len(left.files))
        return most >= self._rounds or self._scale.native() > 0

    def _rise(self) -> int:
        """Entries that the container got that got most; if that cannot be told, enough for a
        sign."""
        rise = self._containers.longest_rise(self._epochs[0])
        return self._rounds if rise is None else rise

    def _goes_on(self) -> bool:
        """Whether enough rounds changed what lives, up to the end: a pause that is longer than any
        before is the end of it (``piles.grows``)."""
        changes = [bool(step) for step in self._steps()]
        pauses = [len(pause) for pause in "".join(" +"[one] for one in changes).split("+")]
        return sum(changes) >= self._least_changes and pauses[-1] <= max([*pauses[:-1], 1])

    def _leaves_blocks(self, least: int) -> bool:
        """Whether so many rounds left blocks; not counted the last, for what it put in the place
        of others is no growth.  Or whether blocks, perhaps one, hold what a buffer must."""
        epochs = list(pairwise(self._epochs[: self.over + 1]))
        traced = _memscope.is_tracing() and all(first < after for first, after in epochs)
        if not traced or self.over > MOST_EPOCHS:
            return True
        first, _ = epochs[0]
        columns = _memscope.take_snapshot().filter((), min_epoch=first, max_epoch=epochs[-1][1] - 1)
        rose = sum(step for step in self._steps() if step > 0)
        if min(rose, columns.total_size) >= LEAST_OF_BUFFER * self.over:
            return True
        busy = sum(
            len(columns.filter((), min_epoch=first, max_epoch=after - 1)) > 0
            for first, after in epochs[:-1]
        )
        return busy >= least

    def _steps(self) -> list[int]:
        """By how many bytes each round changed what lives."""
        return [after - before for before, after in pairwise(self._bytes[: self.over + 1])]
