"""Saved heap snapshots: the same answers by name, where the objects are no more."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import sys
import threading
import types
import weakref
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import memscope
from memscope.heap import HeapSnapshot, take_heap_snapshot
from memscope.heap_nodes import GONE, NodeNames

RunPython = Callable[..., Any]

MODULE = "heap_of_the_saving_test"


class Session:
    def __init__(self, **attributes: object) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class Slotted:
    __slots__ = ("left", "right")


class SlottedAndDict:
    __slots__ = ("__dict__", "left")


class Dict(dict):  # type: ignore[type-arg]
    pass


class List(list):  # type: ignore[type-arg]
    pass


class Set(set):  # type: ignore[type-arg]
    pass


class Deque(deque):  # type: ignore[type-arg]
    pass


Pair = namedtuple("Pair", ["first", "second"])


@pytest.fixture
def module() -> Iterator[Any]:
    """A module of sys.modules: what its globals hold has one short path."""
    made = types.ModuleType(MODULE)
    sys.modules[MODULE] = made
    yield made
    del sys.modules[MODULE]


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[HeapSnapshot], HeapSnapshot]:
    """Save a snapshot and load it."""

    def save(snapshot: HeapSnapshot) -> HeapSnapshot:
        path = tmp_path / "heap.memscope"
        snapshot.save(path)
        return HeapSnapshot.load(path)

    return save


Saved = Callable[[HeapSnapshot], HeapSnapshot]


def place(snapshot: HeapSnapshot, kind: type | str) -> str:
    """Of its largest object.  By a name, those count that other tests left of other classes."""
    [path] = snapshot.paths_to_root(snapshot.find(type=kind)[0])
    return path.place


# -- names


def zoo() -> list[object]:
    """Everything that refers to others in a way of its own; the leaf is held by all."""
    leaf, other = Session(), Session()

    def closure() -> object:
        return leaf, other

    def generator() -> Iterator[object]:
        inside = leaf
        yield inside

    suspended = generator()
    next(suspended)
    wide: Any = Session()
    for number in range(70):
        setattr(wide, f"attribute{number}", [number])
    materialised = Session(owner=leaf, again=leaf)
    vars(materialised)
    slotted, both = Slotted(), SlottedAndDict()
    slotted.left = slotted.right = leaf
    both.left, both.more = leaf, other  # type: ignore[attr-defined]
    mixed = {1: leaf, ("a", (2, b"c")): other, None: leaf, 1.5: leaf, leaf: other, b"b": leaf}
    strange = {"a": "b", "b": "c", "x": "a", "\ud800\0\u20ac": leaf, "long" * 50: leaf}
    filled, listed, grouped, queue = Dict(a=leaf, b=leaf), List([leaf, other]), Set([leaf]), Deque()
    mapped = Dict({"a": leaf, 2: other})
    queue.extend([leaf, other, leaf])
    filled.attribute = listed.attribute = grouped.attribute = queue.attribute = other  # type: ignore[attr-defined]
    shrunk = Session(a=leaf, b=other, c=leaf)
    del shrunk.b  # type: ignore[attr-defined]
    try:
        raise ValueError(leaf)
    except ValueError as error:
        caught = error

    class Meta(type):
        pass

    class WithMeta(metaclass=Meta):
        attribute = leaf

    return [
        *(leaf, other, closure, suspended, wide, materialised, slotted, both, mixed, strange),
        *(filled, mapped, listed, grouped, queue, shrunk, caught, WithMeta, WithMeta()),
        *(defaultdict(list, {"x": [leaf], 3: leaf}), OrderedDict(p=leaf, q=[]), Counter("hello")),
        *(OrderedDict({1: leaf}), deque([leaf, 1, leaf]), Pair(leaf, other), frozenset([leaf])),
        *(partial(closure, leaf, key=leaf), materialised.__init__, weakref.ref(leaf, print)),
        *({number: [number] for number in range(500)}, {f"k{n}": leaf for n in range(100)}),
        *(types.SimpleNamespace(a=leaf), bytearray(9), (), {}, [], weakref.WeakValueDictionary()),
        *(
            iter([leaf]),
            [leaf].append,
            memoryview(b"abc"),
            property(closure),
            types.MappingProxyType({}),
        ),
    ]


@pytest.fixture
def no_callbacks() -> Iterator[None]:
    """hypothesis has one of the collector, and changes a variable in it at any time."""
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    yield
    gc.callbacks += callbacks


@pytest.mark.usefixtures("no_callbacks")
def test_every_name_is_that_of_the_live_heap(saved: Saved) -> None:
    """Edge by edge: what a file says is what is said of the objects."""
    everything = zoo()
    snapshot = take_heap_snapshot(keep_objects=True)
    loaded = saved(snapshot)
    live, stored = snapshot._graph, loaded._graph
    special = [node for node in live.find(everything) if node >= 0]
    assert len(special) > 40
    nodes = [*special, *live.referents(special[0]), *range(live.holders, len(live), 37)]
    needed = {target for node in nodes for target in live.referents(node)}
    said, written = NodeNames(live, {*nodes, *needed}), NodeNames(stored, ())
    gone = live.find([GONE])[0]  # in place of it, nothing is named as long as it lives
    named = 0
    for node in nodes:
        assert written.type_name(node) == said.type_name(node)
        obj = live.objects([node])[0]
        if obj is not GONE and obj is not snapshot:  # nothing else changes meanwhile
            assert written.describe(node) == said.describe(node)
        for target in dict.fromkeys(live.referents(node)):
            if target == gone:
                continue
            names = said.edges(node, target)
            assert written.edges(node, target) == names, said.describe(node)
            named += bool(names)
    assert named > len(nodes)


def test_without_the_objects_held(module: Any, saved: Saved) -> None:
    """What lives is found without a reference to it."""
    module.zoo = zoo()
    snapshot = take_heap_snapshot()
    loaded = saved(snapshot)
    live = snapshot._graph
    nodes = [node for node in live.find(module.zoo) if node >= 0]
    needed = {target for node in nodes for target in live.referents(node)}
    said, written = NodeNames(live, {*nodes, *needed}), NodeNames(loaded._graph, ())
    for node in nodes:
        assert written.describe(node) == said.describe(node)
        for target in dict.fromkeys(live.referents(node)):
            assert written.edges(node, target) == said.edges(node, target)


def test_tasks_and_futures(saved: Saved) -> None:
    async def work(future: asyncio.Future[None]) -> None:
        await future

    async def main() -> tuple[str, str]:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(work(future), name="the worker")
        await asyncio.sleep(0)
        snapshot = take_heap_snapshot(keep_objects=True)
        loaded = saved(snapshot)
        live, stored = snapshot._graph, loaded._graph
        [node] = live.find([task])
        targets = live.referents(node)
        said, written = NodeNames(live, [node, *targets]), NodeNames(stored, ())
        names = {target: written.edges(node, target) for target in targets}
        assert names == {target: said.edges(node, target) for target in targets}
        assert [".task_coro"] not in names.values()
        future.set_result(None)
        await task
        return written.describe(node), str([*names.values()])

    described, names = asyncio.run(main())
    assert described == "task the worker"
    assert "._coro" in names


def test_threads_and_frames(saved: Saved) -> None:
    ready, done = threading.Event(), threading.Event()

    class Local:
        pass

    def work() -> None:
        only_here = [Local()]
        ready.set()
        done.wait()
        del only_here

    thread = threading.Thread(target=work, name="the worker")
    thread.start()
    ready.wait()
    try:
        loaded = saved(take_heap_snapshot())
    finally:
        done.set()
        thread.join()
    found = place(loaded, Local)
    assert found.startswith("thread the worker -> ")
    assert "work() at " in found
    assert found.endswith(" -> only_here -> [0]")


# -- after the snapshot


def test_what_changed_between(module: Any, saved: Saved) -> None:
    """Objects that are gone are said to be; what was added is not in the snapshot."""
    module.cache = {f"k{number}": Session() for number in range(9)}
    module.numbers = {number: [number] for number in range(9)}
    module.items = [[number] for number in range(9)]
    module.lost = Session(inside=Slotted())
    snapshot = take_heap_snapshot()
    graph = snapshot._graph
    cache, numbers, items, lost = graph.find(
        [module.cache, module.numbers, module.items, module.lost]
    )
    gone = graph.referents(lost)[0]
    first = [graph.find([holder])[0] for holder in (module.cache["k3"], module.items[3])]
    [third] = graph.find([module.numbers[3]])
    del module.lost, module.numbers[1]
    module.cache["new"] = module.cache
    module.items.append(module.items)
    gc.collect()
    stored = NodeNames(saved(snapshot)._graph, ())
    assert stored.describe(cache) == "dict of 10"
    assert stored.edges(cache, first[0]) == ["['k3']"]
    assert stored.edges(numbers, third) == ["[3]"]
    assert stored.edges(items, first[1]) == ["[3]"]
    assert stored.describe(lost) == f"{__name__}.Session (gone)"
    assert stored.type_name(lost) == f"{__name__}.Session"
    assert stored.edges(lost, gone) == []


def test_nothing_is_run_or_made(module: Any, saved: Saved) -> None:
    class Evil:
        def complain(self, *args: object, **kwargs: object) -> Any:
            raise AssertionError("the program's code ran")

        __repr__ = __str__ = __hash__ = __eq__ = __len__ = __getattr__ = complain  # type: ignore[assignment]
        __iter__ = __bool__ = __sizeof__ = __format__ = __dir__ = complain  # type: ignore[assignment]

        @property
        def __class__(self) -> Any:
            raise AssertionError("the program's code ran")

    module.evil = [Evil(), {"key": Evil()}]
    plain = Session(name="x", other=[])
    module.plain = plain
    before = gc.get_referents(plain)
    count = len(gc.get_objects())
    loaded = saved(take_heap_snapshot())
    assert gc.get_referents(plain) == before
    assert len(gc.get_objects()) - count < 200
    assert place(loaded, f"{__name__}.test_nothing_is_run_or_made.<locals>.Evil") != ""


def test_contents_stay_at_home(module: Any, tmp_path: Path) -> None:
    """Of the values of strings nothing goes into a file but keys of dicts."""
    secret = "-".join(["password", str(len(MODULE))])
    module.values = [
        secret,
        {"key-that-is-shown": secret},
        Session(password=secret),
        secret.encode(),
    ]
    module.sets = {secret + "!"}
    take_heap_snapshot().save(tmp_path / "heap")
    data = (tmp_path / "heap").read_bytes()
    assert b"key-that-is-shown" in data
    assert b"password" in data  # the name of an attribute
    assert secret.encode() not in data


# -- the same questions


def test_the_same_answers(module: Any, saved: Saved) -> None:
    module._sessions = {f"k{number}": Session(user=Slotted()) for number in range(20)}
    snapshot = take_heap_snapshot()
    loaded = saved(snapshot)
    assert len(loaded) == len(snapshot)
    assert loaded.total_size == snapshot.total_size
    assert loaded.references == snapshot.references
    assert loaded.types() == snapshot.types()
    assert str(loaded) == str(snapshot)
    assert repr(loaded) == repr(snapshot)
    assert not loaded.keeps_objects
    assert loaded.to_dict()["types"] == snapshot.to_dict()["types"]
    found = loaded.find(type=Session)
    assert found.nodes == snapshot.find(type=Session).nodes
    assert found[3] == snapshot.find(type=Session)[3]
    assert loaded.objects(found) == [None] * len(found)
    row = next(row for row in found if str(loaded.paths_to_root(row)).count("'k17'"))
    [path] = loaded.paths_to_root(row)
    assert str(path) == f"module {MODULE} -> _sessions -> ['k17'] -> {__name__}.Session"
    [holder] = loaded.referrers(row)
    assert holder.names == ("['k17']",)
    assert holder.description == "dict of 20"
    assert [row.names for row in loaded.referents(row)] == [
        row.names for row in snapshot.referents(module._sessions["k17"])
    ]
    assert len(loaded.paths_to_root(found, limit=3)) == len(snapshot.paths_to_root(found, limit=3))


def test_pictures(module: Any, saved: Saved, tmp_path: Path) -> None:
    module.cache = {"k": Session(owner=Slotted())}
    snapshot = take_heap_snapshot()
    loaded = saved(snapshot)
    row = loaded.find(type=Slotted)[0]
    for method in ("show_backrefs", "show_refs"):
        texts = []
        for of, start in ((snapshot, module.cache["k"].owner), (loaded, row)):
            out = io.StringIO()
            getattr(of, method)(start, file=out)
            texts.append(out.getvalue())
        assert texts[0] == texts[1]
    assert "cache" in texts[0] or "['k']" in texts[0] or "Slotted" in texts[0]
    loaded.show_backrefs(row, filename=str(tmp_path / "picture.dot"), file=io.StringIO())
    assert "owner" in (tmp_path / "picture.dot").read_text()


def test_differences(module: Any, saved: Saved) -> None:
    module.grows = {number: [number] for number in range(10)}
    before = take_heap_snapshot()
    loaded_before = saved(before)
    module.grows.update({number: [number] for number in range(10, 500)})
    after = take_heap_snapshot()
    loaded_after = saved(after)
    for new, old in (
        (after, before),
        (after, loaded_before),
        (loaded_after, before),
        (loaded_after, loaded_before),
    ):
        difference = new.compare_to(old)
        grown = [row for row in difference.containers if row.references_diff == 980]
        assert [row.description for row in grown] == [f"module {MODULE} -> grows"]
        assert difference.total_count == len(after)
        [path] = new.paths_to_root(grown[0])
        assert path.place == f"module {MODULE} -> grows"


def test_objects_are_not_here(module: Any, saved: Saved) -> None:
    module.here = Session()
    loaded = saved(take_heap_snapshot())
    for question in (
        loaded.referents,
        loaded.referrers,
        loaded.paths_to_root,
        loaded.show_refs,
        loaded.show_backrefs,
    ):
        with pytest.raises(ValueError, match=r"from a file.* give rows that find\(\)"):
            question(module.here)


def test_a_row_of_another_snapshot(module: Any, saved: Saved) -> None:
    module.here = Session()
    snapshot = take_heap_snapshot()
    row = snapshot.find(type=Session)[0]
    assert snapshot.referrers(row).nodes == snapshot.referrers(module.here).nodes
    with pytest.raises(ValueError, match="not of this snapshot"):
        snapshot.referrers(row._replace(address=row.address + 16))
    with pytest.raises(ValueError, match="not of this snapshot"):
        saved(snapshot).paths_to_root(row._replace(node=10**9))


def test_every_kind_of_row(module: Any, saved: Saved) -> None:
    module.cache = {"k": Session(owner=Slotted())}
    loaded = saved(take_heap_snapshot())
    rows = loaded.find(type=Slotted)
    [path] = loaded.paths_to_root(rows)
    for step in path.steps:
        assert loaded.referents(step).nodes == tuple(
            dict.fromkeys(loaded._graph.referents(step.node))
        )
    assert loaded.referrers(rows).nodes == loaded.referrers(rows[0]).nodes
    with pytest.raises(ValueError, match="one object is asked about, not 0 rows"):
        loaded.referrers(loaded.find(type="no such class"))


def test_the_frames_that_ask_are_frames_like_others(saved: Saved) -> None:
    """Who asks of a file is not who holds."""

    class Local:
        pass

    only_here = Local()
    loaded = saved(take_heap_snapshot())
    assert " -> only_here" in place(loaded, Local)
    del only_here


# -- files


def test_saved_again(module: Any, saved: Saved, tmp_path: Path) -> None:
    module.cache = {"k": Session()}
    loaded = saved(take_heap_snapshot())
    loaded.save(tmp_path / "again")
    again = HeapSnapshot.load(tmp_path / "again")
    assert place(again, Session) == place(loaded, Session)
    assert (tmp_path / "again").read_bytes() == (tmp_path / "heap.memscope").read_bytes()


def test_sites_of_objects(module: Any, tmp_path: Path) -> None:
    """Where another part of memscope knows them, a file keeps them."""
    module.here = Slotted()
    graph = take_heap_snapshot()._graph
    [node] = graph.find([module.here])
    column = memoryview(bytearray(4 * len(graph))).cast("I")
    column[node] = 1
    data = graph.to_bytes(sites=(column, [("/srv/app.py", 85, "handle")]))
    (tmp_path / "heap").write_bytes(data)
    loaded = HeapSnapshot.load(tmp_path / "heap")
    text = io.StringIO()
    loaded.show_refs(loaded.find(type=Slotted), file=text)
    assert "allocated at /srv/app.py:85" in text.getvalue()


def test_only_files_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "heap"
    with pytest.raises(FileNotFoundError):
        HeapSnapshot.load(path)
    path.write_bytes(b"\x80\x04N.")
    with pytest.raises(ValueError, match=f"cannot load '{path}': not a memscope dump"):
        HeapSnapshot.load(path)
    take_heap_snapshot().save(path)
    size = path.stat().st_size
    os.truncate(path, size - 1)
    with pytest.raises(ValueError, match="truncated memscope dump"):
        HeapSnapshot.load(path)
    with pytest.raises(ValueError, match="memscope dump"):
        memscope.Snapshot.load(path)


def test_a_file_of_another_process(run_python: RunPython, tmp_path: Path) -> None:
    """Everything is known by name where nothing of it ever was."""
    path = tmp_path / "heap"
    run_python(
        """
import memscope, sys, types
class Session:
    def __init__(self):
        self.user = object()
app = types.ModuleType("app.cache")
sys.modules["app.cache"] = app
app._sessions = {f"k{number}": Session() for number in range(20)}
memscope.take_heap_snapshot().save(sys.argv[1])
""",
        str(path),
    )
    loaded = HeapSnapshot.load(path)
    paths = {str(loaded.paths_to_root(row)) for row in loaded.find(type="Session")}
    assert "module app.cache -> _sessions -> ['k17'] -> __main__.Session" in paths
    assert len(paths) == 20
