"""The doctor says what is true of this process, and the command line passes it on."""

from __future__ import annotations

import io
import json
import sys
import tracemalloc as stdlib
from typing import TYPE_CHECKING, Any

import pytest

import memscope
from memscope import _memscope, doctor
from memscope.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable

    RunPython = Callable[..., Any]


def found(examination: doctor.Examination, subject: str) -> doctor.Finding:
    (finding,) = [one for one in examination.findings if one.subject == subject]
    return finding


def with_status(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> doctor.Examination:
    """An examination of a tracer that says *changes* of itself."""
    status = {**_memscope.status(), "tracing": True, **changes}
    monkeypatch.setattr(_memscope, "status", lambda: status)
    return doctor.examine()


def test_this_interpreter_works() -> None:
    examination = doctor.examine(probe=True)
    assert examination.works, str(examination)
    assert found(examination, "tracing").text == "Allocations are recorded with the right line."
    assert found(examination, "hooks").verdict == "ok"
    assert found(examination, "interpreter").verdict == "ok"
    assert not memscope.is_tracing()


def test_without_a_probe_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memscope, "start", lambda *args: pytest.fail("started"))
    examination = doctor.examine()
    assert examination.works
    assert found(examination, "tracing").text == "Off."
    assert not examination.status["tracing"]


def test_a_running_tracer_is_left_alone() -> None:
    memscope.start(7)
    try:
        examination = doctor.examine(probe=True)
        assert memscope.is_tracing()
        assert memscope.get_traceback_limit() == 7
        assert found(examination, "tracing").text.startswith("On: ")
    finally:
        memscope.stop()


def test_problems_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = {"raw": "installed", "mem": "displaced by another tool", "obj": "installed"}
    examination = with_status(monkeypatch, hooks=hooks)
    assert not examination.works
    assert found(examination, "hooks").verdict == "problem"
    assert " mem:" in found(examination, "hooks").text
    examination = with_status(monkeypatch, frames="frames look different here")
    assert not examination.works
    assert "frames look different here" in found(examination, "tracebacks").text


def test_limits_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = dict.fromkeys(("raw", "mem", "obj"), "installed, below another tool's hook")
    assert found(with_status(monkeypatch, hooks=hooks), "hooks").verdict == "ok"
    assert "1,234" in found(with_status(monkeypatch, lost=1234), "lost").text
    track = {"supported": False, "reason": "this is not Linux.", "modules": [], "missed": 0}
    extensions = found(with_status(monkeypatch, track=track), "extensions")
    assert (extensions.verdict, "this is not Linux." in extensions.text) == ("limit", True)
    track = {"supported": True, "reason": None, "modules": [], "missed": 3}
    assert found(with_status(monkeypatch, track=track), "extensions").verdict == "limit"
    for state in ("off", "taken by another tool", "not available before CPython 3.13"):
        assert found(with_status(monkeypatch, ref_tracer=state), "free lists").verdict == "limit"
    assert found(with_status(monkeypatch, ref_tracer="on"), "free lists").verdict == "ok"
    assert with_status(monkeypatch, lost=1).works


def test_tracing_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*args: object) -> None:
        raise RuntimeError("memscope cannot trace: a reason")

    monkeypatch.setattr(_memscope, "start", start)
    examination = doctor.examine(probe=True)
    assert not examination.works
    assert "a reason" in found(examination, "tracing").text


@pytest.mark.parametrize(
    ("version", "implementation", "works"),
    [((3, 11), "cpython", True), ((3, 16), "cpython", False), ((3, 12), "pypy", False)],
)
def test_interpreters(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], implementation: str, works: bool
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    monkeypatch.setattr(sys.implementation, "name", implementation)
    assert (doctor._interpreter().verdict == "ok") is works


def test_other_tracers_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    stdlib.start()
    try:
        examination = doctor.examine()
        assert found(examination, "tracemalloc").verdict == "limit"
        assert found(examination, "allocator").text == "PYTHONMALLOC=debug"
    finally:
        stdlib.stop()


