"""Every request adds a sample of its latency to a deque; the deque has no ``maxlen``.

The percentiles are over "the last hundred requests", and so they are computed.  The
older samples are never looked at, and never dropped.
"""

from __future__ import annotations

import itertools
from collections import deque
from typing import NamedTuple

from examples.leaks._expected import Expected

WINDOW = 100


class Sample(NamedTuple):
    path: str
    milliseconds: float


class Latency:
    def __init__(self, maxlen: int | None = None) -> None:
        self.samples: deque[Sample] = deque(maxlen=maxlen)

    def add(self, path: str, milliseconds: float) -> None:
        self.samples.append(Sample(path, milliseconds))  # leaks

    def p95(self) -> float:
        last = itertools.islice(reversed(self.samples), WINDOW)
        ordered = sorted(sample.milliseconds for sample in last)
        return ordered[len(ordered) * 95 // 100]


_latency = Latency()
_fixed = Latency(maxlen=WINDOW)
_requests = itertools.count()


def serve(latency: Latency) -> None:
    for number in itertools.islice(_requests, 150):
        latency.add("/checkout", 3.0 + number * 37 % 50)
    assert latency.p95() > 40


def work() -> None:
    serve(_latency)


def work_fixed() -> None:
    serve(_fixed)


def leaked() -> int:
    return len(_latency.samples) + max(0, len(_fixed.samples) - WINDOW)


EXPECTED = Expected(
    # On 3.11 a named tuple is made by a lambda of its own; the line that calls it is ours.
    type="Sample",
    kind="growing-container",
    holder="module examples.leaks.latency_samples -> _latency -> samples",
    per_round=150,
)
