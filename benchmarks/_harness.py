"""Child processes, statistics and tables shared by the benchmarks.

Every measurement is a fresh child process: hooks are process-wide, and a heap
that another measurement has used is not the same heap.  Children of different
tools alternate, so that a slow minute of the machine falls on all of them, and
each runs on one core unless it asks otherwise.

Times are process CPU time.  A figure is a median; its spread is the quartiles.
"""

import argparse
import contextlib
import dataclasses
import importlib
import json
import math
import os
import platform
import shlex
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent
_MARK = "@result "
# Of two packages called `benchmarks` the child takes this one, but an installed memscope
# comes before the source tree's, which may not be built.
_BOOT = """\
import sys
sys.path.insert(0, {root!r})
from benchmarks._harness import child_main
sys.path.append(sys.path.pop(0))
child_main()
"""


class ChildError(Exception):
    """A measurement failed; the text says which and why."""


class MissingError(ChildError):
    """A measurement needs something optional that this interpreter has not got."""


_PRODUCTS = ("memscope", "memray", "flask", "pyperformance", "objgraph", "guppy3", "dozer")
_OPTIONAL = ("dozer", "flask", "guppy", "memray", "memscope.objgraph", "objgraph", "pyperformance")


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        python: The interpreter under test, as the start of a command line.
        quick: Fewer repeats: minutes become seconds, spreads become wide.
        pin: Run children on one core.
    """

    python: tuple[str, ...] = (sys.executable,)
    quick: bool = False
    pin: bool = True


@dataclasses.dataclass(frozen=True)
class Sample:
    """Repeats of one measurement, in seconds or bytes."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """First and third quartile."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        first, _, third = statistics.quantiles(self.values, n=4, method="inclusive")
        return first, third

    @property
    def noise(self) -> float:
        """Distance between the quartiles as a share of the median."""
        first, third = self.quartiles
        return (third - first) / self.median


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the summary: a measured value, its target, and its peers.

    Attributes:
        name: What was measured.
        value: memscope's value.
        limit: The target.
        sense: Whether the value must stay below or reach the limit.
        unit: Text after the value: ``x``, ``B``, ``ms`` ...
        peers: Tool name -> the same figure for that tool.
    """

    name: str
    value: float
    limit: float
    sense: Literal["at most", "at least"]
    unit: str
    peers: dict[str, float]

    @property
    def reached(self) -> bool:
        return self.value <= self.limit if self.sense == "at most" else self.value >= self.limit


@dataclasses.dataclass
class Table:
    """A titled table of text cells; the first column is left-aligned."""

    title: str
    header: list[str]
    rows: list[list[str]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Report:
    """What one benchmark found."""

    tables: list[Table] = dataclasses.field(default_factory=list)
    figures: list[Figure] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)
    raw: dict[str, Any] = dataclasses.field(default_factory=dict)

    def extend(self, other: "Report") -> None:
        self.tables += other.tables
        self.figures += other.figures
        self.skipped += other.skipped
        self.raw |= other.raw


# Children


def run_child(
    options: Options,
    target: Callable[..., Any],
    *,
    pinned: bool = True,
    timeout: float = 600,
    **arguments: Any,
) -> Any:
    """Call ``target(**arguments)`` in a fresh child and return its result.

    Args:
        options: Says which interpreter.
        target: A module-level function of a benchmark; its result must be JSON.
        pinned: Keep the child on one core.
        timeout: Seconds until the child counts as failed.
        arguments: JSON values.

    Raises:
        MissingError: The child has not got what it needs.
        ChildError: The child failed, was too slow or printed no result.
    """
    command = child_command(options, target, **arguments)
    pinned = pinned and options.pin
    return json.loads(run_command(command, pinned=pinned, timeout=timeout, mark=_MARK))


def child_command(options: Options, target: Callable[..., Any], **arguments: Any) -> list[str]:
    """The command that calls ``target(**arguments)`` and prints its result."""
    # A benchmark run with -m is called __main__ here; a child must import it by its name.
    module = Path(target.__code__.co_filename).stem
    return [
        *options.python,
        "-P",
        "-c",
        _BOOT.format(root=str(ROOT)),
        f"benchmarks.{module}:{target.__name__}",
        json.dumps(arguments),
    ]


def run_command(command: Sequence[str], *, pinned: bool, timeout: float, mark: str = "") -> str:
    """Run a command; return its output, or the rest of its last line that starts with ``mark``.

    Raises:
        MissingError: It has not got what it needs.
        ChildError: It failed, was too slow, or has no such line.
    """
    cores = sorted(os.sched_getaffinity(0))

    def pin() -> None:
        os.sched_setaffinity(0, {cores[-1]})

    # Equal hash seeds: the order of sets and the shape of dicts are part of the workload.
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    # What is installed is compiled: without, each child would compile what it imports.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment,
            preexec_fn=pin if pinned else None,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ChildError(f"no result after {timeout:g} s: {shlex.join(command)}") from error
    if done.returncode:
        for module in _OPTIONAL:
            if f"No module named {module!r}" in done.stderr:
                raise MissingError(f"{module} is not installed for {command[0]}")
        raise ChildError(
            f"exit status {done.returncode}: {shlex.join(command)}\n{done.stderr[-4000:]}"
        )
    if not mark:
        return done.stdout + done.stderr
    for line in reversed(done.stdout.splitlines()):
        if line.startswith(mark):
            return line.removeprefix(mark)
    raise ChildError(
        f"no result printed by {shlex.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    )


def child_main() -> None:
    """Entry point of a child: call the function named by the command line."""
    module, _, name = sys.argv[1].partition(":")
    result = getattr(importlib.import_module(module), name)(**json.loads(sys.argv[2]))
    print(_MARK + json.dumps(result))


def rotated(items: Sequence[str], turn: int) -> list[str]:
    """``items`` starting with another one each turn, so that none is always first."""
    start = turn % len(items)
    return [*items[start:], *items[:start]]


def progress(text: str) -> None:
    """Say on standard error what is being measured."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def progress_line() -> Iterator[None]:
    """Leave a clean line behind the calls of ``progress``."""
    try:
        yield
    finally:
        progress("")


