"""memscope run: a program cannot tell, and its user gets a report.

Each program runs twice, with python and with memscope run, and all that can be seen of it
from outside must be the same.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import memscope
from memscope import helper, session
from memscope.cli import main, run

ROOT = Path(__file__).resolve().parent.parent

SLOW = "asan" in os.environ.get("LD_PRELOAD", "") or hasattr(sys, "gettotalrefcount")
TIMEOUT = 300

Done = subprocess.CompletedProcess


def start(
    folder: Path, *words: str, env: dict[str, str | None] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """The interpreter with *words*, in *folder*; it finds the memscope under test."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    for name, value in (env or {}).items():
        environment.pop(name, None)
        if value is not None:
            environment[name] = value
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=options.pop("stdin", subprocess.DEVNULL),
        **options,
    )


def end(process: subprocess.Popen[bytes], given: bytes | None = None) -> Done[bytes]:
    out, err = process.communicate(given, timeout=TIMEOUT)
    return Done(process.args, process.returncode, out, err)


def watched(folder: Path, *words: str, **options: Any) -> Done[bytes]:
    """memscope run with *words*."""
    return end(start(folder, "-m", "memscope", "run", *words, **options))


def both(
    folder: Path,
    *words: str,
    given: bytes | None = None,
    flags: tuple[str, ...] = (),
    **options: Any,
) -> tuple[Done[bytes], Done[bytes]]:
    """The program with python alone, and with memscope run, which also writes its report."""
    if given is not None:
        options["stdin"] = subprocess.PIPE
    plain = end(start(folder, *flags, *words, **options), given)
    report = folder / "report.json"
    own = ("-m", "memscope", "run", "-q", "-f", "-o", str(report))
    ours = end(start(folder, *flags, *own, *words, **options), given)
    return plain, ours


def same(plain: Done[bytes], ours: Done[bytes]) -> None:
    def facts(done: Done[bytes]) -> tuple[int, str, str]:
        out, err = (
            re.sub("0x[0-9a-f]+", "0x", text.decode()) for text in (done.stdout, done.stderr)
        )
        return done.returncode, out, err

    assert facts(ours) == facts(plain)


FACTS = """
import __main__, builtins, os, sys, threading, traceback
print(sys.argv, sys.orig_argv, sys.flags, sys.warnoptions, sorted(sys._xoptions))
print(sys.path, sys.executable, sys.prefix)
print(sorted(name for name in os.environ if name.startswith(("PYTHON", "MEMSCOPE"))))
print(os.environ.get("PYTHONPATH"))
print(__name__, globals().get("__file__"), __package__, __spec__, type(__loader__))
print(sorted(vars(__main__)), __main__.__dict__ is globals(), __builtins__ is builtins)
print([name for name in sys.modules if "site" in name], threading.active_count())
print(sys.getrecursionlimit(), sys.gettrace(), sys.getprofile(), sys.excepthook, sys.flags)
traceback.print_stack()
frame = sys._getframe()
print(frame.f_back, frame.f_code.co_filename)
"""

