"""Where live memory was allocated, now or since a snapshot; the snapshots, and two compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from memscope import _memscope
from memscope.heap_nodes import OWN_FOLDER
from memscope.sources import Sources
from memscope.tracing import take_snapshot
from memscope.web.asked import Unknown, common, contains
from memscope.web.timeline import OWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from memscope.snapshot import Snapshot
    from memscope.statistics import Statistic, StatisticDiff
    from memscope.web.asked import Asked
    from memscope.web.engine import Engine
    from memscope.web.shelf import Shelf, Taken

__all__ = ["KEYS", "allocations", "forget", "snapshots", "take"]

KEYS = {"lineno": "line", "filename": "file", "function": "function", "traceback": "traceback"}
"""By what live memory is summed up, and how people call it."""

MOST_KEPT = 500
MOST_TRACEBACKS = 150
MOST_CALLERS = 25
MOST_ROWS = 100
LONGEST_LABEL = 80


class Place(NamedTuple):
    """What one line, file, function or traceback holds.  Small: hundreds are kept."""

    name: str
    """Of a function."""
    file: str
    line: int
    """0 of a file, and of a function."""
    bytes: int
    blocks: int
    bytes_diff: int
    blocks_diff: int
    callers: tuple[tuple[str, int], ...]
    more_callers: int

    def to_dict(self, whole: int, *, changed: bool) -> dict[str, Any]:
        part = max(self.bytes_diff if changed else self.bytes, 0)
        callers = [{"file": file, "line": line} for file, line in self.callers]
        return {**self._asdict(), "callers": callers, "share": part / whole if whole else 0.0}


def allocations(engine: Engine, asked: Asked) -> dict[str, Any]:
    """Live memory by place; with "since", what was added after a snapshot."""
    if asked.argument:
        raise Unknown("There is no such page.")
    shelf, kept = _shelf(engine), engine.kept
    assert kept is not None
    key = asked.query.get("by", "lineno")
    if key not in KEYS:
        key = "lineno"
    since = asked.query.get("since", "")
    older = _taken(shelf, asked, since) if since else None
    data = common(engine, "allocations")
    head = {
        **data,
        "filter": asked.filter,
        "by": key,
        "since": since,
        "since_label": older.label if older else "",
        "since_time": older.time if older else None,
        "snapshots": [_taken_data(asked, one) for one in shelf],
        "is_tracing": _memscope.is_tracing(),
    }
    if not _memscope.is_tracing():
        return {**head, "places": [], "total_bytes": 0, "total_blocks": 0}
    found = kept.of(
        ("allocations", key, older.number if older else 0),
        lambda: _places(take_snapshot(), older.snapshot if older else None, key),
    )
    places = [
        place
        for place in found.value["places"]
        if contains(f"{place.name} {place.file}:{place.line}", asked.filter)
    ]
    return {
        **head,
        **_shown(found.value, places, changed=older is not None),
        "found": found.time,
        "age_seconds": max(data["time"] - found.time, 0.0),
        "seconds": found.seconds,
    }


def _places(snapshot: Snapshot, older: Snapshot | None, key: str) -> dict[str, Any]:
    """The places with the most bytes, or that grew most; memscope's own are left out."""
    rows: list[Statistic] | list[StatisticDiff]
    rows = snapshot.statistics(key) if older is None else snapshot.compare_to(older, key)
    sources = Sources()
    places: list[Place] = []
    most = MOST_TRACEBACKS if key == "traceback" else MOST_KEPT
    shown: dict[str, str] = {}
    own = more = 0
    for one in rows:
        size_diff, count_diff = getattr(one, "size_diff", 0), getattr(one, "count_diff", 0)
        frames = [(frame.filename, frame.lineno) for frame in reversed(one.traceback)]
        filename, lineno = frames[0]
        if filename.startswith(OWN_FOLDER):
            own += one.size if older is None else size_diff
        elif older is not None and not size_diff and not count_diff:
            continue
        elif len(places) >= most:
            more += 1
        else:
            for name, _ in frames:
                shown.setdefault(name, sources.shown(name))
            callers = tuple((shown[name], number) for name, number in frames[1 : 1 + MOST_CALLERS])
            places.append(
                Place(
                    getattr(one, "name", ""),
                    shown[filename],
                    lineno,
                    one.size,
                    one.count,
                    size_diff,
                    count_diff,
                    callers,
                    max(len(frames) - 1 - MOST_CALLERS, 0),
                )
            )
    return {
        "places": places,
        "whole": sum(max(one.bytes if older is None else one.bytes_diff, 0) for one in places),
        "more": more,
        "own_bytes": own,
        "total_bytes": snapshot.total_size,
        "total_blocks": len(snapshot),
        "bytes_diff": snapshot.total_size - older.total_size if older else 0,
        "blocks_diff": len(snapshot) - len(older) if older else 0,
        "lost": snapshot.lost,
    }


