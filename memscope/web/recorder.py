"""From requests in flight to what each route retains.

What a request leaves behind is what is traced and live after it and was not before.  That is
one number for the process, so it says something of a request only while nothing else runs.
So spans are measured: from the first request in flight until there is none.

* A span of one request is that request's.
* A span of several, all of one route, is that route's, in equal parts.
* A span of several routes is nobody's; it is counted as shared, and its bytes are told as
  what cannot be told apart.

When a request is over its server still holds the request, and lets go of it soon after.  So
the end is read twice: at once, and when the next request begins, where everything stands as
it did at the beginning of this one.  The second counts.  Only if the next one is long in
coming it may be the first: what grew in between, with nothing in flight, is not the request's.
A server with a thread for each request ends one thread while the next begins, so there the
figures of one request are blurred by its neighbours', while those of all together add up.
Whether a route grows is therefore not told by them alone; see ``memscope.web.suspicions``.

The young garbage is collected before the second reading, which is where the next begins, so that a
cycle that a request makes is not taken for something it keeps.  Not before the first: what is
alive is moved to the old generation by that, and a request that is in a cycle, as those of
Django are, would stay there for long when it is garbage.  For the same reason there is
prepare().

A request that is not measured, while none is, only passes by: it is one more in flight until it is
over, and then one more of its route.  That is done by the C core, and is what most are.
"""

from __future__ import annotations

import gc
import threading
from collections import deque
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from memscope import _memscope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from memscope._memscope import Passed
    from memscope.web.routes import Route, Routes

__all__ = ["Record", "Recorder", "Triggered", "Visit"]

MOST_ROUTES_OF_SPAN = 32
"""Routes of one span that are remembered; it is shared long before."""

YOUNG = 1

NEAR = 1.0
"""Seconds between two requests beyond which what grew in between is not the first one's."""


class Readings(NamedTuple):
    """What is traced and live."""

    bytes: int
    blocks: int
    epoch: int = 0
    """That begins with it; 0: none does."""


class Ended:
    """A request that is over."""

    __slots__ = ("__weakref__", "began", "sampled", "span")
    is_over = True
    keeps_snapshot = False
    """Somebody asked for a snapshot at its end."""

    def __init__(self, span: Span, sampled: bool, began: float) -> None:
        self.span = span
        self.sampled = sampled
        self.began = began


class Visit(Ended):
    """One request in flight, while something is measured or about to be.

    It becomes an Ended one, which has nothing to do when it goes.
    """

    __slots__ = ()
    is_over = False

    def __del__(self) -> None:
        # A server that never closes what it was given.  This may run inside a collection that
        # began under the recorder's lock, so nothing is done but noted.
        self.span.lost.append(self.span)


class Triggered(Visit):
    """One of which a snapshot is to be kept."""

    __slots__ = ()
    keeps_snapshot = True


class Span:
    """From the first request in flight until there is none."""

    __slots__ = ("blocks", "bytes", "count", "epoch", "is_measured", "lost", "routes")

    routes: dict[Route, list[float]]
    """Of those requests that are over: how many seconds each took."""
    bytes: int
    blocks: int
    """Live when it began."""
    epoch: int
    """That began with it; 0: none did."""

    def __init__(self, lost: deque[Span], readings: Readings | None) -> None:
        """*readings*: when it begins; None: it is not measured, and has no more than a count.
        *lost*: where requests are noted that nobody ends."""
        self.lost = lost
        self.count = 0
        """Requests of it."""
        self.is_measured = readings is not None
        if readings is not None:
            self.bytes, self.blocks, self.epoch = readings
            self.routes = {}


class Record(NamedTuple):
    """What is known of a request when it has been measured."""

    route: str
    retained: int | None
    """Bytes; None: it was in flight together with others."""
    blocks: int | None
    seconds: float
    """The mean, of several that were measured together."""
    requests: int
    """Measured together; of one route, unless *retained* is None."""