PROGRAMS = {
    "facts": FACTS,
    "exit_0": "import sys; print('x'); sys.exit(0)",
    "exit_3": "import sys; sys.exit(3)",
    "exit_none": "import sys; sys.exit()",
    "exit_text": "import sys; sys.exit('a reason')",
    "exit_huge": "import sys; sys.exit(1 << 40)",
    "exit_object": "import sys; sys.exit([1, 2])",
    "system_exit": "raise SystemExit(7)",
    "os_exit": "import os; print('lost, perhaps', flush=True); os._exit(9)",
    "error": "def f():\n    g()\ndef g():\n    1 / 0\nf()",
    "error_with_cause": """
        try:
            {}["a"]
        except KeyError as error:
            raise ValueError("no") from error
        """,
    "error_group": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "error_in_a_name": "value = 1\nprint(valeu)",
    "syntax_error": "print('a'\n)(",
    "recursion": "def f():\n    f()\nf()",
    "excepthook": """
        import sys
        def hook(kind, value, traceback):
            print("hooked", kind, value, traceback.tb_frame, traceback.tb_next, sys.last_value)
        sys.excepthook = hook
        raise ValueError(1)
        """,
    "broken_excepthook": "import sys\nsys.excepthook = lambda *a: 1 / 0\nraise ValueError(1)",
    "interrupted": "raise KeyboardInterrupt",
    "interrupted_by_signal": """
        import os, signal
        os.kill(os.getpid(), signal.SIGINT)
        """,
    "terminated": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "aborted": "import os, resource, signal\n"
    "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.kill(os.getpid(), signal.SIGABRT)",
    "atexit_order": """
        import atexit, threading, time
        atexit.register(print, "first registered, last called")
        def work():
            time.sleep(0.2)
            print("the thread ends")
        threading.Thread(target=work).start()
        atexit.register(print, "last registered, first called")
        print("main ends")
        """,
    "atexit_fails": "import atexit\natexit.register(lambda: 1 / 0)",
    "thread_fails": "import threading\nthreading.Thread(target=lambda: 1 / 0).start()",
    "interrupted_while_threads_end": """
        import os, signal, threading, time
        def work():
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)
        threading.Thread(target=work).start()
        """,
    "finalizers": """
        class Loud:
            def __del__(self):
                print("gone", self.name)
        a, b = Loud(), Loud()
        a.name, b.name = "a", "b"
        b.me = b
        """,
    "warnings": """
        import warnings
        warnings.warn("here")
        warnings.warn("above", stacklevel=2)
        warnings.warn("old", DeprecationWarning)
        import os
        os.popen("true").close()
        open("/dev/null")
        """,
    "stdin": "import sys\nprint(sys.stdin.readline(), input('?'), sys.stdin.read())",
    "pickled": """
        import pickle
        class Here:
            pass
        data = pickle.dumps(Here())
        print(b"__main__" in data, type(pickle.loads(data)) is Here)
        """,
    "fork": """
        import os, sys, time
        import signal
        print(signal.getsignal(signal.SIGTERM), flush=True)
        for _ in range(3):
            if (pid := os.fork()) == 0:
                print("child", flush=True)
                sys.exit(4)
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
            time.sleep(0.1)
            import gc
            gc.collect()
        """,
    "killed_in_a_fork": """
        import os, signal
        if (pid := os.fork()) == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
            os._exit(5)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        """,
    "unraisable": "class A:\n    def __del__(self):\n        1 / 0\na = A()\ndel a",
    "inspected": """
        import inspect, sys
        def here():
            return [frame.function for frame in inspect.stack()]
        print(here(), sys.modules["__main__"].__dict__ is globals())
        """,
    "closed_streams": "import sys\nsys.stdout.close()\nsys.stderr.close()",
    "no_stdout": "import sys\nsys.stdout = None\nsys.stderr = None",
    "subinterpreter": """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        other = interpreters.create()
        text = "import sys, os; print(sys.path == {!r}, 'sitecustomize' in sys.modules, flush=True)"
        import sys
        interpreters.run_string(other, text.format(sys.path[1:]))
        interpreters.destroy(other)
        """,
}

