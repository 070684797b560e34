"""The objgraph drop-in, against the same questions asked in plain Python and of objgraph."""

from __future__ import annotations

import contextlib
import gc
import io
import re
import sys
import types
from collections import Counter
from typing import TYPE_CHECKING, Any

import objgraph as original
import pytest

import memscope
from memscope import objgraph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Held:
    def __init__(self, **attributes: object) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Nothing is collected, and nothing young is about to be."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def printed(function: Any, *args: Any, **kwargs: Any) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        function(*args, **kwargs)
    return out.getvalue()


def test_every_public_name_and_signature() -> None:
    """Arguments of our own are keyword-only and come after objgraph's."""
    from inspect import Parameter, signature

    names = [
        name
        for name, value in vars(original).items()
        if isinstance(value, types.FunctionType) and not name.startswith("_")
    ]
    assert set(names) == set(objgraph.__all__)
    for name in names:
        theirs = list(signature(getattr(original, name)).parameters.values())
        ours = list(signature(getattr(objgraph, name)).parameters.values())
        shared = [one for one in ours if one.kind is not Parameter.KEYWORD_ONLY]
        shape = [(one.name, one.kind, one.default) for one in shared]
        assert shape == [(one.name, one.kind, one.default) for one in theirs]
        assert getattr(memscope, name) is getattr(objgraph, name)


def test_import_is_lazy_and_draws_nothing() -> None:
    assert "graphviz" not in sys.modules
    assert objgraph.IS_INTERACTIVE is False


# -- counting


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize("shortnames", [True, False])
def test_typestats(shortnames: bool) -> None:
    theirs = original.typestats(shortnames=shortnames)
    ours = objgraph.typestats(shortnames=shortnames)
    different = {name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)}
    assert all(abs(ours.get(name, 0) - theirs.get(name, 0)) < 20 for name in different)
    assert len(different) < 6
    common = [name for name in theirs if name not in different]
    assert [name for name in ours if name in set(common)] == common  # first met, first listed


def test_counts_of_given_objects() -> None:
    objects = [Held(), Held(), [], "text", 5, Held]
    expected = Counter(type(obj).__name__ for obj in objects)
    assert objgraph.typestats(objects) == dict(expected)
    assert objgraph.typestats(iter(objects)) == dict(expected)
    assert objgraph.count("Held", objects) == 2
    assert objgraph.count(f"{__name__}.Held", objects) == 2
    assert objgraph.count("builtins.list", objects) == 1
    assert objgraph.count("other.Held", objects) == 0
    assert objgraph.by_type("Held", objects) == objects[:2]
    assert objgraph.typestats([]) == {}


def test_filter_is_called_with_objects() -> None:
    keep = Held(keep=True)
    drop = Held(keep=False)
    found = objgraph.typestats(
        [keep, drop], shortnames=False, filter=lambda obj: getattr(obj, "keep", False)
    )
    assert found == {f"{__name__}.Held": 1}
    with pytest.raises(ZeroDivisionError):
        objgraph.typestats(filter=lambda obj: 1 / 0)
    assert gc.isenabled()


def test_ties_keep_the_order_in_which_classes_are_met() -> None:
    objects = [(), [], {}, [], (), {}, set()]
    assert objgraph.most_common_types(objects=objects) == [
        ("tuple", 2),
        ("list", 2),
        ("dict", 2),
        ("set", 1),
    ]
    assert objgraph.most_common_types(2, objects) == [("tuple", 2), ("list", 2)]
    for everything in (None, 0):
        assert len(objgraph.most_common_types(everything, objects)) == 4


def test_show_most_common_types() -> None:
    objects = [Held() for _ in range(12)] + [{}, {}]
    for shortnames in (True, False):
        ours = printed(objgraph.show_most_common_types, 10, objects, shortnames)
        assert ours == printed(original.show_most_common_types, 10, objects, shortnames)
    with pytest.raises(ValueError):
        objgraph.show_most_common_types(objects=[])


def test_sizes_untracked_and_modules() -> None:
    gc.collect()
    held = [Held() for _ in range(7)]
    row = [row for row in objgraph.most_common_types(None, sizes=True) if row[0] == "Held"]
    assert row == [("Held", 7, sum(map(sys.getsizeof, held)))]
    assert "str" not in objgraph.typestats()
    assert objgraph.typestats(untracked=True)["str"] > 1000
    assert objgraph.typestats(modules=__name__, shortnames=False) == {f"{__name__}.Held": 7}
    assert objgraph.typestats(modules=[__name__], untracked=True)["Held"] == 7
    assert objgraph.typestats(modules="no.such.module") == {}