def geometric_mean(values: Iterable[float]) -> float:
    """Geometric mean; NaN of nothing."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


# The machine


def describe(products: Sequence[str]) -> dict[str, Any]:
    """The interpreter and its tools, as seen by a child."""
    tools: Any = importlib.import_module("benchmarks.tools")
    variables = sysconfig.get_config_vars()
    return {
        "python": sys.version,
        "executable": sys.executable,
        "configure": variables.get("CONFIG_ARGS", ""),
        "cflags": variables.get("PY_CFLAGS", ""),
        "libc": " ".join(platform.libc_ver()),
        "products": {product: tools.version(product) for product in products},
    }


def machine(options: Options) -> dict[str, Any]:
    """Hardware, kernel, load, date and the interpreter under test."""
    model = "unknown CPU"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "date": time.strftime("%Y-%m-%d %H:%M %z"),
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load": os.getloadavg(),
        "pinned": options.pin,
        "quick": options.quick,
        **run_child(options, describe, products=_PRODUCTS),
    }


# Text


def ratio(sample: Sample, base: Sample) -> str:
    """``1.24 (1.21-1.29)``: ratio of medians, and the quartiles against the base's median."""
    first, third = sample.quartiles
    return (
        f"{sample.median / base.median:.2f} ({first / base.median:.2f}-{third / base.median:.2f})"
    )


