"""What grows and is no leak: by where it is, by its bound.  No code of the program is run."""

from __future__ import annotations

import functools
import types
from collections import OrderedDict, deque
from typing import Any

import pytest

from memscope.noise import bound_of, label_of, removes_again

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
    for place in ("", "module sys -> modules", "module app -> cache", "module app -> _abc_implied"):
        assert label_of(place) == ""


class Store:
    """A cache that says how much it keeps."""

    limit: Any = 5

    def __init__(self, **values: Any) -> None:
        self.entries: dict[str, int] = {}
        vars(self).update(values)


class Slotted:
    __slots__ = ("entries", "maxsize")

    def __init__(self) -> None:
        self.entries: list[int] = []
        self.maxsize = 100


class Subclass(OrderedDict[str, int]):
    maxsize = 50


def bound(holder: Any, before: Any = (), edge: str = "", size: int = 3, adders: Any = ()) -> str:
    return bound_of(holder, before, edge, size, adders)


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


@pytest.mark.parametrize(
    "name",
    "maxsize max_size _max maximum limit max_entries capacity cache_limit maxlen _maxsize"
    " pool_size max_items keep_last history_size".split(),
)
def test_of_a_limit_beside_it(name: str) -> None:
    class Empty:
        pass

    owner = Empty()
    owner.entries = {}  # type: ignore[attr-defined]
    setattr(owner, name, 10)
    assert bound(owner.entries, [owner]) == f"{name}=10"  # type: ignore[attr-defined]
    assert bound(owner.entries, [owner], size=10) == f"{name}=10"  # type: ignore[attr-defined]
    assert bound(owner.entries, [owner], size=11) == "", "it does not bound"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", "climax age timeout size count number port limitless x".split())
def test_of_other_numbers_beside_it(name: str) -> None:
    class Empty:
        pass

    owner = Empty()
    setattr(owner, name, 1000)
    assert bound({}, [owner]) == ""


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

    assert bound({}, [Server()], edge=".sessions") == "max_sessions=100"
    assert bound({}, [Server()], edge=".users") == ""


LIMIT = 40


def adds(entries: list[int], one: int) -> None:
    entries.append(one)
    if len(entries) > LIMIT:
        entries.pop(0)


def adds_beyond_a_constant(entries: dict[int, int], one: int) -> None:
    entries[one] = one
    while len(entries) > 30:
        del entries[next(iter(entries))]


def only_adds(entries: list[int], one: int) -> None:
    if len(entries) < LIMIT:
        entries.append(one)


def test_of_the_function_that_adds() -> None:
    assert bound([], adders=[adds]) == "adds() removes entries beyond LIMIT=40"
    assert bound([], adders=[adds], size=41) == ""
    assert "beyond 30" in bound({}, adders=[adds_beyond_a_constant])
    assert "beyond 30" in bound({}, adders=[adds_beyond_a_constant.__code__])
    assert bound([], adders=[only_adds]) == ""


def test_functions_that_remove() -> None:
    assert removes_again(adds.__code__)
    assert removes_again(adds_beyond_a_constant.__code__)
    assert not removes_again(only_adds.__code__)


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


class LiesAboutItsNumbers(int):
    def __le__(self, other: object) -> bool:
        raise Ran

    def __ge__(self, other: object) -> bool:
        raise Ran

    def __gt__(self, other: object) -> bool:
        raise Ran


def test_no_code_of_the_program_is_run() -> None:
    assert bound(Raises(), [Raises()], adders=[Raises()]) == ""
    assert bound({}, [Store(limit=LiesAboutItsNumbers(100))], size=50) == ""

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            raise Ran

    holder = Meta("Holder", (), {"maxsize": 10})
    assert bound(holder()) == "maxsize=10"


def test_a_class_that_lies() -> None:
    assert bound(LiesAboutItsClass()) == "maxlen=5"  # the attribute; it is asked as no deque


def test_code_that_lies() -> None:
    fake = types.SimpleNamespace(__code__=5)
    assert bound([], adders=[fake, 5, None, object()]) == ""
