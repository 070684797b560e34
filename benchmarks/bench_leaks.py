"""What a leak report costs: a moment, the report, and why_alive, on the heaps of bench_heap.

python -m benchmarks.bench_leaks [--quick] [--objects 1000000]

The heap is traced from its first object on, as in a service that memscope was started in.
No peer answers these questions; the yardstick is gc.collect() on the same heap.
"""

import argparse
import dataclasses
import gc
import subprocess
import sys
import time
from typing import Any

from benchmarks._harness import Figure, Options, Report, Sample, Table, main, progress, run_child
from benchmarks.bench_heap import CACHE, User, build
from benchmarks.bench_snapshot import Memory

ROUNDS = 3
KEPT: list[object] = []


@dataclasses.dataclass(frozen=True)
class Part:
    """One row: what the table calls it, and how many times gc.collect() it may take."""

    title: str
    most: float | None = None


PARTS = {
    "gc.collect": Part("gc.collect()"),
    "moment": Part("one checkpoint, collection included"),
    "report": Part("the report of what was frozen"),
    "whole": Part("a whole leak report: checkpoint and report", 4.0),
    "why": Part("why_alive of one object", 1.2),
    "why of class": Part("why_alive of a class of a fifth of the heap"),
}


def ask(objects: int, repeats: int) -> dict[str, Any]:
    """In a child: CPU seconds of each part, and the peak of resident memory."""
    import memscope

    memscope.start(1)
    build(objects)
    memory = Memory()
    seconds: dict[str, list[float]] = {name: [] for name in PARTS}

    def timed(name: str, call: Any) -> Any:
        start = time.process_time()
        result = call()
        seconds[name].append(time.process_time() - start)
        return result

    for _ in range(repeats):
        timed("gc.collect", gc.collect)
    memory.reset_peak()
    before = memory.rss()
    for _ in range(repeats):
        watch = memscope.watch()
        for _ in range(ROUNDS):
            KEPT.extend(User(number) for number in range(1000))
            timed("moment", watch.checkpoint)
        report = timed("report", watch.report)
        seconds["whole"].append(seconds["moment"][-1] + seconds["report"][-1])
        [leak] = report.leaks
        if leak.count != ROUNDS * 1000 or leak.site is None:
            raise RuntimeError(f"not the leak that there is: {leak.headline}")
        watch.stop()
        KEPT.clear()
    found = {"peak": memory.rss_peak() - before}
    target = CACHE[objects // 10]
    for _ in range(repeats):
        timed("why", lambda: str(memscope.why_alive(target)))
        timed("why of class", lambda: str(memscope.why_alive(User)))
    return {"seconds": seconds, **found}


def import_time(options: Options, repeats: int) -> Sample:
    """CPU milliseconds that ``import memscope`` adds to the start of an interpreter."""
    code = (
        "import time; a = time.process_time(); import memscope;"
        " print((time.process_time() - a) * 1e3)"
    )
    times = []
    for _ in range(repeats):
        done = subprocess.run(
            [*options.python, "-c", code], capture_output=True, text=True, check=True
        )
        times.append(float(done.stdout))
    return Sample(tuple(times))


def size_report(options: Options, objects: int, rounds: int) -> Report:
    """Every part at one size."""
    report = Report()
    where = f"{objects:,} tracked objects"
    seconds: dict[str, list[float]] = {name: [] for name in PARTS}
    peak = 0
    for _ in range(rounds):
        progress(f"heap of {objects:,}: leak report")
        answer = run_child(options, ask, timeout=1800, objects=objects, repeats=3)
        peak = max(peak, answer["peak"])
        for name, values in answer["seconds"].items():
            seconds[name] += values
    yard = Sample(tuple(seconds["gc.collect"])).median
    table = Table(
        f"A leak report, CPU milliseconds (quartiles), churned and traced heap of {where}",
        ["", "ms", "times gc.collect()"],
        notes=[f"While watching, resident memory was up to {peak / 1e6:,.0f} MB higher."],
    )
    for name, part in PARTS.items():
        sample = Sample(tuple(seconds[name]))
        first, third = sample.quartiles
        ratio = sample.median / yard
        table.rows.append(
            [
                part.title,
                f"{sample.median * 1e3:,.0f} ({first * 1e3:,.0f}-{third * 1e3:,.0f})",
                f"{ratio:.2f}",
            ]
        )
        if part.most is not None:
            report.figures.append(
                Figure(
                    f"{part.title}, {where}: against gc.collect()",
                    ratio,
                    part.most,
                    "at most",
                    "x",
                    {},
                )
            )
    report.tables.append(table)
    report.raw[f"leaks {objects}"] = seconds
    return report


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    report = size_report(options, chosen.objects, 1 if options.quick else 3)
    if not options.quick:
        report.extend(size_report(options, 3 * chosen.objects, 1))
    times = import_time(options, 5 if options.quick else 25)
    report.figures.append(Figure("import memscope, ms", times.median, 15, "at most", "ms", {}))
    return report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument(
        "--objects", type=int, default=1_000_000, help="tracked objects (default 1000000)"
    )


if __name__ == "__main__":
    sys.exit(main("What a leak report costs.", benchmark, arguments, results="Leaks"))
