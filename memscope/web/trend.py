"""Whether what a route retains keeps growing, from what each request left behind.

The requests are cut into equal spans and judged as ``memscope.piles`` judges the rounds of
a workload: growth again and again, up to the end, at no falling rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from memscope.piles import grows, grows_no_more

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LEAST_REQUESTS", "SPANS", "Trend", "judge"]

SPANS = 5
LEAST_REQUESTS = 20
"""Requests before anything is said."""

NOISE = 32
"""Bytes a request may leave on average: a float more in a table, a digit more in a counter."""


class Trend(NamedTuple):
    """What is known of a route so far."""

    verdict: str
    """"too few", "steady", "filling" (grew, at a falling rate: a cache) or "growing"."""
    spans: tuple[int, ...]
    """Bytes that each span of requests retained; () if there are too few."""
    per_request: int
    """Bytes, on average of all that are remembered."""


def judge(retained: Sequence[int]) -> Trend:
    """The trend of bytes that each request retained, oldest first."""
    count = len(retained)
    per_request = round(sum(retained) / count) if count else 0
    if count < LEAST_REQUESTS:
        return Trend("too few", (), per_request)
    cuts = [count * number // SPANS for number in range(SPANS + 1)]
    spans = tuple(sum(retained[cuts[number] : cuts[number + 1]]) for number in range(SPANS))
    least = NOISE * count // SPANS
    born = [size if size >= least else 0 for size in spans]
    if grows(born) and sum(spans) >= NOISE * count:
        return Trend("growing", spans, per_request)
    if sum(born) and grows_no_more(born):
        return Trend("filling", spans, per_request)
    return Trend("steady", spans, per_request)
