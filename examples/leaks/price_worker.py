"""Every price that the worker thread writes stays in a local variable of its loop.

``run`` never returns, so its locals live as long as the process.  No global, no attribute:
the list is only on the stack of one thread.
"""

from __future__ import annotations

import itertools
import queue
import threading

from examples.leaks._expected import Expected


class Price:
    def __init__(self, product: str, cents: int) -> None:
        self.product = product
        self.cents = cents


class PriceWriter:
    """A thread of its own that writes what it is given."""

    def __init__(self, *, forget: bool) -> None:
        self.forget = forget
        self.inbox: queue.Queue[tuple[str, int] | None] = queue.Queue()
        self.written = 0
        self.thread = threading.Thread(target=self.run, name="price-writer", daemon=True)
        self.thread.start()

    def run(self) -> None:
        batch = []
        while (item := self.inbox.get()) is not None:
            product, cents = item
            batch.append(Price(product, cents))  # leaks
            self.written += 1
            if self.forget and len(batch) == 10:
                batch.clear()
            self.inbox.task_done()

    def write(self, product: str, cents: int) -> None:
        self.inbox.put((product, cents))


_writer = PriceWriter(forget=False)
_fixed = PriceWriter(forget=True)
_products = itertools.count(1)


def serve(writer: PriceWriter) -> None:
    for number in itertools.islice(_products, 100):
        writer.write(f"product {number}", number % 100)
    writer.inbox.join()


def work() -> None:
    serve(_writer)


def work_fixed() -> None:
    serve(_fixed)


def close() -> None:
    for writer in (_writer, _fixed):
        writer.inbox.put(None)
        writer.thread.join()


def leaked() -> int:
    return _writer.written


EXPECTED = Expected(
    type="Price",
    kind="frame-local",
    holder=("price-writer -> run -> batch", "run -> batch", "run() -> batch"),
    per_round=100,
)
