"""The pages as HTML: valid, nothing in a name is ever markup, nothing the policy forbids."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memscope import _memscope
from memscope.web import pages
from memscope.web.assets import KINDS, asset
from memscope.web.context import Context
from memscope.web.markup import Html, duration, tag, text
from tests.web.test_views import Site, everything

CONTEXT = Context("/_memscope", "the-csrf", "process 1", "types", "q=a")
VOID = {"meta", "link", "br", "wbr", "input"}
ATTRIBUTES = {
    *("class id lang charset content name rel href src defer role tabindex scope".split()),
    *("method action type value for placeholder autocomplete spellcheck maxlength".split()),
    *("max selected datetime aria-label aria-labelledby aria-hidden aria-current".split()),
    *("data-live data-every data-pid data-sort data-value data-filter".split()),
    *("width height viewbox x y rx d cx cy r points text-anchor".split()),
}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></main><svg/onload=alert(1)>",
    "&lt;b&gt; &amp; &#x3c;",
    "\udcff\x00\x1b[31m\u202egnp.exe\u2028\r\n",
    "]]><!-- -->",
    "{{7*7}} ${7*7} javascript:alert(1)",
    "\N{FULLWIDTH LESS-THAN SIGN}" * 500,
    "a" * 20_000,
    "",
]


class Reader(HTMLParser):
    """Reads a page and complains of what is not balanced or not expected."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [key for key, _ in attrs]
        assert len(set(names)) == len(names), f"an attribute twice in {name}"
        assert set(names) <= ATTRIBUTES, (name, set(names) - ATTRIBUTES)
        # A title in a drawing is a tooltip.
        self.tags.append((f"svg {name}" if "svg" in self.open else name, dict(attrs)))
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{name}/> is SVG's"
        self.handle_starttag(name, attrs)
        self.open.pop()

    def handle_endtag(self, name: str) -> None:
        assert name not in VOID
        assert self.open and self.open.pop() == name, f"</{name}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    handle_pi = unknown_decl = handle_comment

    def of(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes in self.tags if found == name]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def check(html: str) -> Reader:
    """The page, if it is as every page must be."""
    assert html.startswith("<!DOCTYPE html>")
    read = Reader(html)
    # One script, of a file, and no way to another.
    assert read.of("script") == [{"src": "/_memscope/memscope.js", "defer": None}] or read.of(
        "script"
    ) == [{"src": "/_memscope/memscope.js", "defer": ""}]
    assert not read.of("style") and not read.of("iframe") and not read.of("img")
    for _, attributes in read.tags:
        for key, value in attributes.items():
            assert key != "style" and not key.startswith("on")
            if key in ("href", "src", "action"):
                assert value is not None
                assert value.startswith(("/_memscope/", "#")) or value == "data:,", value
    assert "http://" not in html and "https://" not in html
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(set(ids)) == len(ids), "an id twice"
    # What a screen reader goes by.
    assert len(read.of("main")) == len(read.of("h1")) == len(read.of("title")) == 1
    assert read.of("html") == [{"lang": "en"}]
    assert read.of("a")[0] == {"href": "#main", "class": "skip"}
    assert len(read.of("table")) == len(read.of("caption"))
    assert all(one.get("scope") in ("col", "row") for one in read.of("th"))
    labelled = {one["for"] for one in read.of("label")}
    for one in (*read.of("input"), *read.of("select")):
        assert one.get("type") == "hidden" or one["id"] in labelled
    for form in read.of("form"):
        assert form["method"] in ("get", "post")
    posts = [one for one in read.of("form") if one["method"] == "post"]
    secrets = [one for one in read.of("input") if one.get("name") == "csrf"]
    assert len(posts) == len(secrets) and all(one["value"] == "the-csrf" for one in secrets)
    for drawn in read.of("svg"):
        assert drawn.get("aria-hidden") == "true" or (
            drawn["role"] == "img" and drawn["aria-label"]
        )
    live = [one for _, one in read.tags if "data-live" in one]
    assert all("id" in one for one in live)
    return read


