"""The join: one call that names what leaks, where it was allocated, and who holds it.

    report = memscope.diagnose(handle_request, rounds=5)
    print(report)

    watch = memscope.watch()            # for a service, which has no rounds
    ...
    watch.checkpoint("after an hour")
    print(watch.report())

How it works.  At a *baseline* and at each moment after it (the end of a round, or a
checkpoint), garbage is collected and one walk freezes the graph of all objects; the C core
carries on from graph to graph since when each object is there and whether it keeps growing
(heap/history.h).  Of the last graph, all that is newer than the baseline is charged to
what it piles up in (heap/survivors.h).  A pile is a leak if it grows again and again, up to
the end, at no falling rate: what fills up once and stops is a cache (``memscope.piles``).
What holds it is judged by what is seen on the way there (``memscope.verdicts``).

Memory is traced meanwhile, if it was not already, so that each leak has the line that
allocated it.  Cost: a walk for each moment, about a full collection, and 60 bytes for each
object until the report.
"""

from __future__ import annotations

import atexit
import gc
import marshal
import sys
import time
from typing import TYPE_CHECKING, Any

from memscope import _memscope

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from memscope._memscope import History, Join
    from memscope.leak_report import Aged, LeakReport

__all__ = ["LeakError", "Watch", "diagnose", "left_since", "watch"]

WARM_UP = 2
"""Rounds before the baseline: imports, caches and pools are then filled."""

ROUNDS = 5

NFRAME = 12
"""Frames of a traceback: enough to find the program's own code above a library's."""

MOST_TYPES = 20
WORKING_THRESHOLD = 1_000_000
"""A gc.get_threshold()[0] above which the collector does not run in practice."""


