"""The page of a leak report: whole, valid, safe with whatever the report holds, readable."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from memscope import page_drawings, page_style
from memscope.heap_paths import Path, Step
from memscope.leak_page import page
from memscope.leak_report import Grown, Leak, LeakReport, Moment, NotALeak, Site

VOID = {"meta", "link", "br", "wbr"}
HTML = {
    *("html head body main header footer nav section article title style meta link".split()),
    *("h1 h2 h3 p a span strong code pre ul li dl dt dd br wbr div".split()),
    *("table caption thead tbody tr th td".split()),
}
SVG = {"svg", "rect", "path", "text", "circle", "polyline", "polygon", "title"}
ATTRIBUTES = {
    *("class id lang charset http-equiv content name rel href role tabindex scope".split()),
    *("aria-label aria-labelledby aria-hidden width height viewbox".split()),
    *("x y rx d cx cy r points text-anchor".split()),
}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></title><svg/onload=alert(1)>",
    "&lt;b&gt; &amp; &#x3c;",
    "\udcff\x00\x1b[31m\u202egnp.exe\u2028\r\n",
    "]]><!-- -->",
    "{{7*7}} ${7*7} javascript:alert(1)",
    "\N{FULLWIDTH LESS-THAN SIGN}" * 500,
    "a" * 100_000,
]


class Reader(HTMLParser):
    """Reads a page and complains of what is not balanced or not expected."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"an attribute twice in {tag}"
        assert set(names) <= ATTRIBUTES, (tag, names)
        assert tag in (SVG if "svg" in self.open else HTML | {"svg"}), tag
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open, f"<{tag}/> is SVG's"
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert tag not in VOID
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    handle_pi = unknown_decl = handle_comment

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


def step(edge: str, what: str, name: str, count: int = 1, site: str = "") -> Step:
    return Step(edge, what, name, 56, 4096, 1, count, site)


def leak(**changes: Any) -> Leak:
    given: dict[str, Any] = {
        "kind": "unbounded-cache",
        "verdict": "It gets an entry for every request and never loses one.",
        "advice": "Give it a bound.",
        "type_name": "app.models.Session",
        "count": 48211,
        "bytes": 48211 * 56,
        "retained_bytes": 2 << 30,
        "per_round": (9642, 9642, 9641, 9643, 9643),
        "site": Site("/srv/app/web/handlers.py", 88, "open_session"),
        "source": "session = Session(user=request.user)",
        "path": Path(
            [
                step("", "module app.cache", "module"),
                step("_sessions", "dict of 48,211", "dict"),
                step("['k17']", "Session", "app.models.Session", 48211, "handlers.py:88"),
            ],
            48211,
        ),
        "holder": "module app.cache -> _sessions",
        "holder_type": "dict",
        "evidence": ("Its length rose in every round.",),
        "also": (Grown("list", 48211, 4 << 20),),
    }
    return Leak(**given | changes)


MEMORY = {
    "rss": 90 << 20,
    "traced": 60 << 20,
    "arenas_used": 50 << 20,
    "arenas_free": -3 << 20,
    "libc_used": 30 << 20,
    "libc_free": None,
    "libc_mmapped": 0,
    "other": 13 << 20,
}
REPORT = LeakReport(
    leaks=(leak(), leak(kind="native-memory", type_name="", site=None, path=None, per_round=())),
    not_leaks=(NotALeak("re's cache", "the interpreter's own", 31, 310_000),),
    moments=tuple(Moment(f"round {i}", i * 1.5, 1000 + i, 1 << 20, 9 << 20) for i in range(6)),
    types=(Grown("dict", 9, 2000),),
    memory=MEMORY,
    notes=("Traced with one frame.",),
    title="the shop",
    python="3.13.0",
)


def replaced(value: Any, text: str) -> Any:
    """The plain data with every text in it but the names of fields replaced."""
    if isinstance(value, dict):
        return {name: replaced(one, text) for name, one in value.items()}
    if isinstance(value, list):
        return [replaced(one, text) for one in value]
    return text if isinstance(value, str) else value


# -- what is on it ---------------------------------------------------------------------------


