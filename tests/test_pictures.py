"""pictures.py and its parts: folding, caps, every output, and what happens without Graphviz."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memscope import dot
from memscope.picture_nodes import node_lines
from memscope.pictures import HARD_MOST, Edge, Node, Picture, fold

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="no dot command on PATH")

SESSIONS = 4213


def leak() -> Picture:
    """A module's cache, one session on the path, and thousands of others beside it."""
    nodes = [
        Node("m", "app", kind="module", depth=2),
        Node("d", "dict", f"{SESSIONS:,} items", size=147_560, depth=1, site="app.py:12"),
        Node("s", "Session", size=56, retained=9800, kind="target", site="app.py:85"),
    ]
    edges = [
        Edge("m", "d", "cache", emphasised=True),
        Edge("d", "s", "['k0']", emphasised=True),
        Edge("s", "d", "owner", "weak"),
    ]
    for number in range(1, SESSIONS):
        nodes.append(Node(number, "Session", size=56, depth=2, site="app.py:85"))
        edges.append(Edge("d", number, f"['k{number}']"))
    return Picture("What holds Session", nodes, edges, ["A note."])


def without_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot, "_engine", lambda form: None)


def test_words_of_a_node() -> None:
    node = Node(1, "Session", "of alice", size=1536, retained=2**20, site="app.py:85")
    assert node_lines(node) == [
        "Session",
        "of alice",
        "1.50 KiB, keeps 1.00 MiB",
        "allocated at app.py:85",
    ]
    assert node_lines(Node(1, "app", kind="module")) == ["module app"]
    assert node_lines(Node(1, "module app", kind="module")) == ["module app"]
    assert node_lines(Node(1, "Session", count=4211, kind="more")) == ["... 4,211 more Session"]
    assert node_lines(Node(1, "Session", count=12)) == ["12 \N{MULTIPLICATION SIGN} Session"]


def test_those_alike_are_folded() -> None:
    picture = leak().folded()
    assert [node.id for node in picture.nodes] == ["m", "d", "s", 1, 2]
    rest = picture.nodes[-1]
    assert (rest.kind, rest.count, rest.size) == ("more", SESSIONS - 2, 56 * (SESSIONS - 2))
    assert rest.site == "app.py:85"
    assert picture.edges[-1] == Edge("d", 2, "", "more")


def test_two_alike_are_both_drawn() -> None:
    nodes = [Node(0, "list"), Node(1, "A"), Node(2, "A")]
    edges = [Edge(0, 1, "[0]"), Edge(0, 2, "[1]")]
    assert fold(nodes, edges) == (nodes, edges)


def test_different_names_titles_or_neighbours_are_not_folded() -> None:
    nodes = [Node(0, "X"), *(Node(number, "A") for number in range(1, 5)), Node(5, "B")]
    edges = [Edge(0, 1, "left"), Edge(0, 2, "right"), Edge(0, 3, "[1]"), Edge(0, 4, "[2]")]
    edges += [Edge(4, 5, "[0]"), Edge(0, 5, "[3]")]
    assert fold(nodes, edges, keep=0)[0] == nodes


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Node], list[Edge]]:
    count = draw(st.integers(1, 12))
    kinds = st.sampled_from(["object", "module", "target", "frame"])
    nodes = [Node(number, draw(st.sampled_from("AB")), kind=draw(kinds)) for number in range(count)]
    ends = st.integers(0, count - 1)
    edges = [
        Edge(draw(ends), draw(ends), draw(st.sampled_from(["[0]", "[1]", "x"])), emphasised=path)
        for path in draw(st.lists(st.booleans(), max_size=20))
    ]
    return nodes, edges


@given(graphs(), st.integers(0, 3))
def test_folding_loses_nobody(graph: tuple[list[Node], list[Edge]], keep: int) -> None:
    nodes, edges = graph
    folded, rest = fold(nodes, edges, keep)
    assert sum(node.count for node in folded) == len(nodes)
    assert fold(nodes, edges, keep) == (folded, rest)
    assert {edge for edge in edges if edge.emphasised} <= set(rest)
    assert {node for node in nodes if node.kind == "target"} <= set(folded)
    Picture("", folded, rest)


@settings(deadline=None)
@given(graphs(), st.booleans())
def test_a_tree_names_every_node_and_edge(
    graph: tuple[list[Node], list[Edge]], ascii_only: bool
) -> None:
    nodes, edges = graph
    nodes = [node._replace(detail=f"number{node.id}.") for node in nodes]
    edges = [edge._replace(label=f"edge{number}.") for number, edge in enumerate(edges)]
    text = Picture("", nodes, edges).text(ascii_only=ascii_only)
    for number in range(len(nodes)):
        assert f"number{number}." in text
    for number in range(len(edges)):
        assert text.count(f"edge{number}.") == 1
    if ascii_only:
        assert text.isascii()


def test_the_tree() -> None:
    assert leak().folded().text().splitlines() == [
        "What holds Session",
        "",
        "module app",
        "┗━ cache  dict  4,213 items  144 KiB  allocated at app.py:12",
        "   ┣━ ['k0']  Session  56 B, keeps 9.57 KiB  allocated at app.py:85",
        "   │  └─ owner  (weak)  dict  (a cycle)",
        "   ├─ ['k1']  Session  56 B  allocated at app.py:85",
        "   └─ ... 4,211 more Session  230 KiB  allocated at app.py:85",
        "",
        "A note.",
    ]


