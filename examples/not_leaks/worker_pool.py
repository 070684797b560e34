"""The executor starts a thread when all it has are busy, up to six; they stay.

Round after round it is one more, until there are six.
"""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

LIMIT = 6

_pool = ThreadPoolExecutor(max_workers=LIMIT, thread_name_prefix="mail")
_rounds = itertools.count(1)


def send(together: threading.Barrier) -> str:
    together.wait(timeout=10)  # so many at once
    return threading.current_thread().name


def work() -> None:
    at_once = min(next(_rounds), LIMIT)
    for _ in range(5):
        together = threading.Barrier(at_once)
        sent = [_pool.submit(send, together) for _ in range(at_once)]
        assert all(future.result() for future in sent)


def close() -> None:
    _pool.shutdown()


def size() -> int:
    return sum(thread.name.startswith("mail") for thread in threading.enumerate())