def test_a_core_that_cannot_be_loaded(run_python: RunPython) -> None:
    done = run_python(
        "import sys; sys.modules['memscope._memscope'] = None\n"
        "from memscope.__main__ import main; sys.exit(main(['doctor']))",
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be loaded" in done.stdout


def test_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"memscope {memscope.__version__}\n")
    assert all(len(line) <= 120 for line in text.splitlines() if "core" not in line)
    assert main(["doctor", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["works"] is True
    assert data["schema"] == doctor.SCHEMA
    assert data["memscope"] == memscope.__version__
    assert data["status"]["tracing"] is True
    assert {finding["verdict"] for finding in data["findings"]} <= {"ok", "limit", "problem"}


def test_command_line(run_python: RunPython) -> None:
    run = "import runpy, sys; sys.argv[1:] = {!r}; runpy.run_module('memscope', {{}}, '__main__')"
    assert run_python(run.format(["--version"])).stdout == f"memscope {memscope.__version__}\n"
    assert "interpreter" in run_python(run.format([])).stdout
    assert run_python(run.format(["nonsense"]), check=False).returncode == 2


def test_broken_here_means_exit_status_1(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = doctor.Finding("core", "problem", "No.")
    monkeypatch.setattr(
        doctor, "examine", lambda probe: doctor.Examination("0", (broken,), {"a": 1})
    )
    assert main(["doctor"]) == 1
    assert main(["doctor", "--json"]) == 1


def test_what_the_process_memory_can_be_divided_into(monkeypatch: pytest.MonkeyPatch) -> None:
    here = found(doctor.examine(), "process memory")
    told = (_memscope.pymalloc_memory(), _memscope.libc_memory())
    known = sys.platform == "linux" and not any(isinstance(one, str) for one in told)
    assert (here.verdict == "ok") == known
    monkeypatch.setattr(_memscope, "pymalloc_memory", lambda: "nobody tells")
    finding = found(doctor.examine(), "process memory")
    assert finding.verdict == "limit"
    assert "of pymalloc's arenas, nobody tells" in finding.text


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="needs a CPython without sys.remote_exec")
def test_attach_before_3_14() -> None:
    finding = doctor._attach()
    assert (finding.verdict, "3.14" in finding.text) == ("limit", True)


def test_attach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "remote_exec", print, raising=False)
    monkeypatch.setattr(sys, "is_remote_debug_enabled", lambda: True, raising=False)
    monkeypatch.setattr(doctor, "_tracing_forbidden", lambda: "")
    assert doctor._attach().verdict == "ok"
    monkeypatch.setattr(doctor, "_tracing_forbidden", lambda: "a reason")
    assert doctor._attach() == ("attach", "limit", "a reason")
    monkeypatch.setattr(sys, "is_remote_debug_enabled", lambda: False)
    assert "PYTHON_DISABLE_REMOTE_DEBUG" in doctor._attach().text


@pytest.mark.parametrize(
    ("scope", "rights", "forbidden"),
    [
        ("0", "0", False),
        ("1", "0", True),
        ("1", "80000", False),
        ("2", "0", True),
        ("2", "1ffffffffff", False),
        ("3", "1ffffffffff", True),
        ("no number", "0", False),
        (None, "0", False),
    ],
)
def test_who_may_trace(
    monkeypatch: pytest.MonkeyPatch, scope: str | None, rights: str, forbidden: bool
) -> None:
    def opened(path: str) -> io.StringIO:
        if "yama" not in path:
            return io.StringIO(f"Name:\tx\nCapEff:\t{rights}\n")
        if scope is None:
            raise FileNotFoundError
        return io.StringIO(scope)

    monkeypatch.setattr(doctor, "open", opened, raising=False)
    assert bool(doctor._tracing_forbidden()) is forbidden


def test_pictures_and_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memscope.dot._engine", lambda form: ["dot"])
    assert doctor._pictures().verdict == "ok"
    monkeypatch.setattr("memscope.dot._engine", lambda form: None)
    assert "install Graphviz" in doctor._pictures().text
    assert doctor._run().verdict == "ok"
    monkeypatch.setattr(sys, "executable", "")
    assert doctor._run().verdict == "limit"