def test_it_says_what_the_report_says() -> None:
    text = Reader(REPORT.to_html()).text
    for part in (
        "2 leaks in the shop",
        "judged over 5 rounds",
        "CPython 3.13.0",
        "48,211 Session",
        "+2.00 GiB",
        "1. Unbounded cache",
        "It gets an entry for every request and never loses one.",
        "Give it a bound.",
        "open_session",
        "session = Session(user=request.user)",
        "web/handlers.py :88",
        "_sessions",
        "['k17']",
        "Its length rose in every round.",
        "Memory that is no Python object",
        "2. Native memory",
        "-3.00 MiB",
        "re's cache",
        "the interpreter's own",
        "Traced with one frame.",
    ):
        assert part.replace(" :", ":") in text, part


def test_no_leak() -> None:
    reader = Reader(LeakReport(title="the shop").to_html())
    assert "No leak in the shop" in reader.text
    assert not reader.of("svg") and not reader.of("table")
    assert "1 leak" in Reader(page({"leaks": [{}]})).text
    assert Reader(page({})).of("h1")


def test_it_is_what_save_writes_and_load_gives_it_back(tmp_path: Any) -> None:
    REPORT.save(tmp_path / "leaks.html")
    assert (tmp_path / "leaks.html").read_text() == REPORT.to_html()
    REPORT.save(tmp_path / "leaks.json")
    assert LeakReport.load(tmp_path / "leaks.json").to_html() == REPORT.to_html()


def test_the_same_report_gives_the_same_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    first = REPORT.to_html()
    monkeypatch.chdir(tmp_path)
    assert page(json.loads(json.dumps(REPORT.to_dict()))) == first


def test_a_picture_for_every_path_growth_and_split() -> None:
    reader = Reader(REPORT.to_html())
    labels = [svg["aria-label"] or "" for svg in reader.of("svg") if svg.get("role") == "img"]
    starts = ("Path from module app.cache", "Objects left behind", "Growth since the baseline")
    for start in (*starts, "Resident memory", "Bytes of all"):
        assert sum(label.startswith(start) for label in labels) == 1, start
    # What shrank is in the table and not in the bar.
    [bar] = [label for label in labels if label.startswith("Growth since")]
    assert "+50.0 MiB" in bar and "-3.00 MiB" not in bar


def test_a_long_path_is_folded_in_the_picture_only() -> None:
    steps = [step(f"next{number}", f"node{number}", "app.Node") for number in range(40)]
    text = page(LeakReport(leaks=(leak(path=Path(steps, 1)),)).to_dict())
    picture = text[text.index("<svg") : text.index("</svg>")]
    assert "28 more steps" in picture
    assert "node5" in picture and "node20" not in picture and "node39" in picture
    assert "next20" in text


# -- loads nothing, whatever the report holds -------------------------------------------------


def is_safe(text: str) -> Reader:
    """Every element and attribute is one of ours (Reader looks), and none can load or run."""
    reader = Reader(text)
    for tag, attributes in reader.tags:
        href = attributes.get("href") or ""
        assert href.startswith("#leak-") or (tag, href) in {("link", "data:,"), (tag, "")}
    policy = [meta["content"] for meta in reader.of("meta") if "http-equiv" in meta]
    first = "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    assert policy == [f"{first} base-uri 'none'; form-action 'none'"]
    assert text.count("<style>") == text.count("</style>") == 1
    text.encode()  # no lone surrogates
    assert "\x00" not in text and "\x1b" not in text and "\u202e" not in text
    return reader


