"""Rows of the threat table (SECURITY.md) that the rest of memscope answers."""

from __future__ import annotations

import json
import os
import pickle
import socket
import stat
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import memscope
from memscope.cli import attach, saved
from memscope.cli.output import CommandError
from memscope.leak_report import LeakReport

# -- 16: files of strangers


class Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, (str(bomb_folder),)


bomb_folder = Path()


def test_row_16_no_code_in_a_file_runs(tmp_path: Path) -> None:
    global bomb_folder
    bomb_folder = tmp_path / "exploded"
    file = tmp_path / "file"
    for content in (pickle.dumps(Bomb()), pickle.dumps({"traces": Bomb()}), pickle.dumps([Bomb()])):
        file.write_bytes(content)
        for load in (saved.load_report, saved.load_heap, saved.load_allocations):
            with pytest.raises(CommandError):
                load(str(file))
        for read in (memscope.Snapshot.load, memscope.HeapSnapshot.load, LeakReport.load):
            with pytest.raises(ValueError):
                read(file)
    assert not bomb_folder.exists()
    pickle.loads(pickle.dumps(Bomb()))
    assert bomb_folder.exists(), "it would have"


@pytest.fixture(scope="module")
def real_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("files")
    memscope.start(3)
    try:
        small = [{"a": [1]} for _ in range(3)]
        memscope.take_snapshot().save(folder / "allocations")
        del small
    finally:
        memscope.stop()
    report = {"schema": 1, "title": "x", "leaks": [], "rounds": 3}
    (folder / "report.json").write_text(json.dumps(report))
    return [folder / "allocations", folder / "report.json"]


@given(st.data())
def test_row_16_damaged_files_are_refused(real_files: list[Path], data: st.DataObject) -> None:
    file = data.draw(st.sampled_from(real_files))
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    damaged = file.with_suffix(".damaged")
    damaged.write_bytes(content)
    for load in (saved.load_report, saved.load_heap, saved.load_allocations):
        try:
            load(str(damaged))
        except CommandError as error:
            assert str(error)


# -- 17: the socket of attach


def test_row_17_only_the_two_can_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attach.tempfile, "tempdir", str(tmp_path))
    folder = attach._private_folder()
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    seen: dict[str, int] = {}

    def remote_exec(pid: int, script: str) -> None:
        for name in os.listdir(folder):
            seen[name] = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
        raise RuntimeError("seen")

    options = Namespace(
        pid=os.getpid(), nframe=1, duration=1.0, interval=None, timeout=1, quiet=True
    )
    old = os.umask(0)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            assert server.family is socket.AF_UNIX, "no TCP"
            with pytest.raises(CommandError):
                attach._ask(remote_exec, options, folder, server, os.geteuid())
    finally:
        os.umask(old)
        attach._remove(folder)
    assert seen == {"socket": 0o600, "begin.py": 0o600}


@pytest.mark.parametrize(("user", "is_heard"), [(os.geteuid(), True), (os.geteuid() + 1, False)])
def test_row_17_who_is_at_the_other_end_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, is_heard: bool
) -> None:
    options = Namespace(pid=os.getpid(), timeout=0.5, quiet=True)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as line:
        server.bind(str(tmp_path / "socket"))
        server.listen(1)
        line.connect(str(tmp_path / "socket"))
        if is_heard:
            attach._accept(server, options, user).close()
        else:
            with pytest.raises(CommandError, match="did not answer"):
                attach._accept(server, options, user)
        assert line.recv(1) == b"", "hung up on"