class Recorder:
    """Counts requests, and measures spans.  Any thread may call it."""

    def __init__(
        self,
        routes: Routes,
        *,
        every: int = 1,
        warmup: int = 0,
        on_record: Callable[[Record], None] | None = None,
        on_passed: Callable[[list[Passed]], None] | None = None,
    ) -> None:
        self.routes = routes
        self.passing = _memscope.Passing(every, on_passed or _forget)
        """Closed while something is measured or about to be: while there is a span, and until what
        the last one retained has been read for the second time."""
        self.every = every
        self._warmup = warmup
        self._on_record = on_record
        self._lost: deque[Span] = deque()
        self.marks_epochs = False
        """Whether spans begin and end with an epoch of their own, for the births of routes."""
        self.mixed_requests = 0
        """Of spans of several routes."""
        self.mixed_bytes = 0
        """Retained by those."""
        self.total = 0
        """Bytes that all requests retained."""
        self.forked()

    def forked(self) -> None:
        """This is another process: what is in flight in the parent is not in flight here."""
        # One that its owner may ask for again: a collection in here may close a response that
        # somebody dropped, which is the end of its request (finish()).
        self._lock = threading.RLock()
        self.passing.forked()
        self.passing.open()
        self._active = 0
        self._span: Span | None = None
        self._pending: tuple[Span, int, int] | None = None
        """The last span, with the bytes and blocks when it ended."""
        self._settled: tuple[Span, int, int] | None = None
        """The last one.  Kept, because the pending one is there at the second reading: so there is
        one at each reading, and what it takes is not taken for a request's."""
        self._prepared: Readings | None = None
        self._since = 0.0
        self._ended = 0.0
        self._disturbances = 0

    @property
    def in_flight(self) -> int:
        return self._active + self.passing.in_flight

    @property
    def begun(self) -> int:
        """Requests that began."""
        return self.passing.begun

    @property
    def busy_seconds(self) -> float:
        """For how long there has been a request in flight; 0 if there is none."""
        if self._active:
            return perf_counter() - self._since
        return perf_counter() - self.passing.since if self.passing.in_flight else 0.0

    def next_is_sampled(self) -> bool:
        """Whether the turn has come to measure a request."""
        return self.begun % self.every == 0

    def begin(self, sampled: bool, kind: type[Visit] = Visit) -> Visit | float:
        """A request begins.  One that only passes by is no more than the time when it did."""
        if not sampled:
            began = self.passing.enter()
            if began is not None:
                return began
        # What is noted of those that passed by is memory too, and this is not this request's.
        self.passing.flush()
        readings = None
        if self._pending is not None:
            # First, so that what is remembered of the last request is not this one's.
            self.settle()
            readings = self._read()
        elif sampled:
            readings = self._prepared
            if readings is None:
                if not self.in_flight:
                    _collect_young()
                readings = self._read()
        self._prepared = None
        settled = None
        now = perf_counter()
        with self._lock:
            self.passing.count()
            if self._lost:
                self._count_lost()
            span = self._span
            if span is None:
                self._span = span = Span(self._lost, readings if sampled else None)
                self._since = now
                if self.passing.close():
                    span.is_measured = False
                    self._since = self.passing.since
                if self._disturbances:
                    span.is_measured = False
                settled = self._take_pending()
            self._active += 1
            span.count += 1
        if settled is not None and readings is not None:
            self._settle(settled, readings)
        return kind(span, sampled, now)

    def prepare(self) -> None:
        """A request comes, of which there is no object yet: what begin() would read, is read here.

        An adapter calls it where its framework makes that object before it asks us.
        """
        self._prepared = None
        self.passing.flush()
        if not self.in_flight and (self._pending is not None or self.next_is_sampled()):
            if self._pending is not None:
                self.settle()
            else:
                _collect_young()
            self._prepared = self._read()

    def settle(self) -> None:
        """Attribute what the last span retained, without waiting for the next request."""
        if self._pending is None:
            return
        _collect_young()
        readings = self._read()
        with self._lock:
            if self._active:
                return
            settled = self._take_pending()
            self._reopen()
        if settled is not None and readings is not None:
            self._settle(settled, readings)

    def forget_last(self) -> None:
        """Leave out what is over and not read for the second time yet: something else, which takes
        memory, has come in between."""
        with self._lock:
            self._pending = None
            self._reopen()

    @contextmanager
    def left_out(self) -> Iterator[None]:
        """What is done in here between two requests is neither's."""
        before = _readings()
        yield
        after = _readings()
        with self._lock:
            if before is None or after is None or self._pending is None:
                return
            span, size, blocks = self._pending
            span.bytes += after.bytes - before.bytes
            span.blocks += after.blocks - before.blocks
            size, blocks = size + after.bytes - before.bytes, blocks + after.blocks - before.blocks
            self._pending = span, size, blocks

    def disturb(self) -> None:
        """Something else begins that takes memory, such as a page of ours: what is in flight
        meanwhile is not measured."""
        with self._lock:
            self._disturbances += 1
            if self._span is not None:
                self._span.is_measured = False

    def calm(self) -> None:
        """It is over."""
        with self._lock:
            self._disturbances -= 1

    def finish(
        self,
        visit: Visit,
        method: str,
        name: str,
        failed: bool = False,
        view: object = None,
        answered: float = 0.0,
    ) -> tuple[Route, float] | None:
        """A request is over.  Its route, and how many seconds it took until it was answered; None
        if it was over before.

        *answered*: when the last byte was given to the server, if that is known: work in the
        background may follow.
        """
        now = perf_counter()
        span = visit.span
        seconds = (answered or now) - visit.began
        if self._lock._is_owned():  # type: ignore[attr-defined]
            # In a collection, in the middle of what is below or in begin(): as if it were lost.
            visit.__class__ = Ended  # type: ignore[assignment]
            self._lost.append(span)
            return None
        with self._lock:
            if visit.is_over:
                return None
            visit.__class__ = Ended  # type: ignore[assignment]
            if span is not self._span:
                return None  # began before a fork
            route = self.routes.seen(method, name, seconds, failed, now)
            if span.is_measured:
                each = span.routes.get(route)
                if each is not None:
                    each.append(seconds)
                elif len(span.routes) < MOST_ROUTES_OF_SPAN:
                    span.routes[route] = [seconds]
            self._active -= 1
            is_last = not self._active
            if is_last:
                self._span = None
                if not span.is_measured:
                    self._reopen()
        route.answered_by(view)
        if not span.is_measured:
            if visit.sampled:
                with self._lock:
                    route.shared += 1
        elif is_last:
            readings = _readings()
            with self._lock:
                # Unless another began meanwhile, which this number would count in.
                if self._span is None and readings is not None:
                    self._pending = span, readings.bytes, readings.blocks
                    self._ended = perf_counter()
                    self._settled = None
                else:
                    self._share(span)
                    self._reopen()
        return route, seconds

    def retained_so_far(self, visit: Visit) -> int | None:
        """Bytes that are live now and were not when the request began; None if others were in
        flight meanwhile."""
        readings = _readings()
        if readings is None or not visit.span.is_measured or visit.span.count > 1:
            return None
        return readings.bytes - visit.span.bytes

    def reset(self) -> None:
        """Forget all routes."""
        with self._lock:
            self._pending = None
            self.routes.clear()
            self.mixed_requests = self.mixed_bytes = 0
            if self._span is not None:
                self._span.is_measured = False
            self._reopen()

    # -- under the lock

    def _reopen(self) -> None:
        if self._span is None and self._pending is None:
            self.passing.open()

    def _take_pending(self) -> tuple[Span, int, int] | None:
        pending = self._pending
        if pending is not None:
            self._settled, self._pending = pending, None
        return pending

    def _count_lost(self) -> None:
        """Requests that were dropped without an end are over."""
        while self._lost:
            if self._lost.popleft() is self._span and self._active:
                self._active -= 1
                if not self._active:
                    self._span = None
                    self._reopen()

    def _share(self, span: Span) -> None:
        for route, each in span.routes.items():
            route.shared += len(each)
        self.mixed_requests += span.count

    # -- measured

    def _read(self) -> Readings | None:
        """Readings with which a span begins or ends."""
        readings = _readings()
        if readings is not None and self.marks_epochs:
            with suppress(RuntimeError):  # another thread has stopped the tracing
                return readings._replace(epoch=_memscope.advance_epoch())
        return readings

    def _settle(self, pending: tuple[Span, int, int], now: Readings) -> None:
        span, *then = pending
        size, blocks = now.bytes, now.blocks
        if perf_counter() - self._ended > NEAR:
            size, blocks = min(size, then[0]), min(blocks, then[1])
        size, blocks = size - span.bytes, blocks - span.blocks
        count = span.count
        self.total += size
        seconds = sum(map(sum, span.routes.values())) / max(count, 1)
        if len(span.routes) != 1 or len(*span.routes.values()) != count:
            with self._lock:
                self._share(span)
                self.mixed_bytes += size
            record = Record("", None, None, seconds, count)
        else:
            (route,) = span.routes
            with self._lock:
                self._attribute(route, size, blocks, count)
                if route.births is not None and span.epoch and now.epoch:
                    route.births.add(span.epoch, now.epoch, count)
            record = Record(route.name, size, blocks, seconds, count)
        if self._on_record is not None:
            self._on_record(record)

    def _attribute(self, route: Route, size: int, blocks: int, count: int) -> None:
        if route.requests - count < self._warmup:
            return
        route.measured += count
        route.bytes += size
        route.blocks += blocks
        for number in range(count):
            part = size * (number + 1) // count
            route.retained.append(part - size * number // count)
            route.totals.append(self.total - size + part)


def _forget(passed: list[Passed]) -> None:
    """For who has no use for requests that pass by."""


def _collect_young() -> None:
    if gc.isenabled():
        gc.collect(YOUNG)


def _readings() -> Readings | None:
    """None if nothing is traced."""
    if not _memscope.is_tracing():
        return None
    return Readings(_memscope.get_traced_memory()[0], _memscope.get_traced_blocks())
