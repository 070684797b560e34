"""What a million live traces cost: bytes each, and the time of every question.

python -m benchmarks.bench_snapshot [--quick] [--blocks 1000000]
"""

import argparse
import ctypes
import gc
import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import tools
from benchmarks._harness import (
    Figure,
    Options,
    Report,
    Sample,
    Table,
    main,
    progress,
    rotated,
    run_child,
)

_PRODUCTS = ("memscope", "tracemalloc")
_LINES = 20
_FANOUT = 10
# Snapshots whose time does not count: a virtual machine gets each page of memory from its host
# at the first touch ever, which takes ten times as long as an ordinary page fault.
_WARM = 3


class Memory:
    """What this process holds, by three independent clocks."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._libc.mallinfo2.restype = _MallInfo

    def rss(self) -> int:
        """Resident bytes now."""
        return _status("VmRSS")

    def reset_peak(self) -> None:
        """Let the resident peak start again from now."""
        Path("/proc/self/clear_refs").write_text("5")

    def rss_peak(self) -> int:
        """Highest number of resident bytes since ``reset_peak``."""
        return _status("VmHWM")

    def malloc(self) -> int:
        """Bytes handed out by libc's malloc, large blocks included."""
        info = self._libc.mallinfo2()
        return int(info.uordblks + info.hblkhd)


class _MallInfo(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    ]


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


# The heap


def _call_paths() -> Callable[[list[object], int, int], None]:
    """A program with 1000 call paths, 20k distinct tracebacks and 2000 allocating lines.

    Its 21 modules are made of generated text under file names of an application
    and a library.  Returns ``fill(kept, start, stop)``, which keeps one
    object in each cell of ``kept[start:stop]``, each from the next of the 20k
    tracebacks; the stack is over 25 frames deep.
    """
    space: dict[str, Any] = {}
    for c in range(_FANOUT):
        lines = []
        for b in range(_FANOUT):
            lines.append(f"def model_{b}_{c}(kept, at):")
            lines += [f"    kept[at + {i}] = object()" for i in range(_LINES)]
        _define(f"/srv/lib/site-packages/orm/model_{c}.py", lines, space)
    for b in range(_FANOUT):
        lines = [f"def service_{b}(kept, at, c):", f"    models_{b}[c](kept, at)"]
        lines.append(f"models_{b} = [{', '.join(f'model_{b}_{c}' for c in range(_FANOUT))}]")
        _define(f"/srv/app/service_{b}.py", lines, space)
    lines = ["def stack(depth, route, kept, at, b, c):"]
    lines.append(
        "    (stack if depth else route)(*((depth - 1, route) if depth else ()), kept, at, b, c)"
    )
    lines.append(f"services = [{', '.join(f'service_{b}' for b in range(_FANOUT))}]")
    for a in range(_FANOUT):
        lines += [f"def route_{a}(kept, at, b, c):", "    services[b](kept, at, c)"]
    lines.append(f"routes = [{', '.join(f'route_{a}' for a in range(_FANOUT))}]")
    _define("/srv/app/routes.py", lines, space)
    stack, routes = space["stack"], space["routes"]

    def fill(kept: list[object], start: int, stop: int) -> None:
        for turn, at in enumerate(range(start, stop, _LINES)):
            a, b, c = turn // 100 % 10, turn // 10 % 10, turn % 10
            stack(25, routes[a], kept, at, b, c)

    return fill


def _define(filename: str, lines: list[str], space: dict[str, Any]) -> None:
    exec(compile("\n".join(lines) + "\n", filename, "exec"), space)


# Children


def bytes_per_trace(tool: str, kind: str, blocks: int) -> dict[str, int]:
    """In a child: what ``blocks`` live blocks add to the process.

    Args:
        tool: A name that ``tools.start`` knows.
        kind: ``objects`` (16 bytes each) or ``strings`` (56 bytes each).
        blocks: How many.

    Returns:
        Growth in bytes by resident memory, by malloc and by the tool's own account.
    """
    kept: list[object] = [None] * blocks
    session = tools.start(tool)
    own = _own_account(tool)
    memory = Memory()
    gc.collect()
    before = memory.rss(), memory.malloc(), own()
    if kind == "objects":
        for i in range(blocks):
            kept[i] = object()
    else:
        for i in range(1_000_000, 1_000_000 + blocks):
            kept[i - 1_000_000] = str(i)
    after = memory.rss(), memory.malloc(), own()
    session.stop()
    rss, malloc, report = (b - a for a, b in zip(before, after, strict=True))
    return {"rss": rss, "malloc": malloc, "own": report}


