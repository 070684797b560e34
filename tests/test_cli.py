"""The command line: its commands on saved files, where results go, and what is refused.

memscope run has tests of its own, and memscope attach.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import memscope
from memscope import cli
from memscope.cli import main, output, saved
from memscope.leak_report import Leak, LeakReport, Moment

ROOT = Path(__file__).resolve().parent.parent
FILES = ("report.json", "old.memscope", "new.memscope", "old.heap", "new.heap")

MAKE = """
import sys
import memscope

class Session:
    def __init__(self, number):
        self.data = f"session {number}"

sessions = {}

def work(numbers):
    for number in numbers:
        sessions[number] = Session(number)

memscope.start(3)
work(range(100))
memscope.take_snapshot().save("old.memscope")
memscope.take_heap_snapshot().save("old.heap")
work(range(100, 1100))
memscope.take_snapshot().save("new.memscope")
memscope.take_heap_snapshot().save("new.heap")
memscope.stop()
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each kind."""
    folder = tmp_path_factory.mktemp("saved")
    (folder / "make.py").write_text(MAKE)
    subprocess.run(
        [sys.executable, "make.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    leak = Leak("unbounded-cache", "It grows.", "Bound it.", "app.Session", 3, 168, 1000)
    moments = tuple(Moment(str(number), float(number), 10, 100) for number in range(4))
    LeakReport(leaks=(leak,), moments=moments, title="app.py").save(folder / "report.json")
    LeakReport(moments=moments).save(folder / "clean.json")
    return folder


@pytest.fixture
def place(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def said(capsys: pytest.CaptureFixture[str], *words: str, status: int = 0) -> tuple[str, str]:
    """What the command prints, on stdout and on stderr."""
    capsys.readouterr()
    assert main(words) == status
    printed = capsys.readouterr()
    return printed.out, printed.err


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The one sentence with which it is refused."""
    out, err = said(capsys, *words, status=2)
    assert out == ""
    assert err.startswith("memscope: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


Printed = pytest.CaptureFixture[str]


# -- what each command answers


def test_report(place: Path, capsys: Printed) -> None:
    out, err = said(capsys, "report", "report.json")
    assert "Session" in out and "Bound it." in out
    assert err == ""
    out, _ = said(capsys, "report", "report.json", "--json")
    assert LeakReport.from_dict(json.loads(out)) == LeakReport.load("report.json")
    said(capsys, "report", "report.json", "--fail-on-leak", status=1)
    said(capsys, "report", "clean.json", "--fail-on-leak")


def test_report_as_a_file(place: Path, tmp_path: Path, capsys: Printed) -> None:
    for name, content in (("a.html", "<html"), ("a.json", '"schema"'), ("a.txt", "1 leak")):
        out, err = said(capsys, "report", "report.json", "-o", str(tmp_path / name))
        assert out == ""
        assert name in err
        assert content in (tmp_path / name).read_text()


def test_stats(place: Path, capsys: Printed) -> None:
    out, _ = said(capsys, "stats", "new.memscope")
    assert "make.py:6" in out or "make.py:12" in out
    for key in ("filename", "function", "module", "package", "traceback"):
        assert said(capsys, "stats", "new.memscope", "--by", key)[0].startswith("Live memory by")
    out, _ = said(capsys, "stats", "new.memscope", "--json")
    data = json.loads(out)
    assert data["schema"] == output.SCHEMA
    assert data["total_size"] == memscope.Snapshot.load("new.memscope").total_size
    one = said(capsys, "stats", "new.memscope", "-n", "1")[0]
    everything = said(capsys, "stats", "new.memscope", "-n", "0")[0]
    assert len(one.splitlines()) < len(everything.splitlines())
    assert " more" not in everything
    out, _ = said(capsys, "stats", "new.memscope", "--filename", "*make.py", "--only-my-code")
    assert "total" in out
    assert "cumulative" in said(capsys, "stats", "new.memscope", "--cumulative")[0]
    refused(capsys, "stats", "new.memscope", "--cumulative", "--by", "traceback")


def test_a_file_of_tracemallocs(place: Path, tmp_path: Path, capsys: Printed) -> None:
    import tracemalloc

    tracemalloc.start()
    kept = [bytearray(1000) for _ in range(10)]
    tracemalloc.take_snapshot().dump(str(tmp_path / "theirs"))
    tracemalloc.stop()
    assert len(kept) == 10
    assert "test_cli.py" in said(capsys, "stats", str(tmp_path / "theirs"))[0]


def test_diff(place: Path, capsys: Printed) -> None:
    out, _ = said(capsys, "diff", "old.memscope", "new.memscope")
    assert out.startswith("Change by line: +")
    out, _ = said(capsys, "diff", "old.memscope", "new.memscope", "--by", "function", "--json")
    assert json.loads(out)["key_type"] == "function"
    out, _ = said(capsys, "diff", "old.heap", "new.heap")
    assert "__main__.Session" in out
    assert "sessions" in out
    out, _ = said(capsys, "diff", "old.heap", "new.heap", "--module", "__main__", "--json")
    [row] = json.loads(out)["types"]
    assert row["count_diff"] == 1000
    assert "different kinds" in refused(capsys, "diff", "old.heap", "new.memscope")
    assert "leak report" in refused(capsys, "diff", "report.json", "report.json")
    assert "stdin" in refused(capsys, "diff", "-", "-")


def test_types(place: Path, capsys: Printed) -> None:
    assert "str" in said(capsys, "types", "new.heap")[0]
    out, _ = said(capsys, "types", "new.heap", "--module", "__main__", "--json")
    [row] = json.loads(out)["types"]
    assert (row["type_name"], row["count"]) == ("__main__.Session", 1100)


def test_why(place: Path, capsys: Printed) -> None:
    out, _ = said(capsys, "why", "new.heap", "Session")
    assert out.startswith("module __main__")
    assert "sessions" in out
    out, _ = said(capsys, "why", "new.heap", "__main__.Session", "--json")
    [path] = json.loads(out)["paths"]
    assert path["count"] == 1100
    said(capsys, "why", "new.heap", "dict", "--paths", "0", "--min-size", "1000")
    error = refused(capsys, "why", "new.heap", "Sesion")
    assert "__main__.Session" in error
    assert "memscope types new.heap" in error
    assert "1,000,000" in refused(capsys, "why", "new.heap", "Session", "--min-size", "1000000")


def test_refs(place: Path, tmp_path: Path, capsys: Printed) -> None:
    out, err = said(capsys, "refs", "new.heap", "Session")
    assert "sessions" in out
    assert "1 of 1,100" in err
    assert said(capsys, "refs", "new.heap", "Session", "-q")[1] == ""
    assert "str" in said(capsys, "refs", "new.heap", "Session", "--forward", "--depth", "1")[0]
    picture = str(tmp_path / "a.dot")
    out, err = said(capsys, "refs", "new.heap", "Session", "-o", picture, "-n", "3")
    assert out == ""
    assert picture in err
    assert "digraph" in Path(picture).read_text()
    refused(capsys, "refs", "new.heap", "Session", "-o", picture)
    assert ".svg" in refused(capsys, "refs", "new.heap", "Session", "-o", "a.doc")


def test_a_picture_without_graphviz(
    place: Path, tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memscope.dot._engine", lambda form: None)
    picture = str(tmp_path / "a.svg")
    _, err = said(capsys, "refs", "new.heap", "Session", "-q", "-o", picture, status=1)
    assert err == ""
    assert (tmp_path / "a.dot").exists()


# -- where results go


def test_files_are_not_overwritten(place: Path, tmp_path: Path, capsys: Printed) -> None:
    target = tmp_path / "out.txt"
    target.write_text("mine")
    for words in (
        ["report", "report.json"],
        ["stats", "new.memscope"],
        ["diff", "old.heap", "new.heap"],
        ["types", "new.heap"],
        ["why", "new.heap", "Session"],
        ["refs", "new.heap", "Session"],
    ):
        assert "-f" in refused(capsys, *words, "-o", str(target))
        assert target.read_text() == "mine"
        out, err = said(capsys, *words, "-q", "-f", "-o", str(target))
        assert (out, err) == ("", "")
        assert target.read_text() != "mine"
        target.write_text("mine")


def test_places_that_cannot_be_written_to(place: Path, tmp_path: Path, capsys: Printed) -> None:
    assert "folder" in refused(capsys, "types", "new.heap", "-o", str(tmp_path))
    assert "no folder" in refused(capsys, "types", "new.heap", "-o", "/nowhere/x")
    assert "no folder" in refused(capsys, "types", "new.heap", "-o", "report.json/x")
    if os.geteuid():
        tmp_path.chmod(0o500)
        assert "cannot be written" in refused(capsys, "types", "new.heap", "-o", f"{tmp_path}/x")


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "memscope", *words],
        env=environment,
        text=True,
        capture_output="stdout" not in options,
        timeout=300,
        **options,
    )