def test_the_page_as_it_is() -> None:
    assert "url(" not in page_style.STYLE and "@import" not in page_style.STYLE
    is_safe(REPORT.to_html())


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names(text: str) -> None:
    data = replaced(REPORT.to_dict(), text)
    made = page(data)
    is_safe(made)
    assert len(made) < 400_000
    assert [tag for tag, _ in Reader(made).tags if tag in ("script", "img", "b")] == []


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(HOSTILE[:8]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(st.data())
def test_any_field_may_be_anything(data: st.DataObject) -> None:
    """A file that calls itself a report: a page all the same, and a safe one."""

    def changed(value: Any) -> Any:
        if data.draw(st.integers(0, 12)) == 0:
            return data.draw(PLAIN)
        if isinstance(value, dict):
            return {name: changed(one) for name, one in value.items()}
        if isinstance(value, list):
            return [changed(one) for one in value[:2]]
        return value

    plain = changed(REPORT.to_dict())
    is_safe(page(plain if isinstance(plain, dict) else {"leaks": plain}))


@given(st.text(max_size=60))
@example("\N{CJK UNIFIED IDEOGRAPH-4E00}" * 60)
@example("\t\ud800\N{COMBINING ACUTE ACCENT}")
def test_text_is_text(text: str) -> None:
    shown = page_drawings.safe(text, 30)
    assert not set(shown) & set("<>\"'\n\t")
    assert len(page_drawings.fit(text, 30)) <= 30
    is_safe(page(replaced(REPORT.to_dict(), text)))


@given(st.lists(st.integers(-(10**30), 10**30), min_size=1, max_size=60))
def test_any_rounds_can_be_drawn(values: list[int]) -> None:
    made = page(LeakReport(leaks=(leak(per_round=tuple(values)),)).to_dict())
    reader = is_safe(made)
    for rect in reader.of("rect"):
        if rect.get("class") == "bar":
            x, y = float(rect["x"] or ""), float(rect["y"] or "")
            width, height = float(rect["width"] or ""), float(rect["height"] or "")
            assert x >= 0 and x + width <= page_drawings.WIDTH + 0.1
            assert height >= 0 and y >= 0 and y + height <= 200


@pytest.mark.parametrize("number", [1e999, float("nan"), 10**400, -(10**400), True, "7", None, []])
def test_odd_numbers(number: object) -> None:
    def numbered(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: numbered(one) for name, one in value.items()}
        if isinstance(value, list):
            return [numbered(one) for one in value]
        return number if isinstance(value, (int, float)) else value

    is_safe(page(numbered(REPORT.to_dict())))


def test_its_size_has_a_bound() -> None:
    text = "<&\"'" * 5000
    steps = [step(text, text, text) for _ in range(100)]
    grown = (Grown(text, 1, 1),) * 2000
    big = leak(
        path=Path(steps, 1), also=grown, evidence=(text,) * 2000, per_round=tuple(range(50_000))
    )
    huge = LeakReport(
        leaks=(big,),
        not_leaks=(NotALeak(text, text, 1, 1),) * 5000,
        moments=tuple(Moment(text, 1.0, 1, 1, number) for number in range(5000)),
        types=grown,
        notes=(text,) * 5000,
    )
    plain = huge.to_dict()
    plain["leaks"] *= 300
    made = page(plain)
    assert len(made) < 12 << 20
    assert "280 more are left out" in made


# -- for people --------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [page_style.LIGHT, page_style.DARK], ids=["light", "dark"])
def test_contrast(scheme: str) -> None:
    """WCAG 2.2: 4.5 for text, 3 for what a picture says."""
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", scheme))
    for ground in ("paper", "card", "tint"):
        assert contrast(colours["ink"], colours[ground]) >= 10
        assert contrast(colours["quiet"], colours[ground]) >= 4.5, ground
        assert contrast(colours["accent"], colours[ground]) >= 4.5, ground
    for part in ("accent", "dark", "mid"):
        assert contrast(colours[part], colours["paper"]) >= 3, part
    # Every colour that is used is given, in both schemes.
    assert set(re.findall(r"var\(--(\w+)\)", page_style.STYLE)) <= set(colours)
    assert set(re.findall(r"--(\w+):", page_style.LIGHT)) == set(colours)


def test_it_can_be_read_without_eyes_or_mouse() -> None:
    reader = Reader(REPORT.to_html())
    assert reader.of("html") == [{"lang": "en"}]
    assert len(reader.of("main")) == len(reader.of("h1")) == 1
    # Headings go down one level at a time.
    levels = [int(tag[1]) for tag, _ in reader.tags if tag in ("h1", "h2", "h3")]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    # Every picture says what it shows, or is said not to matter.
    assert all(svg.get("aria-label") or svg.get("aria-hidden") for svg in reader.of("svg"))
    # Every table has a caption, every cell a head; what scrolls can be focused.
    assert len(reader.of("table")) == len(reader.of("caption"))
    assert all(th.get("scope") for th in reader.of("th"))
    for div in reader.of("div"):
        if div.get("class") == "wide":
            assert div["tabindex"] == "0" and div["role"] == "region" and div["aria-label"]
    # Links and labels lead somewhere, and to one place.
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in reader.tags:
        assert attributes.get("aria-labelledby", ids[0]) in ids
        if (attributes.get("href") or "").startswith("#"):
            assert (attributes["href"] or "")[1:] in ids


def test_the_style_sheet_has_what_the_page_uses() -> None:
    reader = Reader(REPORT.to_html())
    used = {name for _, found in reader.tags for name in (found.get("class") or "").split()}
    styled = set(re.findall(r"\.([a-z][\w-]*)", page_style.STYLE))
    assert used <= styled, used - styled
