"""Names of references and objects: right on every version, and nothing is run or made."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import types
import weakref
from collections import defaultdict, deque, namedtuple
from functools import partial
from typing import Any

import pytest

from memscope import _memscope
from memscope.naming import describe, edge_texts


class Node:
    pass


class Slotted:
    __slots__ = ("left", "right")


class Derived(Slotted):
    __slots__ = ("own",)


class Inherited(Node):
    pass


LEAF = Node()


def names(source: object, target: object = LEAF) -> list[tuple[str, Any]]:
    return _memscope.edge_names(source, target)


def test_an_inline_attribute() -> None:
    node = Node()
    node.first, node.leaf, node.last = 1, LEAF, 3  # type: ignore[attr-defined]
    assert names(node) == [("attribute", "leaf")]
    assert names(node, 4) == []


def test_every_attribute_that_holds_it() -> None:
    node = Inherited()
    node.a = node.b = LEAF  # type: ignore[attr-defined]
    node.c = 5  # type: ignore[attr-defined]
    assert names(node) == [("attribute", "a"), ("attribute", "b")]
    del node.a  # type: ignore[attr-defined]
    assert names(node) == [("attribute", "b")]


def test_attributes_set_in_another_order() -> None:
    class Either:
        pass

    one, other = Either(), Either()
    one.a, one.b = LEAF, 1  # type: ignore[attr-defined]
    other.b, other.a = LEAF, 1  # type: ignore[attr-defined]
    assert names(one) == [("attribute", "a")]
    assert names(other) == [("attribute", "b")]


@pytest.mark.parametrize("count", [1, 5, 29, 30, 31, 60])
def test_many_attributes(count: int) -> None:
    """Beyond what a class shares (30 names), an instance gets a dict of its own."""
    node = type("Wide", (), {})()
    values = [Node() for _ in range(count)]
    for number, value in enumerate(values):
        setattr(node, f"a{number}", value)
    for number, value in enumerate(values):
        found = names(node, value)
        if not found:
            [namespace] = [held for held in gc.get_referents(node) if type(held) is dict]
            found = names(namespace, value)
            assert found == [("key", f"a{number}")]
            assert names(node, namespace) == [("dict", "__dict__")]
        else:
            assert found == [("attribute", f"a{number}")]


def test_a_dict_that_was_asked_for() -> None:
    node = Node()
    node.leaf = LEAF  # type: ignore[attr-defined]
    namespace = node.__dict__
    assert names(node, namespace) == [("dict", "__dict__")]
    assert names(namespace) == [("key", "leaf")]


def test_a_dict_that_was_replaced() -> None:
    node = Node()
    node.gone = 1  # type: ignore[attr-defined]
    node.__dict__ = {"leaf": LEAF}
    assert names(node) == []
    [namespace] = [held for held in _memscope.referents(node) if type(held) is dict]
    assert names(node, namespace) == [("dict", "__dict__")]


def test_slots() -> None:
    node = Derived()
    node.left = node.own = LEAF  # type: ignore[attr-defined]
    assert sorted(names(node)) == [("slot", "left"), ("slot", "own")]


def test_subclasses_of_containers() -> None:
    class Text(str):
        pass

    class Listed(list[object]):
        pass

    text, listed = Text("abc"), Listed([LEAF])
    text.leaf = listed.leaf = LEAF  # type: ignore[attr-defined]
    assert ("attribute", "leaf") in names(text) or names(text.__dict__) == [("key", "leaf")]
    assert ("index", 0) in names(listed)


def test_containers() -> None:
    assert names([0, LEAF, LEAF]) == [("index", 1), ("index", 2)]
    assert names((LEAF,)) == [("index", 0)]
    assert names({"a": LEAF, 7: LEAF}) == [("key", "a"), ("key", 7)]
    assert names({LEAF: 1}) == [("key itself", None)]
    assert names({LEAF}) == names(frozenset([LEAF])) == [("item", None)]
    assert ("slot", "default_factory") in names(defaultdict(Node), Node)
    point = namedtuple("point", "x y")
    assert ("index", 1) in names(point(0, LEAF))


def test_a_str_key_is_a_reference() -> None:
    key = "not {}".format("interned anywhere")
    assert names({key: 1}, key) == [("key itself", None)]
    assert any(held is key for held in _memscope.referents({key: 1}))


def test_functions_cells_and_code() -> None:
    captured = LEAF

    def function(argument: object = LEAF) -> object:
        return captured, argument

    assert names(function, function.__code__) == [("attribute", "__code__")]
    assert names(function, function.__closure__) == [("attribute", "__closure__")]
    assert ("attribute", "__globals__") in names(function, function.__globals__)
    assert names(function, function.__defaults__) == [("attribute", "__defaults__")]
    [cell] = function.__closure__ or ()
    assert ("cell", "cell_contents") in names(cell)
    assert names(function.__code__, function.__code__.co_consts) == [("attribute", "co_consts")]


def test_methods_partials_properties_and_weak_references() -> None:
    class Owner:
        def method(self) -> None: ...

        @property
        def value(self) -> int:
            raise AssertionError("user code ran")

    owner = Owner()
    assert ("attribute", "__self__") in names(owner.method, owner)
    assert ("attribute", "__func__") in names(owner.method, Owner.method)
    value = Owner.__dict__["value"]
    assert ("slot", "fget") in names(value, value.fget)
    assert ("slot", "func") in names(partial(print), print)
    ref = weakref.ref(owner, print)
    assert names(ref, owner) == [("weak", None)]
    assert names(ref, print) == [("callback", "__callback__")]


def test_classes_and_modules() -> None:
    assert ("attribute", "__base__") in names(Inherited, Node)
    assert ("attribute", "__bases__") in names(Inherited, Inherited.__bases__)
    assert ("attribute", "__mro__") in names(int, int.__mro__)
    assert ("type", "__class__") in names(LEAF, Node)
    module = types.ModuleType("module")
    assert names(module, vars(module)) == [("dict", "__dict__")]


def test_exceptions_and_tracebacks() -> None:
    try:
        raise ValueError(LEAF)
    except ValueError as error:
        caught = error
    assert names(caught, caught.args) == [("attribute", "args")]
    assert names(caught, caught.__traceback__) == [("attribute", "__traceback__")]
    trace = caught.__traceback__
    assert trace is not None
    assert names(trace, trace.tb_frame) == [("attribute", "tb_frame")]


def test_variables_of_generators_and_frames() -> None:
    def generator() -> Any:
        inside = LEAF
        yield inside

    running = generator()
    assert names(running) == []
    next(running)
    assert names(running) == [("local", "inside")]
    list(running)
    assert names(running) == []
    frame = sys._getframe()
    here = LEAF
    assert ("local", "here") in names(frame)
    assert names(frame, frame.f_code)[0] == ("attribute", "f_code")
    del frame, here


def test_only_what_is_awaited_is_called_awaiting() -> None:
    def inner() -> Any:
        yield

    def outer() -> Any:
        held = LEAF
        yield from inner()
        del held

    def halfway() -> Any:
        return [Node(), (yield)]

    running = outer()
    next(running)
    called = {
        type(held): names(running, held)
        for held in gc.get_referents(running)
        if type(held) is not str
    }
    assert called[types.GeneratorType] == [("awaiting", None)]
    assert called[Node] == [("local", "held")]
    awaited = [held for held, found in called.items() if ("awaiting", None) in found]
    assert awaited == [types.GeneratorType]
    assert names(running, running.gi_code) == [("attribute", "gi_code")]
    assert names(running, running.gi_frame) == [("attribute", "gi_frame")]
    suspended = halfway()
    next(suspended)
    [temporary] = [held for held in gc.get_referents(suspended) if type(held) is Node]
    assert names(suspended, temporary) == []


def test_a_generator_keeps_its_frame_unmade() -> None:
    def generator() -> Any:
        yield

    running = generator()
    next(running)
    names(running)
    assert not any(type(held) is types.FrameType for held in gc.get_referents(running))


def test_a_dead_weak_reference_refers_to_nothing() -> None:
    node = Node()
    ref = weakref.ref(node)
    assert names(ref, node) == [("weak", None)]
    del node
    assert names(ref, None) == []


def test_coroutines_and_tasks() -> None:
    async def inner() -> None:
        await asyncio.sleep(60)

    async def outer() -> None:
        held = LEAF
        await inner()
        del held

    async def main() -> None:
        task = asyncio.create_task(outer(), name="the one that leaks")
        await asyncio.sleep(0)
        coroutine = task.get_coro()
        assert coroutine is not None
        assert names(coroutine) == [("local", "held")]
        assert describe(task) == "task the one that leaks"
        assert describe(coroutine).startswith("coroutine test_coroutines_and_tasks")
        assert edge_texts(task, coroutine) == ["._coro"]
        assert edge_texts(task, asyncio.get_running_loop()) == ["._loop"]
        [waiter] = [held for held in gc.get_referents(task) if type(held) is asyncio.Future]
        assert edge_texts(task, waiter) == ["._fut_waiter"]
        [wakeup] = [
            held for held in gc.get_referents(waiter) if callable(held) and held is not type(waiter)
        ]
        assert edge_texts(waiter, wakeup) == ["callback 0"]
        assert edge_texts(wakeup, task) == [".__self__"]
        task.cancel()

    asyncio.run(main())


def test_texts_of_references() -> None:
    node = Node()
    node.leaf = LEAF  # type: ignore[attr-defined]
    assert edge_texts(node, LEAF) == [".leaf"]
    assert edge_texts([LEAF], LEAF) == ["[0]"]
    assert edge_texts({"k": LEAF, (1, "x"): LEAF}, LEAF) == ["['k']", "[(1, 'x')]"]
    assert edge_texts({"x" * 500: LEAF}, LEAF)[0].endswith("...]")
    assert edge_texts({node: LEAF}, LEAF) == ["[<Node>]"]
    assert edge_texts({(1,): LEAF, (): LEAF}, LEAF) == ["[(1,)]", "[()]"]
    assert edge_texts(deque([1, LEAF, LEAF]), LEAF) == ["[1]", "[2]"]
    assert edge_texts(1, LEAF) == []


def test_descriptions() -> None:
    assert describe(sys) == "module sys"
    assert describe(Node) == "class Node"
    assert describe([1, 2]) == "list of 2"
    assert describe(test_descriptions) == "function test_descriptions"
    assert describe(LEAF) == "Node"
    assert describe(threading.Thread(name="worker 5")) == "thread worker 5"
    assert describe(print) == "builtin_function_or_method"


class HostileMeta(type):
    def __getattribute__(cls, name: str) -> Any:
        raise AssertionError(f"user code ran: {name}")

    def __hash__(cls) -> int:
        raise AssertionError("user code ran")

    def __eq__(cls, other: object) -> bool:
        raise AssertionError("user code ran")

    def __instancecheck__(cls, instance: object) -> bool:
        raise AssertionError("user code ran")


def fail(*args: object) -> Any:
    raise AssertionError("user code ran")


class HostileText(str):
    __slots__ = ()
    __str__ = __format__ = __repr__ = __eq__ = __hash__ = fail


def test_names_that_are_not_plain_str() -> None:
    def function() -> Any:
        yield

    function.__qualname__ = HostileText("renamed")
    named = type("Named", (), {})
    named.__qualname__ = HostileText("Renamed")
    running = function()
    running.__qualname__ = HostileText("running")
    assert describe(function) == "function renamed"
    assert describe(running) == "generator running"
    assert describe(named) == "class Renamed"
    assert describe(named()) == "Renamed"
    assert edge_texts({named(): LEAF}, LEAF) == ["[<Renamed>]"]
    assert {type(describe(obj)) for obj in (function, running, named, named())} == {str}


def test_a_key_within_keys() -> None:
    key: tuple[Any, ...] = (1, 2)
    for _ in range(6):
        key = (key, key, key)
    [text] = edge_texts({key: LEAF}, LEAF)
    assert len(text) < 200


def test_the_layout_is_known() -> None:
    assert _memscope.layout_verified()


def test_a_class_that_was_changed() -> None:
    one = Node()
    one.before, one.leaf = 1, LEAF  # type: ignore[attr-defined]
    other = Inherited()
    other.leaf = 5  # type: ignore[attr-defined]
    one.__class__ = Inherited
    found = names(one) or names(one.__dict__)
    assert found in ([("attribute", "leaf")], [("key", "leaf")])
    assert one.leaf is LEAF  # type: ignore[attr-defined]


def test_numbers_with_attributes() -> None:
    class Number(int):
        pass

    for value in (0, 7, -(10**40)):
        number = Number(value)
        number.leaf = LEAF  # type: ignore[attr-defined]
        namespace = [held for held in _memscope.referents(number) if type(held) is dict]
        assert names(number) == [("attribute", "leaf")] or (
            names(number, namespace[0]) == [("dict", "__dict__")]
            and names(namespace[0]) == [("key", "leaf")]
        )


def test_nothing_of_the_program_is_run() -> None:
    methods = "repr str eq hash len iter getitem contains getattribute getattr call sizeof bool dir"
    namespace = {f"__{name}__": fail for name in methods.split()}
    hostile: Any = HostileMeta("Hostile", (dict,), {**namespace, "__class__": property(fail)})
    thing = dict.__new__(hostile)
    dict.__setitem__(thing, "leaf", LEAF)
    holder = {"thing": thing}
    found = names(thing)
    assert found == [("key", "leaf")]
    for source, target in ((thing, LEAF), (holder, thing), (thing, hostile), (hostile, thing)):
        texts = edge_texts(source, target)
        assert type(texts) is list
    for obj in (thing, hostile):
        assert type(describe(obj)) is str
        assert _memscope.size_of(obj) > 0
        assert type(_memscope.referents(obj)) is list


def test_what_a_module_keeps_for_reuse_is_no_reference() -> None:
    """_asyncio reports its free list on 3.12: a reference to what is in it frees that twice."""

    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, LEAF)
        assert await future is LEAF

    for _ in range(2):
        asyncio.run(main())
        module = sys.modules["_asyncio"]
        held = _memscope.referents(module)
        assert "FutureIter" not in {type(obj).__name__ for obj in held}
        del held


def test_no_dict_is_made() -> None:
    nodes = [Node() for _ in range(20_000)]
    for node in nodes:
        node.leaf = LEAF  # type: ignore[attr-defined]

    def dicts() -> int:
        gc.collect()
        return sum(type(obj) is dict for obj in gc.get_objects())

    before = dicts()
    for node in nodes:
        assert edge_texts(node, LEAF) == [".leaf"]
        describe(node)
        _memscope.referents(node)
        _memscope.size_of(node)
    assert dicts() <= before + 2


def test_sizes() -> None:
    for obj in ([1, 2], {1: 2}, "text", 5, LEAF, Node, int, print, (1,), {1}, 2.5, b"x"):
        assert _memscope.size_of(obj) == sys.getsizeof(obj)