def _shown(found: dict[str, Any], places: Sequence[Place], *, changed: bool) -> dict[str, Any]:
    """What was found, with the first of some places."""
    whole = found["whole"]
    return {
        **found,
        "places": [place.to_dict(whole, changed=changed) for place in places[:MOST_ROWS]],
        "more": found["more"] + max(len(places) - MOST_ROWS, 0),
    }


def snapshots(engine: Engine, asked: Asked) -> dict[str, Any]:
    """The snapshots that were taken; or two of them compared."""
    shelf = _shelf(engine)
    if asked.argument == "compare":
        return _compared(engine, asked, shelf)
    if asked.argument:
        raise Unknown("There is no such page.")
    from memscope.web.shelf import MOST

    return {
        **common(engine, "snapshots"),
        "is_tracing": _memscope.is_tracing(),
        "most": MOST,
        "snapshots": [_taken_data(asked, one) for one in shelf],
    }


def _compared(engine: Engine, asked: Asked, shelf: Shelf) -> dict[str, Any]:
    older = _taken(shelf, asked, asked.query.get("older", ""))
    newer = _taken(shelf, asked, asked.query.get("newer", ""))
    if newer.number < older.number:
        older, newer = newer, older
    assert engine.kept is not None
    found = engine.kept.of(
        ("compared", older.number, newer.number),
        lambda: _places(newer.snapshot, older.snapshot, "lineno"),
    )
    return {
        **common(engine, "compared"),
        "older": _taken_data(asked, older),
        "newer": _taken_data(asked, newer),
        **_shown(found.value, found.value["places"], changed=True),
        "types": _type_changes(asked, older, newer)[:MOST_ROWS],
    }


def _type_changes(asked: Asked, older: Taken, newer: Taken) -> list[dict[str, Any]]:
    nothing = (0, 0)
    changes = []
    for name in {**newer.types, **older.types}:
        now, then = newer.types.get(name, nothing), older.types.get(name, nothing)
        if now != then and not name.startswith(OWN):
            changes.append((now[1] - then[1], now[0] - then[0], name, now))
    changes.sort(key=lambda change: (-change[0], -change[1], change[2]))
    return [
        {
            "name": name,
            "objects": now[0],
            "objects_diff": count,
            "bytes": now[1],
            "bytes_diff": size,
        }
        for size, count, name, now in changes
    ]


def _taken_data(asked: Asked, taken: Taken) -> dict[str, Any]:
    return {
        "handle": asked.handle("snapshot", taken.number),
        "number": taken.number,
        "label": taken.label,
        "time": taken.time,
        "automatic": taken.is_automatic,
        "bytes": taken.snapshot.total_size,
        "blocks": len(taken.snapshot),
        "kept_bytes": taken.nbytes,
    }


def _taken(shelf: Shelf, asked: Asked, handle: str) -> Taken:
    taken = shelf.get(asked.find("snapshot", handle))
    if taken is None:
        raise Unknown("This snapshot is not there any more: only the last few are kept.")
    return taken


def _shelf(engine: Engine) -> Shelf:
    assert engine.shelf is not None
    return engine.shelf


def take(engine: Engine, asked: Asked, form: dict[str, str]) -> str:
    """Take a snapshot."""
    label = form.get("label", "").strip()[:LONGEST_LABEL]
    _shelf(engine).take(label or "Taken on the page")
    return "snapshots"


def forget(engine: Engine, asked: Asked, form: dict[str, str]) -> str:
    """Forget a snapshot."""
    _shelf(engine).forget(asked.find("snapshot", form.get("handle", "")))
    return "snapshots"
