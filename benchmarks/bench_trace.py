"""What tracing costs: CPU time of each workload under each tool, against untraced.

python -m benchmarks.bench_trace [--quick] [--workloads keep,json] [--tools memscope-1,memray]
"""

import argparse
import gc
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import tools
from benchmarks._harness import (
    ChildError,
    Figure,
    MissingError,
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

_TITLES = {
    "off": "untraced",
    "stopped": "stopped",
    "memscope-1": "memscope 1 frame",
    "memscope-25": "memscope 25 frames",
    "dropin-1": "memscope.tracemalloc 1 frame",
    "tracemalloc-1": "tracemalloc 1 frame",
    "tracemalloc-25": "tracemalloc 25 frames",
    "memray": "memray",
}
TOOLS = tuple(_TITLES)
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
    options: Options, workloads: Sequence[Workload], names: Sequence[str], rounds: int
) -> tuple[Results, list[str]]:
    """Measure every workload under every tool; also return what had to be skipped."""
    times: dict[str, dict[str, list[float]]] = {workload.name: {} for workload in workloads}
    skipped: dict[tuple[str, str], str] = {}
    for turn in range(rounds):
        for workload in workloads:
            for tool in rotated(names, turn):
                if (tool, workload.name) in skipped or (tool in _SLOW and turn % 3):
                    continue
                progress(f"round {turn + 1}/{rounds}: {workload.name}, {tool}")
                try:
                    result = run_child(
                        options,
                        measure,
                        pinned=workload.pinned,
                        tool=tool,
                        workload=workload.name,
                        runs=3 if options.quick else 5,
                        enough=0.15 if options.quick else 0.3,
                        budget=1.0 if options.quick else 2.0,
                    )
                except MissingError as error:
                    skipped[tool, workload.name] = f"{workload.name} under {tool}: {error}"
                    continue
                if result["peak"] == 0:
                    raise ChildError(f"{tool} saw no allocation of {workload.name}")
                times[workload.name].setdefault(tool, []).extend(result["times"])
    results = {
        name: {tool: Sample(tuple(values)) for tool, values in by_tool.items()}
        for name, by_tool in times.items()
        if by_tool
    }
    return results, list(skipped.values())


def _geomean(results: Results, tool: str, workloads: Sequence[str]) -> float:
    """Geometric mean of the ratios to untraced."""
    return geometric_mean(
        results[name][tool].median / results[name]["off"].median
        for name in workloads
        if tool in results[name]
    )


def _kernels(results: Results) -> list[str]:
    return [workload.name for workload in WORKLOADS if workload.kernel and workload.name in results]


def _table(results: Results, tools_shown: Sequence[str]) -> Table:
    table = Table(
        "Cost of tracing: CPU time, ratio to untraced (quartiles)",
        ["workload", "untraced ms", "noise", *(_TITLES[tool] for tool in tools_shown)],
        notes=[f"* {w.name}: {w.about}" for w in WORKLOADS if w.name in results],
    )
    for name, by_tool in results.items():
        base = by_tool["off"]
        cells = [ratio(by_tool[tool], base) if tool in by_tool else "" for tool in tools_shown]
        table.rows.append([name, f"{base.median * 1e3:.1f}", f"{base.noise:.1%}", *cells])
    for title, chosen in (
        ("geomean of the kernels", _kernels(results)),
        ("geomean of all", list(results)),
    ):
        means = [f"{_geomean(results, tool, chosen):.2f}" for tool in tools_shown]
        table.rows.append([title, "", "", *means])
    return table


def _figures(results: Results, tools_shown: Sequence[str]) -> list[Figure]:
    """The targets that these results can speak about."""
    kernels = _kernels(results)
    found: list[tuple[str, float, dict[str, float]]] = []
    if kernels:
        for frames, limit in ((1, 1.35), (25, 2.5)):
            values = {
                product: _geomean(results, tool, kernels)
                for product, tool in (
                    ("memscope", f"memscope-{frames}"),
                    ("tracemalloc", f"tracemalloc-{frames}"),
                    ("memray", "memray"),
                )
                if tool in tools_shown
            }
            title = f"allocation-heavy kernels, {frames} frame" + "s" * (frames > 1)
            found.append((f"{title}, geomean", limit, values))
    if "depth 5" in results and "depth 300" in results:
        shallow, deep = results["depth 5"], results["depth 300"]
        values = {
            tool.removesuffix("-1"): deep[tool].median / shallow[tool].median
            for tool in ("memscope-1", "tracemalloc-1", "memray")
            if tool in deep and tool in shallow
        }
        found.append(("1 frame, stack depth 300 against depth 5", 1.1, values))
    if "stopped" in tools_shown:
        # Noise: what two equal samples may differ by, half the quartile distance of each.
        noise = geometric_mean(
            1 + (by["off"].noise + by["stopped"].noise) / 2 for by in results.values()
        )
        values = {"memscope": _geomean(results, "stopped", list(results))}
        found.append(("tracing off after stop, geomean of all", max(noise, 1.02), values))
    return [
        Figure(name, values.pop("memscope"), limit, "at most", "x", values)
        for name, limit, values in found
        if "memscope" in values
    ]


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    names = tuple(chosen.tools.split(",")) if chosen.tools else TOOLS
    names = ("off", *(tool for tool in names if tool != "off"))
    wanted = tuple(map(_workload, chosen.workloads.split(","))) if chosen.workloads else WORKLOADS
    rounds = chosen.rounds or (2 if options.quick else 5)
    results, skipped = collect(options, wanted, names, rounds)
    shown = [tool for tool in names[1:] if any(tool in by_tool for by_tool in results.values())]
    raw = {
        name: {tool: sample.values for tool, sample in by_tool.items()}
        for name, by_tool in results.items()
    }
    return Report([_table(results, shown)], _figures(results, shown), skipped, {"trace": raw})


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--workloads", metavar="A,B", help="only these")
    parser.add_argument("--tools", metavar="A,B", help=f"only these, of {','.join(TOOLS)}")
    parser.add_argument(
        "--rounds", type=int, help="children per tool and workload (default 5; 2 with --quick)"
    )


def _workload(name: str) -> Workload:
    for workload in WORKLOADS:
        if workload.name == name:
            return workload
    raise ValueError(f"no such workload: {name!r}")


if __name__ == "__main__":
    sys.exit(main("Cost of tracing, side by side.", benchmark, arguments))
