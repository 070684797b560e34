"""The timeline: points at a distance, classes in bounded rings, what only goes up."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memscope.web import timeline as module
from memscope.web.timeline import Timeline, class_counts, rises

Counts = dict[str, tuple[int, int]]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[Counts], None]:
    """Says which objects there are from now on."""
    now: Counts = {}
    monkeypatch.setattr(module, "class_counts", lambda: dict(now))

    def change(counts: Counts) -> None:
        now.clear()
        now.update(counts)

    return change


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A clock that stands still until it is moved."""
    at = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: at[0])

    def move(seconds: float) -> None:
        at[0] += seconds

    return move


def test_a_point_tells_of_the_process() -> None:
    timeline = Timeline()
    assert timeline.points() == []
    assert timeline.tick()
    (point,) = timeline.points()
    assert point.rss > 1 << 20 or sys.platform != "linux"
    assert point.traced == 0
    assert point.objects >= len(gc.get_objects()) // 2


def test_points_have_a_distance(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memscope.web.timeline.PAUSES", 0)  # whatever a point takes here
    timeline = Timeline()
    assert timeline.tick()
    assert not timeline.tick()
    clock(1.9)
    assert not timeline.tick()
    assert 0 < timeline.pause < 0.2
    clock(0.2)
    assert timeline.tick()
    assert timeline.tick(at_once=True)


def test_expensive_points_take_two_percent(
    clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = count(0, 3)  # a point that takes three seconds
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(steps)))
    timeline = Timeline()
    assert timeline.tick()
    clock(149)
    assert not timeline.tick()
    clock(2)
    assert timeline.tick()


def test_series_begin_when_a_class_does(program: Callable[[Counts], None]) -> None:
    timeline = Timeline(points=4)
    program({"A": (1, 10)})
    timeline.tick(at_once=True)
    program({"A": (2, 20), "B": (5, 50)})
    timeline.tick(at_once=True)
    known = {one.name: one for one in timeline.classes()}
    assert known["A"].values == (1, 2)
    assert known["B"].values == (5,)
    assert (known["B"].bytes, known["A"].growth) == (50, 1)
    for number in range(3, 9):
        program({"A": (number, 10)})
        timeline.tick(at_once=True)
    known = {one.name: one for one in timeline.classes()}
    assert known["A"].values == (5, 6, 7, 8)
    assert len(timeline.points()) == 4
    assert "B" not in known  # it has had no object for as long as is remembered
    assert timeline.series("B") is None


def test_the_points_are_in_order(program: Callable[[Counts], None]) -> None:
    timeline = Timeline(points=3)
    for number in range(1, 8):
        program({"A": (number, 0)})
        timeline.tick(at_once=True)
        points = timeline.points()
        assert [point.objects for point in points] == list(range(max(number - 2, 1), number + 1))
        assert [point.time for point in points] == sorted(point.time for point in points)


def test_classes_with_the_fewest_objects_are_merged(program: Callable[[Counts], None]) -> None:
    timeline = Timeline(points=5, classes=3)
    program({"A": (10, 0), "B": (9, 0), "C": (8, 0)})
    timeline.tick(at_once=True)
    assert timeline.merged == 0
    program({"A": (10, 0), "B": (9, 0), "C": (8, 0), "D": (7, 0), "E": (90, 0)})
    timeline.tick(at_once=True)
    assert {one.name for one in timeline.classes()} == {"A", "B", "E"}
    assert timeline.merged == 2
    assert timeline.others() == 15
    # What is told apart and what is not make the whole, as before.
    assert sum(one.values[-1] for one in timeline.classes()) + 15 == 124
    assert timeline.points()[-1].objects == 124
    # A row that was another class's begins anew.
    assert timeline.series("E") is not None and timeline.series("E").values == (90,)  # type: ignore[union-attr]


def test_memory_is_bounded() -> None:
    timeline = Timeline(points=10, classes=20)
    for number in range(50):
        timeline._begin(f"class {number}")
        timeline._taken += 1
        timeline._told_apart({})
    assert len(timeline._rows) <= 20
    assert len(timeline._numbers) <= 10 * (module.FIRST_ROWS + 21)


