"""What grows and is no leak: by where it is, by its bound.  No code of the program is run."""

from __future__ import annotations

import functools
import types
from collections import OrderedDict, deque
from typing import Any

import pytest

from memscope.noise import bound_of, label_of, last_name, of_tool

LABELLED = {
    "linecache": "source lines",
    "re": "compiled patterns",
    "re._compiler": "compiled patterns",
    "importlib._bootstrap": "modules being imported",
    "encodings": "modules being imported",
    "typing": "class machinery",
    "collections.abc": "class machinery",
    "struct": "standard library",
    "coverage.collector": "debugger",
    "_pytest.fixtures": "test runner",
    "debug_toolbar.panels": "debugging tool",
    "werkzeug.debug.tbtools": "debugging tool",
    "memscope": "memscope itself",
}
NOT_LABELLED = (
    "requests rest reports sys coverages memscopes structures app.linecache silkroad"
    " werkzeug collections"
).split()


@pytest.mark.parametrize("module", LABELLED)
def test_modules_that_keep_things(module: str) -> None:
    place = f"module {module} -> cache"
    assert LABELLED[module] in label_of(place, module)
    assert label_of(place) == "", "it is the program's own of that name"


@pytest.mark.parametrize("module", NOT_LABELLED)
def test_other_modules(module: str) -> None:
    assert label_of(f"module {module} -> cache", module) == ""


def test_other_places() -> None:
    assert "imported" in label_of("module sys -> path_importer_cache")
    assert "class machinery" in label_of("module app -> Shape -> _abc_impl")
    connections = "connections -> ._connections -> ._storage -> <dict> -> [key] -> __dict__"
    assert "one for each thread" in label_of(f"module django.db -> {connections}")
    assert label_of(f"module app -> {connections}") == ""
    for place in ("", "module sys -> modules", "module app -> cache", "module app -> _abc_implied"):
        assert label_of(place) == ""


class Store:
    """A cache that says how much it keeps, and whose code minds it."""

    limit: Any = 5

    def __init__(self, **values: Any) -> None:
        self.entries: dict[str, int] = {}
        vars(self).update(values)

    def add(self, key: str) -> None:
        self.entries[key] = 1
        if len(self.entries) > self.limit:
            self.entries.clear()


class Slotted:
    __slots__ = ("entries", "maxsize")

    def __init__(self) -> None:
        self.entries: list[int] = []
        self.maxsize = 100

    def add(self, one: int) -> None:
        if len(self.entries) < self.maxsize:
            self.entries.append(one)


class Subclass(OrderedDict[str, int]):
    maxsize = 50

    def add(self, key: str) -> None:
        self[key] = 1
        if len(self) > self.maxsize:
            self.popitem()


def bound(
    holder: Any, before: Any = (), edge: str = ".entries", size: int = 3, adders: Any = ()
) -> str:
    return bound_of(holder, before, edge, size, adders)


def code_with(*names: str) -> types.CodeType:
    """Of a function that asks for attributes of these names."""
    source = "\n".join(f"    self.{name}" for name in names)
    space: dict[str, Any] = {}
    exec(f"def mind(self):\n{source}", space)
    code: types.CodeType = space["mind"].__code__
    return code


def test_of_a_deque() -> None:
    assert bound(deque(maxlen=7)) == "maxlen=7"
    assert bound(deque()) == ""


def test_of_an_lru_cache() -> None:
    @functools.lru_cache(maxsize=9)
    def bounded(x: int) -> int:
        return x

    @functools.cache
    def boundless(x: int) -> int:
        return x

    assert bound(bounded) == "lru_cache(maxsize=9)"
    assert bound({}, [bounded]) == "lru_cache(maxsize=9)"
    assert bound(boundless) == bound({}, [boundless]) == ""


class Empty:
    """Gets its attributes from the test."""


@pytest.mark.parametrize(
    "name",
    "maxsize max_size _max maximum limit max_entries capacity cache_limit maxlen _maxsize"
    " pool_size max_items keep_last history_size".split(),
)
def test_of_a_limit_beside_it(name: str) -> None:
    owner = Empty()
    setattr(owner, name, 10)
    minds = [code_with(name, "entries")]
    assert bound({}, [owner], adders=minds) == f"{name}=10"
    assert bound({}, [owner], size=10, adders=minds) == f"{name}=10"
    assert bound({}, [owner], size=11, adders=minds) == "", "it does not bound"
    assert bound({}, [owner]) == "", "no code asks for it"
    assert bound({}, [owner], adders=[code_with(name)]) == "", "it is of something else"
    assert bound({}, [owner], adders=[code_with("entries")]) == ""


@pytest.mark.parametrize("name", "climax age timeout size count number port limitless x".split())
def test_of_other_numbers_beside_it(name: str) -> None:
    owner = Empty()
    setattr(owner, name, 1000)
    assert bound({}, [owner], adders=[code_with(name, "entries")]) == ""


