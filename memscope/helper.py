"""A thread of ours in somebody's program: checkpoints by the clock, and what a signal asks for.

The threading module does not know it, so the program counts its threads as ever.  It blocks
all signals, so that they reach the program's own.  It is not there while the program forks,
which CPython would warn of.
"""

from __future__ import annotations

import _thread
import gc
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Helper", "Pace"]

FIRST, LONGEST = 0.05, 60.0
"""Seconds to the first checkpoint, and most between two."""

GROWTH = 1.5
"""Each wait is so much longer than the one before: a short program gets some checkpoints,
and one that runs for days does not get too many."""

EARLY, COST_EARLY, COST = 6, 3, 30
"""A wait is at least COST times as long as the checkpoint before it took; the first few,
without which nothing can be said, may cost more."""


class Pace:
    """When the next checkpoint is due."""

    def __init__(self, interval: float | None) -> None:
        """Every *interval* seconds; 0: never; None: by what a checkpoint costs."""
        self.interval = interval
        self.wait = FIRST if interval is None else min(interval, _thread.TIMEOUT_MAX)
        self.planned = FIRST
        self.count = 0

    def passed(self, seconds: float) -> None:
        """A checkpoint took *seconds*."""
        if self.interval is not None:
            return
        self.count += 1
        self.planned = min(self.planned * GROWTH, LONGEST)
        self.wait = max(self.planned, (COST if self.count >= EARLY else COST_EARLY) * seconds)


class Helper:
    """Calls *checkpoint* by the clock, and *answer* after ask(), in a thread of its own."""

    def __init__(
        self,
        interval: float | None,
        checkpoint: Callable[[], None],
        answer: Callable[[], None],
    ) -> None:
        self.pace = Pace(interval)
        self.checkpoint = checkpoint
        self.answer = answer
        self.checkpoints = False
        self.running = False
        self.ending = False
        self.ended = False
        self.wanted = 0
        # Locks and nothing from threading or queue: they are released from a signal handler.
        self.wake = _thread.allocate_lock()
        self.gone = _thread.allocate_lock()
        self.thread = self.native = 0

    def begin(self, *, checkpoints: bool) -> None:
        self.checkpoints = checkpoints and self.pace.wait > 0
        if self.checkpoints:
            self._start()

    def ask(self) -> None:
        """Have *answer* called soon.  May be called in a signal handler."""
        self.wanted += 1
        if self.running:
            self._wake()
        elif not self.ended:
            self._start()

    def pause(self) -> None:
        """End the thread and wait until it is gone, also for the system."""
        if not self.running or _thread.get_ident() == self.thread:
            return
        self.ending = True
        self._wake()
        with self.gone:
            pass
        task = f"/proc/self/task/{self.native}"
        for _ in range(200):
            if not os.path.exists(task):
                break
            time.sleep(0.0005)

    def resume_later(self) -> None:
        """Begin again at the next garbage collection.

        Not at once: some versions count the threads after a fork, when this is called,
        to warn of forking with threads.
        """
        if self.checkpoints and not self.running and not self.ended:
            gc.callbacks.append(self._resume)

    def _resume(self, phase: str, info: dict[str, int]) -> None:
        with suppress(ValueError):
            gc.callbacks.remove(self._resume)
        if not self.running and not self.ended:
            self._start()

    def end(self) -> None:
        """For good; waits for a checkpoint or an answer that is being made."""
        self.ended = True
        self.pause()

    def forget(self) -> None:
        """In a forked process, where the thread is not."""
        self.ended = True
        self.running = False

    # -- inside

    def _start(self) -> None:
        self.running, self.ending = True, False
        self.wake, self.gone = _thread.allocate_lock(), _thread.allocate_lock()
        self.wake.acquire()
        self.gone.acquire()
        self.native = 0
        try:
            self.thread = _thread.start_new_thread(self._work, ())
        except RuntimeError:  # no more threads: the report goes without checkpoints
            self.running = False

    def _wake(self) -> None:
        with suppress(RuntimeError):  # it is awake
            self.wake.release()

    def _work(self) -> None:
        try:
            self.native = _thread.get_native_id()
            if hasattr(signal, "pthread_sigmask"):
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            due = time.monotonic() + self.pace.wait
            while True:
                if self.checkpoints:
                    self.wake.acquire(timeout=max(due - time.monotonic(), 0))
                elif not self.wanted:
                    self.wake.acquire()
                if self.ending:
                    break
                if self.wanted:
                    self.wanted -= 1
                    self.answer()
                elif self.checkpoints and time.monotonic() >= due:
                    begun = time.monotonic()
                    self.checkpoint()
                    self.pace.passed(time.monotonic() - begun)
                    due = time.monotonic() + self.pace.wait
        except Exception as error:
            with suppress(Exception):
                print(f"memscope: no more checkpoints: {error!r}", file=sys.__stderr__)
        finally:
            self.running = False
            self.gone.release()
