"""The end of a run: what leaks most, what was biggest, what it cost; JSON and GitHub.

Under pytest-xdist this is the controller's part: it has the outcomes from the reports.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from memscope import files
from memscope.pytest_plugin.known import Known
from memscope.pytest_plugin.outcome import SCHEMA, Outcome
from memscope.report import size_text

if TYPE_CHECKING:
    from typing import Any

    import pytest

    from memscope.pytest_plugin.settings import Settings

__all__ = ["Summary"]

PEAK_LEAST = 1 << 20
"""Bytes of a peak that is worth a line."""


class Summary:
    """Collects the outcomes of all tests."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.known = Known.read(settings.known)
        self.outcomes: list[Outcome] = []
        self.stale: list[Any] = []
        self.said: list[str] = []

    def add(self, found: dict[str, Any]) -> None:
        self.outcomes.append(Outcome.from_dict(found))

    # -- at the end of the session

    def finish(self, session: pytest.Session) -> None:
        """Write files; a stale line among the known leaks fails the run."""
        self.outcomes.sort(key=lambda outcome: outcome.nodeid)
        if self.settings.update_known:
            self.said.append(self.known.update(self.outcomes))
        else:
            self.stale = self.known.stale(self.outcomes)
            if self.stale and self.settings.mode == "fail" and session.exitstatus == 0:
                session.exitstatus = 1
        if self.settings.json is not None:
            text = json.dumps(self.to_dict(), indent=2) + "\n"
            files.write_whole(self.settings.json, text.encode("utf-8", "backslashreplace"))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json; docs/pytest-report.md says what each field means."""
        return {
            "schema": SCHEMA,
            "mode": self.settings.mode,
            "judged": len(self.outcomes) - len(self._with("not judged")),
            "leaking": len(self._with("leaks")),
            "over_limit": len(self._with("over limit")),
            "seconds": sum(outcome.seconds for outcome in self.outcomes),
            "tests": [outcome.to_dict() for outcome in self.outcomes],
            "stale": [str(entry) for entry in self.stale],
        }

    def _with(self, verdict: str) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.verdict == verdict]

    # -- on the terminal

    def show(self, reporter: pytest.TerminalReporter) -> None:
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in self._annotations():
                reporter.write_line(line)
        if not self.settings.top or not (self.outcomes or self.stale):
            return
        reporter.write_sep("=", "memory (memscope)")
        for line in self._lines():
            reporter.write_line(line)

    def _lines(self) -> list[str]:
        top = self.settings.top
        lines: list[str] = []
        leaking = self._leaking()
        for outcome in leaking[:top]:
            lines.append(f"{outcome.nodeid}")
            lines += [f"    {words}" for words in _headlines(outcome.leaks)]
            lines += [f"    {words}" for words in outcome.leftovers]
        if len(leaking) > top:
            lines.append(f"... {len(leaking) - top} more tests that leak")
        over = self._with("over limit")
        for outcome in over[:top]:
            size, limit = size_text(outcome.peak or 0), size_text(outcome.limit or 0)
            lines.append(f"{outcome.nodeid}: peak {size}, limit {limit}")
        peaks = sorted(self.outcomes, key=lambda one: (-(one.peak or 0), one.nodeid))[:top]
        shown = [outcome for outcome in peaks if (outcome.peak or 0) >= PEAK_LEAST]
        if shown:
            lines.append("Biggest peaks:")
            lines += [f"    {size_text(one.peak or 0):>9}  {one.nodeid}" for one in shown]
        lines += self._kept_by_fixtures(top)
        lines += self._not_judged(top)
        for entry in self.stale:
            lines.append(f"No leak any more, and still among the known ones: {entry}")
        if self.stale:
            lines.append("    Drop the lines, or let --memscope-known-update do it.")
        lines += [words for words in self.said if words]
        lines.append(self._cost())
        return lines

    def _leaking(self) -> list[Outcome]:
        """The tests that leak, most bytes first."""

        def size(outcome: Outcome) -> int:
            return sum(leak["retained_bytes"] for leak in outcome.leaks)

        return sorted(self._with("leaks"), key=lambda one: (-size(one), one.nodeid))

    def _kept_by_fixtures(self, top: int) -> list[str]:
        found = [one for one in self.outcomes if one.in_fixtures]
        lines = ["Kept by fixtures, which do not count (--memscope-fixtures):"] if found else []
        for outcome in found[:top]:
            lines.append(f"    {outcome.nodeid}")
            lines += [f"        {words}" for words in _headlines(outcome.in_fixtures)]
        if len(found) > top:
            lines.append(f"    ... {len(found) - top} more")
        return lines

    def _not_judged(self, top: int) -> list[str]:
        """Of tests that passed and could not be judged, or by one round only, why."""
        found = [one for one in self._with("not judged") if one.notes != ["it did not pass"]]
        lines = ["Not judged by repetition:"] if found else []
        for outcome in found[:top]:
            lines.append(f"    {outcome.nodeid}: {'; '.join(outcome.notes)}")
            lines += [f"        {words}" for words in _headlines(outcome.leaks)]
            lines += [f"        {words}" for words in outcome.leftovers]
        if len(found) > top:
            lines.append(f"    ... {len(found) - top} more")
        return lines

    def _cost(self) -> str:
        repeated = [outcome for outcome in self.outcomes if outcome.runs > 1]
        runs = sum(outcome.runs - 1 for outcome in repeated)
        seconds = sum(outcome.seconds for outcome in self.outcomes)
        known = len(self._with("known"))
        words = [
            f"{len(self.outcomes)} tests looked at",
            f"{len(self._with('leaks'))} leak",
            *([f"{known} leak as known"] if known else []),
            f"{len(repeated)} repeated ({runs} runs)",
            f"{seconds:.2f} s",
        ]
        return ", ".join(words)

    def _annotations(self) -> list[str]:
        """For GitHub Actions: https://docs.github.com/actions (workflow commands)."""
        lines = []
        for outcome in self._with("leaks"):
            level = "error" if outcome.fails else "warning"
            for leak, words in zip(outcome.told(), _headlines(outcome.leaks), strict=True):
                where = ""
                if leak.site is not None:
                    name = _relative(leak.site.filename, str(self.settings.rootpath))
                    where = f" file={_escaped(name, True)},line={leak.site.lineno},"
                text = f"{words}. {leak.advice}"
                title = _escaped(f"{outcome.nodeid} leaks", True)
                lines.append(f"::{level}{where or ' '}title={title}::{_escaped(text)}")
        return lines


def _headlines(leaks: list[dict[str, Any]]) -> list[str]:
    if not leaks:
        return []
    # Of no use to most runs, and some milliseconds of their end.
    from memscope.leak_report import leak_of
    from memscope.leak_text import headline

    return [headline(leak_of(leak)) for leak in leaks]


def _relative(filename: str, root: str) -> str:
    inside = filename.startswith(root + os.sep)
    return os.path.relpath(filename, root) if inside else filename


def _escaped(text: str, is_property: bool = False) -> str:
    pairs = [("%", "%25"), ("\r", "%0D"), ("\n", "%0A")]
    for char, code in pairs + ([(":", "%3A"), (",", "%2C")] if is_property else []):
        text = text.replace(char, code)
    return text