def _own_account(tool: str) -> Callable[[], int]:
    product = tool.partition("-")[0]
    if product not in _PRODUCTS:
        return lambda: 0
    return importlib.import_module(product).get_tracemalloc_memory  # type: ignore[no-any-return]


def questions(product: str, frames: int, blocks: int, repeats: int) -> dict[str, list[float]]:
    """In a child: CPU seconds of each question to ``blocks`` traces, and bytes a snapshot takes.

    Snapshots are timed one after another, each dropped before the next.  Tracing is
    off while the questions are asked, so that what is timed is the question and not
    the tracing of its answer.  Each repeat asks snapshots of its own, so that nothing
    an earlier question has computed can answer it.
    """
    tracer: Any = importlib.import_module(product)
    fill = _call_paths()
    extra = blocks // 10
    kept: list[object] = [None] * (blocks + extra)
    memory = Memory()
    # Two patterns that have to look at every trace: the application, without the
    # importlib frames that tracemalloc's own documentation filters out.
    filters = [tracer.Filter(True, "/srv/*"), tracer.Filter(False, "<frozen importlib._bootstrap>")]
    found: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[..., Any], *args: Any) -> Any:
        gc.collect()
        start = time.process_time()
        result = call(*args)
        found.setdefault(name, []).append(time.process_time() - start)
        return result

    tracer.start(frames)
    fill(kept, 0, blocks)
    gc.collect()
    memory.reset_peak()
    before = memory.rss()
    for _ in range(_WARM + repeats):
        snapshot = timed("take_snapshot", tracer.take_snapshot)
        found.setdefault("held", []).append(memory.rss() - before)
        held = len(snapshot.traces)
        _expect(held >= blocks, f"{product} kept {held} of {blocks} traces")
        del snapshot
    del found["take_snapshot"][:_WARM]
    found["peak"] = [memory.rss_peak() - before]
    found["left"] = [memory.rss() - before]
    bases = [tracer.take_snapshot() for _ in range(repeats)]
    fill(kept, blocks, blocks + extra)
    grown = [tracer.take_snapshot() for _ in range(repeats)]
    tracer.stop()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "snapshot")
        for base, new in zip(bases, grown, strict=True):
            rows = len(base.traces)
            result = timed("statistics('lineno')", base.statistics, "lineno")
            _expect(sum(s.count for s in result) == rows, "statistics lost traces")
            result = timed("statistics('traceback')", base.statistics, "traceback")
            _expect(sum(s.count for s in result) == rows, "statistics lost traces")
            result = timed("filter_traces", base.filter_traces, filters)
            _expect(blocks <= len(result.traces) <= rows, "filter_traces lost traces")
            result = timed("compare_to('lineno')", new.compare_to, base, "lineno")
            difference = len(new.traces) - rows
            _expect(
                sum(s.count_diff for s in result) == difference >= extra // 2,
                "compare_to lost traces",
            )
            timed("save", new.save if product == "memscope" else new.dump, path)
            result = timed("load", tracer.Snapshot.load, path)
            _expect(len(result.traces) == len(new.traces), "load lost traces")
            found.setdefault("file", []).append(Path(path).stat().st_size)
            del result
    return found


def _expect(truth: bool, what: str) -> None:
    if not truth:
        raise RuntimeError(what)


# Reports


def memory_report(options: Options, blocks: int, rounds: int) -> Report:
    """Bytes per live trace: what the process grew by, less what it grows by untraced."""
    table = Table(
        f"Bytes per live trace, {blocks:,} small blocks",
        [
            "tool",
            "16-byte objects: resident",
            "malloc",
            "own account",
            "56-byte strings: resident",
            "own account",
        ],
        notes=[
            "Resident and malloc are growth of the whole process, less the growth of an untraced",
            "one.  Memory mapped directly is not in the malloc column; the own account is what",
            "get_tracemalloc_memory() says.",
        ],
    )
    raw: dict[str, Any] = {}
    names = ("off", "memscope-1", "tracemalloc-1")
    for turn in range(rounds):
        for kind in ("objects", "strings"):
            for tool in rotated(names, turn):
                progress(f"bytes per trace: {kind}, {tool}")
                result = run_child(options, bytes_per_trace, tool=tool, kind=kind, blocks=blocks)
                by_clock = raw.setdefault(kind, {}).setdefault(tool, {})
                for clock, value in result.items():
                    by_clock.setdefault(clock, []).append(value)

    def each(kind: str, tool: str, clock: str) -> float:
        value = Sample(tuple(raw[kind][tool][clock])).median
        base = Sample(tuple(raw[kind]["off"][clock])).median
        return (value - base) / blocks

    for tool in names[1:]:
        table.rows.append(
            [
                tool.partition("-")[0],
                f"{each('objects', tool, 'rss'):.1f}",
                f"{each('objects', tool, 'malloc'):.1f}",
                f"{each('objects', tool, 'own'):.1f}",
                f"{each('strings', tool, 'rss'):.1f}",
                f"{each('strings', tool, 'own'):.1f}",
            ]
        )
    figure = Figure(
        "bytes per live trace at 1M small blocks (resident)",
        each("objects", "memscope-1", "rss"),
        16,
        "at most",
        "B",
        {"tracemalloc": each("objects", "tracemalloc-1", "rss")},
    )
    return Report([table], [figure], [], {"memory": raw})


