"""Retained sizes in words: one object, the dominator tree, groups; and types of traced blocks."""

from __future__ import annotations

import gc
import io
import json
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

import memscope
from memscope.heap import HeapSnapshot, take_heap_snapshot

MODULE = "retained_in_the_test"


class Session:
    """What a cache is full of."""

    def __init__(self, number: int) -> None:
        self.payload = bytearray(20_000)
        self.tags = [number, str(number)]


class Lone:
    """Of which there is one."""


@pytest.fixture
def module() -> Iterator[Any]:
    """A module whose namespace holds what no variable of a running function does."""
    made: Any = types.ModuleType(MODULE)
    sys.modules[MODULE] = made
    fill(made)
    yield made
    del sys.modules[MODULE]


def fill(made: Any) -> None:
    made.cache = {number: Session(number) for number in range(300)}
    made.shared = [bytearray(5000)]
    made.one, made.two = Lone(), Lone()
    made.one.shared = made.two.shared = made.shared.pop()


@pytest.fixture
def snapshot(module: Any) -> HeapSnapshot:
    gc.collect()
    return take_heap_snapshot()


def line_of(text: str, rows: str) -> str:
    [line] = [line for line in rows.splitlines() if text in line]
    return line


# -- one object


def test_retained_size(snapshot: HeapSnapshot, module: Any) -> None:
    own = sys.getsizeof(module.cache[5])
    one = snapshot.retained_size(module.cache[5])
    assert one > own + 20_000
    assert snapshot.retained_size(module.cache) > 300 * one * 0.99
    assert snapshot.retained_size(module.one) < 1000
    assert snapshot.retained_size(vars(module)) > snapshot.retained_size(module.cache) + 5000


def test_retained_size_of_several_counts_once(snapshot: HeapSnapshot, module: Any) -> None:
    cache = snapshot.retained_size(module.cache)
    assert snapshot.retained_size(module.cache, module.cache[1], module.cache[2]) == cache
    sessions = snapshot.find(type=Session)
    assert snapshot.retained_size(sessions) < cache
    assert snapshot.retained_size(sessions) == snapshot.retained_size(*module.cache.values())
    assert snapshot.retained_size(*sessions) == snapshot.retained_size(sessions)
    assert snapshot.retained_size() == 0


def test_dominator(snapshot: HeapSnapshot, module: Any) -> None:
    session = snapshot.dominator(module.cache[5].payload)
    assert session is not None
    assert session.type_name.endswith("Session")
    assert session.names == (".payload",)
    cache = snapshot.dominator(session)
    assert cache is not None
    assert (cache.address, cache.names) == (id(module.cache), ("[5]",))
    namespace = snapshot.dominator(cache)
    assert namespace is not None
    assert (namespace.address, namespace.names) == (id(vars(module)), ("['cache']",))
    held_by_both = snapshot.dominator(module.one.shared)
    assert held_by_both is not None
    assert (held_by_both.address, held_by_both.names) == (id(vars(module)), ())
    assert snapshot.dominator(sys) is None


def test_dominator_is_a_frame() -> None:
    local = bytearray(3000)
    row = take_heap_snapshot().dominator(local)
    assert row is not None
    assert row.description.startswith("test_dominator_is_a_frame()")
    assert row.names == ("local",)
    assert row.address == 0


def test_of_dead_objects(snapshot: HeapSnapshot, module: Any) -> None:
    rows = list(snapshot.find(type=Session))
    expected = snapshot.retained_size(module.cache[5])
    module.cache.clear()
    gc.collect()
    assert snapshot.retained_size(rows[0]) == expected
    cache = snapshot.dominator(rows[0])
    assert cache is not None
    assert cache.type_name == "dict"


def test_what_is_not_there(snapshot: HeapSnapshot) -> None:
    for ask in (snapshot.retained_size, snapshot.dominator, snapshot.dominated):
        with pytest.raises(ValueError, match="not in the snapshot"):
            ask(Lone())


