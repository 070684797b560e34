"""What every test stands on: one interpreter, described, and a tracer that each test leaves off."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

import memscope
from memscope import _memscope

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parent.parent

# A sanitizer's run time is loaded before the interpreter, which is slower under it.
SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")
DEBUG_BUILD = hasattr(sys, "gettotalrefcount")

# Timings of single examples mean nothing on a machine that others use too.  MEMSCOPE_EXAMPLES
# lowers the number of examples where the same properties are tested on many interpreters.
hypothesis.settings.register_profile(
    "memscope", deadline=None, max_examples=int(os.environ.get("MEMSCOPE_EXAMPLES", "100"))
)
hypothesis.settings.load_profile("memscope")

RunPython = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_report_header() -> list[str]:
    build = "debug" if DEBUG_BUILD else "release"
    sanitizers = ", under AddressSanitizer" if SANITIZED else ""
    allocator = os.environ.get("PYTHONMALLOC", "default")
    return [
        f"interpreter: {platform.python_version()} {build}{sanitizers}; {allocator=}",
        f"core: {_memscope.__file__}",
    ]


@pytest.fixture(autouse=True)
def tracer_left_off() -> Iterator[None]:
    """Fail the test that leaves tracing on: the tracer is one for the process."""
    assert not memscope.is_tracing(), "tracing was on before the test"
    yield
    if memscope.is_tracing():
        memscope.stop()
        pytest.fail("the test left tracing on")


@pytest.fixture
def run_python() -> RunPython:
    """run_python(code, *arguments, env=None, timeout=60, check=True) in a fresh interpreter.

    `code` is a program's text, or the Path of one.  The child imports the memscope
    under test from any directory.  Its output comes back as text; with check, an
    exit code other than 0 fails the test with all that the child printed.
    """

    def run(
        code: str | Path,
        *arguments: str,
        env: dict[str, str] | None = None,
        timeout: float = 60,
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        program = [str(code)] if isinstance(code, Path) else ["-c", code]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", *program, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout * (4 if SANITIZED or DEBUG_BUILD else 1),
        )
        if check and done.returncode != 0:
            pytest.fail(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}", pytrace=False)
        return done

    return run
