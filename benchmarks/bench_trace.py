"""What tracing costs: CPU time of each workload under each tool, against untraced.

python -m benchmarks.bench_trace [--quick] [--workloads keep,json] [--tools memscope-1,memray]
"""

import argparse
import gc
import sys
import time
from typing import Any

from benchmarks import tools
from benchmarks._harness import (
    ChildError,
    Figure,
    Options,
    Report,
    Sample,
    Table,
    geometric_mean,
    main,
    progress,
    ratio,
    rotated,
    run_child,
)
from benchmarks.workloads import WORKLOADS, Workload

TOOLS = ("off", "stopped", "memscope-1", "memscope-25", "tracemalloc-1", "tracemalloc-25", "memray")
_TITLES = {
    "stopped": "stopped",
    "memscope-1": "memscope 1 frame",
    "memscope-25": "memscope 25 frames",
    "tracemalloc-1": "tracemalloc 1 frame",
    "tracemalloc-25": "tracemalloc 25 frames",
    "memray": "memray",
}
# One run of these takes as long as fifty untraced ones; fewer repeats are as steady.
_SLOW = ("tracemalloc-25",)

Results = dict[str, dict[str, Sample]]
"""Workload name -> tool -> CPU seconds of a run."""


def measure(tool: str, workload: str, runs: int, enough: float, budget: float) -> dict[str, Any]:
    """In a child: CPU seconds of each run of a workload under a tool.

    Args:
        tool: A name that ``tools.start`` knows.
        workload: The name of a workload.
        runs: How often to time it at least, after one run that does not count.
        enough: Go on repeating a short run up to this many CPU seconds.
        budget: Stop repeating a long run after this many CPU seconds.
    """
    chosen = _workload(workload)
    session = tools.start(tool)
    run = chosen.prepare()
    gc.collect()
    run()
    times: list[float] = []
    while sum(times) < (enough if len(times) >= runs else budget):
        gc.collect()
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    peak = session.peak()
    session.stop()
    return {"times": times, "peak": peak}


def collect(
    options: Options,
    workloads: tuple[Workload, ...],
    names: tuple[str, ...],
    rounds: int,
    runs: int,
) -> tuple[Results, list[str]]:
    """Measure every workload under every tool; also return what had to be skipped."""
    times: dict[str, dict[str, list[float]]] = {w.name: {} for w in workloads}
    skipped: list[str] = []
    unavailable: set[tuple[str, str]] = set()
    for turn in range(rounds):
        for workload in workloads:
            for tool in rotated(names, turn):
                if (tool, workload.name) in unavailable or (tool in _SLOW and turn % 3):
                    continue
                progress(f"round {turn + 1}/{rounds}: {workload.name}, {tool}")
                try:
                    result = run_child(
                        options,
                        measure,
                        pinned=workload.pinned,
                        tool=tool,
                        workload=workload.name,
                        runs=runs,
                        enough=0.3,
                        budget=2.0,
                    )
                except ChildError as error:
                    reason = str(error).strip().splitlines()[-1]
                    if "ModuleNotFoundError" not in reason:
                        raise
                    unavailable.add((tool, workload.name))
                    skipped.append(f"{workload.name} under {tool}: {reason}")
                    continue
                if result["peak"] == 0:
                    raise ChildError(f"{tool} saw no allocation of {workload.name}")
                times[workload.name].setdefault(tool, []).extend(result["times"])
    results = {
        name: {tool: Sample(tuple(values)) for tool, values in by_tool.items()}
        for name, by_tool in times.items()
        if "off" in by_tool
    }
    return results, skipped


def report(results: Results, names: tuple[str, ...]) -> Report:
    """Tables and figures from the samples."""
    columns = [tool for tool in names if tool != "off"]
    table = Table(
        "Cost of tracing: CPU time, ratio to untraced (quartiles)",
        ["workload", "untraced ms", "noise", *(_TITLES[tool] for tool in columns)],
        notes=[f"* {w.name}: {w.about}" for w in WORKLOADS if w.name in results],
    )
    for name, by_tool in results.items():
        base = by_tool["off"]
        cells = [ratio(by_tool[tool], base) if tool in by_tool else "" for tool in columns]
        table.rows.append([name, f"{base.median * 1e3:.1f}", f"{base.noise:.1%}", *cells])
    kernels = [w.name for w in WORKLOADS if w.kernel and w.name in results]

    def mean(tool: str, workloads: list[str]) -> float:
        return geometric_mean(
            results[name][tool].median / results[name]["off"].median
            for name in workloads
            if tool in results[name]
        )

    for title, chosen in (("geomean of the kernels", kernels), ("geomean of all", list(results))):
        table.rows.append([title, "", "", *(f"{mean(tool, chosen):.2f}" for tool in columns)])

    figures: list[Figure] = []

    def figure(name: str, limit: float, values: dict[str, float]) -> None:
        if "memscope" in values:
            value = values.pop("memscope")
            figures.append(Figure(name, value, limit, "at most", "x", values))

    for frames, limit in ((1, 1.35), (25, 2.5)):
        suffix = f"-{frames}"
        values = {
            tool.removesuffix(suffix): mean(tool, kernels)
            for tool in columns
            if tool.endswith(suffix)
        }
        if "memray" in columns:
            values["memray"] = mean("memray", kernels)
        plural = "frame" if frames == 1 else "frames"
        figure(f"allocation-heavy kernels, {frames} {plural}, geomean", limit, values)
    if "depth 5" in results and "depth 300" in results:
        shallow, deep = results["depth 5"], results["depth 300"]
        values = {
            tool.removesuffix("-1"): deep[tool].median / shallow[tool].median
            for tool in ("memscope-1", "tracemalloc-1", "memray")
            if tool in deep and tool in shallow
        }
        figure("1 frame, stack depth 300 against depth 5", 1.1, values)
    if "stopped" in columns:
        # Noise is what two equal measurements differ by: half the quartile distance of either side.
        noise = geometric_mean(
            1 + by["off"].noise / 2 + by["stopped"].noise / 2 for by in results.values()
        )
        figure(
            "tracing off after stop, geomean of all",
            round(max(noise, 1.02), 3),
            {"memscope": mean("stopped", [*results])},
        )
    raw = {
        name: {tool: sample.values for tool, sample in by_tool.items()}
        for name, by_tool in results.items()
    }
    return Report([table], figures, [], {"trace": raw})


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    names = tuple(chosen.tools.split(",")) if chosen.tools else TOOLS
    if "off" not in names:
        names = ("off", *names)
    wanted = tuple(map(_workload, chosen.workloads.split(","))) if chosen.workloads else WORKLOADS
    rounds = chosen.rounds or (2 if options.quick else 7)
    results, skipped = collect(options, wanted, names, rounds, runs=3 if options.quick else 5)
    found = report(results, names)
    found.skipped += skipped
    return found


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--workloads", metavar="A,B", help="only these")
    parser.add_argument("--tools", metavar="A,B", help=f"only these, of {','.join(TOOLS)}")
    parser.add_argument(
        "--rounds", type=int, help="children per tool and workload (default 7; 2 with --quick)"
    )


def _workload(name: str) -> Workload:
    for workload in WORKLOADS:
        if workload.name == name:
            return workload
    raise ValueError(f"no such workload: {name!r}")


if __name__ == "__main__":
    sys.exit(main("Cost of tracing, side by side.", benchmark, arguments))
