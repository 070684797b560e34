"""Rows of the threat table (SECURITY.md): what the pages show, of a program that is hostile."""

from __future__ import annotations

import ast
import contextlib
import gc
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memscope
from memscope.web import views
from memscope.web.dashboard import HEADERS, STATUSES
from memscope.web.engine import Engine
from memscope.web.jobs import Jobs
from tests.web.visits import (
    MOUNT,
    Reader,
    call,
    crawl,
    engine_of,
    everything,
    header,
    post,
    request,
)

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("traced")


@pytest.fixture(autouse=True)
def no_jobs_before() -> Iterator[None]:
    Jobs.forked()
    yield
    Jobs.forked()


# -- hostile and secret things that live in the program


HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</script></style></title><svg/onload=alert(1)>",
    "&lt;b&gt;&#x3c;script&#x3e;",
    "javascript:alert(1)",
    "\u202egnp.exe\u2028\u2029\r\nSet-Cookie: x=y",
    "\ud800\udfff surrogates",
    "{{7*7}}${7*7}<%= 7 %>",
    "]]><!-- -->",
    "x" * 10**6,
]

SECRET = "hunter2-the-value-of-the-program"


class Touched(Exception):
    pass


def hostile(*_: Any, **__: Any) -> Any:
    touched.append("the program's code ran")
    raise Touched


touched: list[str] = []


def hostile_class(name: str) -> type:
    namespace: dict[str, Any] = dict.fromkeys(
        "__repr__ __str__ __eq__ __hash__ __len__ __bool__ __iter__ __getattr__ __format__"
        " __sizeof__ __dir__ __reduce_ex__ __instancecheck__".split(),
        hostile,
    )
    namespace["__getattribute__"] = hostile
    namespace["password"] = property(hostile)
    cls = type("Hostile", (), namespace)
    cls.__qualname__ = cls.__module__ = name
    with contextlib.suppress(ValueError):  # this Python has no class of such a name
        cls.__name__ = name
    return cls


kept: list[Any] = []
by_key: dict[Any, Any] = {}


@pytest.fixture
def hostile_heap() -> Iterator[None]:
    """Objects of hostile classes, and secrets in every place there is for a value."""
    touched.clear()
    for name in HOSTILE_NAMES:
        made = hostile_class(name)
        for _ in range(3):
            one = object.__new__(made)
            object.__setattr__(one, "__dict__", {name[:200]: [SECRET], "password": SECRET})
            kept.append(one)
    by_key[SECRET] = [SECRET]
    by_key[("user", SECRET)] = {SECRET: SECRET}
    by_key[b"" + SECRET.encode()] = [SECRET]
    yield
    kept.clear()
    by_key.clear()
    gc.collect()


def leaky() -> None:
    """What a request leaves behind, under a key that is the visitor's business."""
    for _ in range(20):
        by_key[f"{SECRET}-{len(by_key)}"] = Session()  # source-text-of-the-program


class Session:
    def __init__(self) -> None:
        self.token = f"{SECRET}"


def investigated(engine: Engine) -> None:
    """A leak report has been made."""
    for _ in range(3):
        request(engine, "/login", leaky)
    assert engine.answer(post("leaks/begin")).status == 303
    for _ in range(120):
        request(engine, "/login", leaky)
        if engine.investigation.state == "done":
            break
    assert engine.investigation.report, engine.investigation.error


def shown_everything(engine: Engine) -> None:
    """All there is to see is there: a report, snapshots, the holders of every hostile class."""
    assert engine.timeline is not None
    for _ in range(3):
        engine.timeline.tick(at_once=True)
    investigated(engine)
    for _ in range(2):
        assert engine.answer(post("snapshots/take")).status == 303
    listed = json.loads(engine.answer(call("types.json")).body)["types"]
    names = [row for row in listed if "Session" in row["name"] or "script" in row["name"]]
    assert len(names) >= 2
    for row in names:
        Jobs.forked()
        assert engine.answer(post("types/paths", f"handle={row['handle']}")).status == 303


# -- 6, 7, 9: values, source text, code of the program