def markdown(table: Table) -> str:
    """The table as aligned GitHub markdown."""
    rows = [table.header, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return (
            f"| {first[0]:<{first[1]}} | "
            + " | ".join(f"{cell:>{width}}" for cell, width in rest)
            + " |"
        )

    rule = "|" + "|".join(
        "-" * (width + 2 if i == 0 else width + 1) + ":" * (i > 0) for i, width in enumerate(widths)
    )
    lines = [f"### {table.title}", "", line(table.header), rule + "|", *map(line, table.rows)]
    if table.notes:
        lines += ["", *table.notes]
    return "\n".join(lines) + "\n"


def summary(figures: Sequence[Figure]) -> Table:
    """All figures against their targets."""
    peers = list(dict.fromkeys(peer for figure in figures for peer in figure.peers))
    table = Table("Summary", ["figure", "must reach", "memscope", "", *peers])
    for figure in figures:
        bound = "<=" if figure.sense == "at most" else ">="
        values = [
            "" if peer not in figure.peers else f"{figure.peers[peer]:.4g} {figure.unit}"
            for peer in peers
        ]
        table.rows.append(
            [
                figure.name,
                f"{bound} {figure.limit:.4g} {figure.unit}",
                f"{figure.value:.4g} {figure.unit}",
                "reached" if figure.reached else "MISSED",
                *values,
            ]
        )
    return table


def describe_text(facts: dict[str, Any]) -> str:
    """The machine, as lines of a markdown list."""
    products = ", ".join(f"{name} {text}" for name, text in facts["products"].items())
    load = " ".join(f"{value:.2f}" for value in facts["load"])
    pinned = "one core per child" if facts["pinned"] else "children not pinned"
    quick = "; QUICK run: few repeats" if facts["quick"] else ""
    lines = [
        f"* {facts['date']}; {facts['cpu']}, {facts['cores']} cores",
        f"* Linux {facts['kernel']}, {facts['libc']}",
        f"* load at the start {load}; {pinned}{quick}",
        f"* Python {facts['python']}",
        f"* configured with `{facts['configure']}`, flags `{facts['cflags']}`",
        f"* {products}",
    ]
    return "\n".join(lines) + "\n"


def render(report: Report, facts: dict[str, Any]) -> str:
    """Everything, as markdown."""
    parts = [describe_text(facts)]
    if report.figures:
        parts.append(markdown(summary(report.figures)))
    parts += map(markdown, report.tables)
    if report.skipped:
        parts.append("Skipped:\n\n" + "".join(f"* {reason}\n" for reason in report.skipped))
    return "\n".join(parts)


def publish(text: str, facts: dict[str, Any], readme: Path, results: str) -> None:
    """Replace the results of this Python version in ``readme``, or add them at its end."""
    version = ".".join(facts["python"].split()[0].split(".")[:2])
    heading = f"## {results}, CPython {version}\n"
    before, found, rest = readme.read_text().partition(heading)
    _, separator, after = rest.partition("\n## ")
    following = separator + after if found else ""
    readme.write_text(f"{before.rstrip()}\n\n{heading}\n{text.rstrip()}\n{following}")


# Command line


def main(
    about: str,
    benchmark: Callable[[Options, argparse.Namespace], Report],
    arguments: Callable[[argparse.ArgumentParser], None] | None = None,
    argv: Sequence[str] | None = None,
    results: str = "Results",
) -> int:
    """Command line shared by all benchmarks: measure, print markdown, perhaps write JSON.

    ``results`` is how README.md's section with the results is called.

    Returns:
        The exit status: 1 if ``--check`` was given and a target is missed.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--python",
        default=shlex.quote(sys.executable),
        metavar="COMMAND",
        help="interpreter under test (default: this one)",
    )
    parser.add_argument("--quick", action="store_true", help="few repeats: a rough answer soon")
    parser.add_argument("--no-pin", action="store_true", help="let children use every core")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write the tables to FILE as well"
    )
    parser.add_argument(
        "--publish", action="store_true", help="put the tables into benchmarks/README.md"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    if arguments is not None:
        arguments(parser)
    chosen = parser.parse_args(argv)
    options = Options(tuple(shlex.split(chosen.python)), chosen.quick, not chosen.no_pin)
    try:
        facts = machine(options)
        with progress_line():
            report = benchmark(options, chosen)
    except ChildError as error:
        print(f"benchmark failed: {error}", file=sys.stderr)
        return 2
    text = render(report, facts)
    print(text)
    if chosen.markdown:
        chosen.markdown.write_text(text)
    if chosen.publish:
        publish(text, facts, ROOT / "benchmarks" / "README.md", results)
    if chosen.json:
        figures = [
            dataclasses.asdict(figure) | {"reached": figure.reached} for figure in report.figures
        ]
        chosen.json.write_text(
            json.dumps({"machine": facts, "figures": figures, **report.raw}, indent=1) + "\n"
        )
    return 1 if chosen.check and not all(figure.reached for figure in report.figures) else 0