@pytest.fixture(scope="module")
def whole() -> Iterator[list[dict[str, Any]]]:
    """The data of every page, with something on it."""
    site = Site()
    try:
        yield list(everything(site))
    finally:
        _memscope.stop()


@pytest.fixture(autouse=True)
def tracer_left_off() -> None:
    """Instead of that of tests/conftest.py: here tracing is on for the module."""


def of(whole: list[dict[str, Any]], page: str) -> dict[str, Any]:
    return next(data for data in whole if data["page"] == page)


def test_every_page_is_valid(whole: list[dict[str, Any]]) -> None:
    seen = set()
    for data in whole:
        read = check(pages.render("", data, CONTEXT))
        seen.add(data["page"])
        assert f"process {data['worker']['pid']}" in read.text or "process 1" in read.text
        current = [one for one in read.of("a") if one.get("aria-current") == "page"]
        assert len(current) == 1
    assert seen == set(pages.CONTENTS)


def test_pages_with_nothing_on_them() -> None:
    site = Site()
    try:
        for page in ("overview", "types", "allocations", "routes", "leaks", "snapshots"):
            data = site.get(page)
            check(pages.render(page, data, CONTEXT))
            bare = emptied(data)
            check(pages.render(page, bare, CONTEXT))
    finally:
        _memscope.stop()


def emptied(data: dict[str, Any]) -> dict[str, Any]:
    """Without rows."""
    lists = ("types", "routes", "places", "snapshots", "recent", "timeline")
    return {key: [] if key in lists else value for key, value in data.items()}


def test_several_leaks(whole: list[dict[str, Any]]) -> None:
    data = copy.deepcopy(of(whole, "leaks"))
    data["report"]["leaks"] *= 3
    read = check(pages.render("", data, CONTEXT))
    assert len(read.of("article")) == 3 * len(of(whole, "leaks")["report"]["leaks"])
    one = copy.deepcopy(of(whole, "route"))
    one["leaks"] = [{**leak, "number": number} for number in (1, 2) for leak in one["leaks"][:1]]
    check(pages.render("", one, CONTEXT))


def test_attributes_are_text(whole: list[dict[str, Any]]) -> None:
    for data in whole:
        for _, attributes in check(pages.render("", data, CONTEXT)).tags:
            for key, value in attributes.items():
                assert "<span" not in (value or ""), (data["page"], key, value)


def test_the_words_that_matter(whole: list[dict[str, Any]]) -> None:
    htmls = {page: pages.render("", of(whole, page), CONTEXT) for page in pages.CONTENTS}
    texts = {page: Reader(html.replace("<wbr>", "")).text for page, html in htmls.items()}
    assert "GET /login/<int:user> keeps" in texts["overview"]
    assert "These are the figures of process" in texts["overview"]
    assert "demo_app.Session only up" in texts["types"]
    assert "Answered by login at tests/web/demo_app.py:" in texts["route"]
    assert "keeps growing" in texts["routes"]
    assert "What to do." in texts["leaks"]
    assert "The code that answers it is in the traceback." in texts["leaks"]
    assert "tests/web/demo_app.py:" in texts["allocations"]
    assert "objects are held so" in texts["type"]
    assert "Compare two" in texts["snapshots"]
    assert "later:" in texts["compared"]


CONTROL = {
    *("page", "verdict", "state", "by", "handle", "since", "kind"),
    # Names of parts, which are classes in the style sheet.
    *("pid", "time"),
}