@pytest.mark.parametrize(
    "words",
    [
        ("report", "report.json"),
        ("stats", "new.memscope"),
        ("diff", "old.heap", "new.heap"),
        ("types", "new.heap"),
        ("why", "new.heap", "Session"),
        ("refs", "new.heap", "Session"),
    ],
    ids=" ".join,
)
def test_from_stdin_to_stdout(place: Path, words: tuple[str, ...]) -> None:
    direct = run(*words, "-o", "-")
    assert direct.returncode == 0, direct.stderr
    [named] = [word for word in words if word in FILES and word != "old.heap"]
    piped = ["-" if word == named else word for word in words]
    with open(named, "rb") as file:
        assert run(*piped, stdin=file).stdout == direct.stdout
    with subprocess.Popen(["cat", named], stdout=subprocess.PIPE) as cat:
        assert run(*piped, stdin=cat.stdout).stdout == direct.stdout


def test_a_pipe_that_breaks(place: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for words in (
        ["types", "new.heap"],
        ["stats", "new.memscope", "--json", "-n", "0"],
        ["report", "report.json", "-o", "-"],
        ["doctor"],
    ):
        done = run(*words, stdout=writing, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (cli.BROKEN_PIPE, "")
    os.close(writing)


def test_colour_on_a_terminal_only(place: Path) -> None:
    assert "\x1b" not in run("report", "report.json").stdout
    assert "\x1b" in run("report", "report.json", env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b" not in on_a_terminal(place, "types", "new.heap", env={"NO_COLOR": "1"})
    shown = on_a_terminal(place, "types", "new.heap", env={"TERM": "xterm", "NO_COLOR": ""})
    assert "\x1b[1m" in shown
    assert "reading new.heap ..." in shown


def on_a_terminal(place: Path, *words: str, env: dict[str, str]) -> str:
    """What the command shows to a person."""
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "memscope", *words],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        stdout=follower,
        stderr=follower,
        stdin=follower,
    )
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 65536):
            shown += piece
    except OSError:  # Linux says so when the other end is closed
        pass
    assert process.wait() == 0
    os.close(leader)
    return shown.decode()


