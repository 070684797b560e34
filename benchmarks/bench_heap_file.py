"""What it costs to save a heap snapshot and to load one.

python -m benchmarks.bench_heap_file [--quick] [--objects 1000000]

The heap is bench_heap's: half replaced twice, as that of a server that has run for a while.
"""

import argparse
import gc
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._harness import Figure, Options, Report, Sample, Table, main, progress, run_child
from benchmarks.bench_heap import build
from benchmarks.bench_snapshot import Memory

STEPS = ("gc.collect", "take", "save", "load")


def measure(objects: int, repeats: int) -> dict[str, Any]:
    """In a child: CPU seconds of each step, and what it adds to the process.

    Args:
        objects: Tracked objects in the heap.
        repeats: Rounds that count, after one that does not.

    Returns:
        ``seconds`` and ``peak`` bytes of each step, ``nodes``, and ``bytes`` of the file.
    """
    import memscope

    config = build(objects)
    memory = Memory()
    seconds: dict[str, list[float]] = {step: [] for step in STEPS}
    peak = dict.fromkeys(STEPS, 0)
    nodes = size = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "heap"
        results: dict[str, Any] = {}
        questions = {
            "gc.collect": gc.collect,
            "take": memscope.take_heap_snapshot,
            "save": lambda: results["take"].save(path),
            "load": lambda: memscope.HeapSnapshot.load(path),
        }
        for turn in range(repeats + 1):
            for step in STEPS:
                memory.reset_peak()
                before, start = memory.rss(), time.process_time()
                results[step] = questions[step]()
                took = time.process_time() - start
                if turn:
                    seconds[step].append(took)
                    peak[step] = max(peak[step], memory.rss_peak() - before)
            nodes, size = len(results["take"]), path.stat().st_size
            if len(results["load"]) != nodes:
                raise RuntimeError("another heap came back")
            results.clear()
    del config
    return {"seconds": seconds, "peak": peak, "nodes": nodes, "bytes": size}


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Save and load at one size, in several processes."""
    report = Report()
    rounds, repeats = (1, 3) if options.quick else (3, 5)
    samples: dict[str, list[float]] = {step: [] for step in STEPS}
    found: dict[str, Any] = {}
    for turn in range(rounds):
        progress(f"heap file of {chosen.objects:,} objects: {turn + 1} of {rounds}")
        found = run_child(options, measure, timeout=1800, objects=chosen.objects, repeats=repeats)
        for step in STEPS:
            samples[step] += found["seconds"][step]
    report.raw["heap file"] = samples
    nodes = found["nodes"]
    table = Table(
        f"Heap files: CPU ms (quartiles), churned heap of {chosen.objects:,} tracked objects",
        ["step", "ms", "ns per node", "of gc.collect()", "peak MB"],
        notes=[
            f"{nodes:,} nodes; the file has {found['bytes'] / 1e6:,.1f} MB,",
            f"{found['bytes'] / nodes:.1f} bytes a node.  Saving reads the names from the live",
            "objects and writes to a disk; peak is how much higher resident memory rose.",
        ],
    )
    base = Sample(tuple(samples["gc.collect"])).median
    for step in STEPS:
        sample = Sample(tuple(samples[step]))
        first, third = sample.quartiles
        table.rows.append(
            [
                step,
                f"{sample.median * 1e3:,.0f} ({first * 1e3:,.0f}-{third * 1e3:,.0f})",
                f"{sample.median / nodes * 1e9:,.0f}",
                f"{sample.median / base:.2f}",
                f"{found['peak'][step] / 1e6:,.0f}",
            ]
        )
    report.tables.append(table)
    allowed = max(chosen.objects / 1e6, 1.0)
    for step in ("save", "load"):
        report.figures.append(
            Figure(
                f"{step} a heap snapshot of {chosen.objects:,} tracked objects: CPU seconds",
                Sample(tuple(samples[step])).median,
                allowed,
                "at most",
                "s",
                {},
            )
        )
    report.figures.append(
        Figure("heap file: bytes per node", found["bytes"] / nodes, 40, "at most", "B", {})
    )
    return report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this part."""
    parser.add_argument("--objects", type=int, default=1_000_000, help="tracked objects")


if __name__ == "__main__":
    sys.exit(main(__doc__.partition("\n")[0], benchmark, arguments, results="Heap files"))
