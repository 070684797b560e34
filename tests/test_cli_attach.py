"""memscope attach: a running process is watched, and left as it was."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from memscope.cli import attach, main
from memscope.cli.output import CommandError
from memscope.leak_report import LeakReport

ROOT = Path(__file__).resolve().parent.parent

SLOW = "asan" in os.environ.get("LD_PRELOAD", "") or hasattr(sys, "gettotalrefcount")
DURATION = "15" if SLOW else "4"
TIMEOUT = 300

needs_remote_exec = pytest.mark.skipif(
    not hasattr(sys, "remote_exec"), reason="needs sys.remote_exec: CPython 3.14 or later"
)

# It answers on stdout what it is asked on stdin: what can be seen of it from inside.
PROGRAM = """
import os, select, sys, threading, time

class Session:
    def __init__(self, number):
        self.data = f"session {number}"

sessions = {}

def handle(number):
    sessions[number] = Session(number)

def look():
    memscope = sys.modules.get("memscope")
    tracing = memscope is not None and memscope.is_tracing()
    fds, tasks = os.listdir("/proc/self/fd"), os.listdir("/proc/self/task")
    return sys.path, len(fds), len(tasks), threading.active_count(), tracing, sorted(vars())

print("ready", flush=True)
number = 0
while True:
    handle(number)
    number += 1
    time.sleep(0.001)
    if select.select([0], [], [], 0)[0]:
        if not sys.stdin.readline():
            break
        print(look(), flush=True)
