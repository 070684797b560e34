"""Every leak of examples/leaks, in a test, fails it with the right class, line and holder.

The repaired half of each in another test of the same run passes.  As in tests/test_corpus.py
each runs in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.corpus import SKIP, names
from tests.conftest import ROOT

TESTS = """
from examples.corpus import load

program = load({name!r})

def test_repaired():
    program.work_fixed()

def test_leaking():
    program.work()

def test_end():
    if hasattr(program, "close"):
        program.close()
"""

JUDGE = """
import json, sys
from examples.corpus import SKIP, judge, load
from memscope.leak_report import LeakReport
from memscope.pytest_plugin.outcome import Outcome

try:
    program = load({name!r})
except ImportError as error:
    print(f"{name} needs a library that does not import here: {{error}}")
    sys.exit(SKIP)
outcomes = {{
    one["nodeid"].rpartition("::")[2]: Outcome.from_dict(one)
    for one in json.load(open({found!r}))["tests"]
}}
leaking, repaired = outcomes["test_leaking"], outcomes["test_repaired"]
wrong = list(judge(program, LeakReport(leaks=tuple(leaking.told()))))
if not leaking.fails:
    wrong.append("its test did not fail")
if repaired.verdict != "clean":
    wrong.append(f"repaired, it is {{repaired.verdict}}")
print(*wrong, sep="\\n")
sys.exit(bool(wrong))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=270,
    )


@pytest.mark.parametrize("name", names("leaks"))
def test_it_fails_its_test(name: str, tmp_path: Path) -> None:
    tests = tmp_path / "test_seeded.py"
    tests.write_text(TESTS.format(name=name))
    found = tmp_path / "found.json"
    done = run(
        *("-m", "pytest", "-c", "/dev/null", "--rootdir", str(tmp_path), "-p", "no:cacheprovider"),
        *("-p", "memscope"),
        *("--memscope", f"--memscope-json={found}", str(tests)),
    )
    judged = run("-c", JUDGE.format(name=name, found=str(found)))
    if judged.returncode == SKIP:
        pytest.skip(judged.stdout.strip())
    if judged.returncode:
        pytest.fail(f"{name}: {judged.stdout}\n{done.stdout}", pytrace=False)
