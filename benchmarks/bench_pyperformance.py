"""What tracing costs in programs that were not written to measure it: pyperformance.

A fixed dozen of pyperformance's own scripts, as the installed package has them,
each run as a pyperf worker in a process in which the tool was switched on first.
The dozen needs nothing but the standard library and mixes programs that allocate
all the time (JSON, pickle, regular expressions), as objects do (deltablue, go,
raytrace, richards, logging) and hardly at all (nbody, spectral_norm, pidigits).

python -m benchmarks.bench_pyperformance [--quick] [--only go,richards]
"""

import argparse
import importlib.util
import json
import runpy
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import tools
from benchmarks._harness import (
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

TOOLS = ("off", "memscope-1", "tracemalloc-1", "memray")
DOZEN: dict[str, tuple[str, ...]] = {
    "deltablue": ("deltablue",),
    "go": ("go",),
    "json_dumps": ("json_dumps",),
    "json_loads": ("json_loads",),
    "logging_format": ("logging", "format"),
    "nbody": ("nbody",),
    "pickle_pure_python": ("pickle", "--pure-python", "pickle"),
    "pidigits": ("pidigits",),
    "raytrace": ("raytrace",),
    "regex_compile": ("regex_compile",),
    "richards": ("richards",),
    "spectral_norm": ("spectral_norm",),
}
"""Benchmark -> folder (without ``bm_``) and arguments of its script."""


def script_path(folder: str) -> str:
    """In a child: where the installed pyperformance keeps a benchmark's script.

    Raises:
        ModuleNotFoundError: pyperformance is not installed.
    """
    spec = importlib.util.find_spec("pyperformance")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'pyperformance'")
    return str(
        Path(spec.origin).parent / "data-files" / "benchmarks" / f"bm_{folder}" / "run_benchmark.py"
    )


def worker(tool: str, benchmark: str, loops: int, values: int) -> list[float]:
    """In a child: seconds of a loop of one benchmark under a tool.

    pyperf times by ``time.perf_counter``; as every other figure here is CPU time,
    it is given the process's CPU clock under that name.

    Args:
        tool: A name that ``tools.start`` knows.
        benchmark: A key of ``DOZEN``.
        loops: Loops per value, the same for every tool.
        values: How many values, after one that does not count.
    """
    folder, *arguments = DOZEN[benchmark]
    script = script_path(folder)
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "values.json"
        sys.argv = [script, *arguments, "--worker", "--quiet", "-w", "1"]
        sys.argv += ["-l", str(loops), "-n", str(values), "-o", str(output)]
        sys.path.insert(0, str(Path(script).parent))
        time.perf_counter = time.process_time
        session = tools.start(tool)
        # The pure-Python pickle benchmarks insist on importing it themselves; tracers do too.
        sys.modules.pop("pickle", None)
        runpy.run_path(script, run_name="__main__")
        session.stop()
        result = json.loads(output.read_text())
    return [float(value) for run in result["benchmarks"][0]["runs"] for value in run["values"]]


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    names = tuple(chosen.tools.split(",")) if chosen.tools else TOOLS
    names = ("off", *(tool for tool in names if tool != "off"))
    dozen = chosen.only.split(",") if chosen.only else list(DOZEN)
    rounds, values = (1, 2) if options.quick else (5, 3)
    try:
        run_child(options, script_path, folder="go")
    except MissingError as error:
        return Report(skipped=[f"pyperformance: {error}"])
    skipped: dict[str, str] = {}
    times: dict[str, dict[str, list[float]]] = {}
    loops = {name: _calibrate(options, name, 0.05 if options.quick else 0.1) for name in dozen}
    for turn in range(rounds):
        for name in dozen:
            for tool in rotated(names, turn):
                if tool in skipped:
                    continue
                progress(f"pyperformance {turn + 1}/{rounds}: {name}, {tool}")
                try:
                    found = run_child(
                        options,
                        worker,
                        tool=tool,
                        benchmark=name,
                        loops=loops[name],
                        values=values,
                    )
                except MissingError as error:
                    skipped[tool] = f"pyperformance under {tool}: {error}"
                    continue
                times.setdefault(name, {}).setdefault(tool, []).extend(found)
    report = _report(times, names)
    report.skipped += skipped.values()
    return report


def _calibrate(options: Options, name: str, seconds: float) -> int:
    """Loops that take some ``seconds`` untraced."""
    progress(f"pyperformance: calibrating {name}")
    loops = 1
    while True:
        value: float = min(
            run_child(options, worker, tool="off", benchmark=name, loops=loops, values=2)
        )
        if value * loops >= seconds / 10:
            return max(1, round(seconds / value))
        loops *= 10


def _report(times: dict[str, dict[str, list[float]]], names: tuple[str, ...]) -> Report:
    columns = [tool for tool in names if tool != "off" and any(tool in by for by in times.values())]
    table = Table(
        "pyperformance: CPU time, ratio to untraced (quartiles)",
        ["benchmark", "untraced ms", "noise", *columns],
    )
    samples = {
        name: {tool: Sample(tuple(v)) for tool, v in by.items()} for name, by in times.items()
    }
    for name, by_tool in samples.items():
        base = by_tool["off"]
        cells = [ratio(by_tool[tool], base) for tool in columns]
        table.rows.append([name, f"{base.median * 1e3:.4g}", f"{base.noise:.1%}", *cells])
    means = {
        tool: geometric_mean(by[tool].median / by["off"].median for by in samples.values())
        for tool in columns
    }
    table.rows.append(["geomean", "", "", *(f"{means[tool]:.2f}" for tool in columns)])
    report = Report([table], [], [], {"pyperformance": times})
    if "memscope-1" in means:
        peers = {tool.partition("-")[0]: means[tool] for tool in columns if tool != "memscope-1"}
        report.figures.append(
            Figure(
                "pyperformance, a dozen, 1 frame, geomean",
                means["memscope-1"],
                1.2,
                "at most",
                "x",
                peers,
            )
        )
    return report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--only", metavar="A,B", help=f"only these, of {','.join(DOZEN)}")
    parser.add_argument("--tools", metavar="A,B", help=f"only these, of {','.join(TOOLS)}")


if __name__ == "__main__":
    sys.exit(main("Cost of tracing in pyperformance.", benchmark, arguments))
