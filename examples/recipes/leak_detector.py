"""A leak detector: a baseline, checkpoints as long as the service lives, a report with a picture.

And as a decorator, for a function that must leave nothing behind.  Both need no rounds that
are alike; with three checkpoints or more they tell a leak from a cache that fills.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import memscope
from examples.leaks import price_alerts as service


def watch_the_service(folder: Path) -> None:
    detector = memscope.watch(title="shop")  # the baseline
    for hour in range(1, 5):
        service.work()
        detector.checkpoint(f"{hour}:00")
    report = detector.report()
    detector.stop()

    report.show()
    report.save(folder / "shop.html")
    heap = memscope.take_heap_snapshot()
    [worst, *_] = report.leaks
    [first, *_] = heap.objects(heap.find(type=worst.type_name)[:1])
    heap.show_backrefs(first, filename=folder / "shop.dot")  # .svg, .png: with Graphviz
    print("written:", *sorted(path.name for path in folder.iterdir()))


@memscope.watch(max_bytes=10_000)  # of one call; on_leak=... reports instead of raising
def handle_requests() -> None:
    service.work()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        watch_the_service(Path(folder))
    try:
        handle_requests()
    except memscope.LeakError as error:
        print("the decorator:", error.report.leaks[0].headline)


if __name__ == "__main__":
    main()
