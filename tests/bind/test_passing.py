"""Requests that pass by: the core's counter, and what it puts between application and server."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from memscope import _memscope

if TYPE_CHECKING:
    from memscope._memscope import Passed

ENVIRON = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}


class Counted:
    """A counter that lets everything pass by, and what it handed on."""

    def __init__(self, every: int = 1_000_000) -> None:
        self.found: list[Passed] = []
        # Any: it is asked for nonsense too.
        self.passing: Any = _memscope.Passing(every, self.found.extend)
        self.passing.count()  # the first is never one that passes by

    def kinds(self) -> list[tuple[Any, ...]]:
        """(method, path, route, view, code, requests) of each."""
        self.passing.flush()
        return [one[:6] for one in self.found]


def served(app: Any, counted: Counted, environ: Any = None, **options: Any) -> list[Any]:
    """What a server does; what it was told and sent."""
    told: list[Any] = []

    def start_response(*args: Any, **kwargs: Any) -> Callable[[bytes], None]:
        told.append((args, kwargs))
        return told.append

    application = counted.passing.wsgi(app, refuse, **options)
    result = application(dict(ENVIRON) if environ is None else environ, start_response)
    try:
        told += list(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    return told


def refuse(environ: Any, start_response: Any) -> Any:
    raise AssertionError("it passes by")


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b"hello"]


# -- the counter


def test_requests_of_a_kind_are_told_together() -> None:
    counted = Counted()
    passing = counted.passing
    route, view = "/orders/<id>", object()
    for number in range(5):
        began = passing.begin(f"/orders/{number}")
        assert began is not None
        assert passing.in_flight == 1
        # Another object that is equal is the same route.
        passing.end(began, "GET", f"/orders/{number}", "".join(route), view, 200)
    for status in (500, None):
        began = passing.begin("/orders/0")
        assert began is not None
        passing.end(began, "POST", "/orders/0", None, None, status)
    assert counted.kinds() == [
        ("GET", None, route, view, 200, 5),
        ("POST", "/orders/0", None, None, 500, 1),
        ("POST", "/orders/0", None, None, None, 1),
    ]
    assert (passing.in_flight, passing.begun) == (0, 8)


def test_seconds_are_those_until_the_answer() -> None:
    counted = Counted()
    for answered in (0.0, 10.5, 12.0):
        counted.passing.begin("/")
        counted.passing.end(10.0, "GET", "/", "/", None, 200, answered)
    before = perf_counter()
    counted.passing.flush()
    [(*_, requests, seconds, longest, over)] = counted.found
    assert requests == 3
    assert 0 <= before - over < 60
    assert seconds == pytest.approx(0.5 + 2.0 + over - 10.0, abs=60)
    assert longest == pytest.approx(max(2.0, over - 10.0), abs=60)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, 200),
        ("404 Not Found", 404),
        (True, 1),
        ("20", None),
        ("abc", None),
        ("\uff12\uff10\uff10 OK", None),
        (1 << 80, None),
        (-1, None),
        (None, None),
        (b"200 OK", None),
        (200.0, None),
    ],
)
def test_code_of_a_status(status: Any, code: int | None) -> None:
    counted = Counted()
    counted.passing.end(0.0, "GET", "/", "/", None, status)
    assert [one[4] for one in counted.kinds()] == [code]


def test_more_kinds_than_there_is_room_for_are_handed_on() -> None:
    counted = Counted()
    for number in range(200):
        counted.passing.end(0.0, "GET", f"/{number}", None, None, 200)
    assert 0 < len(counted.found) < 200
    assert [one[1] for one in counted.kinds()] == [f"/{number}" for number in range(200)]


def test_eager() -> None:
    counted = Counted()
    counted.passing.is_eager = True
    for number in range(3):
        counted.passing.end(0.0, "GET", "/", "/", None, 200)
        assert len(counted.found) == number + 1


def test_who_does_not_pass_by() -> None:
    counted = Counted(every=3)
    passing = counted.passing
    assert [passing.begin("/") is None for _ in range(2)] == [False, False]
    assert passing.begin("/") is None  # its turn has come
    passing.count()
    passing.close()
    assert passing.begin("/") is passing.enter() is None
    passing.open()
    passing.is_quick = False
    assert passing.begin("/") is None
    assert passing.enter() is not None
    passing.is_quick = True
    passing.paths = {"/none": "", "/some": "/some", "/odd": 5}
    passing.excluding = (lambda path: None, lambda path: path == "/odder" or None)
    assert passing.begin("/some") is not None
    for path in ("/none", "/odd", "/odder", b"/", None):
        assert passing.begin(path) is None
    assert passing.in_flight == 4


def test_a_path_that_compares_as_it_likes_is_not_looked_up() -> None:
    class Path(str):
        __slots__ = ()
        __hash__ = None

        def __eq__(self, other: object) -> bool:
            raise AssertionError

    assert Counted().passing.begin(Path("/")) is None


def test_what_says_whether_a_path_is_excluded_may_fail() -> None:
    counted = Counted()
    counted.passing.excluding = (lambda path: 1 / 0,)
    assert counted.passing.begin("/") is None
    assert counted.passing.in_flight == 0


def interrupts(*_: Any) -> Any:
    raise KeyboardInterrupt


def test_what_is_none_of_ours_to_catch() -> None:
    counted = Counted()
    counted.passing.excluding = (interrupts,)
    with pytest.raises(KeyboardInterrupt):
        counted.passing.begin("/")
    with pytest.raises(KeyboardInterrupt):
        served(hello, counted)
    counted.passing.excluding = ()

    class Request:
        url_rule = property(interrupts)

    application = counted.passing.wsgi(hello, refuse, ("request", "url_rule"))
    with pytest.raises(KeyboardInterrupt):
        application({**ENVIRON, "request": Request()}, print)
    assert counted.passing.in_flight == 0
    assert [one[4] for one in counted.kinds()] == [None]


def test_what_a_view_is_bound_to_is_not_held() -> None:
    class Handler:
        def get(self) -> None:
            pass

    counted, handler = Counted(), Handler()
    gone = weakref.ref(handler)
    for _ in range(2):
        counted.passing.end(0.0, "GET", "/", "/", handler.get, 200)
    del handler
    assert gone() is None
    assert counted.kinds() == [("GET", None, "/", Handler.get, 200, 2)]


def test_close_tells_what_is_in_flight() -> None:
    counted = Counted()
    before = perf_counter()
    first, second = counted.passing.begin("/"), counted.passing.begin("/")
    assert counted.passing.close() == 2
    assert before <= counted.passing.since == first <= second <= perf_counter()
    counted.passing.drop()
    assert counted.passing.close() == 1
    assert not counted.passing.is_open
    counted.passing.forked()
    counted.passing.drop()
    assert counted.passing.in_flight == 0
    assert counted.kinds() == []


def test_wrong_arguments() -> None:
    counted = Counted()
    passing = counted.passing
    wrong: list[Callable[[], Any]] = [
        lambda: _memscope.Passing(0, print),
        lambda: _memscope.Passing("x", print),
        lambda: passing.end(0.0, "GET"),
        lambda: passing.end("x", "GET", "/", "/", None, 200),
        lambda: setattr(passing, "paths", 5),
        lambda: delattr(passing, "paths"),
        lambda: setattr(passing, "excluding", [print]),
        lambda: passing.wsgi(hello, refuse, "x"),
        lambda: passing.wsgi(hello),
    ]
    for call in wrong:
        with pytest.raises((TypeError, ValueError)):
            call()
    assert passing.paths == {}


def test_who_is_told_and_fails_is_not_the_programs_misfortune(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raised: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", raised.append)
    passing = _memscope.Passing(1000, lambda found: 1 / 0)
    passing.count()
    passing.is_eager = True

    def fails(environ: Any, start_response: Any) -> Any:
        raise KeyError("the application's own")

    with pytest.raises(KeyError, match="own"):
        passing.wsgi(fails, refuse)(dict(ENVIRON), print)
    assert [type(one.exc_value) for one in raised] == [ZeroDivisionError]


def test_who_is_told_may_come_back() -> None:
    found: list[Passed] = []

    def told(kinds: list[Passed]) -> None:
        found.extend(kinds)
        if len(found) < 100:
            passing.end(0.0, "GET", f"/{len(found)}", None, None, 200)
            passing.flush()

    passing = _memscope.Passing(1000, told)
    passing.end(0.0, "GET", "/", None, None, 200)
    passing.flush()
    assert len(found) == 100


def test_threads() -> None:
    counted = Counted()
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def client(number: int) -> None:
        for at in range(1000):
            served(hello, counted, {**ENVIRON, "memscope.route": f"/{(at + number) % 50}"})

    threads = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switching)
    assert sum(one[5] for one in counted.kinds()) == 4000
    assert counted.passing.in_flight == 0


def test_it_is_collected_in_a_cycle() -> None:
    class Owner:
        def __init__(self) -> None:
            self.passing = _memscope.Passing(5, self.told)
            self.passing.end(0.0, "GET", "/", self, self.told, 200)
            self.app = self.passing.wsgi(self.told, self.told)

        def told(self, found: list[Passed]) -> None:
            raise AssertionError

    gone = weakref.ref(Owner())
    gc.collect()
    assert gone() is None


# -- WSGI


def test_what_the_application_says_is_handed_on() -> None:
    counted = Counted()
    error = (ValueError, ValueError(), None)

    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [("A", "b")])
        write(b"first")
        start_response("500 Oops", headers=[], exc_info=error)
        return (b"body",)

    assert served(app, counted) == [
        (("200 OK", [("A", "b")]), {}),
        b"first",
        (("500 Oops",), {"headers": [], "exc_info": error}),
        b"body",
    ]
    assert counted.kinds() == [("GET", "/", None, None, 500, 1)]


def test_status_by_name() -> None:
    counted = Counted()

    def app(environ: Any, start_response: Any) -> Any:
        start_response(headers=[], status="204 No Content")
        return []

    served(app, counted)
    assert [one[4] for one in counted.kinds()] == [204]


def test_a_list_goes_to_the_server_as_it_is() -> None:
    counted, body = Counted(), [b"hello"]
    application = counted.passing.wsgi(lambda environ, start_response: body, refuse)
    assert application(dict(ENVIRON), print) is body
    assert counted.passing.in_flight == 0


class Body:
    """What an application returns, that notes what becomes of it."""

    def __init__(self, *chunks: Any) -> None:
        self.chunks = chunks
        self.noted: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        for chunk in self.chunks:
            self.noted.append(chunk)
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk

    def close(self) -> None:
        self.noted.append("closed")


class SizedBody(Body):
    def __len__(self) -> int:
        return len(self.chunks)


@pytest.mark.parametrize("kind", [Body, SizedBody])
def test_a_body_is_followed_to_its_end(kind: type[Body]) -> None:
    counted, body = Counted(), kind(b"a", b"b")
    result: Any = counted.passing.wsgi(lambda environ, start_response: body, refuse)(
        dict(ENVIRON), print
    )
    assert result is not body
    assert hasattr(result, "__len__") == (kind is SizedBody)
    if kind is SizedBody:
        assert len(result) == 2
    chunks = iter(result)
    assert body.noted == []
    assert next(chunks) == b"a"
    assert body.noted == [b"a"]
    assert list(chunks) == [b"b"]
    assert counted.passing.in_flight == 1
    result.close()
    result.close()
    assert (body.noted, counted.passing.in_flight) == ([b"a", b"b", "closed"], 0)
    assert list(result) == list(chunks) == []
    if kind is SizedBody:
        assert len(result) == 0


def test_a_body_that_can_be_iterated_twice() -> None:
    body = Body(b"a")
    result: Any = Counted().passing.wsgi(lambda environ, start_response: body, refuse)(
        dict(ENVIRON), print
    )
    assert [list(result), list(result)] == [[b"a"], [b"a"]]


def test_a_body_that_fails_is_an_error() -> None:
    counted = Counted()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Body(b"a", KeyError("broken"))

    with pytest.raises(KeyError, match="broken"):
        served(app, counted)
    assert counted.kinds() == [("GET", "/", None, None, None, 1)]


@pytest.mark.parametrize("where", ["call", "iter", "close", "lookup", "length"])
def test_exceptions_are_the_applications(where: str) -> None:
    counted = Counted()

    class Broken(SizedBody):
        def __iter__(self) -> Iterator[Any]:
            if where == "iter":
                raise KeyError(where)
            return super().__iter__()

        def __len__(self) -> int:
            raise KeyError(where)

        def __getattribute__(self, name: str) -> Any:
            if where == "lookup" and name == "close":
                raise KeyError(where)
            return super().__getattribute__(name)

        def close(self) -> None:
            if where == "close":
                raise KeyError(where)

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if where == "call":
            raise KeyError(where)
        return Broken(b"a")

    def ask() -> None:
        if where != "length":
            served(app, counted)
            return
        result: Any = counted.passing.wsgi(app, refuse)(dict(ENVIRON), lambda *_: None)
        try:
            len(result)
        finally:
            result.close()

    with pytest.raises(KeyError, match=where):
        ask()
    code = 200 if where == "length" else None
    assert counted.kinds() == [("GET", "/", None, None, code, 1)]
    assert counted.passing.in_flight == 0


@pytest.mark.parametrize("result", [None, 5, "text", object()])
def test_what_is_no_body_is_left_to_the_server(result: Any) -> None:
    counted = Counted()
    found: Any = counted.passing.wsgi(lambda environ, start_response: result, refuse)(
        dict(ENVIRON), print
    )
    try:
        chunks = list(found)
    except TypeError as error:
        assert "not iterable" in str(error)
    else:
        assert chunks == list(result)
    found.close()
    assert counted.passing.in_flight == 0


def test_what_the_server_drops_is_over_and_not_counted() -> None:
    counted = Counted()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"a"

    result: Any = counted.passing.wsgi(app, refuse)(dict(ENVIRON), print)
    assert next(iter(result)) == b"a"
    del result  # at once: the generator holds start_response(), and is in no cycle
    assert counted.passing.in_flight == 0
    assert counted.kinds() == []


def test_what_is_dropped_in_a_cycle_is_over_when_it_is_collected() -> None:
    counted = Counted()

    def app(environ: Any, start_response: Any) -> Any:
        environ["start"] = start_response
        return iter([b"a"])

    environ: dict[str, Any] = dict(ENVIRON)
    environ["result"] = counted.passing.wsgi(app, refuse)(environ, print)
    assert counted.passing.in_flight == 1
    del environ
    gc.collect()
    assert counted.passing.in_flight == 0


def test_start_response_after_the_end() -> None:
    counted, kept = Counted(), list[Any]()

    def app(environ: Any, start_response: Any) -> Any:
        kept.append(start_response)
        start_response("200 OK", [])
        return iter([])

    served(app, counted)
    with pytest.raises(RuntimeError, match="closed"):
        kept[0]("200 OK", [])
    assert counted.kinds() == [("GET", "/", None, None, 200, 1)]


def test_a_file_is_the_servers() -> None:
    class Wrapper(Body):
        pass

    counted = Counted()
    file = Wrapper(b"a")
    environ = {**ENVIRON, "wsgi.file_wrapper": Wrapper}
    application = counted.passing.wsgi(lambda environ, start_response: file, refuse)
    assert application(environ, print) is file
    assert counted.passing.in_flight == 0


class Request:
    url_rule: Any = "/orders/<id>"


class Liar:
    @property
    def url_rule(self) -> Any:
        raise KeyError


@pytest.mark.parametrize(
    ("request_", "route"), [(Request(), "/orders/<id>"), (Liar(), None), (5, None), (None, None)]
)
def test_the_route_is_read_when_the_response_begins(request_: Any, route: str | None) -> None:
    counted = Counted()

    def app(environ: Any, start_response: Any) -> Any:
        environ["request"] = request_
        start_response("200 OK", [])
        del environ["request"]
        return []

    application = counted.passing.wsgi(app, refuse, ("request", "url_rule"))
    application(dict(ENVIRON), lambda *_: None)
    assert [one[2] for one in counted.kinds()] == [route]


@pytest.mark.parametrize(
    ("sent", "path"), [("/\xd1\x8c", "/\u044c"), ("/\xff", "/\ufffd"), ("/a", "/a")]
)
def test_a_path_is_decoded(sent: str, path: str) -> None:
    counted = Counted()
    served(hello, counted, {**ENVIRON, "PATH_INFO": sent})
    assert counted.kinds() == [("GET", path, None, None, 200, 1)]


def test_route_and_view_of_the_environ() -> None:
    counted = Counted()

    def app(environ: Any, start_response: Any) -> Any:
        environ.update({"memscope.route": "/a", "memscope.view": app, "REQUEST_METHOD": "PUT"})
        start_response("200 OK", [])
        return []

    served(app, counted)
    assert counted.kinds() == [("PUT", None, "/a", app, 200, 1)]


@pytest.mark.parametrize(
    "environ", [{}, {"PATH_INFO": "/\u044c"}, {"PATH_INFO": ""}, {"PATH_INFO": 5}, [], None]
)
def test_who_does_not_pass_by_is_answered_otherwise(environ: Any) -> None:
    counted = Counted()
    counted.passing.paths = {"": ""}
    application = counted.passing.wsgi(refuse, lambda *args: [args])
    assert application(environ, print) == [(environ, print)]
    assert application(*[1] * 3) == [(1, 1, 1)]
    assert counted.passing.in_flight == 0


# -- ASGI


def test_messages_are_handed_on_and_noted() -> None:
    messages: list[Any] = [
        {"type": "http.response.start", "status": 201, "headers": []},
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b"},
    ]
    sent: list[Any] = []
    send = Counted().passing.asgi(lambda message: sent.append(message) or "waiting")
    assert (send.status, send.answered) == (None, 0.0)
    for number, message in enumerate(messages):
        assert send(message) == "waiting"
        assert send.status == 201
        assert (send.answered > 0) == (number == 2)
    assert sent == messages
    assert 0 <= perf_counter() - send.answered < 60


@pytest.mark.parametrize("message", [None, {}, {"type": 5}, {"type": "x"}, [], {5: 5}])
def test_what_is_no_message_is_left_to_the_server(message: Any) -> None:
    sent: list[Any] = []
    send = Counted().passing.asgi(sent.append)
    send(message)
    assert (sent, send.status, send.answered) == ([message], None, 0.0)
    with pytest.raises(TypeError):
        send()
    with pytest.raises(ZeroDivisionError):
        Counted().passing.asgi(lambda message: 1 / 0)(message)
