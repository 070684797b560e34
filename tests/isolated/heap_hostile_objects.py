"""Objects that raise and lie wherever code of theirs can run: none of it ever runs."""

import gc
from typing import Any

from _heap import Graph, node_of, question

calls: list[str] = []


def hostile(name: str) -> Any:
    def method(*args: object, **kwargs: object) -> Any:
        calls.append(name)
        raise SystemExit(name)

    return method


class Key:
    """Hashable while the traps are open."""

    def __hash__(self) -> int:
        return trap("__hash__", 7)

    def __eq__(self, other: object) -> bool:
        return bool(trap("__eq__", self is other))


closed = False


def trap(name: str, answer: int) -> int:
    if closed:
        calls.append(name)
    return answer


NAMES = """__repr__ __str__ __len__ __sizeof__ __bool__ __iter__ __getattr__ __eq__ __hash__
    __call__ __getitem__ __contains__ __instancecheck__ __subclasscheck__ __index__ __dir__
    __format__ __reduce_ex__ __enter__ __get__ __set_name__ __missing__ __next__ __lt__""".split()
METHODS = {name: hostile(name) for name in NAMES}


class Meta(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        return str(trap("__name__", 1))

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        return str(trap("__module__", 1))

    @property
    def __mro__(cls) -> Any:  # type: ignore[override]
        return trap("__mro__", 1)

    def __getattribute__(cls, name: str) -> Any:
        if closed:
            calls.append(f"Meta.__getattribute__ {name}")
        return type.__getattribute__(cls, name)

    def __eq__(cls, other: object) -> bool:
        return bool(trap("Meta.__eq__", cls is other))

    def __hash__(cls) -> int:
        return trap("Meta.__hash__", 5)

    def __instancecheck__(cls, instance: object) -> bool:
        return bool(trap("__instancecheck__", 0))

    def __subclasscheck__(cls, other: type) -> bool:
        return bool(trap("__subclasscheck__", 0))


def liar(name: str, *bases: type) -> Any:
    return Meta(name, bases, {
        **METHODS,
        "__class__": property(lambda self: trap("__class__", 1)),
        "__dict__": property(lambda self: trap("__dict__", 1)),
        "__getattribute__": lambda self, name: trap("__getattribute__", 1),
        "__doc__": property(lambda self: trap("__doc__", 1)),
    })  # fmt: skip


bases: list[tuple[type, ...]] = [(), (list,), (tuple,), (dict,), (set,), (str,), (int,), (bytes,)]
bases += [(frozenset,), (bytearray,), (float,), (Exception,)]
classes = [liar(f"Liar{number}", *base) for number, base in enumerate(bases)]
objects = [cls.__new__(cls) for cls in classes]
keyed = {Key(): 1, "a": Key()}
members = {Key(), 2}


class StrKey(str):
    __slots__ = ()

    def __hash__(self) -> int:
        return trap("str.__hash__", 3)

    def __eq__(self, other: object) -> bool:
        return bool(trap("str.__eq__", self is other))


class Space:
    pass


space = Space()
space.__dict__[StrKey("odd")] = 1
space.__dict__[StrKey("__module__")] = 2
Lying = type("Lying", (), {})
Lying.__module__ = 5  # type: ignore[assignment]
lying = Lying()
gc.collect()
closed = True
for keep in (False, True):
    graph = Graph.take(keep=keep, hide=[objects])
    del graph
    graph = Graph.take(keep=keep)
    for obj in objects:
        node = node_of(graph, obj)
        _, kind, size, _, _ = graph.node(node)
        assert graph.types()[kind][2].startswith("Liar"), graph.types()[kind]
        assert 0 < size < 10_000
        assert graph.objects([node])[0] is obj
    for sample in (keyed, members, space, lying):
        question(graph, sample, *objects)
    del graph
closed = False
assert not calls, sorted(set(calls))
assert keyed and members
