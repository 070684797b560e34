"""The drop-in under the standard library's own tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("run_stdlib.py")
NOT_SHIPPED = 77


def test_the_interpreters_own_tests_pass(run_python: Callable[..., Any]) -> None:
    done = run_python(SCRIPT, timeout=200, check=False)
    if done.returncode == NOT_SHIPPED:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    expected = 33 if sys.version_info >= (3, 13) else 32
    assert f"{expected} of {expected} expected tests ran" in done.stdout
