"""diagnose() in the child of a fork, begun before it or in it, with threads in the parent."""

from _support import exercise, in_fork, threads

import memscope

kept: list[list[object]] = []


def work() -> None:
    kept.extend([object()] for _ in range(30))


def child() -> None:
    kept.clear()
    report = memscope.diagnose(work, rounds=3)
    assert [(leak.count, "kept" in leak.holder) for leak in report.leaks] == [(90, True)], report


def go_on(detector: memscope.Watch) -> None:
    for _ in range(3):
        work()
        detector.checkpoint()
    assert any("kept" in leak.holder for leak in detector.report().leaks), detector.report()


in_fork(child, "quiet", timeout=60)
with threads(2, lambda stopped: [exercise() for _ in iter(stopped, True)]):
    in_fork(child, "threads in the parent", timeout=60)
detector = memscope.watch()
in_fork(lambda: go_on(detector), "watched since before", timeout=60)
go_on(detector)
detector.stop()