def test_an_encoding_that_cannot_say_it(place: Path) -> None:
    done = run("report", "report.json", env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0, done.stderr


# -- files that are refused


def test_files_that_are_none(place: Path, tmp_path: Path, capsys: Printed) -> None:
    path = str(tmp_path / "x")
    for content in (b"", b"\0" * 100, b"hello", b"[1]", os.urandom(2000), saved.MAGIC):
        Path(path).write_bytes(content)
        for command in (["report"], ["stats"], ["types"]):
            assert path in refused(capsys, *command, path)
    for name in ("nothing", str(tmp_path)):
        assert name in refused(capsys, "stats", name)


def test_files_of_another_kind(place: Path, capsys: Printed) -> None:
    assert "memscope report reads" in refused(capsys, "stats", "report.json")
    assert "memscope stats and diff read" in refused(capsys, "types", "new.memscope")
    assert "memscope types" in refused(capsys, "report", "new.heap")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("new.memscope", ["stats"]),
        ("new.heap", ["types"]),
        ("report.json", ["report"]),
    ],
)
def test_damaged_files(
    place: Path, tmp_path: Path, capsys: Printed, name: str, words: list[str]
) -> None:
    data = (place / name).read_bytes()
    path = tmp_path / "damaged"
    for cut in (1, 8, 13, 24, 30, 100, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:cut])
        refused(capsys, *words, str(path))
    if name != "report.json":
        for position in range(0, len(data), max(len(data) // 40, 1)):
            path.write_bytes(
                data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]
            )
            refused(capsys, *words, str(path))


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 99},
        {"schema": "x"},
        {"leaks": 1},
        {"leaks": [1]},
        {"leaks": [{}]},
        {"moments": [{"label": "x"}]},
        {"memory": 3},
        {"title": None},
        {"notes": [["x"]]},
        {"types": [{"type_name": 1}]},
    ],
    ids=str,
)
def test_reports_that_lie(
    place: Path, tmp_path: Path, capsys: Printed, change: dict[str, Any]
) -> None:
    data = json.loads((place / "report.json").read_text())
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**data, **change}))
    refused(capsys, "report", str(path))


