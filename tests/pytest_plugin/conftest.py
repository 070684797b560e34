"""An inner run of pytest, in a process of its own, with the plugin as its entry point loads it."""

from __future__ import annotations

import json
from typing import Any

import pytest


class Inner:
    """The folder of an inner run, and what memscope found in the last one."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.folder = pytester.path
        self._monkeypatch = monkeypatch
        self.arguments: tuple[str, ...] = ()
        # On a busy machine, or of a debug build, any test may take longer than what is repeated.
        self.patience = ("--memscope-slow=60",)
        self.alone()

    def alone(self) -> None:
        """No plugin but memscope: loading the others takes longer than the tests."""
        self._monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        self.arguments = ("-p", "memscope")

    def with_all_plugins(self) -> None:
        """With all that are installed, as in most people's environments; in the written order."""
        self._monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
        self.arguments = ("-p", "no:randomly")

    def write(self, source: str, name: str = "test_inner.py") -> None:
        (self.folder / name).write_text(source, encoding="utf-8")

    def run(self, *arguments: str) -> pytest.RunResult:
        """Run pytest there, and keep what --memscope-json writes."""
        (self.folder / "found.json").unlink(missing_ok=True)
        return self.pytester.runpytest_subprocess(
            *(*self.arguments, *self.patience, "--memscope-json=found.json", *arguments),
            timeout=250,
        )

    def judge(self, source: str, *arguments: str) -> pytest.RunResult:
        """Run the tests of *source*, all of them judged."""
        self.write(source)
        return self.run("--memscope", *arguments)

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / "found.json").read_text())
        return data

    @property
    def tests(self) -> dict[str, dict[str, Any]]:
        """Name of a test, without its file -> its Outcome."""
        return {one["nodeid"].partition("::")[2]: one for one in self.data["tests"]}

    @property
    def verdicts(self) -> dict[str, str]:
        return {name: one["verdict"] for name, one in self.tests.items()}


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Inner:
    """Outside of what the outer run has in its environment."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GITHUB_ACTIONS", "PYTHONTRACEMALLOC", "PYTEST_PLUGINS", "CI", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    return Inner(pytester, monkeypatch)
