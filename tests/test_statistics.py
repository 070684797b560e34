"""Statistics: rows that compare, print, become tables and plain data."""

from __future__ import annotations

import io
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from memscope import (
    GroupStatistic,
    GroupStatisticDiff,
    Snapshot,
    Statistic,
    StatisticDiff,
    StatisticDiffs,
    Statistics,
    Traceback,
)
from memscope.report import size_text

if TYPE_CHECKING:
    from pathlib import Path

KIB, MIB = 1024, 1024 * 1024
A1, A2, B7 = (("a.py", 1),), (("a.py", 2), ("b.py", 7)), (("b.py", 7),)
OLD: list[Any] = [(0, 100 * KIB, A1, None), (0, 50 * KIB, B7, None)]
NEW: list[Any] = [(0, 100 * KIB, A1, None), *[(0, MIB, A2, None)] * 3, (0, 5, B7, None)]


@pytest.fixture(autouse=True)
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of the snapshots, in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("kept = <a & b>\n    cache.append(big)\n")


def test_table_of_statistics() -> None:
    assert str(Snapshot(NEW, 5).statistics("lineno")).splitlines() == [
        "Live memory by line: 3.10 MiB in 5 blocks",
        "",
        "    Size    Share  Blocks   Average  Line    Source",
        "3.00 MiB   96.8 %       3  1.00 MiB  a.py:2  cache.append(big)",
        " 100 KiB    3.2 %       1   100 KiB  a.py:1  kept = <a & b>",
        "     5 B    0.0 %       1       5 B  b.py:7",
        "3.10 MiB  100.0 %       5   634 KiB  total",
    ]


def test_table_of_differences() -> None:
    assert str(Snapshot(NEW, 5).compare_to(Snapshot(OLD, 5), "lineno")).splitlines() == [
        "Change by line: +2.95 MiB, +3 blocks",
        "",
        "   Growth    Share      Size  New blocks  Blocks  Line    Source",
        "+3.00 MiB  100.0 %  3.00 MiB          +3       3  a.py:2  cache.append(big)",
        "-50.0 KiB                5 B          +0       1  b.py:7",
        "+2.95 MiB           3.10 MiB          +3       5  total",
    ]


def test_limit_sums_the_rest() -> None:
    statistics = Snapshot(NEW, 5).statistics("lineno")
    out = io.StringIO()
    statistics.show(1, out)
    assert out.getvalue().splitlines()[3:] == [
        "3.00 MiB   96.8 %       3  1.00 MiB  a.py:2      cache.append(big)",
        " 100 KiB    3.2 %       2  50.0 KiB  ... 2 more",
        "3.10 MiB  100.0 %       5   634 KiB  total",
    ]
    diff = Snapshot(NEW, 5).compare_to(Snapshot(OLD, 5), "lineno")
    out = io.StringIO()
    diff.show(limit=1, file=out)
    assert "... 1 more" in out.getvalue()
    for limit in (None, 3, 100):
        out = io.StringIO()
        statistics.show(limit, out)
        assert "more" not in out.getvalue()
    out = io.StringIO()
    statistics.show(0, out)
    assert "... 3 more" in out.getvalue()
    with pytest.raises(ValueError, match="limit must be"):
        statistics.show(-1)


def test_cumulative_rows_are_not_added_up() -> None:
    out = io.StringIO()
    Snapshot(NEW, 5).show("lineno", 1, out, cumulative=True)
    assert out.getvalue().splitlines()[0].startswith("Live memory by line, cumulative: 3.10 MiB")
    (more,) = [line for line in out.getvalue().splitlines() if "more" in line]
    assert more.strip() == "... 2 more"
    diff = Snapshot(NEW, 5).compare_to(Snapshot(OLD, 5), "lineno", cumulative=True)
    out = io.StringIO()
    diff.show(1, out)
    (more,) = [line for line in out.getvalue().splitlines() if "more" in line]
    assert more.strip() == "... 1 more"  # a.py:1 has not changed


def test_traceback_shows_the_callers() -> None:
    lines = str(Snapshot(NEW, 5).statistics("traceback")).splitlines()
    assert lines[0].startswith("Live memory by traceback: ")
    assert lines[3].endswith("a.py:2         cache.append(big)")
    assert lines[4].strip() == "from b.py:7"


@pytest.mark.parametrize(
    ("key", "first"),
    [
        ("filename", "a.py"),
        ("module", "a"),
        ("package", "a"),
    ],
)
def test_other_keys(key: str, first: str) -> None:
    snapshot = Snapshot(NEW, 5)
    lines = str(snapshot.statistics(key)).splitlines()
    assert lines[3].endswith(f"  {first}")
    assert str(snapshot.compare_to(Snapshot(OLD, 5), key)).splitlines()[3].endswith(f"  {first}")


def test_nothing() -> None:
    empty = Snapshot([], 1)
    lines = [
        "Live memory by line: 0 B in 0 blocks",
        "",
        "Size  Share  Blocks  Average  Line   Source",
        " 0 B              0           total",
    ]
    assert str(empty).splitlines() == lines
    assert "total" in str(empty.compare_to(empty, "lineno"))
    assert empty._repr_html_()


