"""Tests of real projects, plain and with --memscope: the same results, and no false alarm.

    python tools/projects.py DIRECTORY NAME...

tools/projects.sh has prepared DIRECTORY: in NAME/ there are the project's source, an
environment with it and memscope, and the arguments of pytest.  Compared is the outcome of
every single test.  Where outcomes differ, both runs are made again: only a difference that
stays counts, one that went away is named as unstable.  Each leak that is not EXPECTED is
named with memscope's own text.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

EXPECTED: dict[tuple[str, str], tuple[str, str]] = {
    # These two measure with pympler.asizeof, which keeps every class that it has seen in its
    # _typedefs: 4 more with each call of test_inheritance_from_slots(), without memscope.
    ("attrs", "tests/test_slots.py::*inheritance_from_slots"): (
        r"pympler\.asizeof|12 dict, .* held by C code",
        "pympler keeps the classes it measured",
    ),
    # gh-127750: singledispatchmethod of CPython 3.13.0 has a WeakKeyDictionary from each instance
    # to a function whose closure is that instance: 101 instances, and it has 101 entries after
    # gc.collect(), without memscope.  socksio's SOCKS5Connection.send is such a method.
    ("httpcore", "tests/*_socks_proxy.py::*"): (
        r"SOCKS5Connection -> \.send -> \._method_cache",
        "functools.singledispatchmethod of CPython 3.13.0 keeps every instance",
    ),
    # click._compat._make_cached_stream_func has a WeakKeyDictionary from sys.stdout to
    # get_text_stdout(), which is sys.stdout itself where that is good enough: the value keeps
    # the key.  201 times CliRunner().invoke(), and the dictionary has 201 entries after
    # gc.collect(), without memscope.
    ("click", "*"): (
        r"_NamedTextIOWrapper|IncrementalDecoder",
        "click keeps every sys.stdout and sys.stderr that it wrote to",
    ),
}
"""What really leaks: project and pattern of the test, to the pattern of what memscope may say
of it, line by line, and the reason."""

LIMIT = 900
"""Seconds for one run of one project."""

PLAIN = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-o", "junit_family=xunit1"]

# What is part of a name and differs from run to run: addresses, temporary files.
RUN_SPECIFIC = re.compile(r"0x[0-9a-fA-F]{6,}|\btmp\w{8}\b|pytest-of-\w+/pytest-\d+")

Outcomes = Counter[tuple[str, str]]
"""Of each test, by name, its outcome; a name may be there more than once."""

HEAD = ("project", "tests", "plain", "memscope", "ratio", "leaks", "not judged", "judging")


@dataclass
class Run:
    """One run of all tests of a project."""

    outcomes: Outcomes
    seconds: float
    crash: str = ""
    """How it ended, if not as pytest ends; "" is well."""


@dataclass
class Result:
    """What is to be said of one project."""

    name: str
    plain: Run
    judged: Run
    found: dict[str, Any]
    """As --memscope-json has it."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def row(self) -> tuple[str, ...]:
        ratio = self.judged.seconds / self.plain.seconds
        return (
            self.name,
            str(self.plain.outcomes.total()),
            f"{self.plain.seconds:.1f} s",
            f"{self.judged.seconds:.1f} s",
            f"{ratio:.2f}",
            str(len(with_verdict(self.found, "leaks"))),
            str(len(not_judged(self.found))),
            f"{self.found.get('seconds', 0.0):.1f} s",
        )


def outcomes(report: Path) -> Outcomes:
    """Out of the JUnit file that pytest writes."""
    found: Outcomes = Counter()
    for case in ET.parse(report).iter("testcase"):
        name = RUN_SPECIFIC.sub("...", f"{case.get('classname')}::{case.get('name')}")
        children = [child for child in case if child.tag in ("failure", "error", "skipped")]
        words = {f"{one.tag} {one.get('type') or ''}".strip() for one in children}
        found[name, "+".join(sorted(words)) or "passed"] += 1
    return found


