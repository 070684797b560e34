"""A visitor of the pages, as tests have one: requests, and a walk along all links."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from memscope.web import views
from memscope.web.engine import Engine
from memscope.web.http import Answer, Call

TOKEN = "correct-horse-battery"
MOUNT = "/_memscope"


def engine_of(**options: Any) -> Engine:
    options = {"enabled": True, "dashboard": True, "token": TOKEN, **options}
    engine = Engine.of(options, server="test")
    assert engine is not None
    return engine


def call(path: str = "", headers: dict[str, str] | None = None, **about: Any) -> Call:
    known = {"host": "localhost:8000", **(headers or {})}
    if about.pop("token", True):
        known.setdefault("x-memscope-token", TOKEN)
    about = {"method": "GET", "remote_addr": "127.0.0.1", "root": MOUNT, **about}
    return Call(path=path, headers=known, **about)


def post(action: str, body: str = "", headers: dict[str, str] | None = None, **about: Any) -> Call:
    known = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
    return call(f"do/{action}", known, method="POST", body=body.encode(), **about)


def header(answer: Answer, name: str) -> str:
    (value,) = (value for key, value in answer.headers if key == name)
    return value


def request(
    engine: Engine, path: str = "/", work: Callable[[], object] = int, **about: Any
) -> None:
    visit = engine.begin(path, "", None)
    work()
    known = {"method": "GET", "path": path, "route": None, "status": 200, **about}
    engine.finish(visit, **known)


class Reader(HTMLParser):
    """What a page consists of."""

    def __init__(self, body: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.links: list[str] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.comments: list[str] = []
        self.feed(body.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        assert len(known) == len(attrs), "an attribute twice"
        self.tags.append((tag, known))
        self.links += [str(known[name]) for name in ("href", "src") if name in known]
        if tag == "form" and known.get("method") == "post":
            self.forms.append((str(known["action"]), {}))
        if tag == "input" and self.forms and known.get("type") == "hidden":
            self.forms[-1][1][str(known["name"])] = str(known["value"])

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def crawl(engine: Engine, most: int = 150) -> dict[str, Answer]:
    """Every page that a visitor finds by following links, and its data."""
    assert engine.dashboard is not None
    found: dict[str, Answer] = {}
    queue = [f"{MOUNT}/", *(f"{MOUNT}/{name}" for name in views.PAGES if name)]
    queue += [f"{link}.json" for link in queue[1:]]
    while queue and len(found) < most:
        link = queue.pop(0)
        if link in found or link.startswith(("data:", "#")):
            continue
        path, _, query = link.partition("?")
        assert path.startswith(f"{MOUNT}/"), f"{link} leads away"
        answer = engine.answer(call(path.removeprefix(f"{MOUNT}/"), query=query))
        assert answer.status == 200, (link, answer)
        found[link] = answer
        if header(answer, "Content-Type").startswith("text/html"):
            queue += Reader(answer.body).links
    return found


def everything(engine: Engine) -> bytes:
    answers = crawl(engine)
    assert len(answers) > 15
    return b"\n".join(answer.body + repr(answer.headers).encode() for answer in answers.values())
