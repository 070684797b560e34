"""Filters beyond tracemalloc's: by module, by owner, by size, epoch and one's own rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

import memscope
from memscope import BaseFilter, DomainFilter, Filter, ModuleFilter, MyCodeFilter, Snapshot

SITE = "/opt/venv/lib/python3.12/site-packages"
APP, FLASK, FLASK_CLI, FLASKY, JSON = (
    "/srv/app.py",
    f"{SITE}/flask/app.py",
    f"{SITE}/flask/cli.py",
    f"{SITE}/flasky/app.py",
    str(json.decoder.__file__),
)
RAW: list[Any] = [
    (0, 10, ((APP, 1),), None),
    (0, 20, ((FLASK, 1), (APP, 2)), None),
    (0, 30, ((FLASK_CLI, 1),), None),
    (0, 40, ((FLASKY, 1),), None),
    (0, 50, ((JSON, 1), (FLASK, 3)), None),
    (389047, 60, ((APP, 4),), None),
    (0, 70, (("<unknown>", 0),), None),
]


def kept(*filters: BaseFilter) -> list[int]:
    return [trace.size for trace in Snapshot(RAW, 4).filter_traces(filters).traces]


def test_modules() -> None:
    assert kept(ModuleFilter(True, "flask")) == [20, 30]
    assert kept(ModuleFilter(True, "flask", all_frames=True)) == [20, 30, 50]
    assert kept(ModuleFilter(False, "flask")) == [10, 40, 50, 60, 70]
    assert kept(ModuleFilter(True, "flask.cli")) == [30]
    assert kept(ModuleFilter(True, "flask*")) == [20, 30, 40]
    assert kept(ModuleFilter(True, "json")) == [50]
    assert kept(ModuleFilter(True, "app")) == [10, 60]
    assert kept(ModuleFilter(True, "app", domain=0)) == [10]
    assert kept(ModuleFilter(True, "app"), ModuleFilter(True, "json")) == [10, 50, 60]
    assert kept(ModuleFilter(True, "app"), DomainFilter(False, 389047)) == [10]
    assert ModuleFilter(True, "flask").module_pattern == "flask"


def test_my_code() -> None:
    assert kept(MyCodeFilter()) == [10, 60]
    assert kept(MyCodeFilter(all_frames=True)) == [10, 20, 60]
    assert kept(MyCodeFilter(False)) == [20, 30, 40, 50, 70]
    snapshot = Snapshot(RAW, 4)
    assert [t.size for t in snapshot.only_my_code().traces] == [10, 60]
    assert [t.size for t in snapshot.only_my_code(all_frames=True).traces] == [10, 20, 60]


@pytest.mark.parametrize(
    ("criteria", "sizes"),
    [
        ({}, [10, 20, 30, 40, 50, 60, 70]),
        ({"min_size": 30}, [30, 40, 50, 60, 70]),
        ({"max_size": 30}, [10, 20, 30]),
        ({"min_size": 20, "max_size": 40, "module": "flask"}, [20, 30]),
        ({"filename": "*/app.py"}, [10, 20, 40, 60]),
        ({"filename": "*/app.py", "module": "flask"}, [20]),
        ({"filename": "*/app.py", "only_my_code": True}, [10, 60]),
        ({"filename": "*/app.py", "only_my_code": True, "domain": 389047}, [60]),
        ({"only_my_code": True, "module": "flask", "all_frames": True}, [20]),
        ({"domain": 0, "min_size": 60}, [70]),
        ({"min_size": 100}, []),
    ],
)
def test_criteria_all_hold(criteria: dict[str, Any], sizes: list[int]) -> None:
    assert [trace.size for trace in Snapshot(RAW, 4).filter(**criteria).traces] == sizes


def test_epochs() -> None:
    memscope.start()
    try:
        assert memscope.get_epoch() == 0
        old = bytes(100_001)
        assert memscope.advance_epoch() == 1
        middle = bytes(200_002)
        assert memscope.advance_epoch() == memscope.get_epoch() == 2
        young = bytes(300_003)
        snapshot = memscope.take_snapshot().filter(min_size=100_000, only_my_code=True)
    finally:
        memscope.stop()
    assert snapshot.epoch == 2

    def blocks(**criteria: Any) -> list[int]:
        found = [trace.size // 100_000 for trace in snapshot.filter(**criteria).traces]
        return sorted(size for size in found if size)

    assert blocks() == [1, 2, 3]
    assert blocks(min_epoch=1) == [2, 3]
    assert blocks(max_epoch=0) == [1]
    assert blocks(min_epoch=1, max_epoch=1) == [2]
    del old, middle, young


class Even(BaseFilter):
    """A user's own: by size in tens."""

    def _match(self, trace: Any) -> bool:
        return (trace[1] // 10 % 2 == 0) is self.inclusive


class Narrowed(Filter):
    def _match(self, trace: Any) -> bool:
        return super()._match(trace) and trace[1] > 10


def test_filters_of_ones_own() -> None:
    assert kept(Even(True)) == [20, 40, 60]
    assert kept(Even(False)) == [10, 30, 50, 70]
    assert kept(Even(True), DomainFilter(False, 389047)) == [20, 40]
    assert kept(Even(True), ModuleFilter(True, "app")) == [10, 20, 40, 60]
    assert kept(Narrowed(True, APP)) == [60]
    with pytest.raises(NotImplementedError):
        kept(BaseFilter(True))


def test_native_filters_say_the_same_of_one_trace() -> None:
    for chosen in (
        ModuleFilter(True, "flask", all_frames=True),
        ModuleFilter(False, "app", domain=0),
        MyCodeFilter(False),
        Filter(False, "*/app.py", 4, domain=389047),
        DomainFilter(False, 0),
    ):
        assert kept(chosen) == [trace[1] for trace in RAW if chosen._match(trace)]


def test_a_changed_filter_is_looked_at_again() -> None:
    chosen = Filter(True, APP)
    assert kept(chosen) == [10, 60]
    chosen.inclusive = False
    assert kept(chosen) == [20, 30, 40, 50, 70]
    chosen.lineno = 4
    assert kept(chosen) == [10, 20, 30, 40, 50, 70]
    chosen.all_frames = True
    chosen.lineno = 2
    assert kept(chosen) == [10, 30, 40, 50, 60, 70]


def test_filtering_keeps_addresses_and_leaves_the_original() -> None:
    memscope.start()
    try:
        block = bytes(123_457)
        snapshot = memscope.take_snapshot()
    finally:
        memscope.stop()
    count = len(snapshot)
    (row,) = [snapshot.filter(min_size=123_457, max_size=123_600)]
    assert row.columns.address(0) == id(block)
    assert len(snapshot) == count
    assert snapshot.filter_traces([]) is not snapshot
    assert snapshot.filter_traces([]).traces == snapshot.traces
