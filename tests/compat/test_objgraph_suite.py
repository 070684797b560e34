"""objgraph's own tests pass against the drop-in; run_objgraph.py says which are left out."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run_objgraph.py")


def test_objgraphs_own_tests() -> None:
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not installed, which objgraph's tests draw with")
    done = subprocess.run(
        [sys.executable, str(RUN)], capture_output=True, text=True, check=False, timeout=280
    )
    if done.returncode == 2:
        pytest.skip(f"objgraph's tests could not be fetched: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout
