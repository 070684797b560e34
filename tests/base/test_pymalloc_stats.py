"""The text that CPython prints of its arenas is read right, or not believed."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

SOURCE = Path(__file__).resolve().parents[2] / "src" / "_memscope"

TEXT = """\
Small block threshold = 512, in 32 size classes.

# arenas allocated current         =                    4
4 arenas * 1048576 bytes/arena     =            4,194,304

# bytes in allocated blocks        =            3,495,728
# bytes in available blocks        =              326,752
18 unused pools * 16384 bytes      =              294,912
# bytes lost to pool headers       =               11,280
# bytes lost to quantization       =               16,480
# bytes lost to arena alignment    =               49,152
Total                              =            4,194,304

arena map counts
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    built = tmp_path_factory.mktemp("pymalloc") / "stats.so"
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{SOURCE}"]
    source = SOURCE / "base" / "pymalloc_stats.c"
    subprocess.run([compiler, *flags, str(source), "-o", str(built)], check=True)
    return ctypes.CDLL(str(built))


def parse(library: ctypes.CDLL, text: bytes) -> tuple[int, ...] | None:
    stats = (ctypes.c_uint64 * 4)(*[7] * 4)
    result = library.pymalloc_stats_parse(stats, text)
    assert result == 0 or list(stats) == [7] * 4, "changed by what was refused"
    return tuple(stats) if result == 0 else None


def test_the_text_as_it_is(library: ctypes.CDLL) -> None:
    assert parse(library, TEXT.encode()) == (4194304, 3495728, 326752, 294912)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("3,495,728", "3,495,729"),
        ("3,495,728", "18446744073709551615"),
        ("3,495,728", "99999999999999999999999"),
        ("3,495,728", "many"),
        ("          3,495,728", ""),
        ("in allocated blocks        =", "in allocated blocks         "),
        ("# bytes in allocated blocks", "# bytes in new blocks"),
        (" bytes/arena ", " bytes an arena "),
    ],
)
def test_another_text(library: ctypes.CDLL, old: str, new: str) -> None:
    assert old in TEXT
    assert parse(library, TEXT.replace(old, new).encode()) is None


def test_half_a_text(library: ctypes.CDLL) -> None:
    complete = TEXT.index("49,152") + len("49,152")
    for end in range(complete):
        assert parse(library, TEXT[:end].encode()) is None
    assert parse(library, TEXT[:complete].encode()) is not None


@given(st.binary(max_size=300), st.integers(0, len(TEXT)))
def test_any_text(library: ctypes.CDLL, noise: bytes, at: int) -> None:
    parse(library, TEXT[:at].encode() + noise + TEXT[at:].encode())
    parse(library, noise)
