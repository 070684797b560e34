"""Objects of one class that were made in a time window: which line made them, who holds them?

The holders are shown two levels up, with the keys and attributes by which they hold: the first
is often a dict or a list that says nothing, the second has a name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import memscope
from examples.leaks import telemetry_queue as service


def holders(heap: memscope.HeapSnapshot, obj: object) -> Iterator[str]:
    """ "[3] of deque <- .queue of Queue", for each way of two levels."""
    for first in heap.referrers(obj):
        [container] = heap.objects([first])
        inner = f"{', '.join(first.names) or '?'} of {first.type_name}"
        if container is None:  # a frame or a thread: it has a name itself
            yield f"{inner} <- {first.description}"
            continue
        for second in heap.referrers(container):
            yield f"{inner} <- {', '.join(second.names) or '?'} of {second.type_name}"


def main() -> None:
    memscope.start()
    service.work()

    # The window.  The first snapshot keeps its objects, so that no address is used twice.
    before = memscope.take_heap_snapshot(keep_objects=True)
    known = {row.address for row in before.find(type="Event")}
    service.work()
    heap = memscope.take_heap_snapshot(keep_objects=True)
    new = [row for row in heap.find(type="Event") if row.address not in known]

    events = heap.objects(new)
    made = Counter(
        str((memscope.get_object_traceback(event) or ["not traced"])[0]) for event in events
    )
    memscope.stop()
    print(f"{len(new)} new objects of class Event, allocated at")
    for place, count in made.most_common(3):
        print(f"    {count:5} {place}")
    print("One of them is held by")
    for line in holders(heap, events[len(events) // 2]):
        print(f"    {line}")


if __name__ == "__main__":
    main()