def test_unchanged_rows_are_not_shown() -> None:
    snapshot = Snapshot(NEW, 5)
    diff = snapshot.compare_to(snapshot, "lineno")
    assert len(diff) == 3
    assert str(diff).splitlines()[3:] == ["  +0 B         3.10 MiB          +0       5  total"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (10 * KIB - 1, "10.0 KiB"),
        (99.94 * KIB, "99.9 KiB"),
        (99.96 * KIB, "100 KiB"),
        (1023.4 * KIB, "1023 KiB"),
        (1023.6 * KIB, "1.00 MiB"),
        (-1.5 * MIB, "-1.50 MiB"),
        (1 << 50, "1024 TiB"),
        (12.3, "12 B"),
    ],
)
def test_sizes(size: float, text: str) -> None:
    assert size_text(size) == text
    assert size_text(abs(size), True) == "+" + text.removeprefix("-")


def test_what_was_lost_is_said() -> None:
    for made in (Statistics(lost=1), StatisticDiffs(lost=1)):
        assert str(made).splitlines()[-1].startswith("1 block was lost: ")
    made = Statistics(lost=12_345)
    assert "12,345 blocks were lost" in str(made)
    assert "12,345 blocks were lost" in made._repr_html_()


def test_html() -> None:
    html = Snapshot(NEW, 5)._repr_html_()
    assert "kept = &lt;a &amp; b&gt;" in html
    assert html.count("<tr>") == 5
    diff = Snapshot(NEW, 5).compare_to(Snapshot(OLD, 5), "lineno")
    assert "cache.append(big)" in diff._repr_html_()


def test_lists_are_lists() -> None:
    statistics = Snapshot(NEW, 5).statistics("lineno")
    assert isinstance(statistics, list)
    assert statistics == list(statistics)
    assert [one.size for one in statistics[:2]] == [3 * MIB, 100 * KIB]
    assert repr(statistics) == "<Statistics by lineno: 3 rows, 3.10 MiB in 5 blocks>"
    diff = Snapshot(NEW, 5).compare_to(Snapshot(OLD, 5), "lineno")
    assert isinstance(diff, list)
    assert repr(diff) == "<StatisticDiffs by lineno: 3 rows, +2.95 MiB, +3 blocks>"
    for made in (statistics, diff):
        copy = pickle.loads(pickle.dumps(made))
        assert copy == made
        assert str(copy) == str(made)


def test_plain_data() -> None:
    statistics = json.loads(json.dumps(Snapshot(NEW, 5).statistics("traceback").to_dict()))
    assert statistics["total_size"] == 3 * MIB + 100 * KIB + 5
    assert statistics["statistics"][0] == {
        "size": 3 * MIB,
        "count": 3,
        "traceback": [["b.py", 7], ["a.py", 2]],
    }
    diff = json.loads(
        json.dumps(Snapshot(NEW, 5).compare_to(Snapshot(OLD, 5), "package").to_dict())
    )
    assert (diff["size_diff"], diff["count_diff"], diff["key_type"]) == (
        3 * MIB + 5 - 50 * KIB,
        3,
        "package",
    )
    assert diff["statistics"][0]["name"] == "a"
    assert diff["statistics"][0]["size_diff"] == 3 * MIB


def test_group_rows() -> None:
    traceback = Traceback((("f.py", 0),))
    one = GroupStatistic(traceback, 10, 2, "f")
    assert one == GroupStatistic(traceback, 10, 2, "f")
    assert one != GroupStatistic(traceback, 10, 2, "g")
    assert one == Statistic(traceback, 10, 2)
    assert hash(one) == hash(Statistic(traceback, 10, 2))
    assert str(one) == "f (f.py): size=10 B, count=2, average=5 B"
    assert repr(one) == "<GroupStatistic name='f' size=10 count=2>"
    diff = GroupStatisticDiff(traceback, 10, 4, 2, -1, "f")
    assert diff == GroupStatisticDiff(traceback, 10, 4, 2, -1, "f")
    assert diff != GroupStatisticDiff(traceback, 10, 4, 2, -1, "g")
    assert diff == StatisticDiff(traceback, 10, 4, 2, -1)
    assert str(diff) == "f (f.py): size=10 B (+4 B), count=2 (-1), average=5 B"
    assert repr(diff) == "<GroupStatisticDiff name='f' size=10 (+4) count=2 (-1)>"
    module = GroupStatistic(Traceback((("json", 0),)), 0, 0, "json")
    assert str(module) == "json: size=0 B, count=0"


def test_hostile_names_are_harmless() -> None:
    raw: list[Any] = [(0, 1, (("\x1b[2J<script>\n\udc80.py", 1),), None)]
    text = str(Snapshot(raw, 1))
    assert "\x1b" not in text
    assert "\\x1b[2J<script>\\n\\udc80.py:1" in text
    assert "<script>" not in Snapshot(raw, 1)._repr_html_()
