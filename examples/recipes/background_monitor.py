"""Tell me when it grows: a thread that looks every few seconds, and alerts above a threshold.

Looking is cheap: one number from the tracer.  A snapshot is taken only for the alert, which
names the lines.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import memscope
from examples.leaks import raw_uploads as service
from examples.recipes._process import mib, resident


class Monitor(threading.Thread):
    """Calls *alert* with a text each time Python holds *threshold* bytes more than before."""

    def __init__(self, interval: float, threshold: int, alert: Callable[[str], None]) -> None:
        super().__init__(name="memory-monitor", daemon=True)
        self.interval = interval
        self.threshold = threshold
        self.alert = alert
        self.stopped = threading.Event()
        self.before = memscope.take_snapshot()
        self.traced = memscope.get_traced_memory()[0]

    def run(self) -> None:
        while not self.stopped.wait(self.interval):
            traced = memscope.get_traced_memory()[0]
            if traced - self.traced > self.threshold:
                now = memscope.take_snapshot()
                [worst, *_] = now.compare_to(self.before, "lineno")
                self.alert(
                    f"{mib(traced - self.traced)} more than before, RSS {mib(resident())};"
                    f" most of it: {worst}"
                )
                self.before, self.traced = now, traced

    def stop(self) -> None:
        self.stopped.set()
        self.join()


def main() -> None:
    memscope.start()
    alerts: list[str] = []
    alerted = threading.Event()

    def alert(text: str) -> None:  # in a service: a log line, a metric, a message
        alerts.append(text)
        alerted.set()

    monitor = Monitor(interval=0.01, threshold=200_000, alert=alert)
    monitor.start()
    for _ in range(1000):
        service.work()
        if alerted.wait(0.01):
            break
    monitor.stop()
    memscope.stop()
    print(*alerts, sep="\n")


if __name__ == "__main__":
    main()
