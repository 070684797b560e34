"""Whether what a route retains keeps growing, from what each request left behind.

The requests are cut into equal spans and judged as ``memscope.piles`` judges the rounds of
a workload: growth again and again, up to the end, at no falling rate.

A server keeps something of the last request until the next one.  Where two routes take turns
and the one's is larger, that one seems to leave something each time and the other to take it
away.  So a route does not grow by more than all routes together in the meantime.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from memscope.piles import grows, grows_no_more

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LEAST_REQUESTS", "SPANS", "Trend", "judge"]

SPANS = 5
LEAST_REQUESTS = 20
"""Requests before anything is said."""

NOISE = 64
"""Bytes a request may leave on average: an entry more in a table, a digit more in a counter."""

LEAST_BYTES = 16 << 10
"""All requests together must have left so much to be called growth: the interpreter's free lists,
which a full collection empties, take some KiB before they are full again."""


class Trend(NamedTuple):
    """What is known of a route so far."""

    verdict: str
    """"too few" to tell, "steady", "filling" (grew, at a falling rate: a cache) or "growing"."""
    spans: tuple[int, ...]
    """Bytes that each span of requests retained; () if there are too few."""
    per_request: int
    """Bytes, on average of all that are remembered."""


def judge(retained: Sequence[int], totals: Sequence[int] | None = None) -> Trend:
    """The trend of bytes that each request retained, oldest first.

    *totals*: at the end of each of them, what all requests of all routes had retained.
    """
    count = len(retained)
    per_request = round(sum(retained) / count) if count else 0
    if count < LEAST_REQUESTS:
        return Trend("too few", (), per_request)
    cuts = [count * number // SPANS for number in range(SPANS + 1)]
    spans = tuple(sum(retained[first:end]) for first, end in pairwise(cuts))
    grown = spans
    if totals is not None:
        before = [totals[0] - retained[0], *totals]
        grown = tuple(
            min(span, before[end] - before[first])
            for span, (first, end) in zip(spans, pairwise(cuts), strict=True)
        )
    born = [size if size >= NOISE * count // SPANS else 0 for size in grown]
    if grows(born) and sum(grown) >= NOISE * count:
        enough = sum(grown) >= LEAST_BYTES
        return Trend("growing" if enough else "too few", spans, per_request)
    if sum(born) and grows_no_more(born):
        return Trend("filling", spans, per_request)
    return Trend("steady", spans, per_request)
