"""Calls of PyTraceMalloc_Track by extension modules: seen, passed on, and given back.

The mechanism (trace/got, trace/patches, trace/interpose) is plain C and is put
through its paces by interpose/program.c, which plays the part of CPython.  The
rest goes through the public interface, with numpy as the reporting module.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from memscope import _memscope

RunPython = Callable[..., object]

HERE = Path(__file__).resolve().parent / "interpose"
CORE = Path(__file__).resolve().parents[2] / "src" / "_memscope"
SUPPORTED = _memscope.status()["track"]["supported"]
WHY_NOT = str(_memscope.status()["track"]["reason"])

needs_support = pytest.mark.skipif(not SUPPORTED, reason=WHY_NOT)
needs_numpy = pytest.mark.skipif(
    importlib.util.find_spec("numpy") is None, reason="numpy is not installed"
)

# One way to link a module each; program.c knows the names.
LINKED = {
    "lazy": ["-fplt", "-Wl,-z,lazy", "-Wl,-z,norelro"],
    "partial": ["-fplt", "-Wl,-z,lazy", "-Wl,-z,relro"],
    "now": ["-fplt", "-Wl,-z,now", "-Wl,-z,relro"],
    "noplt": ["-fno-plt", "-Wl,-z,now", "-Wl,-z,relro"],
    "pointer": ["-DTHROUGH_POINTER"],
    "sysv": ["-fplt", "-Wl,-z,lazy", "-Wl,--hash-style=sysv"],
}
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]


def compile_c(*arguments: object) -> None:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("there is no C compiler")
    flags = ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]
    done = subprocess.run(
        [compiler, *flags, *map(str, arguments)], capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 0, done.stderr


def build(directory: Path, *, libpython: bool = False, flags: list[str]) -> Path:
    """Everything program.c needs, in `directory`; the path of the program."""
    shared = ["-std=gnu11", "-shared", "-fPIC", *flags]
    for kind, options in LINKED.items():
        first = directory / f"{kind}0.so"
        compile_c(*shared, *options, HERE / "module.c", "-o", first)
        for copy in (1, 2, 3):
            shutil.copy(first, directory / f"{kind}{copy}.so")
    compile_c(*shared, "-DSLOW", HERE / "module.c", "-o", directory / "slow0.so")
    compile_c(*shared, HERE / "loader.c", "-o", directory / "loader.so", "-ldl")
    core = [CORE / file for file in ("base/mem.c", "trace/got.c", "trace/patches.c")]
    compile_c(
        *(flag for flag in shared if flag != "-std=gnu11"),
        *("-std=c11", "-D_DEFAULT_SOURCE", f"-I{CORE}", *core, CORE / "trace/interpose.c"),
        *("-o", directory / "libtracer.so", "-ldl"),
    )
    program = directory / "program"
    against = [f"-I{CORE}", f"-L{directory}", f"-Wl,-rpath,{directory}"]
    libraries = ["-ltracer", "-ldl"]
    if libpython:
        cpython = directory / "libcpython.so"
        compile_c(
            *(*shared, "-DMAIN_IS_ELSEWHERE", HERE / "program.c"),
            *("-o", cpython, *against, *libraries),
        )
        compile_c(*flags, HERE / "elsewhere.c", "-o", program, *against, "-lcpython", *libraries)
    else:
        compile_c(
            *("-std=gnu11", *flags, HERE / "program.c", "-rdynamic"),
            *("-o", program, *against, *libraries),
        )
    return program


@needs_support
@pytest.mark.parametrize("kind", ["executable", "fixed address", "libpython", "sanitized"])
def test_mechanism(tmp_path: Path, kind: str) -> None:
    """The interpreter as position-independent and as fixed executable, and as a library."""
    flags = {"sanitized": SANITIZERS, "fixed address": ["-no-pie", "-fno-pie"]}.get(kind, [])
    if kind == "sanitized":
        probe = tmp_path / "probe.c"
        probe.write_text("int main(void) { return 0; }\n")
        try:
            compile_c(*SANITIZERS, probe, "-o", tmp_path / "probe")
        except AssertionError as error:
            pytest.skip(f"the compiler has no sanitizers: {error}")
    if kind == "fixed address":
        # -fPIC, for the libraries, comes before and would be overridden.
        program = build(tmp_path, flags=[])
        compile_c(
            *("-std=gnu11", *flags, HERE / "program.c", "-rdynamic", "-o", program),
            *(f"-I{CORE}", f"-L{tmp_path}", f"-Wl,-rpath,{tmp_path}", "-ltracer", "-ldl"),
        )
    else:
        program = build(tmp_path, libpython=kind == "libpython", flags=flags)
    kept = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(
        [program, tmp_path, "1"],
        capture_output=True,
        text=True,
        errors="replace",
        env=kept,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ran = [line.split()[-1] for line in done.stdout.splitlines()]
    assert ran[0] == "check_loaded_before"
    assert ran[-1] == "check_threads"


def test_status_says_whether_blocks_are_seen() -> None:
    track = _memscope.status()["track"]
    assert track["supported"] == (track["reason"] is None)
    assert track["supported"] == sys.platform.startswith("linux")
    assert track["modules"] == []
    assert track["missed"] == 0


ARRAYS = """
import sys, tracemalloc
from memscope import _memscope as m