def test_rows_06_07_09_what_is_shown_and_what_runs(
    hostile_heap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://{SECRET}")
    engine = engine_of(warmup=0)
    shown_everything(engine)
    shown = everything(engine)
    assert b"Session" in shown
    assert b"test_threats_shown.py" in shown, "where it was allocated is told"
    # 6: no value: not of an attribute, an element, a key, a variable, the environment
    assert b"hunter2" not in shown
    assert b"[key]" in shown, "what is in a dict is told to be under some key"
    # 7: no source text
    assert b"source-text-of-the-program" not in shown
    assert b"range(20)" not in shown
    # 9: no code of the program ran
    assert touched == []
    # 10: no address
    addresses = {id(one) for one in kept} | {id(by_key), id(kept)}
    for number in re.findall(rb"\d{9,}", shown):
        assert int(number) not in addresses
    for number in re.findall(rb"0x[0-9a-f]+", shown):
        assert int(number, 16) not in addresses


def test_row_09_a_filter_is_no_pattern() -> None:
    engine = engine_of()
    for text in ("(a+)+$", "[", "*", "\\", "\0", "a" * 10**6, "%s%n", "__class__"):
        for page in ("types", "allocations", "routes"):
            answer = engine.answer(call(f"{page}.json", query=urlencode({"q": text})))
            assert answer.status == 200
            assert len(answer.body) < 300_000


def test_row_09_nothing_that_a_client_sends_is_run_or_looked_up() -> None:
    forbidden = {"eval", "exec", "compile", "__import__", "getattr", "setattr", "repr", "vars"}
    # Attributes of our own, of the interpreter's types, and texts for regular expressions.
    allowed = {"routes.py": {"vars"}, "view_allocations.py": {"getattr"}}
    for file in (ROOT / "memscope" / "web").glob("*.py"):
        tree = ast.parse(file.read_text())
        called = {
            node.func.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert called & forbidden <= allowed.get(file.name, set()), file.name
        imported = {
            name.partition(".")[0]
            for node in ast.walk(tree)
            for name in (
                [one.name for one in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not imported & {"pickle", "marshal", "shelve", "subprocess", "ctypes"}, file.name


# -- 8: no heap dump


def test_row_08_no_dump_over_http(hostile_heap: None) -> None:
    engine = engine_of()
    assert engine.answer(post("snapshots/take")).status == 303
    kinds = {header(answer, "Content-Type").partition(";")[0] for answer in crawl(engine).values()}
    assert kinds == {"text/html", "text/css", "text/javascript", "application/json"}
    for path in ("dump", "heap", "heapdump", "snapshots/download", "snapshot.memscope", "heap.json",
                 "snapshots/save", "actuator/heapdump", "debug/pprof/heap"):  # fmt: skip
        assert engine.answer(call(path)).status == 404
        assert engine.answer(post(path)).status in (404, 405)
    assert not [name for name in views.ACTIONS if re.search("save|dump|load|file|path$", name)]


def test_row_08_a_dump_is_a_file_of_its_owner(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        memscope.take_heap_snapshot().save(tmp_path / "heap")
        memscope.take_snapshot().save(tmp_path / "snapshot")
    finally:
        os.umask(old)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


# -- 10: forged ids


def test_row_10_a_number_is_never_an_object(hostile_heap: None) -> None:
    engine = engine_of()
    engine.answer(call("types.json"))
    assert engine.dashboard is not None
    known = json.loads(engine.answer(call("types.json")).body)["types"][0]["handle"]
    assert engine.answer(call(f"types/{known}")).status == 200
    route_not_type = engine.dashboard.handles.of(("route", "GET /"))
    forged = [str(id(kept)), hex(id(kept)), "0", "-1", "1", known[:-1], known + "A",
              known.swapcase(), route_not_type, "builtins.dict", "__main__", "None", "a" * 22,
              "..", ""]  # fmt: skip
    for handle in forged:
        assert engine.answer(call(f"types/{handle}")).status == 404, handle
        assert engine.answer(call(f"types/{handle}.json")).status == 404
        answer = engine.answer(post("types/paths", urlencode({"handle": handle})))
        assert answer.status in (404, 429), handle
        Jobs.forked()


def test_row_10_a_handle_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of()
    assert engine.dashboard is not None
    known = json.loads(engine.answer(call("types.json")).body)["types"][0]["handle"]
    monkeypatch.setattr(engine.dashboard.handles, "_seconds", -1.0)
    assert engine.answer(call(f"types/{known}")).status == 404


# -- 11: names that are HTML


def test_row_11_hostile_names_stay_text(hostile_heap: None) -> None:
    engine = engine_of(warmup=0)
    for name in HOSTILE_NAMES:
        request(engine, f"/{name}", route=name)
        request(engine, "/", method=name, route=f"/{name}")
    shown_everything(engine)
    pages = crawl(engine, most=250)
    for link, answer in pages.items():
        assert len(answer.body) < 2 << 20, link
        kind = header(answer, "Content-Type")
        if kind == "application/json":
            assert not set(b"<>&") & set(answer.body)
            json.loads(answer.body)
        if not kind.startswith("text/html"):
            continue
        page = Reader(answer.body)
        assert page.comments == []
        for tag, attributes in page.tags:
            assert tag not in ("img", "iframe", "object", "embed", "base", "style", "b")
            assert tag != "script" or attributes == {"src": f"{MOUNT}/memscope.js", "defer": None}
            for name, value in attributes.items():
                assert not name.startswith("on"), (tag, name)
                assert name != "style"
                assert name not in ("href", "src", "action") or str(value).startswith(
                    (f"{MOUNT}/", "#", "data:,")
                ), (tag, value)
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in b"".join(
        answer.body for answer in pages.values()
    )
    assert touched == []


# -- 18: what ends up as an artefact


def test_row_18_what_is_saved_from_the_pages_is_what_they_show(hostile_heap: None) -> None:
    """Pages and their .json may be kept as artefacts: they hold no more than is shown."""
    engine = engine_of(warmup=0)
    investigated(engine)
    data = engine.answer(call("leaks.json")).body
    leaks = json.loads(data)["report"]["leaks"]
    assert leaks
    assert SECRET.encode() not in data
    text = json.dumps(leaks)
    for word in ('"source"', '"address"', '"node"', "source-text-of-the-program"):
        assert word not in text
    report = engine.investigation.report
    assert report is not None
    assert "source-text-of-the-program" in json.dumps(report.to_dict()), (
        "the report itself, which the program has, does hold source lines: SECURITY.md says so"
    )


# -- anything at all, with the real pages


TEXTS = st.text(max_size=30) | st.sampled_from(HOSTILE_NAMES[:-1])


@pytest.fixture(scope="module")
def one_engine() -> Engine:
    memscope.start(1)
    engine = engine_of()
    memscope.stop()
    return engine


@given(
    path=st.sampled_from([f"{name}{end}" for name in views.PAGES for end in ("", ".json", "/x")])
    | st.sampled_from([f"do/{name}" for name in views.ACTIONS if "leaks" not in name])
    | TEXTS,
    query=st.dictionaries(
        st.sampled_from(["q", "sort", "by", "key", "old", "new", "since", "limit", "token"])
        | TEXTS,
        TEXTS | st.integers().map(str),
        max_size=4,
    ),
    body=st.dictionaries(st.sampled_from(["handle", "label", "csrf", "route"]), TEXTS, max_size=3),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
def test_any_call_of_an_insider_gets_an_answer(
    one_engine: Engine, path: str, query: dict[str, str], body: dict[str, str], method: str
) -> None:
    answer = one_engine.answer(
        call(
            path,
            {"content-type": "application/x-www-form-urlencoded"},
            query=urlencode(query, errors="replace"),
            method=method,
            body=urlencode(body, errors="replace").encode(),
        )
    )
    assert answer.status in STATUSES - {500}
    assert set(HEADERS) <= set(answer.headers)
    for name, value in answer.headers:
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert re.fullmatch(r"[\x20-\x7e]*", value)