def test_a_report_nested_too_deeply(place: Path, tmp_path: Path, capsys: Printed) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"schema": ' + "[" * 100_000)
    refused(capsys, "report", str(path))


def test_a_report_cannot_drive_the_terminal(place: Path, tmp_path: Path, capsys: Printed) -> None:
    data = json.loads((place / "report.json").read_text())
    hostile = "\x1b]0;owned\x07\r\n\u202e"
    for field in ("type_name", "verdict", "advice", "holder", "source", "kind"):
        data["leaks"][0][field] = hostile
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**data, "title": hostile, "notes": [hostile]}))
    out, _ = said(capsys, "report", str(path))
    assert not {"\x1b", "\x07", "\r", "\u202e"} & set(out)


# -- the whole


def test_help_and_version(capsys: Printed) -> None:
    for words in (["--help"], *([name, "--help"] for name in cli.COMMANDS)):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert "usage: memscope" in capsys.readouterr().out
    for flag in ("-V", "--version"):
        with pytest.raises(SystemExit):
            main([flag])
        assert capsys.readouterr().out == f"memscope {memscope.__version__}\n"


def test_the_module_and_the_script() -> None:
    assert run("--version").stdout == f"memscope {memscope.__version__}\n"
    script = Path(sys.executable).parent / "memscope"
    if not script.exists():
        pytest.skip("the memscope script is not installed beside this interpreter")
    done = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert done.stdout == f"memscope {memscope.__version__}\n"


def test_wrong_usage(capsys: Printed) -> None:
    for words in (
        ["nothing"],
        ["stats"],
        ["stats", "x", "--by", "colour"],
        ["stats", "x", "-n", "many"],
        ["why", "x"],
        ["attach", "me"],
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 2
        assert "usage:" in capsys.readouterr().err


def test_importing_memscope_loads_no_command_line(tmp_path: Path) -> None:
    program = (
        "import sys, memscope\n"
        "print([n for n in sys.modules if n in ('argparse', 'json') or n.startswith('memscope.')])"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"


def test_interrupted(monkeypatch: pytest.MonkeyPatch, place: Path, capsys: Printed) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("memscope.cli.types.load_heap", interrupt)
    assert said(capsys, "types", "new.heap", status=cli.INTERRUPTED) == ("", "")
