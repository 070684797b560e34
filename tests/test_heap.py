"""Heap snapshots: a heap whose every reference is known, by name; and nothing is changed."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import shutil
import subprocess
import sys
import threading
import types
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import memscope
from memscope.heap import HeapSnapshot, ObjectRows, take_heap_snapshot
from memscope.heap_nodes import thread_names

RunPython = Callable[..., Any]

MODULE = "heap_of_the_test"


class Session:
    """Holds others by inline attribute values."""

    def __init__(self, **attributes: object) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class Slotted:
    __slots__ = ("left", "right")


@pytest.fixture
def module() -> Iterator[Any]:
    """A module of sys.modules: what its globals hold has one short path."""
    made = types.ModuleType(MODULE)
    sys.modules[MODULE] = made
    yield made
    del sys.modules[MODULE]


def one_name(snapshot: HeapSnapshot, source: object, target: object) -> str:
    """The one name by which *source* refers to *target*, asked from both ends."""
    target_id, source_id = id(target), id(source)
    [down] = [row for row in snapshot.referents(source) if row.address == target_id]
    [up] = [row for row in snapshot.referrers(target) if row.address == source_id]
    assert down.names == up.names
    [name] = down.names
    return name


def place(snapshot: HeapSnapshot, obj: object) -> str:
    [path] = snapshot.paths_to_root(obj)
    return path.place


# -- a heap whose every reference is known


def test_from_module_to_attribute(module: Any) -> None:
    leaf = Session()
    module.cache = {"sessions": [None, Session(owner=leaf)]}
    snapshot = take_heap_snapshot()
    holder = module.cache["sessions"][1]
    assert one_name(snapshot, module.__dict__, module.cache) == "['cache']"
    assert one_name(snapshot, module.cache, module.cache["sessions"]) == "['sessions']"
    assert one_name(snapshot, module.cache["sessions"], holder) == "[1]"
    assert one_name(snapshot, holder, leaf) == ".owner"
    assert str(snapshot.paths_to_root(leaf)) == (
        f"module {MODULE} -> cache -> ['sessions'] -> [1] -> .owner -> {__name__}.Session"
    )


def test_slots_cells_and_functions(module: Any) -> None:
    leaf, other = Session(), Session()
    slotted = Slotted()
    slotted.left = leaf

    def closure() -> object:
        return other

    module.slotted, module.closure = slotted, closure
    snapshot = take_heap_snapshot()
    assert one_name(snapshot, slotted, leaf) == ".left"
    del slotted
    snapshot = take_heap_snapshot()
    assert place(snapshot, leaf) == f"module {MODULE} -> slotted -> .left"
    assert closure.__closure__ is not None
    assert [row.type_name for row in snapshot.referrers(closure.__closure__)] == ["function"]


def test_classes_and_code(module: Any) -> None:
    class Kept:
        leaf = Session()

    def function() -> tuple[str, ...]:
        return ("a constant of the code", "and another")

    module.Kept, leaf = Kept, Kept.leaf
    del Kept
    snapshot = take_heap_snapshot()
    assert place(snapshot, leaf).startswith(f"module {MODULE} -> Kept")
    assert "leaf" in place(snapshot, leaf)
    rows = snapshot.referents(function.__code__)
    assert any(row.address == id(function.__code__.co_consts) for row in rows)


def test_a_weak_reference_holds_nothing() -> None:
    leaf = Session()
    ref = weakref.ref(leaf)
    snapshot = take_heap_snapshot()
    assert id(ref) not in [row.address for row in snapshot.referrers(leaf)]


def test_generator_locals(module: Any) -> None:
    def generator() -> Any:
        inside = Session()
        yield inside

    module.suspended = generator()
    leaf = next(module.suspended)
    snapshot = take_heap_snapshot()
    assert place(snapshot, leaf) == f"module {MODULE} -> suspended -> inside"


def test_locals_of_another_thread() -> None:
    ready, done = threading.Event(), threading.Event()
    found: list[Any] = []

    def work() -> None:
        only_here = [Session()]
        found.append(weakref.ref(only_here[0]))
        ready.set()
        done.wait()
        del only_here

    thread = threading.Thread(target=work, name="the worker")
    thread.start()
    ready.wait()
    try:
        snapshot = take_heap_snapshot()
        [path] = snapshot.paths_to_root(found[0]())
        root, frame, local, item = path.steps
        assert root.description == "thread the worker"
        assert frame.description.startswith("test_locals_of_another_thread.<locals>.work() at ")
        assert "test_heap.py:" in frame.description
        assert (local.edge, item.edge) == ("only_here", "[0]")
    finally:
        done.set()
        thread.join()


def test_the_callers_own_variable_is_no_answer(module: Any) -> None:
    leaf = Session()
    module.cache = [leaf]
    snapshot = take_heap_snapshot()
    assert place(snapshot, leaf) == f"module {MODULE} -> cache -> [0]"
    module.cache.clear()
    snapshot = take_heap_snapshot()
    [path] = snapshot.paths_to_root(leaf)
    assert path.steps[-1].edge == "leaf"
    assert path.steps[0].type_name == "thread"


def test_an_asyncio_task(module: Any) -> None:
    async def handler() -> None:
        request = Session()
        module.ref = weakref.ref(request)
        await asyncio.sleep(60)
        del request

    async def main() -> str:
        task = asyncio.create_task(handler(), name="the handler")
        module.task = task
        await asyncio.sleep(0)
        found = place(take_heap_snapshot(), module.ref())
        task.cancel()
        return found

    found = asyncio.run(main())
    assert "request" in found
    assert "task" in found


def test_what_c_holds_is_said_to_be_a_hint() -> None:
    from ctypes import py_object, pythonapi

    held = [Session()]
    pythonapi.Py_IncRef(py_object(held))
    address = id(held)
    try:
        ref, held = weakref.ref(held[0]), None  # type: ignore[assignment]
        snapshot = take_heap_snapshot()
        leaf = ref()
        [path] = [path for path in snapshot.paths_to_root(leaf) if path.steps[0].address]
        assert path.steps[0].address == address
        assert "held by C code or the interpreter" in str(path)
        assert "a hint" in str(path)
    finally:
        import _ctypes

        pythonapi.Py_DecRef(py_object(_ctypes.PyObj_FromPtr(address)))


def test_garbage_has_no_path() -> None:
    gc.collect()
    gc.disable()
    try:
        cycle = Session()
        cycle.me = cycle  # type: ignore[attr-defined]
        ref = weakref.ref(cycle)
        del cycle
        snapshot = take_heap_snapshot()
        rows = snapshot.find(type=Session)
        assert len(rows) == 1
        paths = snapshot.paths_to_root(rows)
        assert paths == []
        assert "No root leads to it" in str(paths)
        assert ref() is not None
    finally:
        gc.enable()


def test_agreement_with_gc() -> None:
    samples: list[Any] = [
        {"a": [1], "b": (2, [3])},
        [[], {}],
        {1.5, "x"},
        deque([Session()]),
        OrderedDict(a=[1]),
        Session(x=[1]),
    ]
    snapshot = take_heap_snapshot()
    for sample in samples:
        expected = {id(obj) for obj in gc.get_referents(sample)}
        assert expected <= {row.address for row in snapshot.referents(sample)}
    for sample in samples:
        known = {row.address for row in snapshot.referrers(sample)}
        assert {id(obj) for obj in gc.get_referrers(sample) if obj is samples} <= known


# -- many objects


def test_many_objects_are_one_path(module: Any) -> None:
    class Many(Session):
        pass

    module.sessions = {f"k{number}": Many(number=[number]) for number in range(500)}
    module.others = [Many(), Many()]
    snapshot = take_heap_snapshot()
    found = snapshot.find(type=Many)
    assert len(found) == 502
    paths = snapshot.paths_to_root(found, limit=2)
    assert len(paths) == 2
    assert paths[0].place == f"module {MODULE} -> sessions -> ['k0'] and 499 more"
    assert (paths[0].count, paths[1].count) == (500, 2)
    assert str(paths[0]).endswith(".Many (500 objects)")
    assert "and 499 more" in str(paths.to_dict())
    inner = snapshot.paths_to_root(*(obj.number for obj in module.sessions.values()))
    assert inner[0].place == f"module {MODULE} -> sessions -> ['k0'] and 499 more -> .number"
    assert "2 objects are held in 1 other way" in str(snapshot.paths_to_root(found))


def test_paths_are_shortest_first(module: Any) -> None:
    leaf = Session()
    module.far = [[[leaf]]]
    module.near = [leaf]
    snapshot = take_heap_snapshot()
    paths = snapshot.paths_to_root(leaf, limit=3)
    places = [path.place for path in paths if path.steps[0].type_name == "module"]
    assert places[0] == f"module {MODULE} -> near -> [0]"
    assert [len(path) for path in paths] == sorted(len(path) for path in paths)


# -- by type


def test_types_are_counted() -> None:
    class Counted(Session):
        pass

    kept = [Counted() for _ in range(321)]
    snapshot = take_heap_snapshot()
    rows = snapshot.types()
    name = f"{__name__}.test_types_are_counted.<locals>.Counted"
    [row] = [row for row in rows if row.type_name == name]
    assert row.count == 321
    assert row.bytes == sum(map(sys.getsizeof, kept))
    assert sum(row.count for row in rows) == len(snapshot) == rows.total_count
    assert sum(row.bytes for row in rows) == snapshot.total_size
    assert [row.bytes for row in rows] == sorted((row.bytes for row in rows), reverse=True)
    mine = snapshot.types(module=__name__)
    assert name in {row.type_name for row in mine}
    assert all(row.type_name.startswith(__name__) for row in mine)
    assert any(row.type_name == "str" for row in snapshot.types(module="builtins"))
    assert len(snapshot.types(limit=3)) == 3
    assert "more" in str(rows)


def test_find() -> None:
    class Found:
        pass

    kept = [Found(), Found()]
    large = [bytearray(5_000_000)]
    snapshot = take_heap_snapshot()
    for spelling in (Found, f"{__name__}.test_find.<locals>.Found", "Found"):
        found = snapshot.objects(snapshot.find(type=spelling))
        assert sorted(map(id, found)) == sorted(map(id, kept))
    assert len(snapshot.find(type="Found", module=__name__)) == 2
    assert len(snapshot.find(type="Found", module="elsewhere")) == 0
    assert len(snapshot.find(type="no.such")) == 0
    assert large[0] in snapshot.objects(snapshot.find(min_size=4_000_000))
    assert len(snapshot.find(type=bytearray, min_size=4_000_000)) >= 1
    rows = snapshot.find(module=__name__)
    assert len(rows) >= 2
    assert all(row.type_name.startswith(__name__) for row in rows)
    assert [row.bytes for row in rows] == sorted((row.bytes for row in rows), reverse=True)
    with pytest.raises(TypeError):
        snapshot.find(type=5)  # type: ignore[arg-type]


def test_not_in_the_snapshot() -> None:
    snapshot = take_heap_snapshot()
    fresh = [[Session()] for _ in range(2000)]  # some at addresses that were in use then
    with pytest.raises(ValueError, match="not in the snapshot"):
        any(snapshot.referrers(new) for new in fresh)


def test_growth(module: Any) -> None:
    module.cache, module.log, module.seen, module.buffer = {}, [], set(), bytearray()
    module.queue = deque()
    module.steady = {1: 2}
    gone = [Slotted()]
    gc.collect()
    older = take_heap_snapshot()
    gone.clear()

    class New:
        pass

    for number in range(1000):
        module.cache[f"k{number}"] = Session()
    module.log += [[] for _ in range(300)]
    module.queue.extend([] for _ in range(200))
    module.seen |= {float(number) for number in range(100)}
    module.buffer += bytes(100_000)
    module.new = New()
    newer = take_heap_snapshot()
    diff = newer.compare_to(older)
    by_name = {row.type_name: row for row in diff.types}
    assert by_name[f"{__name__}.Session"].count_diff == 1000
    assert f"{__name__}.Slotted" in [row.type_name for row in diff.gone]
    assert f"{__name__}.test_growth.<locals>.New" in [row.type_name for row in diff.new]
    assert diff.count_diff == len(newer) - len(older)
    assert diff.bytes_diff == newer.total_size - older.total_size
    grown = {row.description: row for row in diff.containers}
    cache = grown[f"module {MODULE} -> cache"]
    assert cache.references_diff >= 1000
    assert cache.bytes == sys.getsizeof(module.cache)
    assert diff.containers[0] == cache
    assert grown[f"module {MODULE} -> log"].references_diff == 300
    assert grown[f"module {MODULE} -> queue"].references_diff == 200
    assert grown[f"module {MODULE} -> seen"].references_diff == 100
    assert grown[f"module {MODULE} -> buffer"].bytes_diff >= 100_000
    assert not any("steady" in description for description in grown)
    text = str(diff)
    assert "Containers that grew" in text
    assert "(new)" in text or "more" in text
    back = older.compare_to(newer)
    assert back.bytes_diff == -diff.bytes_diff


# -- what is shown


def test_everything_is_plain_data(module: Any) -> None:
    module.cache = [Session()]
    snapshot = take_heap_snapshot()
    answers: list[Any] = [
        snapshot,
        snapshot.types(),
        snapshot.find(type=Session),
        snapshot.referrers(module.cache),
        snapshot.referents(module.cache),
        snapshot.paths_to_root(module.cache[0]),
        snapshot.paths_to_root(module.cache[0])[0],
        take_heap_snapshot().compare_to(snapshot),
    ]
    for answer in answers:
        assert json.loads(json.dumps(answer.to_dict()))
        assert str(answer)
        assert repr(answer).startswith("<")
        if hasattr(answer, "show"):
            out = io.StringIO()
            answer.show(file=out)
            assert out.getvalue().strip()


def test_allocation_sites(module: Any) -> None:
    memscope.start()
    try:
        module.cache = [Session()]
        out = io.StringIO()
        take_heap_snapshot().paths_to_root(module.cache[0]).show(file=out)
    finally:
        memscope.stop()
    assert "allocated at" in out.getvalue()
    assert "test_heap.py:" in out.getvalue()


def test_top_level_names() -> None:
    snapshot = memscope.take_heap_snapshot()
    assert type(snapshot) is memscope.HeapSnapshot
    assert len(snapshot) > 1000
    assert snapshot.nbytes <= 60 * len(snapshot) + 65536
    assert not snapshot.keeps_objects


def test_surroundings_as_text(module: Any) -> None:
    module.sessions = {f"k{number}": Slotted() for number in range(100)}
    leaf = module.sessions["k7"]
    snapshot = take_heap_snapshot()
    out = io.StringIO()
    snapshot.show_backrefs(leaf, file=out)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith(f"{__name__}.Slotted")
    assert lines[1].startswith("  <- ['k7']  dict of 100")
    assert f"    <- sessions  module {MODULE}" in out.getvalue()
    out = io.StringIO()
    snapshot.show_refs(module.sessions, file=out)
    assert f"... 99 more {__name__}.Slotted" in out.getvalue()


def test_surroundings_as_a_picture(module: Any, tmp_path: Any) -> None:
    module.cache = {'a "quote" \\ and <b>{|}\n': [Slotted()]}
    leaf = next(iter(module.cache.values()))[0]
    target = tmp_path / "leak.dot"
    out = io.StringIO()
    take_heap_snapshot().show_backrefs(leaf, filename=str(target), file=out)
    assert str(target) in out.getvalue()
    text = target.read_text()
    assert text.startswith("digraph")
    assert "penwidth" in text
    if shutil.which("dot"):
        picture = tmp_path / "leak.svg"
        take_heap_snapshot().show_backrefs(leaf, filename=str(picture), file=out)
        assert "<svg" in picture.read_text()


def test_a_hub_is_folded(module: Any) -> None:
    hub = Slotted()
    module.holders = [[hub] for _ in range(1000)]
    out = io.StringIO()
    take_heap_snapshot().show_backrefs(hub, file=out)
    assert "... 999 more list" in out.getvalue()
    assert len(out.getvalue().splitlines()) < 30


def test_many_objects_are_folded(module: Any, tmp_path: Any) -> None:
    """One of each class is drawn, and what holds it; the others hang from the same holder."""
    module.sessions = [Slotted() for _ in range(300)]
    module.lists = [[] for _ in range(20)]
    snapshot = take_heap_snapshot()
    objects = [*module.sessions, *module.lists]
    target = tmp_path / "many.json"
    for method, title in (
        (snapshot.show_backrefs, "What holds {} and 319 more"),
        (snapshot.show_refs, "What {} and 319 more refer to"),
    ):
        method(*objects, filename=str(target), file=io.StringIO())
        drawn = json.loads(target.read_text())
        assert drawn["title"] == title.format(f"{__name__}.Slotted")
        counts = {node["id"]: node for node in drawn["nodes"] if node["kind"] == "target"}
        assert [node["count"] for node in counts.values()] == [1, 1]
        out = io.StringIO()
        method(*objects, file=out)
        assert f"... 299 more {__name__}.Slotted" in out.getvalue()
        assert "... 19 more list" in out.getvalue()
    snapshot.show_backrefs(*objects, filename=str(target), file=io.StringIO())
    drawn = json.loads(target.read_text())
    folds = {node["title"]: node for node in drawn["nodes"] if node["kind"] == "more"}
    fold = folds[f"{__name__}.Slotted"]
    assert fold["count"] == 299
    [holder] = [edge["source"] for edge in drawn["edges"] if edge["target"] == fold["id"]]
    [node] = [node for node in drawn["nodes"] if node["id"] == holder]
    assert node["title"] == "list of 300"
    # A few are drawn one by one.
    snapshot.show_backrefs(*objects[:5], filename=str(target), file=io.StringIO())
    drawn = json.loads(target.read_text())
    assert [node["kind"] for node in drawn["nodes"]].count("target") == 5


def test_paths_as_a_picture(module: Any, tmp_path: Any) -> None:
    leaf = Slotted()
    module.first = {"key": leaf}
    module.second = [[leaf]]
    found = take_heap_snapshot().paths_to_root(leaf, limit=2)
    target = tmp_path / "paths.json"
    out = io.StringIO()
    found.show(out, filename=str(target))
    assert out.getvalue() == f"Picture written to {target}\n"
    drawn = json.loads(target.read_text())
    assert drawn["title"] == f"What holds {__name__}.Slotted"
    assert [node["kind"] for node in drawn["nodes"]].count("target") == 1  # both end there
    assert {edge["label"]: edge["emphasised"] for edge in drawn["edges"]} == {
        "first": True,
        "['key']": True,
        "second": False,
        "[0]": False,
    }
    assert "Thick: the shortest path from a root." in drawn["notes"]
    assert "text/plain" in found._repr_mimebundle_()
    with pytest.raises(ValueError, match=r"\.bmp"):
        found.show(filename="paths.bmp")
    frame = take_heap_snapshot().paths_to_root(found, limit=1).picture()
    assert "frame" in {node.kind for node in frame.nodes}
    nothing = memscope.heap.Paths([], "Nothing that is known leads to it.")
    assert nothing.picture().notes == ("Nothing that is known leads to it.",)


@pytest.mark.parametrize("classes", [1, 3, 300])
def test_a_picture_counts_everybody(module: Any, tmp_path: Any, classes: int) -> None:
    """Classes of one name too: they look alike, but none of their objects is lost."""
    hub = Slotted()
    module.holders = [type(f"Holder{n % classes}", (), {})() for n in range(300)]
    for holder in module.holders:
        holder.hub = hub
    target = tmp_path / "hub.json"
    snapshot = take_heap_snapshot()
    snapshot.show_backrefs(hub, filename=str(target), max_depth=1, file=io.StringIO())
    nodes = json.loads(target.read_text())["nodes"]
    assert len(nodes) < 30
    around = [node for node in nodes if node["depth"] == 1 and node["kind"] in ("object", "more")]
    assert sum(node["count"] for node in around) == 300


def test_the_only_one_left_out_is_drawn(module: Any) -> None:
    module.first = [[], []]
    out = io.StringIO()
    take_heap_snapshot().show_refs(module.first, file=out)
    assert "[0]  list of 0" in out.getvalue()
    assert "[1]  list of 0" in out.getvalue()


def test_a_picture_says_what_is_left_out(module: Any, tmp_path: Any) -> None:
    module.deep = [[[[[Slotted()]]]]]
    target = tmp_path / "deep.txt"
    take_heap_snapshot().show_refs(module.deep, filename=str(target), file=io.StringIO())
    assert "max_depth" in target.read_text()
    take_heap_snapshot().show_refs(
        module.deep, filename=str(target), max_depth=9, file=io.StringIO()
    )
    assert "max_depth" not in target.read_text()
    assert "What classes and modules refer to is not drawn" in target.read_text()


# -- it looks, and that is all


class Hostile:
    """Whatever is done with it is done wrong."""

    def _fail(self, *args: object) -> Any:
        raise AssertionError("user code ran")

    __repr__ = __str__ = __len__ = __eq__ = __hash__ = __getattribute__ = _fail  # type: ignore[assignment]
    __bool__ = __iter__ = __getitem__ = __sizeof__ = __contains__ = __instancecheck__ = _fail
    __class__ = property(_fail)  # type: ignore[assignment]


class HostileMeta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError("user code ran")

    __repr__ = __eq__ = __hash__ = __getattribute__  # type: ignore[assignment]


def test_hostile_objects(module: Any) -> None:
    hostile = Hostile()
    worse = HostileMeta("Worse", (), {"__slots__": ("x",)})
    module.cache = [hostile, {"deep": hostile}, (worse, type.__call__(worse))]
    first, second = take_heap_snapshot(), take_heap_snapshot(keep_objects=True)
    for snapshot in (first, second):
        found = place(snapshot, hostile)
        assert found.startswith(f"module {MODULE} -> cache -> [0]")
        found = place(snapshot, worse)
        assert found
        for rows in (
            snapshot.referrers(hostile),
            snapshot.referents(module.cache),
            snapshot.find(type=worse),
            snapshot.find(type="Worse"),
        ):
            count, text = len(rows), str(rows)
            assert count
            assert text
    assert str(second.compare_to(first))


def test_thread_names_are_read_not_asked_for() -> None:
    armed: list[int] = []

    class Named(threading.Thread):
        @property
        def _name(self) -> str:
            assert not armed, "user code ran"
            return "asked for"

        @_name.setter
        def _name(self, value: str) -> None:
            pass

    done = threading.Event()
    thread = Named(target=done.wait)
    thread.start()
    armed.append(1)
    try:
        names = thread_names()
        assert names[threading.get_ident()] == threading.current_thread().name
        assert thread.ident not in names
    finally:
        armed.clear()
        done.set()
        thread.join()


def test_objects_that_die_before_the_question() -> None:
    class Mortal:
        pass

    kept = [Mortal() for _ in range(50)]
    snapshot = take_heap_snapshot()
    rows = snapshot.find(type=Mortal)
    paths = snapshot.paths_to_root(rows)
    assert paths
    kept.clear()
    gc.collect()
    assert len(rows) == 50
    assert {row.type_name for row in rows} == {
        f"{__name__}.test_objects_that_die_before_the_question.<locals>.Mortal"
    }
    assert str(rows)
    assert "gone" in rows[0].description
    assert str(snapshot.paths_to_root(rows))
    assert set(snapshot.objects(rows)) == {None}


def test_another_object_at_the_same_address_is_not_taken_for_the_old_one() -> None:
    class Mortal:
        pass

    class Heir:
        pass

    kept = [Mortal() for _ in range(500)]
    snapshot = take_heap_snapshot()
    rows = snapshot.find(type=Mortal)
    addresses = set(map(id, kept))
    del kept
    heirs = [Heir() for _ in range(1000)]
    assert not addresses.isdisjoint(map(id, heirs))
    assert not any(type(obj) is Heir for obj in snapshot.objects(rows))


def test_objects_that_are_kept() -> None:
    kept = [Session(tag="kept")]
    ref = weakref.ref(kept[0])
    snapshot = take_heap_snapshot(keep_objects=True)
    kept.clear()
    assert snapshot.keeps_objects
    assert ref() is not None
    [obj] = snapshot.objects(snapshot.find(type=Session))
    assert obj is ref()
    del snapshot, obj
    assert ref() is None


def test_nothing_is_changed() -> None:
    many = [Session(x=1, y=[number]) for number in range(2000)]

    def count() -> tuple[int, int]:
        gc.collect()
        return sum(type(obj) is dict for obj in gc.get_objects()), sum(
            sys.getrefcount(obj) for obj in many
        )

    def ask() -> None:
        snapshot = take_heap_snapshot()
        snapshot.paths_to_root(snapshot.find(type=Session))
        for obj in many[::100]:
            snapshot.referents(obj)[:]
            snapshot.referrers(obj)[:]
        str(take_heap_snapshot().compare_to(snapshot))

    ask()
    dicts, references = count()
    ask()
    assert count() == (pytest.approx(dicts, abs=3), references)


@pytest.mark.parametrize("state", ["disabled", "frozen"])
def test_the_state_of_the_collector(state: str, module: Any) -> None:
    leaf = Session()
    module.cache = [leaf]
    gc.freeze() if state == "frozen" else gc.disable()
    try:
        assert place(take_heap_snapshot(), leaf) == f"module {MODULE} -> cache -> [0]"
        assert gc.isenabled() == (state == "frozen")
    finally:
        gc.unfreeze()
        gc.enable()


def test_collect_first() -> None:
    cycle = Session()
    cycle.me = cycle  # type: ignore[attr-defined]
    ref = weakref.ref(cycle)
    del cycle
    take_heap_snapshot(collect=True)
    assert ref() is None


def test_memory_is_as_before(run_python: RunPython) -> None:
    run_python("""
import memscope, resource
from memscope.heap import take_heap_snapshot

class Session:
    def __init__(self, number):
        self.number = number

kept = {number: Session(number) for number in range(200_000)}

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def ask():
    snapshot = take_heap_snapshot()
    str(snapshot)
    str(snapshot.paths_to_root(kept[5]))
    str(snapshot.referrers(kept[6]))

ask()
before = resident()
for _ in range(5):
    ask()
assert resident() - before < 8 << 20, resident() - before
""")


def test_without_threading(run_python: RunPython) -> None:
    done = run_python("""
import sys
assert "threading" not in sys.modules
import memscope
snapshot = memscope.take_heap_snapshot()
assert "threading" not in sys.modules
print(snapshot.paths_to_root(sys.path)[0].place)
""")
    assert isinstance(done, subprocess.CompletedProcess)
    assert "path" in done.stdout


def test_rows_are_made_when_looked_at() -> None:
    made: list[int] = []

    def make(nodes: Any) -> list[Any]:
        made.extend(nodes)
        return [None for _ in nodes]

    rows = ObjectRows("t", range(1000), make)
    assert len(rows) == 1000
    assert not made
    rows[5], rows[10:12]
    assert made == [5, 10, 11]
