"""Heap snapshots in files: docs/heap-format.md is what is written, and nothing else is read."""

from __future__ import annotations

import random
import re
import struct
import sys
import zlib
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memscope import _memscope, naming
from memscope._memscope import Columns, Graph

SEED = Path(__file__).parent.parent / "fuzz" / "heap_dump" / "everything"
MAGIC = b"\x89MSCP\r\n\x1a"
ENTRY = "<4sIQQ"

TRACKED, MODULE, TYPE, SURPLUS = 1, 4, 8, 32


# The format as the page describes it, in Python: written apart from the C code, so that
# the two and the page cannot all be wrong in the same way.


def varint(*numbers: int) -> bytes:
    data = bytearray()
    for number in numbers:
        while number > 127:
            data.append(number & 127 | 128)
            number >>= 7
        data.append(number)
    return bytes(data)


def zigzag(step: int, above: int = 0) -> bytes:
    return varint((2 * step if step >= 0 else -2 * step - 1) + above)


def string(text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return varint(len(data)) + data


def pack(chunks: dict[str, bytes], major: int = 1, minor: int = 0) -> bytes:
    start = 28 + 24 * len(chunks)
    table, body = b"", b""
    for name, data in chunks.items():
        entry = struct.pack(ENTRY, name.encode(), zlib.crc32(data), start + len(body), len(data))
        table, body = table + entry, body + data
    length = start + len(body)
    head = struct.pack("<8sHHIQ", MAGIC, major, minor, len(chunks), length) + table
    return head + struct.pack("<I", zlib.crc32(head)) + body


def unpack(data: bytes) -> dict[str, bytes]:
    count = struct.unpack_from("<I", data, 12)[0]
    entries = [struct.unpack_from(ENTRY, data, 24 + 24 * i) for i in range(count)]
    return {name.decode(): data[at : at + length] for name, _, at, length in entries}


# A thread (0) with a frame (1) that has a module (2), whose dict (3) holds under "cache" (8)
# a list (4) of a Session (5) twice; the Session has a class (6) and a value (7).

TEXTS = ["builtins", "module", "dict", "list", "app", "Session", "type", "str", "main", "handle"]
TEXTS += ["app.py", "request", "attribute", "owner", "__class__", "odd \udc80 name", "lib.py", "f"]
CLASSES = ["module", "dict", "list", "Session", "type", "str"]


def text(name: str) -> int:
    return TEXTS.index(name) + 1 if name else 0


def sample_chunks() -> dict[str, bytes]:
    columns = {
        "HKND": varint(0, 1, 2, 3, 4, 5, 5),
        "HFLG": bytes([TRACKED | MODULE, TRACKED, TRACKED, TRACKED | SURPLUS, TYPE, 0, 0]),
        "HSUR": varint(3),
        "HSIZ": varint(72, 232, 88, 1 << 40, 1000, 54, 54),
        "HADR": b"\4" + zigzag(0x100) + zigzag(1) * 3 + zigzag(0x50) + zigzag(1) + zigzag(-5),
        "HDEG": varint(1, 1, 1, 2, 2, 2, 0, 0, 0),
        # thread -> frame; frame -> module; module -> dict; dict -> list, key;
        # list -> Session twice; Session -> class of its own, value.
        "HREF": zigzag(1, 2)
        + (zigzag(1, 2) + zigzag(1, 2))
        + (zigzag(1, 2) + zigzag(4, 2))
        + (zigzag(1, 2) + zigzag(0, 2))
        + (varint(1) + zigzag(2, 2)),
    }
    return {
        "HEAP": varint(9, 2, 4, 9, 0) + string("memscope 0.1.0") + string("") + string(""),
        "HCLS": varint(6)
        + b"".join(
            varint(text("app" if name == "Session" else "builtins"), text(name), text(name))
            + (varint(7, 0x1530) if name == "Session" else varint(0, 16 * (number + 1)))
            for number, name in enumerate(CLASSES)
        ),
        "HOLD": varint(0, 77, text("main"), 0, 0)
        + varint(1, 77, text("handle"), text("app.py"), 12),
        "HLOC": varint(0, text("request")),
        **columns,
        "HNAM": varint(3)
        + varint(text("attribute"), text("owner") + 1)
        + varint(text("attribute"), text("__class__") + 1)
        + varint(text("odd \udc80 name"), 0),
        "HSHP": varint(5)
        + (bytes([3]) + varint(0, 0, 0))
        + (bytes([2]) + varint(0, 0, 0))
        + (bytes([0]) + varint(0, 2, 0, 1, 0, 0, 1))
        + (bytes([0]) + varint(0, 1, 1, 0, 2))
        + (bytes([5]) + varint(0, 0, 0)),
        "HLAY": varint(4, 1, 2, 3, 0, 0, 0),
        "HNOT": varint(0, 2 + 1, 2 + 2, 0, 0, 1, 0),
        "HKEY": varint(1) + (varint(6) + string("'cache'")),
        "HTLD": varint(2) + (varint(0) + string("module app")) + (varint(3) + string("class S")),
        "HSIT": varint(1) + varint(text("lib.py"), 5, text("f")),
        "HSID": varint(0, 0, 1, 1, 0, 0, 0),
        "HTXT": varint(len(TEXTS)) + b"".join(map(string, TEXTS)),
    }


def sample() -> bytes:
    return pack(sample_chunks())


def with_chunks(**changed: bytes | None) -> bytes:
    chunks = {**sample_chunks(), **changed}
    return pack({name: data for name, data in chunks.items() if data is not None})


def fails(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        Graph.from_bytes(data)
    assert "\n" not in str(caught.value)


def columns_of(graph: Graph) -> dict[str, Any]:
    """Everything that a graph can be asked about its nodes."""
    nodes = range(len(graph))
    holders = range(graph.holders)
    return {
        "counts": (len(graph), graph.holders, graph.tracked, graph.edges, graph.lost),
        "types": graph.types(),
        "nodes": [graph.node(node) for node in nodes],
        "referents": [graph.referents(node) for node in nodes],
        "referrers": [graph.referrers(node) for node in nodes],
        "holders": [graph.holder(node) for node in holders],
        "locals": [graph.local_names(node) for node in holders],
    }


def words_of(graph: Graph) -> dict[str, Any]:
    """And about their names."""
    nodes = range(graph.holders, len(graph))
    return {
        "descriptions": [graph.description(node) for node in nodes],
        "names": [
            [graph.edge_names(node, target) for target in dict.fromkeys(graph.referents(node))]
            for node in nodes
        ],
        "sites": graph.sites(),
    }


def saved(graph: Graph, **options: Any) -> bytes:
    """With names, as HeapSnapshot.save does."""
    return graph.to_bytes(
        naming.tell,
        named=naming.named_classes(),
        sized=naming.SIZED,
        valued=naming.VALUED,
        parted=naming.parted_classes(),
        **options,
    )


# -- what the page says is what is read and written


def test_the_page_is_read() -> None:
    graph = Graph.from_bytes(sample())
    assert (len(graph), graph.holders, graph.tracked, graph.edges) == (9, 2, 4, 9)
    assert graph.stored
    assert not graph.kept
    assert graph.holder(0) == ("thread", 0, 77, "main", "", 0)
    assert graph.holder(1) == ("frame", 0, 77, "handle", "app.py", 12)
    assert [graph.local_names(node) for node in (0, 1)] == [[""], ["request"]]
    assert graph.node(5) == (0x1030, 3, 1 << 40, TRACKED | SURPLUS, 3)
    assert graph.types()[3] == ("app", "Session", "Session", 1, 1 << 40)
    edges = [[1], [2], [3], [4, 8], [5, 5], [6, 7], [], [], []]
    assert [graph.referents(node) for node in range(9)] == edges
    assert [node for node in range(9) if 5 in edges[node]] == sorted(set(graph.referrers(5)))


def test_the_page_names_references() -> None:
    graph = Graph.from_bytes(sample())
    assert graph.edge_names(2, 3) == [("odd \udc80 name", None)]
    assert graph.edge_names(3, 4) == [("key text", "'cache'")]
    assert graph.edge_names(3, 8) == [("key itself", None)]
    assert graph.edge_names(4, 5) == [("index", 0), ("index", 1)]
    assert graph.edge_names(5, 6) == [("attribute", "__class__")]
    assert graph.edge_names(5, 7) == [("attribute", "owner")]
    assert graph.edge_names(5, 8) == graph.edge_names(7, 8) == []


def test_the_page_describes_objects() -> None:
    graph = Graph.from_bytes(sample())
    described = [graph.description(node) for node in range(2, 9)]
    assert described == ["module app", 1, 2, None, "class S", False, None]
    column, table = graph.sites() or (b"", [])
    assert list(memoryview(column).cast("I")) == [0, 0, 0, 0, 1, 1, 0, 0, 0]
    assert table == [("lib.py", 5, "f")]


def test_a_key_without_text_is_known_by_its_class() -> None:
    graph = Graph.from_bytes(with_chunks(HKEY=varint(0)))
    assert graph.edge_names(3, 4) == [("key of", "str")]
    assert naming.edge_text("key of", "str") == "[<str>]"


def test_what_is_read_is_written_again() -> None:
    data = sample()
    again = Graph.from_bytes(data).to_bytes()
    assert Graph.from_bytes(again).to_bytes() == again
    mine, theirs = unpack(data), unpack(again)
    assert set(mine) == set(theirs)
    # All but the writer's name is the same: numbers of texts are given in the order of use.
    assert columns_of(Graph.from_bytes(again)) == columns_of(Graph.from_bytes(data))
    assert words_of(Graph.from_bytes(again)) == words_of(Graph.from_bytes(data))
    for name in ("HKND", "HFLG", "HSUR", "HSIZ", "HADR", "HDEG", "HLAY", "HSHP", "HKEY", "HTLD"):
        assert mine[name] == theirs[name]


def test_the_seed_of_the_fuzzer_is_the_sample() -> None:
    """The same bytes on every version: a file from one is read by all others."""
    assert SEED.read_bytes() == sample() + b"\xff\1"


def test_parts_may_be_missing() -> None:
    names = dict.fromkeys(["HNAM", "HSHP", "HLAY", "HNOT", "HKEY", "HTLD"])
    bare = Graph.from_bytes(with_chunks(**names, HSIT=None, HSID=None))
    assert columns_of(bare) == columns_of(Graph.from_bytes(sample()))
    assert bare.sites() is None
    assert bare.description(2) is None
    assert bare.edge_names(3, 4) == []


def test_a_later_version_adds() -> None:
    chunks = sample_chunks()
    chunks["HEAP"] += b"more"
    chunks["NEWS"] = b"of a later version"
    assert columns_of(Graph.from_bytes(pack(chunks, minor=7))) == columns_of(
        Graph.from_bytes(sample())
    )


# -- round trips


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(0, 30))
    node = st.integers(0, max(count - 1, 0))
    pairs = draw(st.lists(st.tuples(node, node), max_size=60)) if count else []
    roots = draw(st.lists(node, max_size=5)) if count else []
    return Graph.from_pairs(count, pairs, roots)


@given(graphs())
def test_any_graph_comes_back(graph: Graph) -> None:
    data = graph.to_bytes()
    again = Graph.from_bytes(data)
    assert columns_of(again) == columns_of(graph)
    assert again.to_bytes() == data
    for node in range(len(graph)):
        assert again.paths_to_root([node], 3) == graph.paths_to_root([node], 3)
        assert again.reachable([node]) == graph.reachable([node])
    everything = list(range(len(graph)))
    assert again.merged_paths(everything) == graph.merged_paths(everything)


@given(graphs(), st.data())
def test_sites_come_back(graph: Graph, data: st.DataObject) -> None:
    texts = st.text(st.characters(exclude_characters="\0"), max_size=5)
    sites = st.tuples(texts, st.integers(0, 2**32 - 1), texts)
    table = data.draw(st.lists(sites, max_size=5))
    numbers = st.integers(0, len(table))
    column = data.draw(st.lists(numbers, min_size=len(graph), max_size=len(graph)))
    again = Graph.from_bytes(graph.to_bytes(sites=(array("I", column), table)))
    assert again.sites() == (array("I", column).tobytes(), table)
    assert Graph.from_bytes(again.to_bytes()).sites() == again.sites()


def test_wrong_sites_are_refused() -> None:
    graph = Graph.from_pairs(2, [])
    with pytest.raises(ValueError, match="4 bytes, expected 4 for each of 2 nodes"):
        graph.to_bytes(sites=(array("I", [1]), [("a", 1, "f")]))
    with pytest.raises(IndexError, match="node 1 has site 2, which is not one of 1"):
        graph.to_bytes(sites=(array("I", [1, 2]), [("a", 1, "f")]))
    with pytest.raises(TypeError):
        graph.to_bytes(sites=(array("I", [0, 0]), ["a"]))  # type: ignore[list-item]
    with pytest.raises(TypeError):
        graph.to_bytes(sites=(array("I", [0, 0]), [(1, "a", 1)]))  # type: ignore[list-item]
    with pytest.raises(TypeError):
        graph.to_bytes(sites=3)  # type: ignore[arg-type]


def test_a_real_heap_comes_back() -> None:
    graph = Graph.take()
    data = graph.to_bytes()
    again = Graph.from_bytes(data)
    assert columns_of(again) == columns_of(graph)
    assert again.to_bytes() == data
    assert len(data) < 40 * len(graph)


def test_names_come_back() -> None:
    data = saved(Graph.take())
    again = Graph.from_bytes(data)
    assert again.to_bytes() == data
    assert len(data) < 40 * len(again)
    assert sum(map(bool, words_of(again)["names"])) > 0


def test_nothing_here_is_what_is_in_a_file() -> None:
    """Addresses are those of another process, though the process may be this one."""
    live = Graph.take()
    loaded = Graph.from_bytes(live.to_bytes())
    assert loaded.find([sys, Graph]) == [-1, -1]
    assert loaded.objects(live.find([sys, Graph]), "nothing") == ["nothing"] * 2
    with pytest.raises(ValueError, match="does not hold its objects"):
        loaded.chain(sys, None)


def test_what_tell_does_wrong() -> None:
    graph = Graph.take()
    options: dict[str, Any] = {"named": (type,), "valued": (tuple,)}
    answers: list[Any] = [
        lambda *_: None,
        lambda *_: ([], [], [], []),
        lambda *_: (1, 2, 3, 4),
        lambda named, *others: ([""] * len(named), *others, None),
    ]
    for tell in answers:
        with pytest.raises(TypeError, match="tell must return"):
            graph.to_bytes(tell, **options)
    with pytest.raises(ZeroDivisionError):
        graph.to_bytes(lambda *_: 1 // 0, **options)  # type: ignore[arg-type,return-value]


# -- what is not trusted


def test_every_truncation_is_refused() -> None:
    data = sample()
    for length in range(len(data)):
        with pytest.raises(ValueError, match="memscope dump"):
            Graph.from_bytes(data[:length])


def test_every_flip_is_refused() -> None:
    """Each byte is under a checksum."""
    data = sample()
    for position in range(len(data)):
        for bits in (1, 0x80, 0xFF):
            flipped = bytearray(data)
            flipped[position] ^= bits
            with pytest.raises(ValueError, match="memscope dump"):
                Graph.from_bytes(flipped)


def ask_everything(graph: Graph) -> None:
    columns_of(graph)
    words_of(graph)
    nodes = range(len(graph))
    graph.merged_paths(nodes)
    graph.paths_to_root(nodes, 5)
    graph.reachable(nodes)
    graph.grown(graph, 5)
    assert Graph.from_bytes(graph.to_bytes()).to_bytes() == graph.to_bytes()


@pytest.mark.parametrize("name", sample_chunks())
def test_every_flip_under_a_right_checksum(name: str) -> None:
    """Is read, or refused in one sentence."""
    content = sample_chunks()[name]
    refused = 0
    for position in range(len(content)):
        for value in (0, 1, 0x7F, 0x80, 0xFF, content[position] ^ 1, content[position] + 1 & 0xFF):
            changed = bytearray(content)
            changed[position] = value
            try:
                graph = Graph.from_bytes(with_chunks(**{name: bytes(changed)}))
            except ValueError as error:
                assert "memscope dump" in str(error)
                assert "\n" not in str(error)
                refused += 1
            else:
                ask_everything(graph)
    assert refused


@pytest.mark.parametrize("name", sample_chunks())
def test_every_cut_under_a_right_checksum(name: str) -> None:
    content = sample_chunks()[name]
    for length in range(len(content)):
        if name == "HEAP" and length == 0:
            continue
        with pytest.raises(ValueError, match="memscope dump"):
            Graph.from_bytes(with_chunks(**{name: content[:length]}))


@settings(max_examples=300)
@given(st.data())
def test_any_mutation(data: st.DataObject) -> None:
    chunks = sample_chunks()
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(sorted(chunks)))
        content = bytearray(chunks[name])
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        chunks[name] = bytes(content)
    try:
        graph = Graph.from_bytes(pack(chunks))
    except ValueError as error:
        assert re.search("memscope dump", str(error))
    else:
        ask_everything(graph)


NODES = 2**32 - 3


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ({"HEAP": None}, "chunk HEAP is not in the table"),
        ({"HREF": None}, "chunk HREF is not in the table"),
        ({"HSHP": None}, "chunk HSHP is not in the table"),
        ({"HSID": None}, "chunk HSID is not in the table"),
        (
            {"HEAP": varint(NODES, 2, 4, 9, 0) + string("") * 3},
            r"HKND at offset \d+ has room for 7 rows at most, .* 4294967291 of chunk HEAP",
        ),
        ({"HEAP": varint(9, 10, 0, 9, 0) + string("") * 3}, "has number of holders 10 .* 0 to 9"),
        ({"HEAP": varint(9, 2, 8, 9, 0) + string("") * 3}, "tracked objects 8 .* 0 to 7"),
        ({"HEAP": varint(9, 2, 4, 8, 0) + string("") * 3}, "HDEG has number of references"),
        (
            {"HEAP": varint(9, 2, 4, 11, 0) + string("") * 3, "HREF": b"\0" * 11},
            "HDEG comes to 9 references, .* 11",
        ),
        ({"HTXT": varint(1, 2) + b"\xc0\x80"}, "HTXT has a text before .* not UTF-8"),
        ({"HTXT": varint(1, 1) + b"\0"}, "HTXT has a text before .* not UTF-8"),
        ({"HTXT": varint(1, 4) + b"\xf4\x90\x80\x80"}, "HTXT has a text before .* not UTF-8"),
        ({"HTXT": varint(1, 2) + b"\xe2\x82"}, "HTXT has a text before .* not UTF-8"),
        ({"HTXT": varint(2**40)}, "HTXT has number of texts"),
        ({"HCLS": varint(0)}, "HCLS has number of classes 0"),
        ({"HOLD": varint(1, 7, 0, 0, 0) * 2}, "distance to a frame's thread 1 .* 0 to 0"),
        ({"HKND": varint(0, 1, 2, 3, 4, 5, 6)}, "HKND has class 6 .* 0 to 5"),
        ({"HSIZ": varint(*[2**62] * 7)}, r"HSIZ comes to more than 2\*\*63 - 1 bytes"),
        ({"HADR": b"\0" + zigzag(2**48) + zigzag(0) * 6}, "HADR has an address .* too high"),
        ({"HADR": b"\0" + zigzag(-1) + zigzag(0) * 6}, "HADR has an address .* too high"),
        ({"HADR": b"\x40" + zigzag(1) * 7}, "HADR has a shift of addresses by 64"),
        # Thread to object, frame to thread, object to frame, object to no node.
        ({"HREF": zigzag(2, 2) + zigzag(1, 2) * 8}, "from node 0 to node 2"),
        ({"HREF": zigzag(1, 2) + zigzag(-1, 2) + zigzag(1, 2) * 7}, "from node 1 to node 0"),
        ({"HREF": zigzag(1, 2) * 2 + zigzag(-1, 2) * 7}, "from node 2 to node 1"),
        ({"HREF": zigzag(1, 2) * 2 + zigzag(7, 2) * 7}, "from node 2 to node 9"),
        ({"HREF": zigzag(1, 2) * 2 + varint(1) + b"\0" * 6}, "from node 2 to node 1844674407"),
        ({"HREF": zigzag(1, 2) * 2 + b"\0" * 7}, "from node 4 to node 9"),
        ({"HNAM": varint(1, text("owner"), len(TEXTS) + 2)}, "HNAM has text 20 .* 0 to 19"),
        ({"HSHP": varint(1) + b"\6" + varint(0, 0, 0)}, "HSHP has form 6 .* 0 to 5"),
        ({"HSHP": varint(1) + b"\0" + varint(0, 1, 0, 0, 3)}, "HSHP has name 3 .* one of 3"),
        ({"HSHP": varint(1) + b"\0" + varint(0, 1, 2, 0, 0)}, "before the contents 2 .* 0 to 1"),
        ({"HLAY": varint(6, 1, 2, 3, 0, 0, 0)}, "HLAY has shape 6 .* 0 to 5"),
        ({"HLAY": varint(1, 1, 2, 3, 0, 0, 0)}, "has shape 1 .* a node of 1 references"),
        ({"HLAY": varint(3, 1, 2, 3, 0, 0, 0)}, "has shape 3 .* a node of 1 references"),
        ({"HKEY": varint(1, 7) + string("x")}, "HKEY has a text .* of a node that does not exist"),
        ({"HTLD": varint(2, 6, 0, 0, 0)}, "HTLD has a text .* of a node that does not exist"),
        ({"HSID": varint(0, 0, 2, 0, 0, 0, 0)}, "HSID has site 2 .* 0 to 1"),
        ({"HSIT": varint(1, len(TEXTS) + 1, 0, 0)}, "HSIT has text"),
    ],
)
def test_hostile_chunks(chunks: dict[str, bytes | None], message: str) -> None:
    """Every CRC is right, the content is not: said in words, without asking for memory."""
    fails(with_chunks(**chunks), f"^bad memscope dump: .*{message}")