_ASKED = (
    "take_snapshot",
    "statistics('lineno')",
    "statistics('traceback')",
    "compare_to('lineno')",
    "filter_traces",
    "save",
    "load",
)
_WEIGHED = {
    "held": "resident memory while a snapshot lives",
    "peak": "at the peak of taking it",
    "left": "after the last was dropped",
    "file": "saved file",
}

Found = dict[str, Sample]
"""Question -> seconds; or what was weighed -> bytes."""


def question_report(options: Options, blocks: int, rounds: int, repeats: int) -> Report:
    """Time of each question at 1 and 25 frames, for both tools."""
    raw: dict[str, dict[str, list[float]]] = {}
    for turn in range(rounds):
        for frames in (1, 25):
            for product in rotated(_PRODUCTS, turn):
                progress(f"questions: {product}, {frames} frames")
                found = run_child(
                    options,
                    questions,
                    timeout=1200,
                    product=product,
                    frames=frames,
                    blocks=blocks,
                    repeats=repeats,
                )
                into = raw.setdefault(f"{product}-{frames}", {})
                for name, values in found.items():
                    into.setdefault(name, []).extend(values)
    report = Report(raw={"questions": raw})
    for frames in (1, 25):
        by_product = [
            {name: Sample(tuple(values)) for name, values in raw[f"{product}-{frames}"].items()}
            for product in _PRODUCTS
        ]
        where = f"at {blocks:,} traces, {frames} frame" + "s" * (frames > 1)
        report.tables.append(_question_table(where, *by_product))
        report.figures += _question_figures(where, *by_product)
    return report


def _question_table(where: str, mine: Found, peer: Found) -> Table:
    table = Table(f"CPU milliseconds (quartiles) {where}", ["question", *_PRODUCTS, "factor"])
    for name in _ASKED:
        cells = [name]
        for sample in (mine[name], peer[name]):
            first, third = sample.quartiles
            cells.append(f"{sample.median * 1e3:.1f} ({first * 1e3:.1f}-{third * 1e3:.1f})")
        table.rows.append([*cells, f"{peer[name].median / mine[name].median:.0f}x"])
    for name, title in _WEIGHED.items():
        weights = (max(mine[name].values), max(peer[name].values))
        table.rows.append([title, *(f"{weight / 1e6:.1f} MB" for weight in weights), ""])
    return table


def _question_figures(where: str, mine: Found, peer: Found) -> list[Figure]:
    name = "take_snapshot"
    figures = [
        Figure(
            f"{name} {where}",
            mine[name].median * 1e3,
            10,
            "at most",
            "ms",
            {"tracemalloc": peer[name].median * 1e3},
        ),
        Figure(
            f"{name} {where}: extra memory",
            max(mine["peak"].values) / 1e6,
            20,
            "at most",
            "MB",
            {"tracemalloc": max(peer["peak"].values) / 1e6},
        ),
    ]
    for name in ("statistics('lineno')", "compare_to('lineno')", "filter_traces"):
        factor = peer[name].median / mine[name].median
        title = f"{name} {where}: times faster"
        figures.append(Figure(title, factor, 20, "at least", "x", {"tracemalloc": 1.0}))
    return figures


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    blocks = chosen.blocks
    report = memory_report(options, blocks, rounds=1 if options.quick else 3)
    report.extend(
        question_report(
            options, blocks, rounds=1 if options.quick else 3, repeats=2 if options.quick else 3
        )
    )
    return report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument(
        "--blocks", type=int, default=1_000_000, help="live blocks (default 1000000)"
    )


if __name__ == "__main__":
    sys.exit(main("Memory and questions at a million live traces.", benchmark, arguments))
