"""A leak as a failure of its test, in pytest's own terms."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any
from zlib import crc32

from memscope.leak_report import Site
from memscope.leak_text import site_text, verdict_line
from memscope.pytest_plugin.settings import is_of_fixture
from memscope.report import size_text
from memscope.sources import source_line
from memscope.testing import failure_text

if TYPE_CHECKING:
    import pytest

    from memscope.pytest_plugin.outcome import Outcome

__all__ = ["fail_report", "failure", "file_name"]

NAME_MAX = 100
"""Characters of the name of a file."""


def fail_report(report: pytest.TestReport, item: pytest.Item, text: str, message: str) -> None:
    """Make *report* that of a failure: *text* in full, *message* in the summary."""
    from _pytest._code.code import (
        ExceptionChainRepr,
        ReprEntryNative,
        ReprFileLocation,
        ReprTraceback,
    )

    entry = ReprEntryNative([f"{line}\n" for line in text.splitlines()])
    traceback = ReprTraceback([entry], None, style="native")
    place = ReprFileLocation(str(item.path), (item.location[1] or 0) + 1, message)
    report.outcome = "failed"
    report.longrepr = ExceptionChainRepr([(traceback, place, None)])


def file_name(nodeid: str) -> str:
    """Of the report of a test, in the directory for them: no two tests have the same."""
    plain = re.sub(r"::|/", "-", nodeid)
    if len(plain) <= NAME_MAX and re.fullmatch(r"[A-Za-z0-9_.-]+", plain):
        return f"{plain}.json"
    name = re.sub(r"[^A-Za-z0-9_.]+", "-", nodeid)[-NAME_MAX:].strip("-.")
    return f"{name}-{crc32(nodeid.encode('utf-8', 'replace')):08x}.json"


def failure(outcome: Outcome, name: str) -> tuple[str, str]:
    """What a test that leaks or goes over its limit prints, and the same in one line."""
    if outcome.verdict == "over limit":
        return _limit_text(outcome, name)
    leaks = outcome.told()
    # The first command fails, as the test does.
    fixtures = " --memscope-fixtures" if any(map(is_of_fixture, leaks)) else ""
    command = (
        f"pytest {shlex.quote(outcome.nodeid)} --memscope{fixtures} --memscope-save=leaks;"
        f" memscope report leaks/{file_name(outcome.nodeid)}"
    )
    message = f"leaks {verdict_line(leaks[0])}" if leaks else f"leaves {outcome.leftovers[0]}"
    if len(leaks) > 1:
        message += f" (and {len(leaks) - 1} more)"
    lines = [failure_text(name, leaks)] if leaks else []
    if outcome.leftovers:
        lines.append(f"{name} leaves after each run:" if leaks else f"{name} leaves:")
        lines += [f"   {words}" for words in outcome.leftovers]
    lines += [f"   {'note':<18}   {note}" for note in outcome.notes]
    lines.append(f"   {'dig further':<18}   {command}")
    return "\n".join(lines), message


def _limit_text(outcome: Outcome, name: str) -> tuple[str, str]:
    assert outcome.peak is not None
    assert outcome.limit is not None
    message = f"allocated {size_text(outcome.peak)} at its peak, and may {size_text(outcome.limit)}"
    lines = [f"{name} {message}.", ""]
    if outcome.at_peak:
        lines.append("   At the peak most of it came from:")
    lines += [_line_text(row) for row in outcome.at_peak]
    lines += [f"   {note}" for note in outcome.notes]
    return "\n".join(lines), message


def _line_text(row: dict[str, Any]) -> str:
    site = Site(row["filename"], row["lineno"], "")
    size = f"{size_text(row['bytes'])} in {row['blocks']:,} block{'s' * (row['blocks'] != 1)}"
    return f"   {size:<28} {site_text(site)}  {source_line(site.filename, site.lineno)}"