def test_a_metaclass_may_name_its_classes() -> None:
    class Meta(type):
        @property
        def __name__(cls) -> str:
            return "Renamed"

    thing = Meta("Original", (), {})()
    assert objgraph.by_type("Renamed") == [thing]


# -- growth


def test_growth_is_over_the_highest_count_ever() -> None:
    peaks: dict[str, int] = {}
    objgraph.growth(None, peaks)
    held = [Held() for _ in range(5)]
    [row] = [row for row in objgraph.growth(None, peaks) if row[0] == "Held"]
    assert row == ("Held", 5, 5)
    held.pop()
    assert not [row for row in objgraph.growth(None, peaks) if row[0] == "Held"]
    held.append(Held())
    assert not [row for row in objgraph.growth(None, peaks) if row[0] == "Held"]
    held.append(Held())
    assert ("Held", 6, 1) in objgraph.growth(None, peaks)


def test_show_growth_prints_as_objgraph() -> None:
    ours: dict[Any, int] = {"Held": 3}
    held = [Held() for _ in range(5)]

    def only_held(obj: object) -> bool:
        return type(obj) is Held

    assert printed(objgraph.show_growth, 10, ours, filter=only_held) == printed(
        original.show_growth, 10, {"Held": 3}, filter=only_held
    )
    assert printed(objgraph.show_growth, 10, ours, filter=only_held) == ""
    held.append(Held())
    text = printed(objgraph.show_growth, 10, ours, filter=only_held, sizes=True, collect=False)
    size = sum(map(sys.getsizeof, held))
    assert text == f"Held        6        +1 {size:>12} {size:>+12}\n"


def test_growth_without_a_collection_sees_garbage() -> None:
    peaks: dict[str, int] = {}
    gc.collect()
    gc.disable()
    try:
        objgraph.growth(None, peaks, collect=False)
        cycle = Held()
        cycle.me = cycle  # type: ignore[attr-defined]
        del cycle
        assert ("Held", 1, 1) in objgraph.growth(None, peaks, collect=False)
        assert objgraph.count("Held") == 1
        objgraph.growth(None, peaks)
        assert objgraph.count("Held") == 0
    finally:
        gc.enable()


def test_new_ids() -> None:
    state: dict[str, Any] = {}
    out = io.StringIO()
    objgraph.get_new_ids(limit=0, file=out, _state=state)
    assert out.getvalue() == ""
    held = [Held(), Held()]
    new = objgraph.get_new_ids(file=out, _state=state)
    assert new["Held"] == set(map(id, held))
    assert "Old_ids  Current_ids      New_ids Count_Deltas" in out.getvalue()
    assert objgraph.get_new_ids(skip_update=True, _state=state) is new
    again = objgraph.get_new_ids(limit=None, file=out, _state=state)
    assert again["Held"] == set()
    held.pop()
    for sortby in ("old", "current", "new", "deltas"):
        objgraph.get_new_ids(limit=-1, sortby=sortby, file=out, _state=state)


def test_new_ids_of_classes_of_one_name() -> None:
    state: dict[str, Any] = {}
    objgraph.get_new_ids(limit=0, _state=state)
    twins = [type("Twin", (), {})() for _ in range(3)]
    new = objgraph.get_new_ids(limit=0, _state=state)
    assert new["Twin"] == set(map(id, twins))


# -- lists


def test_by_type_and_at() -> None:
    held = [Held() for _ in range(3)]
    assert sorted(map(id, objgraph.by_type("Held"))) == sorted(map(id, held))
    assert objgraph.by_type("NoSuchClass") == []
    assert objgraph.at(id(held)) is held
    assert objgraph.at(1) is None
    assert objgraph.at(-1) is None
    assert objgraph.at(2**70) is None
    assert objgraph.at_addrs({id(held), 1}) == [held]


def test_leaking_objects() -> None:
    alone, owned = Held(), Held()
    owner = [owned]
    found = objgraph.get_leaking_objects([alone, owned])
    assert found == [alone]
    assert owner