def poisoned(value: Any, bad: str, key: str = "") -> Any:
    """The same data with every text that may come from the program changed."""
    if isinstance(value, dict):
        return {name: poisoned(inner, bad, name) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [poisoned(inner, bad, key) for inner in value]
    if isinstance(value, str) and key not in CONTROL:
        return bad
    return value


SMALL = 6


def smaller(value: Any) -> Any:
    """The same data with few rows, for speed."""
    if isinstance(value, dict):
        return {
            name: inner
            if name
            in ("timeline", "times", "values", "counts", "thresholds", "generations", "spans")
            else smaller(inner)
            for name, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [smaller(inner) for inner in value[:SMALL]]
    return copy.copy(value)


@pytest.mark.parametrize("bad", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text(whole: list[dict[str, Any]], bad: str) -> None:
    for data in whole:
        html = pages.render("", poisoned(data, bad), CONTEXT)
        read = check(html)
        assert "<script>" not in html and "onerror=alert(1)>" not in html.replace("&gt;", "")
        plain = pages.render("", poisoned(data, "x"), CONTEXT)
        # As many elements of each kind as with a harmless name.
        if bad:
            assert sorted(tags_of(read)) == sorted(tags_of(Reader(plain)))
        html.encode("utf-8")


def tags_of(read: Reader) -> list[str]:
    # A name may be broken at its dots, a cut text in a drawing has a tooltip, and an empty
    # text may have no element.
    return [
        name for name, _ in read.tags if name in ("script", "form", "input", "a", "th", "td", "svg")
    ]


names = st.text(
    st.sampled_from("<>&\"'/=`\\ \t\n\x00\x7f\u2028\u202e;-!abonscript") | st.characters(),
    max_size=60,
)


@given(names, st.integers(0, 40))
@example("<svg onload=alert(1)>", 3)
@settings(max_examples=60)
def test_any_name_is_text(bad: str, which: int) -> None:
    data = SAMPLES[which % len(SAMPLES)]
    check(pages.render("", poisoned(data, bad), CONTEXT))


SAMPLES: list[dict[str, Any]] = []


@pytest.fixture(scope="module", autouse=True)
def samples(whole: list[dict[str, Any]]) -> None:
    SAMPLES[:] = [smaller(data) for data in whole]


@given(names)
def test_elements_escape(bad: str) -> None:
    element = tag("p", bad, title=bad, data_value=bad) if bad else tag("p")
    read = Reader.__new__(Reader)
    HTMLParser.__init__(read, convert_charrefs=True)
    read.open, read.tags, read.texts = [], [], []
    ATTRIBUTES.add("title")
    try:
        read.feed(element)
        read.close()
    finally:
        ATTRIBUTES.discard("title")
    assert [name for name, _ in read.tags] == ["p"]
    assert not read.open


def test_no_style_and_no_handler_can_be_made() -> None:
    for key in ("style", "onclick", "onload"):
        with pytest.raises(ValueError, match=key):
            tag("p", "text", **{key: "x"})


def test_what_is_made_here_is_not_escaped_again() -> None:
    assert tag("p", tag("b", "<")) == "<p><b>&lt;</b></p>"
    assert text("<") == "&lt;"
    assert text(Html("<br>")) == "<br>"
    assert tag("input", disabled=True, value=None, checked=False) == "<input disabled>"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0000186, "18.6 µs"), (0.0186, "18.6 ms"), (0.5, "0.5 s"), (3.14, "3.1 s"),
        (42.4, "42 s"), (150, "2 min"), (7500, "2 h 5 min"), (200_000, "2 days"),
    ],
)  # fmt: skip
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_query_and_path_are_escaped(whole: list[dict[str, Any]]) -> None:
    context = Context("/_memscope", "the-csrf", "<b>", "types", 'q="><script>alert(1)</script>')
    check(pages.render("", of(whole, "types"), context))


def test_the_files() -> None:
    style, script = asset("memscope.css").decode(), asset("memscope.js").decode()
    assert set(KINDS) == {"memscope.css", "memscope.js"}
    assert "--accent: " in style and "prefers-color-scheme: dark" in style
    assert "prefers-reduced-motion" in style and ":focus-visible" in style
    for text_ in (style, script):
        assert "http://" not in text_ and "https://" not in text_
        assert "@import" not in text_ and "url(" not in text_
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        ".style",
    ):
        assert word not in script, word
    with pytest.raises(KeyError):
        asset("../views.py")
    # Every class that a page uses for its look is in the style sheet, and no colour is copied.
    own = style[style.index("What the pages have beside") :]
    assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!-)", re.sub(r"#[a-z][\w-]*", "", own))
