"""The walk: every object, every reference, every running frame, as they are."""

from __future__ import annotations

import gc
import sys
import threading
import types
import weakref
from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import pytest

from memscope import _memscope, naming

TRACKED, IMMORTAL, MODULE, TYPE, WEAKREF, SURPLUS = 1, 2, 4, 8, 16, 32

Graph = _memscope.Graph
GONE = object()

MEASURED = (
    *(str, bytes, int, bool, float, complex, type(None), tuple, list, dict, set, frozenset),
    *(bytearray, deque, OrderedDict, defaultdict, type, types.FunctionType, types.CodeType),
    *(types.ModuleType, types.MethodType, weakref.ref, property, types.BuiltinFunctionType),
)


class Node:
    """Holds others by inline attribute values."""

    def __init__(self, **attributes: object) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


class Slotted:
    __slots__ = ("left", "right")


def one(graph: Graph, obj: object) -> int:
    [node] = graph.find([obj])
    assert node >= 0
    return node


def holds(graph: Graph, source: object, target: object) -> int:
    """How often *source* refers to *target* in the graph."""
    return graph.referents(one(graph, source)).count(one(graph, target))


def test_every_tracked_object_is_a_node() -> None:
    gc.collect()
    tracked = gc.get_objects()
    graph = Graph.take(hide=[tracked])
    assert graph.lost == 0
    nodes = graph.find(tracked)
    assert min(nodes) >= graph.holders
    assert len(set(nodes)) == len(tracked)
    flags = [graph.node(node)[3] for node in nodes]
    assert all(flag & TRACKED for flag in flags)
    assert graph.tracked >= len(tracked)
    del tracked


def test_edges_are_those_of_gc_get_referents() -> None:
    """On the whole live heap, and in their order; what the graph adds is tested by itself."""
    gc.collect()
    sources = [
        obj
        for obj in gc.get_objects()
        if type(obj) in (dict, list, tuple, set, frozenset, Node, types.MethodType, deque)
        and not (type(obj) is dict and obj is globals())
    ]
    graph = Graph.take(keep=True, hide=[sources])
    checked = 0
    for source in sources:
        node = one(graph, source)
        seen = [graph.node(target)[0] for target in graph.referents(node)]
        live = [id(target) for target in gc.get_referents(source) if target is not sources]
        if type(source) is dict:  # and the str keys that gc does not tell of
            live += [id(key) for key in source][: len(seen) - len(live)]
        if seen != live:  # something of the test itself has moved on
            continue
        checked += 1
    assert checked > 0.99 * len(sources) > 100
    del sources


def test_referrers_are_the_referents_turned_round() -> None:
    graph = Graph.take()
    forward: Counter[tuple[int, int]] = Counter()
    backward: Counter[tuple[int, int]] = Counter()
    for node in range(len(graph)):
        for target in graph.referents(node):
            forward[node, target] += 1
        sources = graph.referrers(node)
        assert sources == sorted(sources)
        for source in sources:
            backward[source, node] += 1
    assert forward == backward
    assert forward.total() == graph.edges


@pytest.mark.parametrize(
    "make",
    [
        lambda leaf: [leaf],
        lambda leaf: (leaf,),
        lambda leaf: {"key": leaf},
        lambda leaf: {leaf: "value"},
        lambda leaf: {leaf},
        lambda leaf: frozenset([leaf]),
        lambda leaf: deque([leaf]),
        lambda leaf: OrderedDict(key=leaf),
        lambda leaf: defaultdict(list, key=leaf),
        lambda leaf: Node(attribute=leaf),
        lambda leaf: types.SimpleNamespace(attribute=leaf),
        lambda leaf: types.MappingProxyType([leaf] and {"key": leaf}),
        lambda leaf: slice(leaf),
        lambda leaf: iter([leaf]),
    ],
)
@pytest.mark.parametrize("leaf", [object(), Node(), "a string that is nowhere else", 10**30])
def test_containers_hold(make: Any, leaf: object) -> None:
    container = make(leaf)
    graph = Graph.take()
    direct = graph.referents(one(graph, container))
    below = {node for child in direct for node in graph.referents(child)}
    assert one(graph, leaf) in {*direct, *below}


def test_parallel_references_are_parallel_edges() -> None:
    leaf = Node()
    container = [leaf, leaf, leaf]
    graph = Graph.take()
    assert holds(graph, container, leaf) == 3
    assert graph.referrers(one(graph, leaf)).count(one(graph, container)) == 3