def diagnose(
    callable: Callable[[], object],  # noqa: A002 -- the name the design agreed on
    rounds: int = ROUNDS,
    *,
    warmup: int = WARM_UP,
    nframe: int = NFRAME,
    title: str | None = None,
) -> LeakReport:
    """Run *callable* again and again, and report what each round leaves behind.

    *warmup* rounds come before the baseline; *rounds* are judged, three or more tell a leak
    from a cache that fills.  *nframe*: frames of a traceback, 0 to trace no allocations.
    *title*: what the report calls it, by default the name of *callable*.

    Raises what *callable* raises, and ValueError for fewer than 1 round.  Cost: the rounds,
    and for each a walk of the heap, about a full collection.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, not {rounds}")
    if title is None:
        title = getattr(callable, "__qualname__", "") or type(callable).__qualname__
    for _ in range(warmup):
        callable()
    with Watch(nframe=nframe, title=title) as watched:
        for number in range(rounds):
            callable()
            watched.checkpoint(f"round {number + 1}")
    return watched.report()


def watch(*, nframe: int = NFRAME, title: str = "", **options: Any) -> Watch:
    """Watch the process from now on: a context manager, a decorator, or a detector.

        with memscope.watch() as watched:       # what did this leave behind?
            work()
        print(watched.report())

        @memscope.watch(max_bytes=1_000_000)    # raises LeakError when a call leaves more
        def handle(): ...

        detector = memscope.watch()             # lives as long as the service
        detector.checkpoint("noon")
        detector.report()

    *nframe*: frames of a traceback, 0 to trace no allocations.  *max_bytes*, *max_objects*:
    with the decorator, what one call may leave behind; *on_leak*: called with the report
    instead of raising.
    """
    return Watch(nframe=nframe, title=title, **options)


def left_since(epoch: int, *, title: str = "") -> LeakReport:
    """What was allocated since *epoch* began and is still there, as the report of one round.

    For what happened before anybody watched.  Memory must have been traced since then; of
    the containers it is not known what they held, and so not whether a new entry came in
    the place of another.  Cost: three walks of the heap.
    """
    paused = _memscope.pause(True)
    try:
        from memscope import leak_analysis  # noqa: F401 -- what it imports was left by nobody
    finally:
        _memscope.pause(paused)
    watched = Watch(title=title, nframe=0)
    watched.since(epoch)
    watched.checkpoint("now")
    return watched.report()


class LeakError(AssertionError):
    """A watched function left more behind than it may; ``report`` says what."""

    def __init__(self, report: LeakReport, text: str = "") -> None:
        super().__init__(text or str(report))
        self.report = report


class Watch:
    """A process under watch.  See :func:`watch`.

    It begins when it is made.  Not for several threads at once.
    """

    __slots__ = (
        "_began",
        "_collects",
        "_epochs",
        "_facts",
        "_history",
        "_join",
        "_limits",
        "_log",
        "_memory",
        "_nframe",
        "_on_leak",
        "_report",
        "_since",
        "_started",
        "_title",
    )

    def __init__(
        self,
        *,
        nframe: int = NFRAME,
        title: str = "",
        max_bytes: int | None = None,
        max_objects: int | None = None,
        on_leak: Callable[[LeakReport], object] | None = None,
    ) -> None:
        self._nframe = nframe
        self._title = title
        self._limits = (max_bytes, max_objects)
        self._on_leak = on_leak
        self._history: History | None = None
        self._join: Join | None = None
        self._report: LeakReport | None = None
        self._started = False
        self._log = b""
        self._memory = b""
        self._epochs = b""
        self._facts = b""
        self._began = 0.0
        self._collects = True
        self._since = False
        self.begin()

    # -- moments

    def begin(self) -> None:
        """Take the baseline, again if there was one: what is there now is not reported."""
        from memscope import leak_analysis  # noqa: F401 -- what it imports is no growth

        if self._nframe and not _memscope.is_tracing():
            _memscope.start(self._nframe, reuse=sys.version_info >= (3, 13))
            self._started = True
        self._collects = gc.isenabled() and 0 < gc.get_threshold()[0] < WORKING_THRESHOLD
        self._history = None
        self._log = b""
        self._report = None
        for _ in range(2):  # the first makes what looking itself leaves behind
            self._history = None
            self._began = time.monotonic()
            self._epochs = self._log = b""
            self._moment("baseline")
        self._facts = marshal.dumps(_process_facts())

    def since(self, epoch: int) -> None:
        """Let the first round begin with *epoch* of the tracer, which was before the baseline."""
        self._epochs = marshal.dumps((epoch,))
        self._since = True

    def checkpoint(self, label: str | None = None) -> None:
        """End a round, or mark a moment in the life of a service."""
        number = len(self._labels())
        self._report = None
        self._moment(label if label is not None else f"checkpoint {number}")

    def report(self) -> LeakReport:
        """What leaks, as of the last checkpoint; of now, if there was none.

        Cost: tenths of a second for a million objects.
        """
        if self._report is None:
            if len(self._labels()) < 2:
                self.checkpoint("now")
            from memscope.leak_analysis import analyse

            assert self._history is not None
            self._report = analyse(
                self._history,
                self._join,
                [marshal.loads(line) for line in marshal.loads(self._log)],
                title=self._title,
                before=marshal.loads(self._facts),
                now=_process_facts(),
                collects=self._collects,
                epochs=marshal.loads(self._epochs) if self._epochs else (),
                since=self._since,
            )
        return self._report

    def alive(
        self, *, checkpoints: int = 1, seconds: float = 0.0, type_name: str | None = None
    ) -> list[Aged]:
        """What was made since the baseline and has been alive for long, by class and line.

        Alive for at least so many *checkpoints* and *seconds*, as seen at the last
        checkpoint: an object is as old as the first checkpoint that saw it.  *type_name*:
        only this class, with or without its module.  Most bytes first.  For a service
        that has no rounds: with a checkpoint every hundred requests, *checkpoints* counts
        hundreds of requests.

        Cost: a pass over the objects that are newer than the baseline.
        """
        from memscope.leak_analysis import aged

        assert self._history is not None
        times = [marshal.loads(line)[1] for line in self._labels()]
        now = len(times) - 1
        old = [
            number > 0 and now - number >= checkpoints and times[-1] - times[number] >= seconds
            for number in range(now + 1)
        ]
        epochs = marshal.loads(self._epochs) if self._epochs else ()
        rows = aged(self._history, self._join, epochs, old)
        if type_name is None:
            return rows
        return [
            row for row in rows if type_name in (row.type_name, row.type_name.rpartition(".")[2])
        ]

    def stop(self) -> None:
        """End the watch, and the tracing that it started; the report stays."""
        if self._started:
            self._started = False
            _memscope.stop()

    def _labels(self) -> list[bytes]:
        return list(marshal.loads(self._log)) if self._log else []

    def _moment(self, label: str) -> None:
        """Freeze the heap.  What is kept of it is in C, or bytes: nothing for the next to find."""
        from memscope.heap_nodes import OWN_FOLDER, full_name, thread_names
        from memscope.process import resident_bytes

        if self._collects:
            gc.collect()
        names = thread_names()
        own: list[object] = [self, names]
        if self._history is not None:
            own += [self._history, self._history.graph]
        if self._join is not None:
            own += [self._join, self._join.columns]
        hide = [*own, own]
        options: dict[str, Any] = {"hide": hide, "threads": names, "hide_frames": OWN_FOLDER}
        join = None
        if _memscope.is_tracing():
            join = _memscope.Join.take(**options)
            graph = join.graph
        else:
            graph = _memscope.Graph.take(**options)
        epochs = marshal.loads(self._epochs) if self._epochs else ()
        if self._history is None:
            self._history = _memscope.History.begin(graph)
        else:
            self._history = self._history.advance(graph, join, epochs)
        self._join = join
        if _memscope.is_tracing():
            self._epochs = marshal.dumps((*epochs, _memscope.advance_epoch()))
        totals: dict[str, tuple[int, int]] = {}
        for module, qualname, _, count, size in graph.types():
            if count:
                name = full_name(module, qualname)
                before = totals.get(name, (0, 0))
                totals[name] = (before[0] + count, before[1] + size)
        types = graph.types()
        strays: dict[str, int] = {}
        for number, *_ in join.strays() if join is not None else ():
            name = full_name(*types[number][:2])
            strays[name] = strays.get(name, 0) + 1
        seconds = time.monotonic() - self._began
        tables = _memscope.get_tracemalloc_memory()
        line = marshal.dumps((label, seconds, resident_bytes(), totals, strays, tables))
        self._log = marshal.dumps([*self._labels(), line])

    # -- a context manager, and a decorator

    def __enter__(self) -> Self:
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None and len(self._labels()) < 2:
            self.checkpoint("end")
        if kind is None:
            self.report()
        self.stop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Watch each call of *function*."""
        from functools import wraps

        self.stop()

        @wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            name = self._title or getattr(function, "__qualname__", "")
            with Watch(nframe=self._nframe, title=name) as one:
                result = function(*args, **kwargs)
            report = one.report()
            if self._exceeded(report):
                if self._on_leak is None:
                    raise LeakError(report)
                self._on_leak(report)
            return result

        return watched

    def _exceeded(self, report: LeakReport) -> bool:
        most_bytes, most_objects = self._limits
        if most_bytes is None and most_objects is None:
            return bool(report)
        return (most_bytes is not None and report.total_bytes > most_bytes) or (
            most_objects is not None and sum(leak.count for leak in report.leaks) > most_objects
        )

    # -- as its report

    @property
    def leaks(self) -> tuple[Any, ...]:
        return self.report().leaks

    def __bool__(self) -> bool:
        return bool(self.report())

    def __str__(self) -> str:
        return str(self.report())


def _process_facts() -> dict[str, Any]:
    """What the verdicts compare between baseline and end."""
    from memscope.process import process_memory

    facts: dict[str, Any] = {"memory": process_memory().to_dict()}
    facts["atexit"] = atexit._ncallbacks()
    facts["threads"] = len(sys._current_frames())
    return facts