def run(folder: Path, kind: str, options: list[str]) -> Run:
    """Run the tests of the project in *folder* once."""
    report, log = folder / f"{kind}.xml", folder / f"{kind}.log"
    report.unlink(missing_ok=True)
    arguments = (folder / "arguments").read_text().splitlines()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [str(folder / "venv/bin/python"), "-m", "pytest", *PLAIN, f"--junit-xml={report}"]
    began = time.perf_counter()
    with log.open("wb") as output:
        try:
            code = subprocess.run(
                [*command, *options, *filter(None, arguments)],
                cwd=folder / "source",
                env={**kept, "PYTHONHASHSEED": "0"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=LIMIT,
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    seconds = time.perf_counter() - began
    if code in (0, 1) and report.exists():  # all passed; some failed
        return Run(outcomes(report), seconds)
    return Run(Counter(), seconds, f"pytest ended with {code}: see {log}")


def both(folder: Path, name: str) -> Result:
    """Run the tests of one project plain and with memscope."""
    file = folder / "memscope.json"
    file.unlink(missing_ok=True)
    plain = run(folder, "plain", ["-p", "no:memscope"])
    judged = run(
        folder, "memscope", ["--memscope", "--memscope-mode=report", f"--memscope-json={file}"]
    )
    found = json.loads(file.read_text()) if file.exists() else {}
    result = Result(name, plain, judged, found)
    result.problems += [one.crash for one in (plain, judged) if one.crash]
    return result


def differences(plain: Outcomes, judged: Outcomes) -> dict[str, str]:
    """The tests whose outcome is not the same, and what it was."""
    gone, new = plain - judged, judged - plain
    return {
        name: f"{words(gone, name)} without memscope, {words(new, name)} with it"
        for name in sorted({name for name, _ in (*gone, *new)})
    }


def words(outcomes: Outcomes, name: str) -> str:
    return "+".join(sorted(outcome for test, outcome in outcomes if test == name)) or "missing"


def with_verdict(found: dict[str, Any], verdict: str) -> list[dict[str, Any]]:
    return [test for test in found.get("tests", ()) if test["verdict"] == verdict]


def not_judged(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that passed, and could not be judged by rounds."""
    return [
        test
        for test in found.get("tests", ())
        if (test["verdict"] == "not judged" and test["notes"] != ["it did not pass"])
        or any(note.startswith("judged on one") for note in test["notes"])
    ]


def look_at(folder: Path, name: str) -> Result:
    """Run a project, again if need be, and say what is wrong and what should be known."""
    result = both(folder, name)
    different = differences(result.plain.outcomes, result.judged.outcomes)
    if different and not result.problems:
        again = both(folder, name)
        stay = differences(again.plain.outcomes, again.judged.outcomes)
        again.notes += [f"unstable: {test}" for test in different.keys() - stay.keys()]
        different, result = {test: stay[test] for test in different.keys() & stay.keys()}, again
    result.problems += [f"DIFFERENT: {test}: {how}" for test, how in different.items()]
    for test, outcome in sorted(result.plain.outcomes & result.judged.outcomes):
        if outcome.startswith(("failure", "error")):
            result.notes.append(f"fails both ways: {test}")
    say_leaks(result)
    return result


def say_leaks(result: Result) -> None:
    """What memscope said of the tests, as problems if it should not have."""
    for found in with_verdict(result.found, "leaks"):
        lines = [leak["headline"] for leak in found["leaks"]] + found["leftovers"]
        text = "; ".join(lines)
        reason = expected(result.name, found["nodeid"], lines)
        if reason:
            result.notes.append(f"leaks, as expected ({reason}): {found['nodeid']}: {text}")
        else:
            result.problems.append(f"LEAKS: {found['nodeid']}: {text}")
    for found in not_judged(result.found):
        text = f"{found['nodeid']}: {'; '.join(found['notes'])}"
        if "memscope failed" in text:
            result.problems.append(f"FAILED: {text}")
        else:
            result.notes.append(f"not judged: {text}")


def expected(project: str, nodeid: str, lines: list[str]) -> str:
    """Why a test leaks what *lines* say; "" if that is not expected."""
    for (owner, test), (leak, reason) in EXPECTED.items():
        if (
            owner == project
            and fnmatch(nodeid, test)
            and all(re.search(leak, one) for one in lines)
        ):
            return reason
    return ""


def show_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        numbers = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *numbers]))


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__)
        return 2
    directory, names = Path(sys.argv[1]).resolve(), sys.argv[2:]
    results = []
    for name in names:
        result = look_at(directory / name, name)
        results.append(result)
        print(f"{name}:")
        good = [] if result.problems else ["no crash, same results, no leak that is not expected"]
        for line in (*result.problems, *result.notes, *good):
            print(f"  {line}", flush=True)
    print()
    show_table([HEAD, *(result.row() for result in results)])
    bad = sum(len(result.problems) for result in results)
    print(f"\n{len(results)} projects, {bad} problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
