"""What happens inside a program that ``memscope run`` runs: watch it, and report.

The program must not notice.  What is ours stays out of the main thread: checkpoints, and
reports that a signal asks for, are made by a helper thread that the threading module knows
nothing of.  Whatever fails here costs the report and nothing else.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Any

import memscope
from memscope.helper import Helper, Span
from memscope.leak_report import NotALeak

if TYPE_CHECKING:
    from collections.abc import Callable

    from memscope.leak_report import LeakReport
    from memscope.leaks import Watch

__all__ = ["REPORT_SUFFIXES", "SNAPSHOT_SUFFIX", "WatchedProgram", "begin"]

REPORT_SUFFIXES = (".html", ".htm", ".json", ".txt")
SNAPSHOT_SUFFIX = ".memscope"

LEAST_SPANS = 3
"""Spans between checkpoints that it takes to tell growth from a start."""

ALIVE = "alive at the end, and too early to say whether it grows"
MOST_ALIVE, LEAST_ALIVE = 5, 1 << 14
"""Classes that are named of a program too short to be judged; bytes that are worth a line."""

_session: WatchedProgram | None = None


def begin(settings: dict[str, Any]) -> None:
    """Watch this process from now on; *settings* come from memscope.cli.run."""
    global _session
    _session = WatchedProgram(settings)
    _session.begin()


class WatchedProgram:
    """One program from its first line to its exit."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.pid = os.getpid()
        self.outputs: list[str] = settings["outputs"]
        self.heap: str | None = settings["heap"]
        self.quiet: bool = settings["quiet"]
        self.json: bool = settings["json"]
        self.nframe: int = settings["nframe"]
        self.signal: int | None = settings["signal"]
        self.verdict: int | None = settings["verdict"]
        self.title: str = settings["title"]
        self.reports = [name for name in self.outputs if is_report(name)]
        self.snapshots = [name for name in self.outputs if name.endswith(SNAPSHOT_SUFFIX)]
        self.to_stdout = "-" in self.outputs
        self.to_stderr = not (self.reports or self.to_stdout or self.quiet)
        self.watcher: Watch | None = None
        self.helper = Helper(settings["interval"], self._checkpoint, self._asked)
        self.span = Span()
        self.asked = 0

    def begin(self) -> None:
        # All of it before the baseline, so that nothing of ours is new after it; and before the
        # program has modules of its own that could be taken for what we mean.
        import memscope.heap
        import memscope.leak_text

        if any(name.endswith((".html", ".htm")) for name in self.reports):
            import memscope.leak_page
        self._at_end()
        if self.signal is not None:
            signal.signal(self.signal, self._signalled)
        os.register_at_fork(
            before=self.helper.pause,
            after_in_parent=self.helper.resume_later,
            after_in_child=self._in_child,
        )
        if self.reports or self.to_stdout or self.to_stderr or self.verdict is not None:
            self.watcher = memscope.watch(nframe=self.nframe, title=self.title)
        else:
            memscope.start(self.nframe)
        self.span = Span()
        self.helper.begin(checkpoints=self.watcher is not None)

    def _at_end(self) -> None:
        """Have end() called when the program has ended, and its threads too; before all that it
        registered with atexit, which takes down what there is to be seen."""
        import threading

        wait: Callable[[], None] = threading._shutdown  # type: ignore[attr-defined]

        def _shutdown() -> None:
            # What the interpreter calls after the program: it waits for the threads.
            try:
                wait()
            except BaseException:
                _hide_this_frame()
                raise
            finally:
                self.end()

        threading._shutdown = _shutdown  # type: ignore[attr-defined]

    def _signalled(self, number: int, frame: object) -> None:
        # This runs in the main thread wherever that is, so it only passes on.
        self.helper.ask()

    def _in_child(self) -> None:
        """A forked process is not the program that was to be watched."""
        self.helper.forget()
        if self.signal is not None and signal.getsignal(self.signal) == self._signalled:
            signal.signal(self.signal, signal.SIG_DFL)

    # -- checkpoints and reports

    def _checkpoint(self, label: str | None = None) -> None:
        assert self.watcher is not None
        self.watcher.checkpoint(label)
        self.span.end()

    def _asked(self) -> None:
        """The signal came: a report of now, in files of their own if files are asked for."""
        self.asked += 1
        self._report(self.asked)

    def end(self) -> None:
        """The program has ended."""
        if os.getpid() != self.pid:
            return
        try:
            self.helper.end()
            # The program's output comes first; that it may fail is the program's business.
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):
                    if type(stream) is TextIOWrapper:
                        stream.flush()
            self._report(0)
        except KeyboardInterrupt:
            self._say("interrupted, so there is no report")
        except Exception as error:
            self._say(f"the report failed: {error!r}")

    def _report(self, number: int) -> None:
        """Make the report, and write all that is asked for; *number* 0: the last one."""
        for name in self.snapshots:
            self._write(name, number, memscope.take_snapshot().save)
        report = None
        if self.watcher is not None:
            if number:
                self._checkpoint(f"signal {number}")
            elif not self.span.is_short:
                self._checkpoint("the end")
            report = self.watcher.report()
            if report.rounds < LEAST_SPANS:
                report = too_short(report)
        if self.heap is not None:
            self._write(self.heap, number, memscope.take_heap_snapshot().save)
        if report is None:
            return
        for name in self.reports:
            self._write(name, number, report.save)
        if self.to_stdout:
            self._print(report, sys.__stdout__)
        if self.to_stderr:
            self._print(report, sys.__stderr__)
        if self.verdict is not None and not number:
            os.write(self.verdict, b"leak" if report else b"none")

    def _print(self, report: LeakReport, out: IO[str] | None) -> None:
        if out is None:
            return
        if self.json:
            import json

            print(json.dumps(report.to_dict(), indent=2), file=out)
        else:
            report.show(out)
        out.flush()

    def _write(self, name: str, number: int, save: Any) -> None:
        """Call *save* with the file to be written; its own failure is said and costs no other."""
        path = numbered(name, number) if number else name
        try:
            save(path)
        except (OSError, ValueError, RuntimeError) as error:
            self._say(f"cannot write {path!r}: {error}")
        else:
            if not self.quiet:
                self._say(f"written to {path}")

    def _say(self, text: str) -> None:
        with suppress(Exception):
            print(f"memscope: {text}", file=sys.__stderr__, flush=True)