def test_slots_and_inline_attributes() -> None:
    slotted, inline, leaf = Slotted(), Node(x=1), Node()
    slotted.left = leaf
    inline.leaf = leaf  # type: ignore[attr-defined]
    graph = Graph.take()
    assert holds(graph, slotted, leaf) == 1
    assert holds(graph, inline, leaf) == 1


def test_dicts_that_were_asked_for() -> None:
    """3.13.0 does not report such a dict to the collector at all."""
    owner, leaf = Node(), Node()
    owner.leaf = leaf  # type: ignore[attr-defined]
    namespace = owner.__dict__
    graph = Graph.take()
    assert holds(graph, owner, namespace) == 1
    owners = graph.referrers(one(graph, leaf))
    assert one(graph, owner) in owners or one(graph, namespace) in owners


def test_untracked_and_atomic_objects() -> None:
    text, number, pair = "{} interned".format("not"), 2**70, (1.5, "a{}".format("b"))
    gc.collect()
    holder = [text, number, pair]
    graph = Graph.take()
    for leaf in (text, number, pair, pair[0], pair[1]):
        node = one(graph, leaf)
        assert graph.node(node)[2] == sys.getsizeof(leaf)
        assert graph.referrers(node)
    assert holds(graph, holder, text) == 1


def test_code_constants() -> None:
    def function() -> tuple[str, ...]:
        return ("constant of a function", "another")

    code = function.__code__
    graph = Graph.take()
    assert holds(graph, function, code) == 1
    assert holds(graph, code, code.co_consts) == 1
    assert holds(graph, code, code.co_filename) >= 1


def test_static_types_hold_their_dicts() -> None:
    graph = Graph.take()
    method = int.__dict__["bit_length"]
    int_node, method_node = one(graph, int), one(graph, method)
    below = {node for child in graph.referents(int_node) for node in graph.referents(child)}
    assert method_node in below


def test_classes_hold_their_lists_of_subclasses() -> None:
    class Parent(Slotted):
        pass

    class Meta(type):
        pass

    class Child(Parent, metaclass=Meta):
        pass

    graph = Graph.take(keep=True)
    for parent, child in ((Slotted, Parent), (Parent, Child)):
        [weak] = [one for one in weakref.getweakrefs(child) if one in gc.get_objects()]
        lists = [
            node
            for node in graph.referents(one(graph, parent))
            if graph.objects([node])[0] is not parent.__dict__
            and one(graph, weak) in graph.referents(node)
        ]
        assert len(lists) == 1
        assert not graph.node(lists[0])[3] & SURPLUS
        [listed] = graph.objects(lists)
        assert naming.edge_texts(parent, listed) == [".__subclasses__"]


def test_sizes_are_those_of_sys_getsizeof() -> None:
    gc.collect()
    tracked = gc.get_objects()
    graph = Graph.take(keep=True, hide=[tracked])
    nodes = range(graph.holders, len(graph))
    wrong = Counter(
        type(obj)
        for node, obj in zip(nodes, graph.objects(nodes))
        if type(obj) in MEASURED and sys.getsizeof(obj) != graph.node(node)[2]
    )
    wrong.subtract(dict.fromkeys([list, dict, tuple], 3))  # our own, while they are compared
    assert not +wrong
    del tracked


def test_size_of_a_python_sizeof_is_not_asked_for() -> None:
    class Liar(list[int]):
        def __sizeof__(self) -> int:
            raise AssertionError("user code ran")

    liar = Liar([1, 2, 3])
    graph = Graph.take()
    assert graph.node(one(graph, liar))[2] >= list.__sizeof__(liar)


def test_types_add_up() -> None:
    class Known:
        pass

    known = [Known() for _ in range(123)]
    graph = Graph.take()
    rows = graph.types()
    assert sum(row[3] for row in rows) == len(graph) - graph.holders
    [row] = [row for row in rows if row[2] == "Known" and row[0] == __name__]
    assert row[1] == "test_types_add_up.<locals>.Known"
    assert row[3] == 123
    assert row[4] == sum(map(sys.getsizeof, known))
    selected = graph.select([rows.index(row)])
    assert sorted(selected) == sorted(graph.find(known))
    assert graph.select([rows.index(row)], min_size=row[4]) == []


def test_select_by_size() -> None:
    large = bytearray(10_000_000)
    graph = Graph.take()
    found = graph.select([], min_size=9_000_000)
    assert one(graph, large) in found
    assert all(graph.node(node)[2] >= 9_000_000 for node in found)