MULTIPROCESSING = """
import multiprocessing, os, sys

class Answer:
    def __init__(self, number):
        self.number = number

def double(answer):
    return Answer(2 * answer.number)

if __name__ == "__main__":
    for method in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context(method)
        with context.Pool(2) as pool:
            print(method, [one.number for one in pool.map(double, map(Answer, range(5)))])
        process = context.Process(target=sys.exit, args=(3,))
        process.start()
        process.join()
        print(process.exitcode)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_file(place: Path, name: str) -> None:
    (place / f"{name}.py").write_text(dedent(PROGRAMS[name]))
    given = b"one\ntwo\nthree\nfour\n" if name == "stdin" else None
    same(*both(place, f"{name}.py", "--option", "-m", "x y", given=given))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_command(place: Path, name: str) -> None:
    given = b"one\ntwo\nthree\nfour\n" if name == "stdin" else None
    same(*both(place, "-c", dedent(PROGRAMS[name]), "-c", "-o", "--", "", given=given))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_module(place: Path, name: str) -> None:
    (place / f"{name}.py").write_text(dedent(PROGRAMS[name]))
    given = b"one\ntwo\nthree\nfour\n" if name == "stdin" else None
    same(*both(place, "-m", name, "--help", "-q", given=given))


def test_packages_folders_and_archives(tmp_path: Path) -> None:
    import zipapp

    package = tmp_path / "package" / "inner"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("print('package', __name__)\n")
    (package / "__init__.py").write_text("print('inner', __name__)\n")
    (package / "__main__.py").write_text(f"from . import module\n{FACTS}\nprint(module)\n")
    (package / "module.py").write_text(f"{FACTS}\n1 / 0\n")
    (package.parent / "__main__.py").write_text("print('main')\n")
    zipapp.create_archive(package.parent, tmp_path / "archive.pyz")
    for words in (
        ["-m", "package"],
        ["-m", "package.inner"],
        ["-m", "package.inner.module"],
        ["-m", "package.nothing"],
        ["-mpackage", "-mx"],
        ["package"],
        ["./package/../package/"],
        ["archive.pyz", "a"],
        [str(package / "module.py")],
        ["nothing.py"],
        ["-m", "timeit", "-n", "1", "-r", "1", "-v", "--help"],
    ):
        same(*both(tmp_path, *words))


def test_a_program_on_stdin(tmp_path: Path) -> None:
    same(*both(tmp_path, "-", "a", given=FACTS.encode()))


def test_multiprocessing(tmp_path: Path) -> None:
    (tmp_path / "pools.py").write_text(MULTIPROCESSING)
    plain, ours = both(tmp_path, "pools.py")
    assert plain.returncode == 0, plain.stderr.decode()
    same(plain, ours)
    same(*both(tmp_path, "-m", "pools"))


@pytest.mark.parametrize(
    "flags",
    [
        ("-O",),
        ("-u", "-B"),
        ("-W", "error"),
        ("-Werror::DeprecationWarning",),
        ("-X", "dev", "-X", "utf8=0"),
        ("-P",),
        ("-s", "-q"),
        ("-bb",),
    ],
    ids=" ".join,
)
def test_the_interpreters_own_options(tmp_path: Path, flags: tuple[str, ...]) -> None:
    program = f"{FACTS}\nassert not print('asserts')\nimport warnings\nwarnings.warn('here')\n"
    (tmp_path / "program.py").write_text(program)
    same(*both(tmp_path, "program.py", "-O", flags=flags))


AS_MAIN = """
import sys
sys.path.insert(0, {!r})
from memscope.cli import main
sys.exit(main(["run", "-c", "print(1)"]))
"""


@pytest.mark.parametrize("flag", ["-I", "-E", "-S"])
def test_options_that_make_it_impossible(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    done = subprocess.run(
        [sys.executable, flag, "-c", AS_MAIN.format(str(ROOT))],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert flag in done.stderr


def test_the_environment(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(FACTS)
    for value in (f"{ROOT}", f"{ROOT}{os.pathsep}relative", f"{os.pathsep}{ROOT}{os.pathsep}"):
        same(*both(tmp_path, "program.py", env={"PYTHONPATH": value}))
    same(*both(tmp_path, "program.py", env={"PYTHONHASHSEED": "1", "LC_ALL": "C"}))


def test_the_machines_own_sitecustomize(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import sys\nsys.custom = __file__, __name__\n")
    program = f"{FACTS}\nimport sitecustomize\nprint(sys.custom, sitecustomize.__spec__)\n"
    (tmp_path / "program.py").write_text(program)
    path = os.pathsep.join([str(own), str(ROOT)])
    plain, ours = both(tmp_path, "program.py", env={"PYTHONPATH": path})
    assert plain.returncode == 0
    same(plain, ours)
    (own / "sitecustomize.py").write_text("import a_module_that_is_not_there\n")
    (tmp_path / "program.py").write_text(FACTS)
    plain, ours = both(tmp_path, "program.py", env={"PYTHONPATH": path})
    # The interpreter of memscope itself complains too, before it becomes the program's.
    complaint = "".join(plain.stderr.decode().splitlines(keepends=True)[:2]).encode()
    assert b"sitecustomize" in complaint
    plain.stderr = complaint + plain.stderr
    same(plain, ours)


def test_modules_that_are_named_as_ours_are(tmp_path: Path) -> None:
    folder = tmp_path / "program"
    names = ("json", "textwrap", "dataclasses", "inspect", "html")
    (folder / "html").mkdir(parents=True)
    for name in names:
        path = folder / (f"{name}.py" if name != "html" else "html/__init__.py")
        path.write_text("print(__name__, __file__)\n")
    program = "".join(f"import {name}\nprint({name}.__file__)\n" for name in names)
    (folder / "program.py").write_text(program)
    # python -m would take the modules of the folder for Python's own, so it is started like
    # the memscope script.
    (tmp_path / "memscope").write_text("from memscope.cli import main\nraise SystemExit(main())")
    for words in (["program.py"], ["-m", "program"], ["-c", program]):
        plain = end(start(folder, *words))
        options = ("-q", "-f", "-o", "r.html", "-o", "r.json", "-o", "r.txt", "--heap", "r.heap")
        ours = end(start(folder, str(tmp_path / "memscope"), "run", *options, *words))
        assert plain.stdout.count(str(folder).encode()) == 2 * len(names)
        same(plain, ours)
        assert "<html" in (folder / "r.html").read_text()


# -- the report

LEAKY = """
import sys, time