def test_many_classes_of_a_real_program() -> None:
    classes = [type(f"Made{number}", (), {"__module__": "made"}) for number in range(1200)]
    objects = [cls() for cls in classes for _ in range(3)]
    timeline = Timeline()
    timeline.tick()
    assert len(timeline.classes()) == module.CLASSES
    assert timeline.merged > 0
    assert timeline.others() > 0
    del objects


def test_no_class_is_kept_alive() -> None:
    class Short:
        pass

    obj, gone = Short(), weakref.ref(Short)
    timeline = Timeline(classes=100_000)  # other tests leave more than it tells apart
    timeline.tick()
    name = f"{__name__}.test_no_class_is_kept_alive.<locals>.Short"
    assert timeline.series(name) is not None
    del obj, Short
    gc.collect()
    assert gone() is None


def test_memscope_itself_has_no_series() -> None:
    timeline = Timeline()
    timeline.tick()
    assert timeline.own_objects > 0
    assert not [one for one in timeline.classes() if one.name.startswith("memscope.")]


def test_names_do_not_run_the_programs_code() -> None:
    class Name(str):
        def __format__(self, spec: str) -> str:
            raise AssertionError("ran")

        __str__ = __getitem__ = __hash__ = __add__ = __format__  # type: ignore[assignment]

    class Meta(type):
        def __getattribute__(cls, name: str) -> object:
            raise AssertionError("ran")

    cls = Meta("Plain", (), {"__module__": "evil"})
    type.__dict__["__qualname__"].__set__(cls, Name("Evil" * 500))
    obj = type.__call__(cls)
    names = [name for name in class_counts() if name.startswith("evil.")]
    assert names == [("evil." + "Evil" * 500)[: module.LONGEST_NAME]]
    assert type(names[0]) is str
    del obj


def test_one_thread_at_a_time_and_none_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    timeline = Timeline()
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> Counts:
        inside.set()
        assert go_on.wait(20)
        return {}

    monkeypatch.setattr(module, "class_counts", slow)
    thread = threading.Thread(target=timeline.tick)
    thread.start()
    assert inside.wait(20)
    assert not timeline.tick(at_once=True)
    go_on.set()
    thread.join()
    assert len(timeline.points()) == 1


def test_a_child_begins_anew() -> None:
    timeline = Timeline()
    timeline.tick()
    timeline._lock.acquire()  # as a thread of the parent that does not exist in the child
    timeline.forked()
    assert timeline.points() == []
    assert timeline.tick()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4], 0),  # too few
        ([1, 2, 3, 4, 5], 4),
        ([1, 1, 2, 2, 3], 2),
        ([1, 2, 3, 2, 4], 0),  # fell
        ([5, 5, 5, 5, 5], 0),
        ([1, 1, 1, 1, 2], 0),  # once
        ([1, 2, 3, 3, 3, 3, 3, 3, 3, 3], 0),  # while it warmed up
    ],
)
def test_what_only_goes_up(values: list[int], expected: int) -> None:
    assert rises(values) == expected


@given(st.lists(st.integers(0, 100), max_size=30))
def test_what_only_goes_up_is_sorted(values: list[int]) -> None:
    if rises(values):
        assert values == sorted(values)
        assert values[-1] >= values[0] + 2
    elif values == sorted(set(values)) and len(values) >= module.LEAST_POINTS:
        raise AssertionError("a strict rise is one")


def test_what_rises_most_often_comes_first(program: Callable[[Counts], None]) -> None:
    timeline = Timeline()
    for number in range(8):
        program(
            {
                "often": (number + 1, 0),
                "by leaps": (1000 * (number // 3), 0),
                "falls": (5000 - number, 0),
                "jumped": (2000 if number else 0, 0),
            }
        )
        timeline.tick(at_once=True)
    assert [one.name for one in timeline.classes()] == ["often", "by leaps", "jumped", "falls"]
