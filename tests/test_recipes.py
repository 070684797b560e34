"""Every recipe of examples/recipes runs, and says what it is there to say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "examples" / "recipes"

# What must be in the output, in this order.
SAYS = {
    "top_allocations": [r"raw_uploads\.py:17", r"return b\"%PDF"],
    "two_snapshots": [
        r"\+\d{3} +\S+ +examples/leaks/audit_trail\.py:27",
        r"\+300 +400 +examples\.leaks\.audit_trail\.AuditEntry",
        r"\+300 +400 .*list +module examples\.leaks\.audit_trail -> _audit_trail",
    ],
    "slow_requests": [r"GET /upload took", r"raw_uploads\.py:17 +return b\"%PDF"],
    "who_holds_them": [
        r"100 new objects of class Event",
        r"100 .*telemetry_queue\.py:46",
        r"\[\d+\] of collections\.deque <- \.queue of queue\.Queue",
    ],
    "background_monitor": [r"more than before, RSS .* most of it: .*raw_uploads\.py:17"],
    "symptoms": [
        r"audit_trail\n.*\n +symptom +it grows by as much in each round",
        r"gc_disabled\n.*\n +symptom +it grows, and gc\.collect\(\) brings it back",
        r"c_library_strings\n.*\n +symptom +the process grows, Python's memory does not",
        r"large_documents\n.*\n +symptom +it was large once",
    ],
    "leak_detector": [
        r"240 PriceRequest, \+",
        r"held by +module examples\.leaks\.price_alerts -> feed -> \._listeners",
        r"written: shop\.dot shop\.html",
        r"the decorator: 60 PriceRequest",
    ],
    "four_steps": [
        r"1\. RSS: .* MiB",
        r"2\. .*frame_history\.py:28: ",
        r"3\. module examples\.leaks\.frame_history -> _detector -> \.history .*600 objects",
        r"4\. repaired, RSS",
        r"(?i)no leak",
    ],
}


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("[!_]*.py")))
def test_recipe(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", f"examples.recipes.{name}"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=270,
    )
    assert done.returncode == 0, done.stdout
    rest = done.stdout
    for pattern in SAYS[name]:
        found = re.search(pattern, rest)
        assert found, f"{pattern} is not in\n{done.stdout}"
        rest = rest[found.end() :]
