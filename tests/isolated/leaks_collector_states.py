"""diagnose() with the collector off, frozen, debugged or without threshold: told, left alone."""

import gc
import sys
from collections.abc import Callable
from typing import Any

from _heap import collector

import memscope


class Session:
    """What is kept."""


class Cycle:
    itself: Any


kept: list[object] = []


def work() -> None:
    kept.extend(Session() for _ in range(30))
    for _ in range(30):
        cycle = Cycle()
        cycle.itself = cycle


states: dict[str, Callable[[], object]] = {
    "as usual": lambda: None,
    "off": gc.disable,
    "frozen": gc.freeze,
    "no threshold": lambda: gc.set_threshold(0),
    "rarely": lambda: gc.set_threshold(50_000_000),
    "saving all": lambda: gc.set_debug(gc.DEBUG_SAVEALL),
}
for name, change in states.items():
    gc.collect()
    kept.clear()
    change()
    before = [collector()[number] for number in (0, 1, 2)]
    report = memscope.diagnose(work, rounds=3)
    assert [collector()[number] for number in (0, 1, 2)] == before, name
    by_kind = {leak.kind: leak for leak in report.leaks}
    kinds = {"growing-container"}
    if name not in ("as usual", "frozen"):
        kinds.add("uncollected-cycle")
    assert set(by_kind) == kinds, (name, str(report))
    assert all(leak.type_name.endswith(("Session", "Cycle")) for leak in report.leaks), (
        name,
        str(report),
    )
    assert by_kind["growing-container"].count == 90, (name, str(report))
    gc.enable()
    gc.unfreeze()
    gc.set_debug(0)
    gc.set_threshold(700, 10, 10)
    gc.garbage.clear()
assert sys.getrefcount(kept) < 10