def _hide_this_frame() -> None:
    """The exception at hand, which the interpreter is going to complain of, is not ours: let
    the complaint be the same as without us."""
    hook = sys.unraisablehook

    def once(found: Any) -> None:
        sys.unraisablehook = hook
        if (own := found.exc_traceback) is not None:
            values = (found.exc_type, found.exc_value, own.tb_next, found.err_msg, found.object)
            found.exc_value.__traceback__ = own.tb_next
            found = type(found)(values)
        hook(found)

    sys.unraisablehook = once


def too_short(report: LeakReport) -> LeakReport:
    """The report of a program that was over before it could be seen whether anything grows."""
    held = [
        NotALeak(
            f"{leak.count:,} {leak.type_name}{f' in {leak.holder}' * bool(leak.holder)}",
            ALIVE,
            leak.count,
            leak.retained_bytes,
        )
        for leak in report.leaks
        if leak.retained_bytes >= LEAST_ALIVE
    ] or [
        NotALeak(f"{grown.count:,} {grown.type_name}", ALIVE, grown.count, grown.bytes)
        for grown in report.types[:MOST_ALIVE]
        if grown.bytes >= LEAST_ALIVE
    ]
    note = (
        f"The program ended after {report.rounds} checkpoint{'s' * (report.rounds != 1)}, too soon"
        " to tell growth from what"
        f" it needs: {LEAST_SPANS} are wanted. With --interval they come faster;"
        " memscope.diagnose(function) runs a function in rounds."
    )
    return replace(
        report,
        leaks=(),
        not_leaks=(*held, *report.not_leaks),
        notes=(*report.notes, note),
    )


def is_report(name: str) -> bool:
    return name.endswith(REPORT_SUFFIXES)


def numbered(name: str, number: int) -> str:
    """*name* with the first free number from *number* on: "out.3.html"."""
    base, suffix = os.path.splitext(name)
    while os.path.lexists(path := f"{base}.{number}{suffix}"):
        number += 1
    return path