def test_a_tree_fits_its_terminal() -> None:
    assert max(map(len, leak().folded().text(40).splitlines())) <= 40
    assert "\x1b[" in leak().folded().text(40, colour=True)


def test_a_long_chain_needs_no_recursion() -> None:
    count = 20_000
    nodes = [Node(number, "Link", depth=count - number) for number in range(count)]
    picture = Picture("", nodes, [Edge(n, n + 1, "next") for n in range(count - 1)])
    assert picture.text(80).count("next") == count - 1
    assert picture.to_dot(10**9).count("Link") == HARD_MOST


def test_show_suits_the_encoding() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Picture("é", [Node(1, "A"), Node(2, "クラス")], [Edge(1, 2, "x", emphasised=True)]).show(file)
    file.seek(0)
    assert file.read().splitlines() == ["\\xe9", "", "A", "`= x  \\u30af\\u30e9\\u30b9"]


def test_caps_say_what_is_left_out() -> None:
    picture = leak().capped(10)
    assert len(picture.nodes) == 10
    assert {"m", "d", "s"} <= {node.id for node in picture.nodes}
    assert picture.notes[-1].startswith(f"{SESSIONS + 2 - 10:,} more objects")
    assert leak().to_dot().count("label=") < 2 * 150 + 10
    assert "more objects are not drawn" in leak().to_dot()


@needs_dot
def test_pictures(tmp_path: Path) -> None:
    picture = leak().folded()
    for suffix, start in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".PDF", b"%PDF")):
        saved = picture.save(tmp_path / f"x{suffix}")
        assert (saved, saved.message) == (os.fspath(tmp_path / f"x{suffix}"), "")
        assert Path(saved).read_bytes().startswith(start)
    shown = "".join(ElementTree.fromstring(picture.to_svg()).itertext())
    for words in ("What holds Session", "... 4,211 more Session", "app.py:85", "A note.", "cache"):
        assert words in shown
    assert set(picture._repr_mimebundle_()) == {"text/plain", "image/svg+xml"}


def test_plain_formats(tmp_path: Path) -> None:
    picture = leak().folded()
    for suffix in (".dot", ".json", ".txt", ".mmd"):
        saved = picture.save(tmp_path / f"x{suffix}")
        assert (saved, saved.message) == (os.fspath(tmp_path / f"x{suffix}"), "")
    data: Any = json.loads((tmp_path / "x.json").read_text())
    assert data == json.loads(json.dumps(picture.to_dict()))
    assert (tmp_path / "x.dot").read_text() == picture.to_dot()
    assert (tmp_path / "x.txt").read_text() == f"{picture}\n"
    assert (tmp_path / "x.mmd").read_text().startswith("flowchart TB\n")


def test_mermaid_spells_out_what_could_be_markup() -> None:
    text = Picture("", [Node(1, 'a"]<b>#`;\\')], []).to_mermaid()
    assert 'n0["a#34;#93;#60;b#62;#35;#96;#59;#92;"]:::object_' in text


def test_an_unknown_suffix_names_the_known(tmp_path: Path) -> None:
    for name in ("x.gif", "x"):
        with pytest.raises(ValueError, match=r"\.svg, \.png, .* or \.mmd"):
            leak().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_without_graphviz_the_graph_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_engine(monkeypatch)
    picture = leak().folded()
    saved = picture.save(tmp_path / "x.png")
    assert saved == os.fspath(tmp_path / "x.dot")
    assert (tmp_path / "x.dot").read_text() == picture.to_dot()
    assert "pymemscope[graph]" in saved.message
    assert [path.name for path in tmp_path.iterdir()] == ["x.dot"]
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert picture._repr_svg_() is None
    with pytest.raises(dot.DrawingError):
        picture.to_svg()


def test_names_of_users_are_never_markup() -> None:
    evil = '<script>"\\N&amp;\n'
    picture = Picture(evil, [Node(evil, evil, evil, site=evil)], [Edge(evil, evil, evil)], [evil])
    assert "<script>" not in picture._repr_html_()
    for attribute in ("URL", "href", "image", "tooltip"):
        assert f"{attribute}=" not in picture.to_dot()
    assert "label=<" not in picture.to_dot()


@pytest.mark.parametrize(
    ("nodes", "edges"),
    [([Node(1, "A")], [Edge(1, 2)]), ([Node(1, "A"), Node(1, "B")], [])],
)
def test_a_picture_must_fit_together(nodes: list[Node], edges: list[Edge]) -> None:
    with pytest.raises(ValueError):
        Picture("", nodes, edges)


def test_the_path_is_laid_out_first() -> None:
    nodes = [Node("t", "T", kind="target"), Node("o", "Other"), Node("r", "Root", depth=2)]
    nodes.append(Node("m", "Middle", depth=1))
    edges = [Edge("t", "m", "back"), Edge("m", "t", "b", emphasised=True), Edge("o", "t")]
    edges.append(Edge("r", "m", "a", emphasised=True))
    source = Picture("", nodes, edges).to_dot()
    places = [source.index(f'label="{name}') for name in ("Root", "Middle", "T", "Other")]
    assert places == sorted(places)
    assert source.index("n2 -> n3") < source.index("n3 -> n0") < source.index("n0 -> n3")
