"""Log records wait in a MemoryHandler, up to two hundred; then they are written, all at once.

Between two flushes the buffer does nothing but grow.
"""

from __future__ import annotations

import io
import itertools
import logging
import logging.handlers

LIMIT = 200

logger = logging.getLogger("shop.buffered")
logger.setLevel(logging.INFO)
logger.propagate = False


class LastLines(io.StringIO):
    """A file that is rotated: it begins anew."""

    def write(self, text: str) -> int:
        if self.tell() > 4096:
            self.seek(0)
            self.truncate()
        return super().write(text)


_handler = logging.handlers.MemoryHandler(
    LIMIT, flushLevel=logging.CRITICAL, target=logging.StreamHandler(LastLines())
)
logger.addHandler(_handler)
_orders = itertools.count(1)


def work() -> None:
    for order in itertools.islice(_orders, 35):
        logger.info("order %d paid", order)


def size() -> int:
    return len(_handler.buffer)
