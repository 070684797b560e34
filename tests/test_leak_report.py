"""A leak report as data: text, plain data, files; whatever a file holds, it is read or refused."""

from __future__ import annotations

import copy
import io
import json
import os
from pathlib import Path as FilePath
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memscope.heap_paths import Path, Step
from memscope.leak_report import SCHEMA, Grown, Leak, LeakReport, Moment, NotALeak, Site
from memscope.leak_text import WIDTH, headline

HOSTILE = "\x1b[31m\x07\r\n\u202e\x00\udcff\x9b2J"


def leak(**changes: Any) -> Leak:
    values: dict[str, Any] = {
        "kind": "unbounded-cache",
        "verdict": "the dict gets new keys and never evicts",
        "advice": "Give it a bound.",
        "type_name": "app.Session",
        "count": 48_211,
        "bytes": 5_000_000,
        "retained_bytes": 2_000_000_000,
        "per_round": (9_642, 9_642, 9_643),
        "site": Site("/srv/app/handlers.py", 88, "handle"),
        "source": "session = Session()",
        "path": Path(
            [
                Step("", "module app", "module", 72, 4096, 5, 1, ""),
                Step("cache", "dict of 9", "dict", 64, 8192, 6, 1, "app.py:3"),
                Step("['k17']", "Session", "app.Session", 48, 9000, 7, 3, ""),
            ],
            3,
        ),
        "holder": "module app -> cache",
        "holder_type": "dict",
        "evidence": ("it got new keys in each of 3 rounds, and lost none",),
        "also": (Grown("str", 100, 5000), Grown("dict", 50, 9000)),
        "traceback": (Site("/srv/app/handlers.py", 88, "log_in"), Site("/srv/app/wsgi.py", 9, "")),
        **changes,
    }
    return Leak(**values)


def report(**changes: Any) -> LeakReport:
    values: dict[str, Any] = {
        "leaks": (leak(), leak(type_name="", kind="native-memory", site=None, path=None)),
        "not_leaks": (NotALeak("module re -> _cache", "compiled patterns", 5, 500),),
        "moments": (
            Moment("baseline", 0.0, 1000, 10**6, 10**7),
            Moment("round 1", 0.5, 1100, 10**6 + 5, None),
        ),
        "types": (Grown("app.Session", 5, 500),),
        "memory": {"rss": 5 << 20, "traced": None},
        "notes": ("Judged on one round.",),
        "title": "handle_request",
        "python": "3.13.0",
        **changes,
    }
    return LeakReport(**values)


texts = st.text(max_size=20) | st.just(HOSTILE)
counts = st.integers(-(2**63), 2**63)
grown = st.builds(Grown, texts, counts, counts)
sites = st.builds(Site, texts, counts, texts)
steps = st.builds(Step, texts, texts, texts, counts, counts, counts, counts, texts)
paths = st.builds(Path, st.lists(steps, min_size=1, max_size=4), counts)
few = {"max_size": 3}


def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=3).map(tuple)


leaks = st.builds(
    Leak,
    *(texts, texts, texts, texts, counts, counts, counts),
    per_round=tuples(counts),
    site=st.none() | sites,
    source=texts,
    path=st.none() | paths,
    holder=texts,
    holder_type=texts,
    evidence=tuples(texts),
    also=tuples(grown),
    traceback=tuples(sites),
)
reports = st.builds(
    LeakReport,
    leaks=tuples(leaks),
    not_leaks=tuples(st.builds(NotALeak, texts, texts, counts, counts)),
    moments=tuples(
        st.builds(Moment, texts, st.floats(0, 1e9), counts, counts, rss=st.none() | counts)
    ),
    types=tuples(grown),
    memory=st.dictionaries(texts, st.none() | counts, max_size=3),
    notes=tuples(texts),
    title=texts,
    python=texts,
)
SLOW = settings(suppress_health_check=[HealthCheck.too_slow])


# -- what it says


