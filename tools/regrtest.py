"""CPython's own test suite, tracing off and on: the results must be the same.

    python tools/regrtest.py [--nframe 25] [--jobs 2] [MODULE...]

A fixed list of modules (regrtest.txt) runs twice under the interpreter that runs this
script, each test process with memscope.start(nframe) or without.  Compared is the
outcome of every single test: passed, failed, errored, skipped.  Tests that fail
both ways (the environment's doing) are equal, and are named.  A module whose
results differ is run again both ways, alone: only a difference that stays counts,
one that went away is named as unstable.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "tools" / "regrtest_site"

LIST = ROOT / "tools" / "regrtest.txt"

Outcomes = dict[str, str]

# Addresses and names of temporary files, in the name of a subtest.
RUN_SPECIFIC = re.compile(r"0x[0-9a-fA-F]+|@?test_\d+_tmp\w*|\btmp\w{8}\b")


def listed() -> list[str]:
    """The modules of regrtest.txt."""
    lines = (line.partition("#")[0] for line in LIST.read_text().splitlines())
    return [module for line in lines for module in line.split()]


def available(module: str) -> bool:
    try:
        return importlib.util.find_spec(f"test.{module}") is not None
    except ModuleNotFoundError:
        return False


def outcomes(report: Path) -> Outcomes:
    """Test name to outcome, out of the JUnit file that regrtest writes."""
    found: Outcomes = {}
    for case in ET.parse(report).iter("testcase"):
        # What is part of a name and differs from run to run: addresses, temporary files.
        name = re.sub(
            r"0x[0-9a-fA-F]+|@?test_\d+_tmp\w*|\btmp\w{8}\b", "...", case.get("name", "?")
        )
        children = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[name] = "+".join(sorted(children)) or case.get("result", "?")
    return found


def environment(nframe: int) -> dict[str, str]:
    """What a test process starts in: tools/regrtest_site reads the number of frames."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(SITE), str(ROOT)]),
        "PYTHONHASHSEED": "0",
        "MEMSCOPE_REGRTEST_NFRAME": str(nframe),
    }


def run(modules: list[str], nframe: int, jobs: int) -> tuple[Outcomes, float]:
    """Every outcome, and the seconds it took.  A process that dies leaves tests out."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.xml"
        command = [sys.executable, "-m", "test", f"-j{jobs}", "--timeout=600", "--quiet"]
        command += [f"--junit-xml={report}", *modules]
        done = subprocess.run(
            command,
            env=environment(nframe),
            cwd=directory,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if not report.exists():
            sys.exit(f"no report from {' '.join(command)}\n{done.stdout}\n{done.stderr}")
        found = outcomes(report)
    # A module that crashed or did not import has no testcase: regrtest's own list has it.
    for line in re.findall(r"^\d+ tests? failed:\n((?:    .*\n)+)", done.stdout, re.MULTILINE):
        found |= {f"module {name}": "failed" for name in line.split()}
    return found, time.perf_counter() - began


def assert_traced(nframe: int) -> None:
    """That a process of the second run does trace, and one of the first does not."""
    code = "import sys; print('memscope' in sys.modules and __import__('memscope').is_tracing())"
    for frames, expected in (0, "False"), (nframe, "True"):
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(frames), capture_output=True, text=True
        )
        if done.stdout.strip() != expected:
            sys.exit(f"tracing with {frames} frames is {done.stdout}{done.stderr}")


def module_of(test: str, modules: list[str]) -> str | None:
    words = re.split(r"[^A-Za-z0-9_]", test)
    return next((word for word in words if word in modules), None)


def differences(off: Outcomes, on: Outcomes) -> dict[str, tuple[str, str]]:
    return {
        test: (off.get(test, "missing"), on.get(test, "missing"))
        for test in off.keys() | on.keys()
        if off.get(test) != on.get(test)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nframe", type=int, default=25)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--first", type=int, help="only so many modules of the list")
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    options = parser.parse_args()

    chosen = options.modules or listed()[: options.first]
    modules = [module for module in chosen if available(module)]
    absent = sorted(set(chosen) - set(modules))
    kind = "debug" if hasattr(sys, "gettotalrefcount") else "release"
    print(f"CPython {sys.version.split()[0]}, {kind} build, {len(modules)} modules")
    if absent:
        print(f"not part of this interpreter's test package: {' '.join(absent)}")
    if not modules:
        print("no test package: nothing compared")
        return 1

    assert_traced(options.nframe)
    off, off_seconds = run(modules, 0, options.jobs)
    on, on_seconds = run(modules, options.nframe, options.jobs)
    different = differences(off, on)
    unstable: list[str] = []
    if again := sorted({module_of(test, modules) or "?" for test in different} - {"?"}):
        print(f"different at first, run again: {' '.join(again)}")
        off_again, _ = run(again, 0, 1)
        on_again, _ = run(again, options.nframe, 1)
        stay = differences(off_again, on_again)
        unstable = sorted(different.keys() - stay.keys())
        different = {test: stay[test] for test in different.keys() & stay.keys()}

    tally = {outcome: list(off.values()).count(outcome) for outcome in sorted(set(off.values()))}
    print(f"{len(off)} tests: {', '.join(f'{n} {outcome}' for outcome, n in tally.items())}")
    for test in sorted(test for test in off.keys() & on.keys() if "fail" in off[test] + on[test]):
        print(f"  fails both ways: {test}")
    for test in unstable:
        print(f"  unstable: {test}")
    for test, (without, with_) in sorted(different.items()):
        print(f"  DIFFERENT: {test}: {without} without tracing, {with_} with it")
    print(
        f"{off_seconds:.0f} s without tracing, {on_seconds:.0f} s with {options.nframe} frames; "
        f"{len(different)} differences"
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
