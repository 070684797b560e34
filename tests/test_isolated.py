"""Every scenario of tests/isolated/ in a fresh process: no exception, no signal, no hang.

A scenario that cannot run on this interpreter or machine exits with 77 and
prints why; the test is then skipped with that reason.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import memscope

FOLDER = Path(__file__).resolve().parent / "isolated"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
SKIP = 77
TIMEOUT = float(os.environ.get("MEMSCOPE_TEST_TIMEOUT", "120"))
"""Seconds per scenario; a sanitizer or an emulator needs more."""


def environment() -> dict[str, str]:
    paths = [str(Path(memscope.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV_CORE_")}
    return {
        **kept,
        "PYTHONFAULTHANDLER": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
    }


def ended(returncode: int) -> str:
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"


@pytest.mark.parametrize("name", SCRIPTS)
def test_scenario(name: str, tmp_path: Path) -> None:
    path = FOLDER / f"{name}.py"
    process = subprocess.Popen(
        [sys.executable, str(path)],
        env=environment(),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=TIMEOUT)
        verdict = ended(process.returncode)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler prints where it hangs
        try:
            output, _ = process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            output = b""
        verdict = f"hung for {TIMEOUT:g} s"
    finally:
        # Whatever the scenario started and left running: its session is its own.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    text = output.decode(errors="replace")
    if process.returncode == SKIP:
        pytest.skip(text.strip() or "no reason given")
    if process.returncode != 0:
        pytest.fail(f"{path.name} {verdict}\n{text}", pytrace=False)


def test_every_scenario_names_its_fault() -> None:
    for name in SCRIPTS:
        assert (FOLDER / f"{name}.py").read_text().startswith('"""'), name