def test_the_headline_says_all() -> None:
    assert headline(leak()) == (
        "48,211 Session, +1.86 GiB, allocated at /srv/app/handlers.py:88,"
        " held by module app -> cache (dict, never evicts)"
    )
    assert leak().headline == headline(leak())
    assert headline(leak(site=None, holder="")) == "48,211 Session, +1.86 GiB"
    assert headline(leak(type_name="")) == "+1.86 GiB that are no Python objects"


def test_the_text_of_a_leak_says_what_is_known() -> None:
    text = str(leak())
    for said in (
        *("48,211 Session", "Give it a bound.", "unbounded cache", "never evicts"),
        *("9,642 9,642 9,643, round by round", "handlers.py:88 in handle", "session = Session()"),
        *("module app -> cache -> ['k17']", "100 str, 50 dict", "lost none"),
    ):
        assert said in text, said
    assert "9,642 in each of 3 rounds" in str(leak(per_round=(9642,) * 3))


def test_the_text_of_a_report() -> None:
    text = str(report())
    assert text.startswith("2 leaks, +3.73 GiB of handle_request\n")
    for said in ("1. 48,211", "2. ", "compiled patterns", "resident +5.00 MiB", "Judged on one"):
        assert said in text, said
    assert "traced" not in text
    assert str(LeakReport(title="work")) == "No leak of work"
    moments = tuple(Moment(str(number), 1.0, 5, 5) for number in range(6))
    assert str(LeakReport(moments=moments)) == "No leak in 5 rounds"


def test_false_when_nothing_leaks() -> None:
    assert not LeakReport()
    assert not report(leaks=())
    assert report()
    assert report().total_bytes == 4_000_000_000
    assert report().rounds == 1
    assert LeakReport().rounds == 0
    assert repr(report()) == "<LeakReport: 2 leaks, 4000000000 bytes>"


def test_the_text_is_bounded() -> None:
    long = "x" * 5000
    many = report(
        leaks=tuple(
            leak(
                per_round=tuple(range(1000)),
                also=tuple(Grown(f"m.C{number}", 1, 1) for number in range(200)),
                source=long,
            )
            for _ in range(200)
        ),
        not_leaks=tuple(NotALeak("place", "why", 1, 1) for _ in range(500)),
        types=tuple(Grown("C", 1, 1) for _ in range(500)),
        moments=tuple(Moment("m", 0.0, 1, 1) for _ in range(1000)),
    )
    text = str(many)
    assert "... 190 smaller leaks" in text
    assert "... 494 more" in text
    assert "196 more classes" in text
    lines = text.split("\n")
    assert len(lines) < 300
    assert max(map(len, lines)) <= WIDTH + 20  # a source line may stick out


def test_nothing_of_the_program_reaches_the_terminal_as_control() -> None:
    hostile = report(
        leaks=(
            leak(
                **dict.fromkeys(
                    ("verdict", "advice", "type_name", "source", "holder", "holder_type"), HOSTILE
                ),
                site=Site(f"/a/{HOSTILE}.py", 1, HOSTILE),
                path=Path([Step(HOSTILE, HOSTILE, HOSTILE, 1, 1, 1, 1, HOSTILE)] * 2, 2),
                evidence=(HOSTILE,),
                also=(Grown(HOSTILE, 1, 1),),
            ),
        ),
        not_leaks=(NotALeak(HOSTILE, HOSTILE, 1, 1),),
        notes=(HOSTILE,),
        title=HOSTILE,
    )
    for text in (str(hostile), hostile.leaks[0].headline, str(hostile.leaks[0])):
        assert all(char.isprintable() or char == "\n" for char in text)
        assert "\\x1b[31m" in text


@SLOW
@given(reports)
def test_any_report_can_be_shown(of: LeakReport) -> None:
    text = str(of)
    assert text == str(of)
    assert all(char.isprintable() or char == "\n" for char in text)
    out = io.StringIO()
    of.show(out)
    assert out.getvalue() == text + "\n"