class Session:
    def __init__(self, number):
        self.data = f"session {number}"

sessions = {}

def handle(number):
    sessions[number] = Session(number)

end = time.monotonic() + float(sys.argv[1])
number = 0
while time.monotonic() < end or number < 2000:
    handle(number)
    number += 1
    time.sleep(0.0005)
print("handled")
"""

STEADY = """
import sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    [object() for _ in range(100)]
    time.sleep(0.0005)
"""

SECONDS = "12" if SLOW else "4"


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaky")
    (folder / "leaky.py").write_text(LEAKY)
    (folder / "steady.py").write_text(STEADY)
    return folder


def test_a_leak_is_reported(leaky: Path) -> None:
    done = watched(leaky, "leaky.py", SECONDS)
    assert done.returncode == 0
    assert done.stdout == b"handled\n"
    text = done.stderr.decode()
    assert "Session" in text
    assert "module __main__ -> sessions" in text
    assert "\x1b" not in text
    coloured = watched(leaky, "leaky.py", SECONDS, env={"FORCE_COLOR": "1"})
    assert b"\x1b[" in coloured.stderr


def test_no_leak_is_reported(leaky: Path) -> None:
    done = watched(leaky, "--fail-on-leak", "steady.py", SECONDS)
    assert done.stderr.decode().startswith("No leak")
    assert done.returncode == 0


def test_files_of_every_kind(leaky: Path) -> None:
    names = ["a.html", "a.json", "a.txt", "a.memscope"]
    options = [word for name in names for word in ("-o", name)]
    done = watched(leaky, *options, "--heap", "a.heap", "--nframe", "3", "leaky.py", SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    said = done.stderr.decode().splitlines()
    assert {line.rpartition("/")[2] for line in said} == {*names, "a.heap"}
    assert all(line.startswith("memscope: written to ") for line in said)
    report = memscope.LeakReport.load(leaky / "a.json")
    assert report.leaks[0].type_name == "__main__.Session"
    assert report.title == "leaky.py"
    assert "<html" in (leaky / "a.html").read_text()
    assert "Session" in (leaky / "a.txt").read_text()
    snapshot = memscope.Snapshot.load(leaky / "a.memscope")
    assert snapshot.traceback_limit == 3
    assert len(memscope.HeapSnapshot.load(leaky / "a.heap").find(type="Session")) >= 2000


def test_files_are_not_overwritten(leaky: Path) -> None:
    (leaky / "there.json").write_text("mine")
    for options in (["-o", "there.json"], ["--heap", "there.json"]):
        done = watched(leaky, *options, "leaky.py", "0")
        assert done.returncode == 2
        assert done.stdout == b""
        assert done.stderr.decode().count("\n") == 1
        assert (leaky / "there.json").read_text() == "mine"


def test_to_stdout_as_json(leaky: Path) -> None:
    done = watched(leaky, "--json", "-o", "-", "leaky.py", SECONDS)
    own, _, data = done.stdout.decode().partition("\n")
    assert own == "handled"
    assert json.loads(data)["leaking"] is True
    assert done.stderr == b""


def test_fail_on_leak(leaky: Path) -> None:
    options = ("-q", "--fail-on-leak")
    assert watched(leaky, *options, "leaky.py", SECONDS).returncode == 1
    assert watched(leaky, *options, "-c", "import sys; sys.exit(5)").returncode == 5
    assert watched(leaky, *options, "-c", "1").returncode == 0
    killed = watched(leaky, *options, "-c", "import os; os.kill(os.getpid(), 15)")
    assert killed.returncode == -signal.SIGTERM


def test_fail_on_leak_passes_signals_on(leaky: Path) -> None:
    program = """if True:
        import time, signal
        signal.signal(signal.SIGTERM, lambda *_: exit(8))
        print("ready", flush=True)
        time.sleep(100)"""
    process = start(leaky, "-m", "memscope", "run", "-q", "--fail-on-leak", "-c", program)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert end(process).returncode == 8


def test_a_short_program_leaks_nothing(leaky: Path) -> None:
    done = watched(leaky, "--fail-on-leak", "-c", "kept = [[n] for n in range(100_000)]")
    assert done.returncode == 0
    text = done.stderr.decode()
    assert text.startswith("No leak")
    assert "too soon" in text
    assert "alive at the end" in text


WAITS = """
import os, signal, sys, time
kept = []
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    kept.append([0])
    time.sleep(0.001)
