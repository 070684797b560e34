"""Find the leak of app.py: serve it for real, put it under load, compare two moments.

    make demo

First which line allocated what grows, then who holds it, each asked by itself; at the end
the report that answers both in one step, and says what to do.  The server is waitress on a
loopback port, in this process; the client is another process.  All that is printed is
measured here and now.  The exit code is 0 only if every one of them found the leak.
"""

from __future__ import annotations

import gc
import linecache
import logging
import os
import statistics
import subprocess
import sys
import threading
from pathlib import Path

import waitress
from app import app

import memscope
import memscope.heap  # else its own modules would be among what grew

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build"
PICTURE, PAGE = BUILD / "leak.svg", BUILD / "leak.html"

LEAKING = "_fragments[key] ="
HOLDER = "_fragments"

WARM_UP, LOAD = 500, 4000
WATCHED, EACH = 5, 500
ROUNDS, ROUND = 5, 400


class Load:
    """Requests from another process to the server in this one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.sent = 0

    def __call__(self, requests: int) -> float:
        """Send *requests*, wait for the answers; the rate, in requests per second."""
        command = [sys.executable, str(HERE / "load.py"), str(self.port), str(requests)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        self.sent += requests
        return float(done.stdout)


def find_leak(load: Load) -> tuple[memscope.StatisticDiff, str]:
    """The whole of what a user does, between prints; (the line, the path to a leaked object)."""
    memscope.start()
    load(WARM_UP)

    own = memscope.get_tracemalloc_memory()
    gc.collect()
    heap_before = memscope.take_heap_snapshot()
    before = memscope.take_snapshot()
    load(LOAD)
    gc.collect()
    after = memscope.take_snapshot()
    heap_after = memscope.take_heap_snapshot()

    print(f"\n1. Who allocated it?  After {LOAD} more requests, the lines that hold more:\n")
    difference = after.compare_to(before, "lineno")
    difference.show(limit=5)
    print(f"\nThe tracer itself: {own / 2**20:.1f} MiB for {len(before)} live blocks.")

    print("\n2. Who holds it?  The same two moments, by type, and what grew:\n")
    growth = heap_after.compare_to(heap_before)
    growth.show(limit=5)
    [container] = heap_after.objects(growth.containers[:1])
    largest = max(heap_after.referents(container)[-10:], key=lambda row: row.bytes)
    [leaked] = heap_after.objects([largest])
    [path] = heap_after.paths_to_root(leaked)
    print(f"\nOne of the leaked objects, from a root on:\n\n    {path}\n")
    BUILD.mkdir(exist_ok=True)
    heap_after.show_backrefs(leaked, filename=os.path.relpath(PICTURE))
    memscope.stop()
    return difference[0], path.place


def report(load: Load) -> memscope.LeakReport:
    """The same in one step: rounds of load, and a checkpoint after each."""
    watch = memscope.watch(title="the Flask application under load")
    for number in range(WATCHED):
        load(EACH)
        watch.checkpoint(f"{(number + 1) * EACH} requests")
    found = watch.report()
    watch.stop()
    return found


def complaints(found: memscope.LeakReport) -> list[str]:
    """What is wrong with the report, of which the answers are known here."""
    if len(found.leaks) != 1:
        return [f"{len(found.leaks)} leaks are reported, and there is one"]
    [leak] = found.leaks
    answers = {
        "type": (leak.type_name, "str"),
        "line": (leak.source.partition("=")[0] + "=", LEAKING),
        "holder": (leak.holder, f"module app -> {HOLDER}"),
        "verdict": (leak.kind, "unbounded-cache"),
    }
    return [
        f"{name}: {got!r}, not {want!r}" for name, (got, want) in answers.items() if got != want
    ]


def measure_cost(load: Load) -> None:
    """Throughput with tracing off and on, in turns: the machine drifts, the ratio does not."""
    rates: dict[bool, list[float]] = {False: [], True: []}
    for number in range(ROUNDS):
        for tracing in (False, True) if number % 2 else (True, False):
            if tracing:
                memscope.start()
            rates[tracing].append(load(ROUND))
            if tracing:
                memscope.stop()
    off, on = statistics.median(rates[False]), statistics.median(rates[True])
    ratios = sorted(a / b for a, b in zip(rates[False], rates[True], strict=True))
    print(
        f"What tracing cost: {off:.0f} requests/s without, {on:.0f} with "
        f"({ROUNDS} rounds of {ROUND} requests each way in turns; "
        f"time per request x{statistics.median(ratios):.2f}, "
        f"from x{ratios[0]:.2f} to x{ratios[-1]:.2f})."
    )


def main() -> int:
    logging.getLogger("waitress.queue").disabled = True  # more clients than threads is no news
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=6)
    threading.Thread(target=server.run, daemon=True).start()
    load = Load(server.effective_port)
    print(f"A Flask application on 127.0.0.1:{load.port}, {WARM_UP} requests to warm it up.")
    load(WARM_UP)

    first, place = find_leak(load)
    print("\n3. What did it cost?\n")
    measure_cost(load)
    print(f"\n4. The report, of {WATCHED} more rounds of {EACH} requests:\n")
    found = report(load)
    server.close()
    found.show()
    found.save(PAGE)
    print(f"\n{load.sent} requests answered in all.")
    print(f"The report as a page: {os.path.relpath(PAGE)}, the picture: {os.path.relpath(PICTURE)}")

    frame = first.traceback[0]
    source = linecache.getline(frame.filename, frame.lineno).strip()
    wrong = complaints(found)
    if not source.startswith(LEAKING):
        wrong.append(f"the first line is {frame.filename}:{frame.lineno}, not the leak")
    if HOLDER not in place:
        wrong.append(f"{place} is not what holds it")
    for line in wrong:
        print(f"FAILED: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