def test_leaking_objects_are_those_of_objgraph(run_python: Any) -> None:
    """In a process without asyncio: on 3.12, gc.get_referents(_asyncio), which objgraph
    calls, brings dead objects to life and closes a free list to a ring."""
    run_python("""
import gc
import objgraph as original
from memscope import objgraph
for _ in range(2):  # the first collection untracks tuples
    gc.collect()
    ours = set(map(id, objgraph.get_leaking_objects()))
    theirs = set(map(id, original.get_leaking_objects()))
assert len(ours ^ theirs) < 12, (len(ours), len(theirs))
assert len(ours & theirs) > 100
""")


def test_dead_objects_stay_dead(run_python: Any) -> None:
    """Those that _asyncio keeps for reuse on 3.12."""
    run_python("""
import _asyncio, asyncio, gc, io
from memscope import objgraph

async def main():
    async def wait(future):
        await future
    futures = [asyncio.get_running_loop().create_future() for _ in range(5)]
    tasks = [asyncio.ensure_future(wait(future)) for future in futures]
    await asyncio.sleep(0)
    for future in futures:
        future.set_result(None)
    await asyncio.gather(*tasks)

asyncio.run(main())
for _ in range(2):
    objgraph.show_refs(_asyncio, output=io.StringIO(), too_many=1000)
    objgraph.get_leaking_objects()
    objgraph.find_ref_chain(_asyncio, lambda obj: False)
    objgraph.show_growth(limit=0, shortnames=False)
gc.collect()  # would never come back
asyncio.run(main())
""")


@pytest.mark.usefixtures("quiet")
def test_nothing_is_left_behind() -> None:
    thing = Held()
    before = len(gc.get_referrers(thing)), sys.getrefcount(thing)
    for _ in range(3):
        objgraph.count("Held")
        objgraph.typestats()
        objgraph.growth(None, {})
        objgraph.by_type("Held")
        objgraph.at(id(thing))
        objgraph.get_leaking_objects()
        objgraph.find_backref_chain(thing, objgraph.is_proper_module)
        objgraph.show_backrefs(thing, output=io.StringIO())
        objgraph.show_refs(thing, output=io.StringIO())
    assert (len(gc.get_referrers(thing)), sys.getrefcount(thing)) == before


# -- chains


@pytest.fixture
def module() -> Iterator[Any]:
    made: Any = types.ModuleType("module_of_the_test")
    sys.modules["module_of_the_test"] = made
    try:
        yield made
    finally:
        del sys.modules["module_of_the_test"]


def test_a_chain_from_a_module(module: Any) -> None:
    leaf = Held()
    module.cache = {"key": [leaf]}
    chain = objgraph.find_backref_chain(leaf, objgraph.is_proper_module)
    assert chain == [module, vars(module), module.cache, module.cache["key"], leaf]
    assert chain == original.find_backref_chain(leaf, original.is_proper_module)

    def is_leaf(obj: object) -> bool:
        return obj is leaf

    forward = objgraph.find_ref_chain(module, is_leaf)
    assert forward == chain == original.find_ref_chain(module, is_leaf)


def test_no_chain_and_its_limits(module: Any) -> None:
    leaf = Held()
    module.cache = [[[leaf]]]
    is_module = objgraph.is_proper_module
    assert objgraph.find_backref_chain(leaf, is_module, max_depth=2) == [leaf]
    assert len(objgraph.find_backref_chain(leaf, is_module, max_depth=5)) == 6
    assert objgraph.find_backref_chain(leaf, lambda obj: False) == [leaf]
    assert objgraph.find_backref_chain(leaf, lambda obj: obj is leaf) == [leaf]
    ignored = [id(module.cache)]
    assert objgraph.find_backref_chain(leaf, is_module, 20, ignored) == [leaf]
    with pytest.raises(ZeroDivisionError):
        objgraph.find_backref_chain(leaf, lambda obj: 1 / 0)


def test_is_proper_module() -> None:
    assert objgraph.is_proper_module(sys)
    assert not objgraph.is_proper_module(types.ModuleType("sys"))
    assert not objgraph.is_proper_module([])


# -- pictures


def test_show_backrefs(module: Any) -> None:
    leaf = Held()
    module.cache = {"key": leaf, 5: [leaf]}
    out = io.StringIO()
    assert objgraph.show_backrefs(leaf, output=out) is None
    text = out.getvalue()
    node = objgraph._obj_node_id
    assert f"  {node(leaf)}[fontcolor=red];\n" in text
    assert f'  {node(module.cache)} -> {node(leaf)} [label="key",weight=2];\n' in text
    assert f"  {node(module.cache[5])} -> {node(leaf)};\n" in text
    assert f'  {node(vars(module))} -> {node(module.cache)} [label="cache",weight=2];\n' in text
    assert '[fillcolor="0.3,1,' in text  # the module, and nothing beyond it
    assert f"-> {node(module)}" not in text