def test_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    report().show(out)
    assert out.getvalue().startswith("\x1b[1m\x1b[31m2 leaks")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    report().show(out)
    assert "\x1b" not in out.getvalue()


# -- plain data


def through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


def test_plain_data_says_it_all() -> None:
    data = report().to_dict()
    assert data["schema"] == SCHEMA
    assert data["leaking"] is True
    assert data["rounds"] == 1
    assert data["total_bytes"] == 4_000_000_000
    assert data["leaks"][0]["site"] == {
        "filename": "/srv/app/handlers.py",
        "lineno": 88,
        "function": "handle",
    }
    assert data["leaks"][0]["path"]["text"].startswith("module app -> cache")
    assert data["leaks"][1]["site"] is None
    assert list(report().to_dict()) == list(data)


@SLOW
@given(reports)
@example(report())
@example(LeakReport())
def test_plain_data_and_back(of: LeakReport) -> None:
    again = LeakReport.from_dict(through_json(of.to_dict()))
    assert again == of
    assert again.to_dict() == of.to_dict()


def places(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where there is something in plain data."""
    inside = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    return [at, *(place for key, value in inside for place in places(value, (*at, key)))]


DATA = report().to_dict()
PLACES = [place for place in places(DATA) if place]
WRONG = [None, True, 1.5, "text", [], {}, [1], {"a": 1}, 10**400, float("nan"), float("inf"), -1]
DERIVED = {"leaking", "rounds", "total_bytes", "headline", "text"}
"""Fields for the reader of the file; they follow from the others."""


def replaced(place: tuple[Any, ...], value: Any) -> Any:
    data = copy.deepcopy(DATA)
    inside = data
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    return data


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_of_the_wrong_type_it_is_refused_or_does_no_harm(place: tuple[Any, ...]) -> None:
    inside: Any = DATA
    for key in place:
        inside = inside[key]
    refused = 0
    for value in WRONG:
        try:
            read = LeakReport.from_dict(replaced(place, value))
        except ValueError as error:
            refused += 1
            assert "\n" not in str(error)
            assert str(error).startswith("not a leak report: ")
        else:
            # What is let through can be used.
            str(read), read.to_dict(), read.to_html(), bool(read), repr(read)
            assert LeakReport.from_dict(through_json(read.to_dict())) == read
    assert refused >= 6 or DERIVED.intersection(place)


@pytest.mark.parametrize(
    "place", [place for place in PLACES if isinstance(place[-1], str)], ids=str
)
def test_what_is_missing(place: tuple[Any, ...]) -> None:
    data = copy.deepcopy(DATA)
    inside = data
    for key in place[:-1]:
        inside = inside[key]
    del inside[place[-1]]
    if DERIVED.intersection(place) or "memory" in place[:-1] or place[-1] == "traceback":
        LeakReport.from_dict(data)
    else:
        with pytest.raises(ValueError, match=f"no field '{place[-1]}'"):
            LeakReport.from_dict(data)


def test_fields_of_a_later_version_are_passed_over() -> None:
    data = through_json(report().to_dict())
    data["more"] = data["leaks"][0]["more"] = data["leaks"][0]["path"]["steps"][0]["more"] = 5
    data["moments"][0]["more"] = data["leaks"][0]["site"]["more"] = None
    assert LeakReport.from_dict(data) == report()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside),
    max_leaves=8,
)


@SLOW
@given(json_values)
def test_anything_else_is_refused(data: Any) -> None:
    with pytest.raises(ValueError):
        LeakReport.from_dict(data)


@SLOW
@given(st.sampled_from(PLACES), json_values)
def test_anything_anywhere(place: tuple[Any, ...], value: Any) -> None:
    try:
        read = LeakReport.from_dict(replaced(place, value))
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        str(read), read.to_dict(), read.to_html()


def test_a_newer_schema_is_refused() -> None:
    data = {**DATA, "schema": SCHEMA + 1}
    with pytest.raises(
        ValueError, match=f"schema {SCHEMA + 1}; this memscope reads up to {SCHEMA}"
    ):
        LeakReport.from_dict(data)


# -- files


def test_the_name_says_what_is_written(tmp_path: FilePath) -> None:
    of = report()
    for name, start in (
        ("leaks.json", "{"),
        ("leaks.html", "<!"),
        ("leaks.htm", "<!"),
        ("leaks.txt", "2 leaks"),
        ("leaks", "2 leaks"),
    ):
        of.save(tmp_path / name)
        assert (tmp_path / name).read_text().lstrip().startswith(start)
    of.save(os.fsencode(tmp_path / "bytes.json"))
    for path in (tmp_path / "leaks.json", str(tmp_path / "bytes.json")):
        assert LeakReport.load(path) == of


@SLOW
@given(reports)
def test_any_report_can_be_saved(tmp_path_factory: pytest.TempPathFactory, of: LeakReport) -> None:
    folder = tmp_path_factory.mktemp("reports")
    of.save(folder / "leaks.json")
    assert LeakReport.load(folder / "leaks.json") == of
    of.save(folder / "leaks.txt")
    of.save(folder / "leaks.html")


def test_the_same_report_is_the_same_file(tmp_path: FilePath) -> None:
    for name in ("leaks.json", "leaks.html", "leaks.txt"):
        report().save(tmp_path / name)
        first = (tmp_path / name).read_bytes()
        LeakReport.from_dict(through_json(report().to_dict())).save(tmp_path / name)
        assert (tmp_path / name).read_bytes() == first


def test_saving_is_all_or_nothing(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "leaks.json"
    report().save(target)
    before = target.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        report(title="other").save(target)
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == ["leaks.json"]
    with pytest.raises(FileNotFoundError):
        report().save(tmp_path / "nowhere" / "leaks.json")


HOSTILE_FILES = {
    "nothing": b"",
    "no json": b"2 leaks, +5 MiB",
    "cut off": json.dumps(DATA).encode()[:-40],
    "nested": b"[" * 200_000,
    "nested in it": b'{"schema": 1, "leaks": ' + b'[{"a": ' * 100_000,
    "another text encoding": b"\xff\xfe\x00",
    "no utf-8": b'{"schema": "\xff"}',
    "a list": b"[1, 2]",
    "a number": b"1",
    "null": b"null",
    "a huge number": b'{"schema": 1' + b"0" * 10_000 + b"}",
    "a false schema": b'{"schema": true}',
    "twice": json.dumps(DATA).encode() * 2,
    "not a number": json.dumps({**DATA, "memory": {"rss": float("nan")}}).encode(),
    "endless": json.dumps(replaced(("moments", 0, "seconds"), float("inf"))).encode(),
    "a path without steps": json.dumps(replaced(("leaks", 0, "path", "steps"), [])).encode(),
}


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_a_hostile_file_is_refused_in_one_sentence(tmp_path: FilePath, name: str) -> None:
    path = tmp_path / "leaks.json"
    path.write_bytes(HOSTILE_FILES[name])
    with pytest.raises(ValueError) as caught:
        LeakReport.load(path)
    text = str(caught.value)
    assert text.startswith(f"cannot load {os.fspath(path)!r}: ")
    assert "\n" not in text
    assert len(text) < 500


def test_a_file_that_is_not_there(tmp_path: FilePath) -> None:
    with pytest.raises(FileNotFoundError):
        LeakReport.load(tmp_path / "leaks.json")


def test_escapes_from_a_file_are_text(tmp_path: FilePath) -> None:
    path = tmp_path / "leaks.json"
    data = replaced(("leaks", 0, "type_name"), f"app.{HOSTILE}")
    path.write_text(json.dumps(data))
    read = LeakReport.load(path)
    assert read.leaks[0].type_name == f"app.{HOSTILE}"
    assert all(char.isprintable() or char == "\n" for char in str(read))
