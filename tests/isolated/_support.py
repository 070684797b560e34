"""What the scenarios in this folder share.

A scenario is a script for a fresh process: exit code 0 means passed, 77 that
it cannot run here (the reason is on stdout), anything else, a signal or a
timeout that the fault it names is back.  tests/test_isolated.py runs them all;
one alone runs as `python tests/isolated/NAME.py`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

try:
    from memscope import _memscope as m
except ImportError:
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from memscope import _memscope as m

__all__ = [
    "BYTES",
    "DEBUG",
    "SURVIVES_FOREIGN_THREADS",
    "UNKNOWN",
    "WATCHED",
    "allocators",
    "deadline",
    "exercise",
    "ext",  # noqa: F822 -- made by __getattr__
    "foreign_blocks",
    "in_fork",
    "load_ext",
    "m",
    "python",
    "quick_start",
    "rows",
    "skip",
    "threads",
    "wait_child",
]

SKIP = 77
UNKNOWN = (("<unknown>", 0),)
"""The frames of a block that no Python frame made."""
WATCHED = 237
"""A size that CPython itself does not ask for: marks the blocks a scenario counts."""

BYTES = bytes.__basicsize__
"""bytes(n) is one block of n + BYTES bytes, on every version."""

HERE = Path(__file__).resolve().parent


def skip(reason: str) -> NoReturn:
    """This interpreter or machine cannot run the scenario."""
    print(reason)
    sys.stdout.flush()
    os._exit(SKIP)


def load_ext(name: str = "_memscope_testext") -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "memscope_testext_build", HERE.parent / "ext" / "build.py"
    )
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    try:
        module: ModuleType = build.load(name)
    except build.BuildError as error:
        skip(f"the test extension does not build: {error}")
    return module


def __getattr__(name: str) -> ModuleType:
    if name == "ext":
        globals()["ext"] = module = load_ext()
        return module
    raise AttributeError(name)


def quick_start(nframe: int = 1, **options: bool) -> None:
    """start() without the price of collecting what was there before."""
    gc.freeze()
    m.start(nframe, **options)


def rows(size: int | None = None, domain: int = 0) -> dict[int, tuple[Any, ...]]:
    """{address: (domain, size, frames newest first, total)} of a domain's live blocks."""
    columns = m.take_snapshot()
    traces = columns.traces()
    found = [
        i
        for i, trace in enumerate(traces)
        if trace[0] == domain and (size is None or trace[1] == size)
    ]
    result = {columns.address(i): traces[i] for i in found}
    assert len(result) == len(found), "one address, two rows"
    return result


def foreign_blocks(size: int = WATCHED) -> set[int]:
    """Addresses of the live blocks of that size that no Python frame made."""
    return {address for address, trace in rows(size).items() if trace[2] == UNKNOWN}


def exercise(count: int = 200) -> None:
    """Allocate and free in every domain, moved and unmoved."""
    kept: list[object] = []
    for i in range(count):
        kept.append([i, str(i) * (i % 40), {i: bytes(i * 13)}])
        if i % 3 == 0:
            kept[i // 2] = None


def deadline(seconds: float) -> Iterator[int]:
    """Count until the time is up."""
    end = time.monotonic() + seconds
    i = 0
    while time.monotonic() < end:
        yield i
        i += 1


@contextlib.contextmanager
def threads(count: int, work: Callable[[Callable[[], bool]], object]) -> Iterator[None]:
    """Run work(stopped) in so many threads around a block; an exception fails the scenario."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work(stop.is_set)
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=run) for _ in range(count)]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in running:
            thread.join()
    for error in errors:
        raise error


def wait_child(pid: int) -> int:
    """The child's exit code, -N for signal N."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_fork(work: Callable[[], object], name: object = "", timeout: int = 10) -> None:
    """Run work() in a forked child; it must end without an exception, a signal or a hang.

    A child that hangs is killed by its own alarm and shows as exit code -14.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        signal.alarm(timeout)
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    code = wait_child(pid)
    assert code == 0, f"{name}: the child ended with {code}"


DEBUG = hasattr(sys, "gettotalrefcount")

# Before 3.14 a debug build takes its debug allocator away while it finalises, whoever is
# inside, and dies of that without memscope too (7 of 50 exits of 3.11-dbg under threads that
# allocate without the GIL).
SURVIVES_FOREIGN_THREADS = not DEBUG or sys.version_info >= (3, 14)


def python(
    code: str,
    *arguments: str,
    timeout: float = 30.0,
    env: dict[str, str] | None = None,
    expect: int = 0,
) -> str:
    """Run code in a fresh interpreter, with this module importable; its stdout."""
    paths = [str(HERE), str(Path(m.__file__).resolve().parents[1])]
    if os.environ.get("PYTHONPATH"):
        paths.append(os.environ["PYTHONPATH"])
    done = subprocess.run(
        [sys.executable, *arguments, "-c", code],
        env={
            **os.environ,
            "PYTHONFAULTHANDLER": "1",
            "PYTHONPATH": os.pathsep.join(paths),
            **(env or {}),
        },
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    if done.returncode != expect:
        print(code, done.stdout, done.stderr, sep="\n")
        raise AssertionError(f"exit code {done.returncode}, not {expect}")
    return done.stdout


def allocators(*modes: str) -> Iterator[str]:
    """Those values of PYTHONMALLOC that this build knows; mimalloc came with CPython 3.13."""
    for mode in modes:
        try:
            python("pass", env={"PYTHONMALLOC": mode})
        except AssertionError:
            print("this build has no", mode)
            continue
        yield mode