def test_pictures_are_those_of_objgraph(module: Any) -> None:
    """Without instances, whose attributes objgraph cannot name."""
    leaf: list[Any] = ["a", {"b": 1}]
    module.cache = {"key": leaf, "other": [leaf], (1, 2): leaf}
    for name, depth in (("show_refs", 4), ("show_backrefs", 2)):
        ours, theirs = io.StringIO(), io.StringIO()
        options = {"max_depth": depth, "too_many": 4}
        getattr(objgraph, name)([module.cache], output=ours, **options)
        getattr(original, name)([module.cache], output=theirs, **options)
        assert ours.getvalue() == theirs.getvalue()


def test_reference_counts_are_those_of_objgraph(module: Any) -> None:
    """Below zero, too, where the interpreter borrows what objgraph subtracts."""
    shared = [object()]
    module.cache = {"key": shared, "other": [shared, shared], "own": {"b": ()}}

    def counts(tool: Any, name: str) -> list[str]:
        out = io.StringIO()
        getattr(tool, name)([module.cache], 3, output=out, refcounts=True, too_many=3)
        # Those of strings and classes change from one moment to the next.
        return re.findall(r'(o\d+)\[label="((?:dict|list|object) \[-?\d+\])', out.getvalue())

    for name in ("show_refs", "show_backrefs"):
        ours = counts(objgraph, name)
        assert len(ours) >= {"show_refs": 5, "show_backrefs": 2}[name]
        assert ours == counts(original, name)
    number = {node: int(label.split("[")[1][:-1]) for node, label in counts(objgraph, "show_refs")}
    node = objgraph._obj_node_id
    assert number[node(shared)] == number[node(module.cache["own"])] + 3


def test_attributes_have_their_names() -> None:
    class Owner:
        def __init__(self, payload: object) -> None:
            self.payload = payload

    leaf = Held()
    owner = Owner(leaf)
    out = io.StringIO()
    objgraph.show_refs(owner, output=out)
    node = objgraph._obj_node_id
    edge = f"{node(owner)} -> {node(leaf)} "
    assert f'{edge}[label="payload",weight=2];' in out.getvalue()


def test_no_dict_is_made() -> None:
    leaf = Held()
    owners = [Held(leaf=leaf) for _ in range(5000)]

    def dicts() -> int:
        gc.collect()
        return sum(type(obj) is dict for obj in gc.get_objects())

    before = dicts()
    objgraph.show_backrefs(leaf, too_many=5000, output=io.StringIO())
    assert dicts() <= before + 3
    assert owners


def test_show_chain_and_files(module: Any, tmp_path: Path) -> None:
    leaf = Held()
    module.cache = [leaf]
    chain = objgraph.find_backref_chain(leaf, objgraph.is_proper_module)
    target = tmp_path / "chain.dot"
    text = printed(objgraph.show_chain, chain, filename=str(target))
    assert text == f"Graph written to {target} (4 nodes)\n"
    assert target.read_text().startswith("digraph ObjectGraph {")
    with pytest.raises(ValueError, match=r"Cannot specify both output and filename\."):
        objgraph.show_refs(leaf, filename="a.dot", output=io.StringIO())


def test_objects_that_misbehave() -> None:
    class Misbehaving:
        def __repr__(self) -> str:
            raise ValueError("no")

        @property
        def __class__(self) -> Any:
            raise ValueError("no")

        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise ValueError("no")

    hostile = Misbehaving()
    holder = [hostile, {"key": hostile}]
    out = io.StringIO()
    objgraph.show_refs(holder, output=out)
    objgraph.show_backrefs([hostile], output=out)
    assert "(unrepresentable)" in out.getvalue()
    assert objgraph.count("Misbehaving") == 1
    assert [id(obj) for obj in objgraph.by_type("Misbehaving")] == [id(hostile)]
    chain = objgraph.find_ref_chain(holder, lambda obj: type(obj) is Misbehaving)
    assert [id(obj) for obj in chain] == [id(holder), id(hostile)]