"""


class Target:
    """A process to be watched, which has no memscope in its path."""

    def __init__(
        self, folder: Path, program: str = PROGRAM, flags: Sequence[str] = (), **options: Any
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", *flags, "-c", program],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        self.pid = self.process.pid
        assert self.line() == "ready\n", self.end()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def look(self) -> str:
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)
        return self.line()

    def end(self) -> str:
        """What it had to complain of."""
        try:
            return self.process.communicate(timeout=TIMEOUT)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    found = Target(tmp_path)
    yield found
    assert found.end() == ""
    assert found.process.returncode == 0


@pytest.fixture
def private(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the command makes its folder: a short path, as a socket's must be."""
    folder = Path(tempfile.mkdtemp(prefix="attach-", dir="/tmp"))
    folder.chmod(0o1777)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def start(*words: str, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "memscope", "attach", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def run(*words: str, **options: Any) -> tuple[int, str, str]:
    process = start(*words, **options)
    out, err = process.communicate(timeout=TIMEOUT)
    if "not allowed to look into" in err and not options:
        pytest.skip(f"this machine does not let one process trace another: {err}")
    return process.returncode, out, err


@pytest.mark.skipif(hasattr(sys, "remote_exec"), reason="needs a CPython before 3.14")
def test_before_3_14(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attach", str(os.getppid())]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert "3.14" in printed.err
    assert "memscope run" in printed.err


@needs_remote_exec
def test_a_leak_in_a_running_process(target: Target, private: Path) -> None:
    before = target.look()
    status, out, err = run(str(target.pid), "--duration", DURATION)
    assert status == 0, err
    assert "Session" in out
    assert "module __main__ -> sessions" in out
    assert "watching process" in err
    assert target.look() == before
    # And again: memscope is there by now.
    status, out, err = run(str(target.pid), "--duration", DURATION, "--json", "-q")
    assert err == ""
    assert LeakReport.from_dict(json.loads(out)).leaks[0].type_name == "__main__.Session"
    assert target.look() == before
    status, *_ = run(str(target.pid), "--duration", DURATION, "--fail-on-leak", "-q")
    assert status == 1
    assert list(private.iterdir()) == []


@needs_remote_exec
def test_to_a_file(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    assert run(str(target.pid), "--duration", DURATION, "-o", str(path))[0] == 0
    assert LeakReport.load(path).title == f"process {target.pid}"
    status, _, err = run(str(target.pid), "--duration", DURATION, "-o", str(path))
    assert status == 2
    assert "-f" in err


@needs_remote_exec
def test_ctrl_c_ends_it_with_a_report(target: Target) -> None:
    process = start(str(target.pid), "--duration", "600", "--interval", "0.3")
    assert process.stderr is not None
    assert "watching" in process.stderr.readline()
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 0, err
    assert "sessions" in out


@needs_remote_exec
def test_a_command_that_is_killed_leaves_the_process_alone(target: Target, private: Path) -> None:
    before = target.look()
    process = start(str(target.pid), "--duration", "600", "--interval", "0.1")
    assert process.stderr is not None
    assert "watching" in process.stderr.readline()
    assert target.look() != before
    process.kill()
    process.communicate()
    deadline = time.monotonic() + TIMEOUT
    while target.look() != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert target.look() == before


@needs_remote_exec
def test_a_process_that_ends_meanwhile(tmp_path: Path) -> None:
    found = Target(tmp_path)
    process = start(str(found.pid), "--duration", "600")
    assert process.stderr is not None
    assert "watching" in process.stderr.readline()
    assert found.end() == ""
    out, err = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, out) == (2, "")
    assert "before there was a report" in err


SLEEPS = """
import time
print("ready", flush=True)
time.sleep(1000)
"""


@needs_remote_exec
def test_a_process_that_does_not_answer(tmp_path: Path, private: Path) -> None:
    found = Target(tmp_path, SLEEPS)
    status, out, err = run(str(found.pid), "--timeout", "1")
    assert (status, out) == (2, "")
    assert "did not answer within 1 seconds" in err
    assert "is left there" in err
    [folder] = private.iterdir()
    assert str(folder) in err
    assert (folder / "begin.py").read_text() == ""
    found.process.terminate()
    found.end()


WAKES = """
import sys, time
print("ready", flush=True)
sys.stdin.readline()
for _ in range(100):
    time.sleep(0.001)
print(sorted(name for name in sys.modules if "memscope" in name), flush=True)
"""


@needs_remote_exec
def test_a_process_that_looks_when_the_command_has_given_up(tmp_path: Path, private: Path) -> None:
    found = Target(tmp_path, WAKES)
    assert run(str(found.pid), "--timeout", "1")[0] == 2
    assert found.look() == "[]\n"
    assert found.end() == ""


@needs_remote_exec
def test_a_process_that_has_another_memscope(tmp_path: Path) -> None:
    fake = "import sys, types\nsys.modules['memscope'] = types.ModuleType('memscope')\n"
    found = Target(tmp_path, fake + PROGRAM.replace("memscope is not None", "False"))
    status, out, err = run(str(found.pid))
    assert (status, out) == (2, "")
    assert "cannot be imported there" in err
    assert err.count("\n") == 1
    assert found.end() == ""


@needs_remote_exec
def test_a_process_that_forbids_it(tmp_path: Path) -> None:
    found = Target(tmp_path, flags=["-X", "disable-remote-debug"])
    status, out, err = run(str(found.pid))
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert found.end() == ""


@needs_remote_exec
def test_processes_that_are_none() -> None:
    with subprocess.Popen(["sleep", "1000"]) as other:
        status, _, err = run(str(other.pid))
        other.kill()
    assert status == 2
    assert err.count("\n") == 1
    for pid in (str(other.pid), "4194305", "99999999999999999999"):
        status, _, err = run(pid)
        assert status == 2
        assert "there is no process" in err
    with pytest.raises(CommandError, match="this process"):
        attach._owner(os.getpid())


@needs_remote_exec
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of another user")
def test_another_user(target: Target, private: Path) -> None:
    nobody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}
    probe = subprocess.run(
        [sys.executable, "-c", "import memscope.cli"],
        cwd="/",
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        **nobody,
    )
    if probe.returncode:
        pytest.skip("another user cannot use this interpreter and memscope")
    status, _, err = run(str(target.pid), **nobody)
    assert status == 2
    assert "not allowed" in err
    assert err.count("\n") == 1
    # The other way round: root watches somebody's process, which must reach the socket.
    found = Target(Path("/"), **nobody)
    status, out, err = run(str(found.pid), "--duration", DURATION)
    assert status == 0, err
    assert "sessions" in out
    assert found.end() == ""
