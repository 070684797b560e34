"""Fixtures for the tests that run the tracer in this process."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from memscope import _memscope

EXT = Path(__file__).resolve().parents[1] / "ext" / "build.py"


@pytest.fixture(scope="session")
def ext() -> ModuleType:
    """The test-only C extension; skipped with the compiler's words where it does not build."""
    spec = importlib.util.spec_from_file_location("memscope_testext_build", EXT)
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    try:
        module: ModuleType = build.load()
    except build.BuildError as error:
        pytest.skip(f"the test extension does not build: {error}")
    return module


@pytest.fixture
def tracer() -> Iterator[ModuleType]:
    """The C core, off before and after."""
    _memscope.stop()
    yield _memscope
    _memscope.stop()
