"""Every program of examples/leaks is reported as it is, its repaired half and not_leaks never.

Each runs in a process of its own (``python -m examples.corpus``), which compares the report with
the program's own answer.  That the programs leak is proven without memscope: by what they
count themselves, and by the blocks of Python's allocators.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from examples.corpus import SKIP, names
from tests.conftest import ROOT

LEAKS = names("leaks")
NOT_LEAKS = names("not_leaks")

KINDS = {
    *("growing-container", "unbounded-cache", "method-cache", "uncollected-cycle", "closure"),
    *("default-argument", "callback", "exception", "frame-local", "thread-local", "thread"),
    *("asyncio-task", "queue", "unclosed-resource", "suspended-generator", "weakref-callback"),
    *("logging-handler", "c-reference", "native-memory", "fragmentation"),
}


def run(name: str, *options: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "examples.corpus", name, *options],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=270,  # of a machine that does much else
    )
    if done.returncode == SKIP:
        pytest.skip(done.stdout.strip())
    if done.returncode != 0:
        pytest.fail(f"{name}: exit code {done.returncode}\n{done.stdout}", pytrace=False)


@pytest.mark.parametrize("name", LEAKS)
def test_the_leak_is_named(name: str) -> None:
    run(name)


@pytest.mark.parametrize("name", NOT_LEAKS)
def test_no_leak_is_reported(name: str) -> None:
    run(name)


@pytest.mark.parametrize("name", LEAKS + NOT_LEAKS)
def test_it_is_what_it_says(name: str) -> None:
    run(name, "--prove")
