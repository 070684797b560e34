"""The memory of the process: its table, its differences, and what is made of them.

Whether the figures are true is for tests/isolated/memory_*.py, in processes of their own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memscope
from memscope import _memscope, process
from memscope.process import MIB, MemoryChange, ProcessMemory, explain

NAMES = list(ProcessMemory().to_dict())
SIZES = st.none() | st.integers(0, 1 << 40)
MEMORIES = st.builds(ProcessMemory, **dict.fromkeys(NAMES, SIZES))


def mib(**sizes: float) -> ProcessMemory:
    """A process of 100 MiB with these figures in MiB, the others 0."""
    given = {**dict.fromkeys(NAMES, 0), "rss": 100, "anonymous": 60, **sizes}
    return ProcessMemory(**{name: int(size * MIB) for name, size in given.items()})


START = mib()


def kind(newer: ProcessMemory, python: float = 0) -> str | None:
    found = explain(START, newer, int(python * MIB))
    return None if found is None else found.kind


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_this_process() -> None:
    memory = process.process_memory()
    page = {line.split(":")[0]: line for line in Path("/proc/self/status").read_text().splitlines()}
    rss = int(page["VmRSS"].split()[1]) * 1024
    assert memory.rss is not None
    assert abs(memory.rss - rss) < 64 * MIB
    assert memory.peak_rss is not None and memory.peak_rss > MIB
    assert memory.python_blocks is not None and memory.python_blocks > 1000
    assert memory.traced is None
    assert json.loads(json.dumps(memory.to_dict())) == memory.to_dict()


def test_what_is_traced_is_there_while_tracing() -> None:
    memscope.start()
    try:
        block = bytearray(MIB)
        traced = process.process_memory().traced
    finally:
        memscope.stop()
    assert traced is not None
    assert traced >= len(block)


def test_a_figure_nobody_tells_is_none_and_the_reason_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_memscope, "pymalloc_memory", lambda: "not here")
    monkeypatch.setattr(_memscope, "libc_memory", lambda: "nor here")
    monkeypatch.setattr(process, "_system", lambda: {"peak_rss": 5 * MIB})
    memory = process.process_memory()
    assert (memory.rss, memory.arenas_total, memory.libc_free, memory.other) == (None,) * 4
    assert len(memory.notes) == 3
    assert "not here" in str(memory) and "nor here" in str(memory)
    assert explain(None, memory) is explain(memory, memory) is None


def test_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_args: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    found = process._system()
    assert set(found) == {"peak_rss"}


def test_a_kernel_that_tells_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_bytes(b"Name:\tx\xff:y\nVmRSS:\t  12 kB\nRssAnon:\nodd line\n")
    real = open
    monkeypatch.setattr("builtins.open", lambda _path, mode: real(status, mode))
    found = process._system()
    assert found == {"rss": 12 * 1024, "peak_rss": None, "anonymous": None, "files": None}


@given(MEMORIES, MEMORIES)
def test_a_difference_is_the_difference(older: ProcessMemory, newer: ProcessMemory) -> None:
    change = newer.diff(older)
    assert isinstance(change, MemoryChange)
    for name, value in change.to_dict().items():
        before, after = getattr(older, name), getattr(newer, name)
        assert value == (None if before is None or after is None else after - before)
    assert set(newer.diff(newer).to_dict().values()) <= {0, None}


@given(MEMORIES, MEMORIES, st.integers(0, 1 << 40))
def test_any_two_moments_can_be_explained(
    older: ProcessMemory, newer: ProcessMemory, python: int
) -> None:
    str(newer), str(newer.diff(older))
    assert explain(newer, newer) is None, "nothing grew"
    for before in (older, None):
        found = explain(before, newer, python)
        if found is not None:
            assert found.kind in ("fragmentation", "libc-retention", "native-memory")
            assert "MiB" in found.sentence and found.advice


def test_the_table() -> None:
    text = str(mib(arenas_used=10, arenas_free=20, libc_free=30, traced=5, peak_rss=200))
    assert "100.0          resident (RSS)" in text
    assert " 20.0  20.0 %  free in pymalloc's arenas" in text
    assert "The peak of what was resident: 200 MiB." in text
    change = str(mib(rss=90, arenas_free=1.5).diff(START))
    assert "-10.0    resident (RSS)" in change
    assert " +1.5    free in pymalloc's arenas" in change
    assert "?" in str(ProcessMemory())


def test_what_is_named() -> None:
    grown = {"rss": 140, "anonymous": 100}
    fragmented = mib(**grown, arenas_total=38, arenas_used=2, arenas_free=36, arenas_scattered=30)
    assert kind(fragmented) == "fragmentation"
    found = explain(START, fragmented)
    assert found is not None
    for size in ("40.0", "38.0", "2.0", "36.0", "30.0"):
        assert f"{size} MiB" in found.sentence
    assert kind(mib(**grown, libc_free=35)) == "libc-retention"
    assert kind(mib(**grown, libc_used=35)) == "native-memory"
    assert kind(mib(**grown, other=35)) == "native-memory"
    # The larger part names it.
    assert kind(mib(**grown, libc_free=12, other=20)) == "native-memory"
    assert kind(mib(**grown, libc_free=20, other=12)) == "libc-retention"


def test_what_is_python_s_is_left_to_it() -> None:
    grown = {"rss": 140, "anonymous": 100}
    assert kind(mib(**grown, libc_used=40), python=20) is None
    assert kind(mib(**grown, libc_used=40, traced=20)) is None
    assert kind(mib(**grown, arenas_total=42, arenas_used=38, arenas_free=4)) is None
    assert kind(mib(**grown, libc_used=40), python=10) == "native-memory"


def test_what_is_no_growth_is_not_explained() -> None:
    assert kind(START) is None
    assert kind(mib(rss=107, anonymous=67, libc_free=30)) is None, "less than LEAST_BYTES"
    assert kind(mib(rss=200, anonymous=60, files=100)) is None, "mapped files"
    assert kind(mib(rss=140, anonymous=80, files=20, other=40)) is None, "a library's data"
    assert kind(mib(rss=60, anonymous=20, libc_free=30)) is None, "it shrank"
    # A heap whose pages went back: free, but not resident.
    assert kind(mib(libc_free=500)) is None
    # memscope's own tables.
    assert kind(mib(rss=140, anonymous=100, memscope=38, libc_used=38)) is None
    assert kind(mib(rss=140, anonymous=100, memscope=20, libc_used=20, libc_free=20)) is None


def test_a_large_process_is_given_more_room() -> None:
    older = mib(rss=4000, anonymous=3900)
    assert explain(older, mib(rss=4040, anonymous=3940, libc_used=40)) is None
    assert explain(older, mib(rss=4200, anonymous=4100, libc_used=200)) is not None


def test_where_only_rss_is_known() -> None:
    older, newer = ProcessMemory(rss=MIB), ProcessMemory(rss=101 * MIB)
    found = explain(older, newer)
    assert found is not None
    assert found.kind == "native-memory"
    assert "in use by malloc" not in found.sentence