DOMAIN = 389047

def rows():
    snapshot = m.take_snapshot()
    return {
        snapshot.address(i): trace
        for i, trace in enumerate(snapshot.traces())
        if trace[0] == DOMAIN
    }

def modules():
    return [path.rpartition("/")[2].partition(".")[0] for path in m.status()["track"]["modules"]]

def protections():
    with open("/proc/self/maps") as maps:
        return [line for line in maps if "_multiarray_umath" in line]

def check(numpy):
    array = numpy.zeros(1_000_000); line = sys._getframe().f_lineno
    address = array.ctypes.data
    assert rows()[address][:3] == (DOMAIN, 8_000_000, ((__file__, line),))
    del array
    assert address not in rows()

__file__ = "<string>"
"""


@needs_support
@needs_numpy
@pytest.mark.parametrize("late", [False, True])
def test_arrays_come_and_go(run_python: RunPython, late: bool) -> None:
    """A numpy imported before start(), and one imported after it."""
    order = "m.start()\nimport numpy" if late else "import numpy\nm.start()"
    run_python(f"{ARRAYS}\n{order}\nassert modules() == ['_multiarray_umath']\ncheck(numpy)")


@needs_support
@needs_numpy
def test_stop_puts_everything_back(run_python: RunPython) -> None:
    run_python(
        ARRAYS
        + """
import numpy
before = protections()
assert any(" r--p " in line for line in before)
for _ in range(100):
    assert modules() == []
    m.start()
    assert modules() == ["_multiarray_umath"]
    assert protections() == before
    check(numpy)
    m.stop()
    assert protections() == before
    assert m.status()["track"]["missed"] == 0
kept = numpy.ones(1000)
m.start()
assert not rows(), "made while tracing was off"
del kept
assert not rows()
m.stop()
"""
    )


@needs_support
@needs_numpy
def test_tracemalloc_still_gets_them(run_python: RunPython) -> None:
    run_python(
        ARRAYS
        + """
import numpy

def theirs():
    only = tracemalloc.DomainFilter(True, DOMAIN)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([only]).traces)

m.start()
array = numpy.zeros(1000)
for _ in range(3):
    tracemalloc.start()
    before = theirs()
    other = numpy.zeros(2000)
    assert theirs() == before + 16_000
    check(numpy)
    del other
    assert theirs() == before
    m.stop()
    other = numpy.zeros(2000)
    assert theirs() == before + 16_000
    del other
    m.start()
    tracemalloc.stop()
    check(numpy)
m.stop()
"""
    )


@needs_support
@needs_numpy
def test_a_forked_child_goes_on(run_python: RunPython) -> None:
    run_python(
        ARRAYS
        + """
import os, numpy
m.start()
array = numpy.zeros(1000)
for stopped in (False, True):
    pid = os.fork()
    if pid == 0:
        try:
            assert rows()[array.ctypes.data][1] == 8000
            check(numpy)
            import numpy.fft, numpy.random
            numpy.random.rand(5)
            if stopped:
                m.stop()
                assert modules() == []
                m.start()
                check(numpy)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    check(numpy)
m.stop()
"""
    )


@needs_support
@needs_numpy
def test_own_memory_exhausted(run_python: RunPython) -> None:
    """A module that comes while memscope has no memory works, covered or not; later it is."""
    run_python(
        ARRAYS
        + """
m.start()
m._fail_after(0)
import numpy
array = numpy.zeros(1_000_000)
assert array.sum() == 0
del array
m._fail_after(-1)
m.stop()
m.start()
check(numpy)
m.stop()
"""
    )
