"""Every log record waits in the queue of a QueueHandler whose QueueListener was never started.

Logging through a queue keeps slow disks out of the requests.  It takes two: the handler that
fills the queue, and the listener that empties it.
"""

from __future__ import annotations

import itertools
import logging
import logging.handlers
import queue

from examples.leaks._expected import Expected

logger = logging.getLogger("shop.orders")
logger.setLevel(logging.INFO)
logger.propagate = False

_records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
logger.addHandler(logging.handlers.QueueHandler(_records))
_listener = logging.handlers.QueueListener(_records, logging.NullHandler())
_orders = itertools.count(1)


def handle(order: int) -> None:
    logger.info("order %d paid", order)  # leaks


def work() -> None:
    for order in itertools.islice(_orders, 80):
        handle(order)


def work_fixed() -> None:
    _listener.start()
    for order in itertools.islice(_orders, 80):
        handle(order)
    _listener.stop()


def leaked() -> int:
    return _records.qsize()


EXPECTED = Expected(
    type="LogRecord",
    kind="queue",
    holder="module examples.leaks.log_queue -> _records",
    per_round=80,
)