def test_names_of_static_and_strange_types() -> None:
    named = type("T\u20ac", (), {"__module__": 5})()
    graph = Graph.take()
    by_index = graph.types()
    assert by_index[graph.node(one(graph, sys.flags))[1]][:2] == ("sys", "flags")
    assert by_index[graph.node(one(graph, sys))[1]][:2] == ("builtins", "module")
    assert by_index[graph.node(one(graph, named))[1]][:2] == (None, "T\u20ac")


def test_flags() -> None:
    class Local:
        pass

    ref = weakref.ref(Local)
    foreign = types.ModuleType("sys")
    graph = Graph.take()

    def flags(obj: object) -> int:
        return graph.node(one(graph, obj))[3]

    assert flags(sys) & MODULE
    assert flags(sys.modules["threading"]) & MODULE
    assert not flags(foreign) & MODULE
    assert flags(Local) & TYPE
    assert flags(ref) & WEAKREF
    assert not flags(Local) & MODULE
    if sys.version_info >= (3, 12):
        assert flags(None) & IMMORTAL


def test_weak_references_hold_nothing() -> None:
    leaf = Node()
    ref = weakref.ref(leaf)
    graph = Graph.take()
    assert holds(graph, ref, leaf) == 0


def test_surplus_counts_references_from_c() -> None:
    """A list iterator over nothing visible: C code holds it, as far as the heap shows."""
    held = [Node()]
    graph = Graph.take()
    _, _, _, flags, surplus = graph.node(one(graph, held[0]))
    assert not flags & SURPLUS
    assert surplus == 0
    from ctypes import py_object, pythonapi

    pythonapi.Py_IncRef(py_object(held[0]))
    try:
        graph = Graph.take()
        _, _, _, flags, surplus = graph.node(one(graph, held[0]))
        assert flags & SURPLUS
        assert surplus == 1
    finally:
        pythonapi.Py_DecRef(py_object(held[0]))


# -- threads and frames


def frames(graph: Graph) -> dict[str, int]:
    return {
        graph.holder(node)[3]: node
        for node in range(graph.holders)
        if graph.holder(node)[0] == "frame"
    }


def test_locals_of_running_frames() -> None:
    leaf = Node()
    graph = Graph.take(threads={threading.get_ident(): "the main one"})
    node = frames(graph)["test_locals_of_running_frames"]
    kind, thread, ident, _, filename, lineno = graph.holder(node)
    assert kind == "frame"
    assert filename == __file__
    assert lineno == test_locals_of_running_frames.__code__.co_firstlineno + 2
    names = graph.local_names(node)
    assert graph.referents(node)[names.index("leaf")] == one(graph, leaf)
    assert len(names) == len(graph.referents(node))
    assert ident == threading.get_ident()
    assert graph.holder(thread)[:4] == ("thread", thread, ident, "the main one")
    assert node in graph.referents(thread)
    assert graph.referrers(node) == [thread]


def test_locals_of_other_threads() -> None:
    ready, done = threading.Event(), threading.Event()
    found: list[int] = []

    def work() -> None:
        only_here = Node(name="in another thread")
        found.append(id(only_here))
        ready.set()
        done.wait()
        del only_here

    thread = threading.Thread(target=work)
    thread.start()
    ready.wait()
    try:
        graph = Graph.take()
        node = frames(graph)["test_locals_of_other_threads.<locals>.work"]
        local = graph.referents(node)[graph.local_names(node).index("only_here")]
        assert graph.node(local)[0] == found[0]
        assert graph.holder(node)[2] == thread.ident
        assert not graph.node(local)[3] & SURPLUS
    finally:
        done.set()
        thread.join()


def test_generators_hold_their_locals() -> None:
    def generator() -> Any:
        inside = Node()
        yield id(inside)

    suspended = generator()
    address = next(suspended)
    graph = Graph.take()
    inside = [graph.node(target)[0] for target in graph.referents(one(graph, suspended))]
    assert address in inside


def test_frames_that_are_hidden() -> None:
    def inner() -> Graph:
        return Graph.take(hide_frames=__file__)

    assert "test_frames_that_are_hidden" not in frames(inner())
    assert "test_frames_that_are_hidden" in frames(Graph.take(hide_frames="/elsewhere"))


def test_hidden_objects_are_not_there() -> None:
    inside = Node()
    hidden = [inside]
    graph = Graph.take(hide=[hidden, 7])
    assert graph.find([hidden]) == [-1]
    assert one(graph, inside) >= 0
    assert all(node != -1 for node in graph.referrers(one(graph, inside)))


