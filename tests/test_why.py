"""Who holds an object, or all of a class, in one call."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

import memscope
from memscope import WhyAlive, take_heap_snapshot, why_alive


class Held:
    """What is held."""


class Nobody:
    """A class without instances."""


class Hostile:
    """Runs no code of its own by being asked for."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __hash__(self) -> int:
        raise RuntimeError("hash")


registry: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def emptied() -> Any:
    yield
    registry.clear()


def test_of_an_object() -> None:
    registry["one"] = Held()
    why = why_alive(registry["one"])
    assert isinstance(why, WhyAlive)
    assert why
    assert why.count == 1
    assert why.title == ""
    assert why.holder.endswith("-> registry")
    assert str(why).endswith(f"registry -> ['one'] -> {__name__}.Held")
    assert repr(why) == "<WhyAlive: 1 objects, 1 paths>"
    out = io.StringIO()
    why.show(out)
    assert "Held" in out.getvalue()


def test_of_a_class_its_instances() -> None:
    registry["all"] = [Held() for _ in range(7)]
    why = why_alive(Held)
    assert why.count == 7
    assert "7" in why.title
    assert str(why).startswith(f"{why.title}\n")
    assert "registry" in why.holder
    out = io.StringIO()
    why.show(out)
    assert out.getvalue().startswith(why.title)


def test_of_a_class_without_instances() -> None:
    why = why_alive(Nobody)
    assert not why
    assert (why.count, why.holder) == (0, "")
    assert why.to_dict()["paths"] == []
    str(why), repr(why)


def test_more_paths() -> None:
    one = registry["first"] = Held()
    registry["second"] = [one]
    assert len(why_alive(one).paths) == 1
    assert len(why_alive(one, limit=5).paths) >= 2


def test_as_a_picture(tmp_path: Path) -> None:
    registry["all"] = [Held() for _ in range(5)]
    out = io.StringIO()
    why = why_alive(Held)
    why.show(out, filename=tmp_path / "why.txt")
    assert out.getvalue() == f"Picture written to {tmp_path / 'why.txt'}\n"
    assert f"5 \N{MULTIPLICATION SIGN} {__name__}.Held" in (tmp_path / "why.txt").read_text("utf-8")
    assert "text/plain" in why._repr_mimebundle_()


def test_as_plain_data() -> None:
    registry["one"] = Held()
    why = why_alive(registry["one"])
    data = json.loads(json.dumps(why.to_dict()))
    assert data["count"] == 1
    assert data["holder"] == why.holder
    assert data["paths"][0]["steps"][-1]["type_name"].endswith("Held")


def test_of_an_earlier_moment() -> None:
    registry["one"] = Held()
    snapshot = take_heap_snapshot()
    rows = list(snapshot.find(type=Held))
    later = Held()
    assert why_alive(Held, snapshot=snapshot).count == len(rows) == 1
    assert "registry" in why_alive(rows[0], snapshot=snapshot).holder
    with pytest.raises(ValueError):
        why_alive(later, snapshot=snapshot)


def test_where_it_was_allocated() -> None:
    memscope.start()
    try:
        registry["one"] = Held()
        line = test_where_it_was_allocated.__code__.co_firstlineno + 3
        out = io.StringIO()
        why_alive(registry["one"]).show(out)
        assert f"test_why.py:{line}" in out.getvalue()
    finally:
        memscope.stop()


def test_nothing_of_the_object_is_run() -> None:
    registry["hostile"] = Hostile()
    for why in (why_alive(registry["hostile"]), why_alive(Hostile)):
        assert "registry" in why.holder
        str(why), why.to_dict(), why.show(io.StringIO())