def test_of_limits_of_other_kinds() -> None:
    for value in (True, None, "100", 100.5, 1, 0, -1, [100]):
        assert bound({}, [Store(limit=value)], size=50) == ""


def test_of_a_limit_of_the_class() -> None:
    store = Store()
    assert bound(store.entries, [store]) == "limit=5"
    assert bound(store.entries, [store], size=6) == ""
    assert bound(Subclass()) == "maxsize=50"


def test_of_a_limit_in_a_slot() -> None:
    slotted = Slotted()
    assert bound(slotted.entries, [slotted]) == "maxsize=100"


def test_of_a_limit_named_after_what_it_limits() -> None:
    class Server:
        max_sessions = 100

    minds = [code_with("max_sessions", "sessions", "users")]
    assert bound({}, [Server()], edge=".sessions", adders=minds) == "max_sessions=100"
    assert bound({}, [Server()], edge=".users", adders=minds) == ""


LIMIT = 40
ENTRIES: list[int] = []
BY_NUMBER: dict[int, int] = {}


def adds(one: int) -> None:
    ENTRIES.append(one)
    if len(ENTRIES) > LIMIT:
        ENTRIES.pop(0)


def adds_beyond_a_constant(one: int) -> None:
    BY_NUMBER[one] = one
    while len(BY_NUMBER) > 30:
        del BY_NUMBER[next(iter(BY_NUMBER))]


def only_adds(one: int) -> None:
    if len(ENTRIES) < LIMIT:
        ENTRIES.append(one)


def test_of_the_function_that_adds() -> None:
    assert bound([], edge="['ENTRIES']", adders=[adds]) == "adds() removes entries beyond LIMIT=40"
    assert bound([], edge="['ENTRIES']", adders=[adds], size=41) == ""
    assert bound([], edge="['OTHERS']", adders=[adds]) == ""
    for adder in (adds_beyond_a_constant, adds_beyond_a_constant.__code__):
        assert "beyond 30" in bound({}, edge="['BY_NUMBER']", adders=[adder])
    assert bound([], edge="['ENTRIES']", adders=[only_adds]) == ""


@pytest.mark.parametrize(
    ("edge", "name"),
    [("._sessions", "_sessions"), ("['_sessions']", "_sessions"), ("", ""), ("a[5].b", "b")],
)
def test_the_last_name_of_a_step(edge: str, name: str) -> None:
    assert last_name(edge) == name


# -- objects that mind being looked at


class Ran(Exception):
    """Code of the program was run."""


class Raises:
    entries: dict[str, int]

    @property
    def maxsize(self) -> int:
        raise Ran

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise Ran

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise Ran

    def __getattribute__(self, name: str) -> Any:
        raise Ran

    def __len__(self) -> int:
        raise Ran

    def __bool__(self) -> bool:
        raise Ran

    def __eq__(self, other: object) -> bool:
        raise Ran

    def __hash__(self) -> int:
        raise Ran


class LiesAboutItsClass:
    __class__ = deque  # type: ignore[assignment]
    maxlen = 5

    def add(self) -> int:
        return self.maxlen


class LiesAboutItsNumbers(int):
    def __le__(self, other: object) -> bool:
        raise Ran

    def __ge__(self, other: object) -> bool:
        raise Ran

    def __gt__(self, other: object) -> bool:
        raise Ran


LYING: list[int] = []
LYING_LIMIT = LiesAboutItsNumbers(100)


def adds_to_lying(one: int) -> None:
    LYING.append(one)
    if len(LYING) > LYING_LIMIT:
        LYING.pop()


def test_no_code_of_the_program_is_run() -> None:
    assert bound(Raises(), [Raises()]) == ""
    assert bound({}, [Store(limit=LiesAboutItsNumbers(100))], size=50) == ""

    LYING.append(1)
    assert bound([], edge="['LYING']", adders=[adds_to_lying]) == ""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise Ran

    holder = Meta("Holder", (), {"maxsize": 10, "add": Subclass.add})
    assert bound(holder()) == "maxsize=10"


def test_a_class_that_lies() -> None:
    assert bound(LiesAboutItsClass()) == "maxlen=5"  # the attribute; it is asked as no deque


@pytest.mark.parametrize(
    "classes",
    [
        "app.Server cell werkzeug.debug.DebuggedApplication dict",
        "frame werkzeug.debug.DebuggedApplication",
        "module type silk.collector.DataCollector dict list",
        "debug_toolbar.toolbar.DebugToolbar collections.OrderedDict",
    ],
)
def test_what_debugging_tools_have(classes: str) -> None:
    assert of_tool(classes.split())


@pytest.mark.parametrize(
    "classes",
    [
        "",
        "dict",
        "app.Server dict",
        "werkzeug.debug.DebuggedApplication flask.app.Flask dict",
        "werkzeug.debug.DebuggedApplication dict app.Shop dict",
        "werkzeug.debugging.Other dict",
    ],
)
def test_what_is_behind_debugging_tools_is_the_programs(classes: str) -> None:
    assert not of_tool(classes.split())