def test_bad_arguments() -> None:
    graph = Graph.take()
    for bad in (-1, len(graph), 2**70):
        with pytest.raises(IndexError):
            graph.node(bad)
    with pytest.raises(TypeError):
        graph.node("0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a thread or a frame"):
        graph.holder(len(graph) - 1)
    with pytest.raises(TypeError, match="dict"):
        Graph.take(threads=[])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Graph()
    for bad in (-1, len(graph)):
        with pytest.raises(IndexError, match="is not one of"):
            graph.objects([bad])
        with pytest.raises(IndexError, match="is not one of"):
            graph.select([bad])


# -- objects that stay, objects that go


def test_objects_of_a_kept_graph() -> None:
    leaf = Node()
    before = sys.getrefcount(leaf)
    graph = Graph.take(keep=True)
    assert graph.kept
    assert sys.getrefcount(leaf) == before + 1
    node = one(graph, leaf)
    ref = weakref.ref(leaf)
    del leaf
    assert graph.objects([node]) == [ref()]
    del graph
    assert ref() is None


def test_a_kept_graph_in_what_it_keeps_is_collected() -> None:
    history: list[object] = [Node()]
    ref = weakref.ref(history[0])  # type: ignore[call-overload]
    history.append(Graph.take(keep=True))
    del history
    gc.collect()
    assert ref() is None


def test_objects_that_are_gone() -> None:
    leaf, stays = Node(), Node()
    text = "held by {}".format("a list")
    holder = [text]
    graph = Graph.take()
    assert not graph.kept
    nodes = graph.find([leaf, stays, text, None])
    address = id(leaf)
    del leaf
    found = graph.objects(nodes, GONE)
    assert found[1:3] == [stays, text]
    if sys.version_info >= (3, 12):  # before, nothing visible says that None is alive
        assert found[3] is None
    assert found[0] is GONE or id(found[0]) == address
    del text
    holder.clear()
    assert graph.objects(nodes[2:3], GONE) == [GONE]
    assert graph.objects([0], GONE) == [GONE]


def test_nothing_is_kept_by_default() -> None:
    leaf = Node()
    ref = weakref.ref(leaf)
    graph = Graph.take()
    del leaf
    assert ref() is None
    assert len(graph) > 0


def test_memory_of_a_graph() -> None:
    gc.collect()  # one that keeps its objects would show as a reference from C to each
    graph = Graph.take()
    assert 16 * len(graph) < graph.nbytes < 28 * len(graph) + 8 * graph.edges + 500_000


# -- it changes nothing


def test_no_dict_is_made() -> None:
    many = [Node(x=1, y=2) for _ in range(5000)]

    def dicts() -> int:
        gc.collect()
        return sum(type(obj) is dict for obj in gc.get_objects())

    before = dicts()
    graph = Graph.take()
    graph.find(many)
    del graph
    assert dicts() <= before + 2


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_before(enabled: bool) -> None:
    was = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        threshold, callbacks = gc.get_threshold(), list(gc.callbacks)
        Graph.take()
        assert gc.isenabled() == enabled
        assert gc.get_threshold() == threshold
        assert gc.callbacks == callbacks
    finally:
        (gc.enable if was else gc.disable)()


def test_garbage_is_seen_not_collected() -> None:
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        cycle = Node()
        cycle.me = cycle  # type: ignore[attr-defined]
        ref = weakref.ref(cycle)
        del cycle
        graph = Graph.take()
        assert ref() is not None
        assert one(graph, ref()) >= 0
    finally:
        if was:
            gc.enable()


def test_a_list_of_a_million_links() -> None:
    chain: list[object] | None = None
    for _ in range(1_000_000):
        chain = [chain]
    graph = Graph.take()
    assert len(graph) > 1_000_000
    while chain is not None:  # else its end would recurse
        chain = chain[0]  # type: ignore[assignment]


def test_frozen_objects() -> None:
    leaf = Node()
    gc.freeze()
    try:
        graph = Graph.take()
        assert graph.node(one(graph, leaf))[3] & TRACKED
    finally:
        gc.unfreeze()


def test_memory_that_ends() -> None:
    """At each allocation of the walk: MemoryError, and nothing is left over."""
    gc.collect()
    before = _memscope.get_tracemalloc_memory()
    failures = 0
    for n in [*range(60), *range(60, 600, 13)]:
        _memscope._fail_after(n)  # type: ignore[attr-defined]
        try:
            Graph.take(keep=bool(n % 2))
        except MemoryError:
            failures += 1
        finally:
            _memscope._fail_after(-1)  # type: ignore[attr-defined]
    assert failures > 60
    assert len(Graph.take()) > 0
    assert _memscope.get_tracemalloc_memory() == before