def test_a_snapshot_of_allocations_is_something_else() -> None:
    allocations = Columns.from_traces([(0, 1, (("a.py", 1),), 1)], 1).to_bytes()
    fails(allocations, "a snapshot of allocations, which Snapshot.load reads")
    with pytest.raises(ValueError, match=r"a snapshot of the heap, which HeapSnapshot.load reads"):
        Columns.from_bytes(sample())


def test_memory_follows_the_file() -> None:
    """A small file cannot ask for much."""
    before = _memscope.get_tracemalloc_memory()
    graph = Graph.from_bytes(sample())
    assert _memscope.get_tracemalloc_memory() - before < 40 * len(sample())
    del graph
    for number in (10**6, NODES):
        fails(with_chunks(HEAP=varint(number, 2, 4, 9, 0) + string("") * 3), "room for")


def test_addresses_of_many_regions_grow_slowly() -> None:
    """What compares two graphs finds the place of each address."""
    order = random.Random(1)
    count = 50
    addresses = [order.randrange(2**48) for _ in range(count)]
    steps = zip([0, *addresses], addresses, strict=False)
    chunks = {
        "HEAP": varint(count, 0, count, 0, 0) + string("") * 3,
        "HCLS": varint(1, 0, 0, 0, 0, 0),
        **dict.fromkeys(["HOLD", "HLOC", "HSUR", "HREF"], b""),
        **dict.fromkeys(["HKND", "HFLG", "HSIZ", "HDEG"], bytes(count)),
        "HADR": b"\0" + b"".join(zigzag(after - before) for before, after in steps),
        "HTXT": varint(0),
    }
    graph = Graph.from_bytes(pack(chunks))
    assert [graph.node(node)[0] for node in range(count)] == addresses
    assert graph.grown(graph, 5) == (0, [])
