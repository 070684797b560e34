"""Every request puts an event into the telemetry queue; the thread that sent them has died.

It ended with an exception on a Sunday.  ``queue.Queue()`` has no limit, so ``put`` never
complains.
"""

from __future__ import annotations

import itertools
import queue
import threading

from examples.leaks._expected import Expected


class Event:
    def __init__(self, number: int) -> None:
        self.number = number
        self.labels = {"path": f"/products/{number}", "status": 200}


_events: queue.Queue[Event] = queue.Queue()
_bounded: queue.Queue[Event] = queue.Queue(maxsize=50)
_dropped = 0
_numbers = itertools.count(1)


def send() -> None:
    """Meant to loop for ever.  The first event had no "region", and that was the end."""
    event = _events.get()
    region = event.labels.get("region")
    if region is None:
        return
    print(region)


_sender = threading.Thread(target=send, name="telemetry", daemon=True)
_sender.start()
_events.put(Event(0))
_sender.join()


def record(number: int, events: queue.Queue[Event]) -> None:
    global _dropped
    try:
        events.put_nowait(Event(number))  # leaks
    except queue.Full:
        _dropped += 1  # telemetry may be lost; the service may not


def work() -> None:
    for number in itertools.islice(_numbers, 100):
        record(number, _events)


def work_fixed() -> None:
    for number in itertools.islice(_numbers, 100):
        record(number, _bounded)


def leaked() -> int:
    return _events.qsize() + max(0, _bounded.qsize() - 50)


EXPECTED = Expected(
    type="Event",
    kind="queue",
    holder="module examples.leaks.telemetry_queue -> _events -> queue",
    per_round=100,
)
