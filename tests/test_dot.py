"""dot.py: quoting that Graphviz reads back as it was; engines that draw, fail or are missing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memscope import dot
from memscope.table import clip, printable

DOT = shutil.which("dot")
needs_dot = pytest.mark.skipif(DOT is None, reason="no dot command on PATH")

texts = st.one_of(
    st.text(max_size=40),
    st.text(alphabet='\\"<>&;#{}|nlrNGEHT\n\r\0\t ', max_size=40),
    st.characters(categories=["Cs"]),
)


def read_back(text: str) -> str:
    """What is inside the quotes, as Graphviz sets it."""
    assert text[0] == text[-1] == '"'
    inner = text[1:-1]
    assert not re.search(r'(?<!\\)(\\\\)*"', inner), "a quote ends the string"
    return re.sub(r"\\(.)", r"\1", inner).replace("&amp;", "&")


@given(texts)
def test_quoting_keeps_the_text(text: str) -> None:
    assert read_back(dot.quoted(text)) == clip(printable(text), dot.TEXT_MAX)


def test_quoting_bounds_and_escapes() -> None:
    assert dot.quoted("a\nb\0\x1b") == '"a\\\\nb\\\\x00\\\\x1b"'
    assert len(read_back(dot.quoted("x" * 10**6))) == dot.TEXT_MAX
    assert dot.quoted("<b>x</b>") == '"<b>x</b>"'
    assert dot.quoted("\u202eabc") == '"\\\\u202eabc"'
    assert dot.quoted_lines(["a", "b"]) == '"a\\nb\\n"'
    assert dot.quoted_lines([]) == '""'


def test_statements() -> None:
    assert dot.statement("n0") == "n0;"
    assert dot.statement("n0", label='"x"', color=None, width=2) == 'n0 [label="x", width=2];'


@needs_dot
@settings(max_examples=25, deadline=None)
@given(st.lists(texts, min_size=1, max_size=20))
def test_dot_reads_what_was_quoted(labels: list[str]) -> None:
    source = "digraph {\n"
    for number, label in enumerate(labels):
        source += dot.statement(f"n{number}", label=dot.quoted_lines([label])) + "\n"
    source += "}\n"
    canonical = subprocess.run(
        [str(DOT), "-Tcanon"], input=source.encode(), capture_output=True, check=True, timeout=60
    )
    assert canonical.stderr == b""
    svg = ElementTree.fromstring(dot.render(source, "svg"))
    space = "{http://www.w3.org/2000/svg}"
    nodes = [group for group in svg.iter(f"{space}g") if group.get("class") == "node"]
    shown = ["".join(text.text or "" for text in node.iter(f"{space}text")) for node in nodes]

    def bare(text: str) -> str:
        return re.sub(r"\s", "", text)

    assert [bare(text) for text in shown] == [
        bare(clip(printable(text), dot.TEXT_MAX)) for text in labels
    ]
    assert not list(svg.iter(f"{space}a"))
    assert not list(svg.iter(f"{space}image"))


@needs_dot
@pytest.mark.parametrize(
    ("form", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_dot_draws(form: str, start: bytes) -> None:
    assert dot.render("digraph { a -> b }", form).startswith(start)


@pytest.mark.skipif(find_spec("pygraphviz") is None, reason="the extra [graph] is not installed")
@pytest.mark.parametrize(
    ("form", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")]
)
def test_the_extra_draws_without_dot(
    form: str, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert dot.render('digraph { a [label="é"]; a -> b }', form).startswith(start)
    assert "pygraphviz" not in sys.modules


@needs_dot
def test_a_syntax_error_is_told() -> None:
    with pytest.raises(dot.DrawingError, match="syntax error"):
        dot.render("digraph {", "svg")


def test_without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(dot.DrawingError, match="Graphviz is not here"):
        dot.render("digraph {}", "svg")


def test_a_program_that_embeds_python_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "executable", "/usr/bin/uwsgi")
    with pytest.raises(dot.DrawingError, match="Graphviz is not here"):
        dot.render("digraph {}", "svg")


def test_what_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        dot, "_engine", lambda form: [sys.executable, "-c", "import time; time.sleep(99)"]
    )
    monkeypatch.setattr(dot, "TIMEOUT", 0.1)
    with pytest.raises(dot.DrawingError, match="took longer"):
        dot.render("digraph {}", "svg")


def test_what_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dot, "_engine", lambda form: ["/nonexistent/dot"])
    with pytest.raises(dot.DrawingError, match="did not start"):
        dot.render("digraph {}", "svg")
