"""The classes over the last minutes, and who holds the objects of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from memscope import _memscope
from memscope.heap import take_heap_snapshot
from memscope.heap_nodes import class_name, full_name, global_name
from memscope.heap_paths import Path, Step
from memscope.naming import exact
from memscope.web.asked import Unknown, common, contains, hide_keys, series_data
from memscope.web.timeline import LONGEST_NAME

if TYPE_CHECKING:
    from memscope.heap import HeapSnapshot
    from memscope.web.asked import Asked
    from memscope.web.engine import Engine

__all__ = ["look", "path_data", "types"]

MOST_ROWS = 200
MOST_PATHS = 6


def types(engine: Engine, asked: Asked) -> dict[str, Any]:
    """Classes, what only goes up first; or one of them."""
    timeline = engine.timeline
    assert timeline is not None
    timeline.tick()
    if asked.argument:
        return _one(engine, asked)
    found = timeline.classes()
    fitting = [one for one in found if contains(one.name, asked.filter)]
    points = timeline.points()
    return {
        **common(engine, "types"),
        "filter": asked.filter,
        "points": len(points),
        "span_seconds": points[-1].time - points[0].time if points else 0.0,
        "classes": len(found),
        "fitting": len(fitting),
        "only_up": sum(one.rises > 0 for one in found),
        "types": [series_data(asked, one) for one in fitting[:MOST_ROWS]],
        "merged_classes": timeline.merged,
        "merged_objects": timeline.others(),
        "own_objects": timeline.own_objects,
    }


def _one(engine: Engine, asked: Asked) -> dict[str, Any]:
    name = asked.find("class", asked.argument)
    assert engine.timeline is not None
    assert engine.kept is not None
    one = engine.timeline.series(name)
    if one is None:
        raise Unknown("This class has had no objects for some minutes.")
    points = engine.timeline.points()
    found = engine.kept.last(("paths", name))
    data = common(engine, "type")
    return {
        **data,
        **series_data(asked, one),
        "times": [point.time for point in points[-len(one.values) :]],
        "held": None
        if found is None
        else {
            **found.value,
            "found": found.time,
            "age_seconds": max(data["time"] - found.time, 0.0),
            "seconds": found.seconds,
        },
    }


def look(engine: Engine, asked: Asked, form: dict[str, str]) -> str:
    """Find out who holds the objects of a class."""
    handle = form.get("handle", "")
    name = asked.find("class", handle)
    assert engine.kept is not None
    engine.kept.renew(("paths", name), lambda: _held(name))
    return f"types/{handle}"


def _held(name: str) -> dict[str, Any]:
    snapshot = take_heap_snapshot()
    classes = [cls for cls, *_ in _memscope.gc_types() if _name(cls) == name]
    if not classes:
        return {"count": 0, "bytes": 0, "paths": [], "note": "It has no objects any more."}
    # Those of one name are found together.
    rows = snapshot.find(type=classes[0])
    size = _bytes(snapshot, name)
    if not rows:
        return {"count": 0, "bytes": 0, "paths": [], "note": "It has no objects any more."}
    paths = snapshot.paths_to_root(rows, limit=MOST_PATHS)
    return {
        "count": len(rows),
        "bytes": size,
        "paths": [path_data(path) for path in paths],
        "note": paths.note,
    }


def _name(cls: type) -> str:
    module, qualname = class_name(cls)
    return full_name(module, exact(qualname))[:LONGEST_NAME]


def _bytes(snapshot: HeapSnapshot, name: str) -> int:
    return sum(row.bytes for row in snapshot.types() if row.type_name[:LONGEST_NAME] == name)


def path_data(path: Path) -> dict[str, Any]:
    """A path from a root: names, numbers and sites; no addresses, no keys."""
    steps: list[Step] = []
    for step in path.steps:
        edge = step.edge
        if steps and steps[-1].edge.lstrip(".") in ("__globals__", "__dict__"):
            edge = global_name(edge)
        steps.append(step._replace(edge=hide_keys(edge), description=hide_keys(step.description)))
    return {
        "text": str(Path(steps, path.count)),
        "count": path.count,
        "steps": [
            {
                "edge": step.edge,
                "description": step.description,
                "type_name": step.type_name,
                # A thread or a frame has none.
                "bytes": step.bytes if step.address else None,
                "count": step.count,
                "site": step.site,
            }
            for step in steps
        ],
    }
