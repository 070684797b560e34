"""Saved snapshots: whole or not there, refused with a sentence, never run."""

from __future__ import annotations

import os
import pickle
import stat
import threading
import tracemalloc as stdlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memscope
from memscope import files
from memscope import tracemalloc as dropin

timeless = settings(deadline=None)  # others use this machine too

RAW: list[Any] = [
    (0, 100, (("a.py", 1), ("b.py", 2)), None),
    (0, 5 << 32, (("a.py", 1),), None),
    (389047, 1, (("caf\xe9.py", 0),), 7),
]


def snapshot() -> memscope.Snapshot:
    return memscope.Snapshot(RAW, 25)


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "one.mem"
    for name in (path, str(path), os.fsencode(path)):
        snapshot().save(name)
        loaded = memscope.Snapshot.load(name)
        assert loaded.traces == snapshot().traces
        assert loaded.traceback_limit == 25
        assert loaded.total_size == snapshot().total_size
    assert os.listdir(tmp_path) == ["one.mem"]


def test_saving_does_not_show_in_what_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "live.mem"
    memscope.start(5)
    try:
        kept = [bytes(size) for size in range(5_000)]
        first = memscope.take_snapshot()
        for _ in range(20):
            first.save(path)
        second = memscope.take_snapshot()
    finally:
        memscope.stop()
    assert memscope.Snapshot.load(path).traces == first.traces
    assert path.stat().st_size > 5_000
    assert len(kept) == 5_000
    left = second.filter(module="memscope.files", all_frames=True)
    assert left.total_size < 5_000, str(left)  # what the interpreter keeps on free lists


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "one.mem"
    snapshot().save(path)
    before = path.read_bytes()

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="No space left"):
                memscope.Snapshot([], 1).save(path)
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["one.mem"]


def test_another_writers_temporary_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "one.mem"
    other = tmp_path / f"one.mem.{os.getpid()}.tmp"
    other.write_text("another writer's")
    with pytest.raises(FileExistsError):
        snapshot().save(path)
    assert other.read_text() == "another writer's"
    assert not path.exists()


def test_symbolic_links_stay(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    snapshot().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert memscope.Snapshot.load(tmp_path / "real").traces == snapshot().traces


def test_pipes_are_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    snapshot().save(pipe)
    reader.join(10)
    assert received == [snapshot().columns.to_bytes()]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        snapshot().save(tmp_path / "missing" / "one.mem")
    with pytest.raises(IsADirectoryError):
        snapshot().save(tmp_path)
    with pytest.raises(FileNotFoundError):
        memscope.Snapshot.load(tmp_path / "missing")


@timeless
@given(data=st.binary(max_size=200))
def test_what_is_no_snapshot_is_refused(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("junk") / "junk"
    whole = snapshot().columns.to_bytes()
    for junk in (data, b"\x80" + data, b"\x80\x05" + data, whole[: len(data)], whole[:-1]):
        path.write_bytes(junk)
        with pytest.raises(ValueError, match=r"cannot load '.*junk'"):
            memscope.Snapshot.load(path)


class Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/memscope-was-here",)


def test_code_in_a_pickle_does_not_run(tmp_path: Path) -> None:
    path = tmp_path / "hostile"
    theirs = stdlib.Snapshot(RAW, 25)
    theirs.extra = Hostile()  # type: ignore[attr-defined]
    for content in (Hostile(), theirs, [Hostile()], dropin.Snapshot(RAW, 25)):
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match="files you trust"):
            memscope.Snapshot.load(path)
    assert not os.path.exists("/tmp/memscope-was-here")


@pytest.mark.parametrize(
    ("state", "complaint"),
    [
        ({}, "not a snapshot"),
        ({"traces": 3, "traceback_limit": 1}, "not a snapshot"),
        ({"traces": stdlib._Traces(()), "traceback_limit": 1}, "not a snapshot"),  # type: ignore[attr-defined]
        ({"traces": stdlib._Traces([]), "traceback_limit": "1"}, "not a snapshot"),  # type: ignore[attr-defined]
        ({"traces": stdlib._Traces([3]), "traceback_limit": 1}, "trace"),  # type: ignore[attr-defined]
        ({"traces": stdlib._Traces([(0, -1, (("a", 1),))]), "traceback_limit": 1}, "size"),  # type: ignore[attr-defined]
        ({"traces": stdlib._Traces([(0, 1, ())]), "traceback_limit": 1}, "frames"),  # type: ignore[attr-defined]
        ({"traces": stdlib._Traces([]), "traceback_limit": 1 << 80}, "limit"),  # type: ignore[attr-defined]
    ],
)
def test_pickles_of_odd_snapshots(state: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "odd"
    odd = stdlib.Snapshot.__new__(stdlib.Snapshot)
    vars(odd).update(state)
    path.write_bytes(pickle.dumps(odd))
    with pytest.raises(ValueError, match=complaint):
        memscope.Snapshot.load(path)


def test_native_dump_is_read_by_tracemalloc(tmp_path: Path) -> None:
    ours = snapshot()
    ours.note = "kept"  # type: ignore[attr-defined]
    ours.dump(tmp_path / "dump")
    theirs = stdlib.Snapshot.load(str(tmp_path / "dump"))
    assert theirs.traces == stdlib.Snapshot(RAW, 25).traces
    back = memscope.Snapshot.load(tmp_path / "dump")
    assert type(back) is memscope.Snapshot
    assert (back.note, back.traces, back.traceback_limit) == ("kept", ours.traces, 25)  # type: ignore[attr-defined]


def test_describing_names_the_file() -> None:
    with pytest.raises(ValueError, match=r"^cannot load 'x\.mem': bad$"), files.describing("x.mem"):
        raise ValueError("bad")
