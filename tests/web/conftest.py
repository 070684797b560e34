"""What the tests of the web engine share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memscope import _memscope


@pytest.fixture
def traced() -> Iterator[None]:
    """Memory is traced, and an engine of the test may leave it so."""
    _memscope.start(5)
    yield
    if _memscope.is_tracing():
        _memscope.stop()