"""


@pytest.mark.parametrize("interval", ["0", "0.3"])
def test_a_report_on_a_signal(tmp_path: Path, interval: str) -> None:
    stop = tmp_path / "stop"
    words = ["-o", "r.json", "-o", "r.memscope", "--interval", interval, "-c", WAITS, str(stop)]
    process = start(tmp_path, "-m", "memscope", "run", *words)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"ready\n"
    for number in (1, 2):
        process.send_signal(signal.SIGUSR1)
        written = [process.stderr.readline().decode() for _ in range(2)]
        assert f"r.{number}.memscope" in written[0]
        assert f"r.{number}.json" in written[1]
        memscope.LeakReport.load(tmp_path / f"r.{number}.json")
    stop.touch()
    done = end(process)
    assert done.returncode == 0
    assert sorted(path.name for path in tmp_path.glob("r.*")) == sorted(
        ["r.json", "r.memscope", "r.1.json", "r.1.memscope", "r.2.json", "r.2.memscope"]
    )


def test_another_signal_or_none(tmp_path: Path) -> None:
    show = "import signal; print(signal.getsignal(signal.{}))"
    options = ("-q", "--signal", "none")
    done = watched(tmp_path, *options, "-c", show.format("SIGUSR1"))
    assert done.stdout == b"0\n" or b"SIG_DFL" in done.stdout
    done = watched(tmp_path, "-q", "--signal", "usr2", "-c", show.format("SIGUSR2"))
    assert b"WatchedProgram" in done.stdout


def test_ctrl_c_still_writes_the_file(tmp_path: Path) -> None:
    program = "import time\nprint('ready', flush=True)\ntime.sleep(100)"
    process = start(tmp_path, "-m", "memscope", "run", "-q", "-o", "r.json", "-c", program)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    done = end(process)
    assert done.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in done.stderr
    memscope.LeakReport.load(tmp_path / "r.json")


def test_what_goes_wrong_in_us_costs_only_the_report(tmp_path: Path) -> None:
    stop = "import memscope; memscope.watch = None; memscope.stop(); print('on')"
    done = watched(tmp_path, "-o", "r.memscope", "-c", stop)
    assert (done.returncode, done.stdout) == (0, b"on\n")
    assert b"the report failed" in done.stderr or b"cannot write" in done.stderr
    assert done.stderr.count(b"\n") == 1
    gone = tmp_path / "gone"
    gone.mkdir()
    done = watched(tmp_path, "-o", "gone/r.json", "-c", "import os; os.rmdir('gone'); print('on')")
    assert (done.returncode, done.stdout) == (0, b"on\n")
    assert b"cannot write" in done.stderr


# -- the parts


@pytest.mark.parametrize(
    ("words", "options", "program"),
    [
        ("run a.py -q -o x", "run", "a.py -q -o x"),
        ("run -q -o x a.py b", "run -q -o x", "a.py b"),
        ("run -qo x a.py", "run -qo x", "a.py"),
        ("run -qox a.py", "run -qox", "a.py"),
        ("run --output=x a.py", "run --output=x", "a.py"),
        ("run --heap x -m pkg -q", "run --heap x", "-m pkg -q"),
        ("run -qm pkg -q", "run -q", "-m pkg -q"),
        ("run -mpkg -q", "run", "-mpkg -q"),
        ("run -q -c code x", "run -q", "-c code x"),
        ("run -q -- a.py --", "run -q", "a.py --"),
        ("run - a", "run", "- a"),
        ("run", "run", ""),
        ("run -q", "run -q", ""),
    ],
)
def test_where_the_program_begins(words: str, options: str, program: str) -> None:
    assert run.split(words.split()) == (options.split(), program.split())


@pytest.mark.parametrize(
    "words",
    [
        "run", "run -m", "run -c", "run -q", "run -o x.unknown a.py", "run -o /nowhere/x.json a.py",
        "run --nframe 0 a.py", "run --nframe x a.py", "run --interval -1 a.py",
        "run --interval nan a.py", "run --signal KILL a.py", "run --signal nothing a.py",
        "run --unknown a.py", "run -o",
    ],
)  # fmt: skip
def test_wrong_usage(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(words.split())
    except SystemExit as ended:
        status = ended.code  # type: ignore[assignment]
    assert status == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "memscope" in printed.err


def test_the_options_of_the_interpreter_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def found(*words: str) -> list[str]:
        monkeypatch.setattr(sys, "orig_argv", ["python", *words])
        monkeypatch.setattr(sys, "argv", ["memscope", "run", "a.py"])
        return run._interpreter_options()

    tail = ("run", "a.py")
    assert found("-m", "memscope", *tail) == []
    assert found("-um", "memscope", *tail) == ["-u"]
    assert found("-mmemscope", *tail) == []
    assert found("-OOmmemscope", *tail) == ["-OO"]
    assert found("-W", "error", "-Xdev", "-m", "memscope", *tail) == ["-W", "error", "-Xdev"]
    assert found("-s", "/usr/bin/memscope", *tail) == ["-s"]
    assert found("-Wm", "/usr/bin/memscope", *tail) == ["-Wm"]
    assert found("something", "else") == run._interpreter_options()


def test_the_pace_of_checkpoints() -> None:
    pace = helper.Pace(None)
    waits = []
    for _ in range(100):
        waits.append(pace.wait)
        pace.passed(0.01)
    assert waits[0] == helper.FIRST
    assert max(waits) == helper.LONGEST
    assert waits[3:] == sorted(waits[3:])
    pace.passed(100.0)
    assert pace.wait == 100 * helper.COST
    fixed = helper.Pace(2.0)
    fixed.passed(100.0)
    assert fixed.wait == 2.0


def test_a_number_that_is_free(tmp_path: Path) -> None:
    (tmp_path / "r.1.json").touch()
    (tmp_path / "r.2.json").symlink_to("nowhere")
    assert session.numbered(str(tmp_path / "r.json"), 1) == str(tmp_path / "r.3.json")