def test_computed_once_in_many_threads(snapshot: HeapSnapshot, module: Any) -> None:
    before = snapshot.nbytes
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(snapshot.retained_size(module.cache)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert before + 20 * len(snapshot) < snapshot.nbytes < before + 25 * len(snapshot)


# -- the tree


def test_dominated(snapshot: HeapSnapshot, module: Any) -> None:
    tree = snapshot.dominated(module.cache)
    assert tree.title.startswith("dict of 300: ")
    [sessions] = [row for row in tree if row.type_name.endswith("Session")]
    assert sessions.depth == 0
    assert sessions.count == sessions.retained_count == 300
    assert sessions.node == -1
    assert sessions.bytes == 300 * snapshot.find(type=Session)[0].bytes
    assert sessions.retained_bytes == snapshot.retained_size(snapshot.find(type=Session))
    assert f"300 x {Session.__module__}.Session" in str(tree)


def test_dominated_by_one_object_that_stands_out(snapshot: HeapSnapshot, module: Any) -> None:
    tree = snapshot.dominated(vars(module))
    assert tree[0].edge == "['cache']"
    assert tree[0].address == id(module.cache)
    assert tree[0].depth == 0
    assert [row.depth for row in tree[:2]] == [0, 1]
    assert tree[1].type_name.endswith("Session")
    lone = [row for row in tree if row.type_name.endswith("Lone")]
    assert {row.edge for row in lone} == {"['one']", "['two']"}


def test_dominator_tree(snapshot: HeapSnapshot) -> None:
    tree = snapshot.dominator_tree(limit=3000)
    assert tree.title.startswith("Dominator tree: ")
    assert tree.total_bytes == snapshot.total_size
    tops = [row.retained_bytes for row in tree if row.depth == 0]
    assert tops == sorted(tops, reverse=True)
    assert 0.8 * snapshot.total_size < sum(tops) <= snapshot.total_size
    # No function of this module is anywhere else, so nothing but it leads to its dict.
    at = [row.description for row in tree].index(f"module {MODULE}")
    assert [(row.depth, row.edge) for row in tree[at : at + 3]] == [
        (0, ""),
        (1, "__dict__"),
        (2, "['cache']"),
    ]
    below: list[int] = []
    for row in tree:  # what is in an object is not more than the object
        below[row.depth :] = [row.retained_bytes]
        assert below == sorted(below, reverse=True)
    assert len(snapshot.dominator_tree(limit=3)) == 3
    assert len(snapshot.dominator_tree(limit=0)) == 0


def test_a_namespace_that_functions_lead_to(module: Any) -> None:
    exec("def function(): pass", vars(module))
    holders = [module.function]  # a second way to the dict
    tree = take_heap_snapshot().dominator_tree(limit=400)
    [row] = [row for row in tree if f"namespace of module {MODULE}" in row.description]
    assert row.depth == 0
    assert row.address == id(vars(module))
    assert tree[tree.index(row) + 1].edge == "['cache']"
    assert holders


def test_the_tree_is_shown(snapshot: HeapSnapshot) -> None:
    tree = snapshot.dominator_tree(limit=30)
    out = io.StringIO()
    tree.show(None, file=out)
    assert out.getvalue().startswith(tree.title)
    assert "Retained" in out.getvalue()
    tree.show(2, file=out)
    assert "... 28 more" in out.getvalue()
    assert tree._repr_html_().count("<tr") >= 11
    plain = json.loads(json.dumps(tree.to_dict()))
    assert len(plain["rows"]) == 30
    assert plain["rows"][0]["retained_bytes"] == tree[0].retained_bytes
    assert "DominatorTree" in repr(tree)


# -- groups


def test_by_type(snapshot: HeapSnapshot) -> None:
    rows = snapshot.retained()
    assert rows.by == "type"
    name = f"{Session.__module__}.Session"
    [row] = [row for row in rows if row.name == name]
    assert row.count == 300
    assert row.retained_bytes == snapshot.retained_size(snapshot.find(type=Session))
    assert row.bytes == sum(one.bytes for one in snapshot.find(type=Session))
    assert sum(row.count for row in rows) == rows.total_count == len(snapshot)
    assert sum(row.bytes for row in rows) == rows.total_bytes == snapshot.total_size
    sizes = [row.retained_bytes for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert list(snapshot.retained("type", limit=3)) == rows[:3]


def test_by_module(snapshot: HeapSnapshot) -> None:
    rows = {row.name: row for row in snapshot.retained("module")}
    assert rows[__name__].count >= 302
    assert rows[__name__].retained_bytes >= snapshot.retained_size(
        snapshot.find(type=Session), snapshot.find(type=Lone)
    )
    assert sum(row.count for row in rows.values()) == len(snapshot)


def test_by_holder(snapshot: HeapSnapshot, module: Any) -> None:
    rows = snapshot.retained("holder")
    names = {row.name: row for row in rows}
    assert sum(row.retained_bytes for row in rows) == snapshot.total_size
    assert names[f"module {MODULE}"].retained_bytes == snapshot.retained_size(module, vars(module))
    assert names["held by several of them"].count > 10
    assert any(name.startswith("thread ") for name in names)


def test_places_need_traces(snapshot: HeapSnapshot) -> None:
    for ask in (lambda: snapshot.retained("site"), lambda: snapshot.statistics("lineno")):
        with pytest.raises(ValueError, match=r"memscope\.start\(\)"):
            ask()
    assert all(row.parts == () for row in snapshot.statistics("type"))
    with pytest.raises(ValueError, match='"holder"'):
        snapshot.retained("colour")
    with pytest.raises(ValueError, match="unknown key_type"):
        snapshot.statistics("colour")


@pytest.fixture
def traced() -> Iterator[HeapSnapshot]:
    made: Any = types.ModuleType(MODULE)
    sys.modules[MODULE] = made
    memscope.start()
    fill(made)
    taken = take_heap_snapshot()
    memscope.stop()
    yield taken
    del sys.modules[MODULE]


def test_by_site(traced: HeapSnapshot) -> None:
    rows = traced.retained("site")
    assert all(row.parts == () for row in rows)
    here = fill.__code__.co_firstlineno + 1
    [row] = [row for row in rows if (row.filename, row.lineno) == (__file__, here)]
    assert row.count >= 300
    assert row.name.endswith(f"test_heap_retained.py:{here}")
    assert row.retained_bytes >= traced.retained_size(traced.find(type=Session))
    assert sum(row.count for row in rows) == len(traced)
    assert any(row.name == "not traced" for row in rows)


def test_types_of_places_and_places_of_types(traced: HeapSnapshot) -> None:
    name = f"{Session.__module__}.Session"
    here = f"test_heap_retained.py:{fill.__code__.co_firstlineno + 1}"
    [place] = [row for row in traced.statistics("lineno") if row.name.endswith(here)]
    assert (name, 300) in [part[:2] for part in place.parts]
    [kind] = [row for row in traced.statistics() if row.name == name]
    assert [(part.name[-len(here) :], part.count) for part in kind.parts] == [(here, 300)]
    assert f"{name} 300" in str(traced.statistics("lineno"))
    for key, start in (("filename", ""), ("function", "fill")):  # or a comprehension in it
        parts = [
            part[:2]
            for row in traced.statistics(key)
            if row.filename == __file__ and row.name.startswith(start)
            for part in row.parts
        ]
        assert (name, 300) in parts
    for rows in (traced.statistics("lineno"), traced.statistics("type")):
        for row in rows:
            assert sum(part.count for part in row.parts) == row.count
            assert sum(part.bytes for part in row.parts) == row.bytes


def test_groups_are_shown(traced: HeapSnapshot) -> None:
    for rows in (traced.retained("type"), traced.retained("holder"), traced.statistics("lineno")):
        out = io.StringIO()
        rows.show(2, file=out)
        assert out.getvalue().startswith(f"Retained by {rows.by}: ")
        assert f"... {len(rows) - 2:,} more" in out.getvalue()
        assert "<table" in rows._repr_html_()
        plain = json.loads(json.dumps(rows.to_dict()))
        assert len(plain["groups"]) == len(rows)
        assert rows.by in repr(rows)


# -- types of the blocks of an allocation snapshot


def test_statistics_by_type() -> None:
    memscope.start()
    kept = [Session(number) for number in range(200)]
    snapshot = memscope.take_snapshot(types=True)
    memscope.stop()
    rows = snapshot.statistics("type")
    by_name = {row.name: row for row in rows}  # type: ignore[attr-defined]
    sessions = by_name[f"{__name__}.Session"]
    assert sessions.count == len(kept)
    assert sessions.size >= 200 * 16
    assert by_name["bytearray"].count >= 200
    assert sum(row.count for row in rows) == len(snapshot)
    assert sum(row.size for row in rows) == snapshot.total_size
    assert [row.size for row in rows] == sorted((row.size for row in rows), reverse=True)
    text = str(rows)
    assert text.startswith("Live memory by type")
    assert "memory of objects and of C code" in text


def test_types_survive_filters_and_are_compared() -> None:
    memscope.start()
    before = memscope.take_snapshot(types=True)
    kept = [Session(number) for number in range(200)]
    after = memscope.take_snapshot(types=True)
    memscope.stop()
    mine = after.filter(filename=__file__).filter(max_size=1 << 20)
    name = f"{__name__}.Session"
    [row] = [row for row in mine.statistics("type") if row.name == name]  # type: ignore[attr-defined]
    assert row.count == len(kept)
    [diff] = [row for row in after.compare_to(before, "type") if row.name == name]  # type: ignore[attr-defined]
    assert (diff.count, diff.count_diff) == (200, 200)
    [diff] = [row for row in before.compare_to(after, "type") if row.name == name]  # type: ignore[attr-defined]
    assert (diff.count, diff.count_diff) == (0, -200)


def test_types_that_are_not_known(tmp_path: Any) -> None:
    memscope.start()
    plain, typed = memscope.take_snapshot(), memscope.take_snapshot(types=True)
    memscope.stop()
    typed.save(tmp_path / "typed")
    loaded = memscope.Snapshot.load(tmp_path / "typed")
    for snapshot in (plain, loaded):
        with pytest.raises(ValueError, match=r"take_snapshot\(types=True\)"):
            snapshot.statistics("type")
        with pytest.raises(ValueError, match=r"take_snapshot\(types=True\)"):
            typed.compare_to(snapshot, "type")
    with pytest.raises(ValueError, match="cumulative"):
        typed.statistics("type", cumulative=True)
    with pytest.raises(RuntimeError, match="must be tracing"):
        memscope.take_snapshot(types=True)
