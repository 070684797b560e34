"""What it costs to know what every object retains, beside guppy3 and the collector.

python -m benchmarks.bench_dominators [--quick] [--objects 1000000]

The heaps are those of bench_heap, half replaced twice.  Ratios are of neighbours: each round
of a process collects, walks, computes dominators, and so on, so that a slow minute of the
machine falls on all of them.
"""

import argparse
import gc
import importlib
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks._harness import (
    ChildError,
    Figure,
    MissingError,
    Options,
    Report,
    Sample,
    Table,
    main,
    progress,
    run_child,
)
from benchmarks.bench_heap import CACHE, build
from benchmarks.bench_snapshot import Memory

LINKS = 500_000


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def heap(objects: int, repeats: int) -> dict[str, Any]:
    """In a child: seconds of each step, one list each; and the bytes of it all."""
    core: Any = importlib.import_module("memscope._memscope")
    build(objects)
    steps = ("collect", "walk", "dominators", "by type", "by holder", "union")
    found: dict[str, Any] = {step: [] for step in steps}
    memory = Memory()
    for turn in range(repeats + 1):
        taken: dict[str, float] = {}
        taken["collect"], _ = seconds(gc.collect)
        taken["walk"], graph = seconds(core.Graph.take)
        before = memory.rss()
        memory.reset_peak()
        taken["dominators"], tree = seconds(graph.dominators)
        peak = memory.rss_peak() - before
        taken["by type"], _ = seconds(tree.by_type)
        taken["by holder"], _ = seconds(tree.by_holder)
        # Not a list of ints, which would be nodes of the next graph.
        taken["union"], _ = seconds(partial(tree.retained_of, range(0, len(graph), 7)))
        if tree.retained(-1) != sum(size for *_, size in graph.types()):
            raise RuntimeError("retained sizes do not add up")
        if turn:
            for step, value in taken.items():
                found[step].append(value)
            found["nodes"] = len(graph)
            found["graph bytes"] = graph.nbytes
            found["tree bytes"] = tree.nbytes
            found["peak bytes"] = max(peak, found.get("peak bytes", 0))
        del graph, tree
    return found


def join(objects: int, repeats: int) -> dict[str, Any]:
    """In a child: seconds of a collection, and of joining a graph and a snapshot, traced."""
    core: Any = importlib.import_module("memscope._memscope")
    core.start()
    build(objects)
    found: dict[str, Any] = {"collect": [], "join": [], "both": [], "walk": []}
    for turn in range(repeats + 1):
        collect, _ = seconds(gc.collect)
        walk, graph = seconds(partial(core.Graph.take, keep=True))
        columns = core.take_snapshot()
        one, joined = seconds(partial(core.Join, graph, columns))
        rows = len(columns)
        del graph, columns, joined
        both, _ = seconds(core.Join.take)
        if turn:
            for step, value in (("collect", collect), ("walk", walk), ("join", one)):
                found[step].append(value)
            found["both"].append(both)
            found["rows"] = rows
    core.stop()
    return found


def guppy(objects: int, repeats: int) -> dict[str, Any]:
    """In a child: seconds of a collection, and of guppy3's retained size of one set."""
    hpy: Any = importlib.import_module("guppy").hpy()
    build(objects)
    hpy.heap()
    found: dict[str, Any] = {"collect": [], "domisize": []}
    for _ in range(repeats):
        found["collect"].append(seconds(gc.collect)[0])
        found["domisize"].append(seconds(lambda: hpy.iso(CACHE).domisize)[0])
    return found


class Link:
    """Of a doubly linked list."""

    __slots__ = ("after", "before", "value")


def linked_list(repeats: int) -> list[float]:
    """In a child: seconds of the dominators of a process with a list of LINKS."""
    core: Any = importlib.import_module("memscope._memscope")
    head = last = Link()
    for number in range(LINKS - 1):
        link = Link()
        link.value, link.before = number, last  # type: ignore[attr-defined]
        last.after = link  # type: ignore[attr-defined]
        last = link
    del last, link
    graph = core.Graph.take()
    [node] = graph.find([head])
    found = []
    for _ in range(repeats):
        took, tree = seconds(graph.dominators)
        if tree.retained_count(node) < LINKS:
            raise RuntimeError("the head does not keep the list")
        found.append(took)
    return found


# Reports


def _milliseconds(values: list[float]) -> str:
    sample = Sample(tuple(values))
    first, third = sample.quartiles
    return f"{sample.median * 1e3:,.0f} ({first * 1e3:,.0f}-{third * 1e3:,.0f})"


def _ratios(values: list[float], base: list[float]) -> Sample:
    return Sample(tuple(one / other for one, other in zip(values, base, strict=True)))


def _spread(sample: Sample) -> str:
    first, third = sample.quartiles
    return f"{sample.median:.2f} ({first:.2f}-{third:.2f})"


def _figure(name: str, value: float, limit: float, unit: str) -> Figure:
    return Figure(name, value, limit, "at most", unit, {})


def _merged(options: Options, target: Callable[..., Any], rounds: int, **arguments: Any) -> Any:
    """The answers of several processes as one."""
    merged: dict[str, Any] = {}
    for _ in range(rounds):
        answer = run_child(options, target, timeout=1800, **arguments)
        for name, value in answer.items():
            if isinstance(value, list):
                merged.setdefault(name, []).extend(value)
            else:
                merged[name] = max(value, merged.get(name, 0))
    return merged


def heap_report(options: Options, objects: int, rounds: int, repeats: int) -> Report:
    """One size of heap."""
    report = Report()
    where = f"{objects:,} tracked objects"
    progress(f"heap of {objects:,}: dominators")
    mine = _merged(options, heap, rounds, objects=objects, repeats=repeats)
    progress(f"heap of {objects:,}: join")
    joined = _merged(options, join, rounds, objects=objects, repeats=repeats)
    report.raw |= {f"dominators {objects}": mine, f"join {objects}": joined}
    collect = mine["collect"]
    whole = [walk + tree for walk, tree in zip(mine["walk"], mine["dominators"], strict=True)]
    table = Table(
        f"CPU milliseconds and ratio to gc.collect() (quartiles), churned heap of {where}",
        ["step", "ms", "ratio to the collection beside it"],
    )
    report.tables.append(table)

    def add(title: str, values: list[float], base: list[float]) -> Sample:
        ratios = _ratios(values, base)
        table.rows.append([title, _milliseconds(values), _spread(ratios)])
        return ratios

    add("gc.collect()", collect, collect)
    add("walk: the whole graph", mine["walk"], collect)
    add("dominators and all retained sizes", mine["dominators"], collect)
    total = add("walk, dominators, all retained sizes", whole, collect)
    add("then: retained by type", mine["by type"], collect)
    add("then: retained by holder", mine["by holder"], collect)
    add("then: retained by a set of every seventh node", mine["union"], collect)
    add("gc.collect(), traced", joined["collect"], joined["collect"])
    join_ratio = add("the join, traced", joined["join"], joined["collect"])
    add("walk, snapshot and join at one moment, traced", joined["both"], joined["collect"])
    peers = {}
    try:
        progress(f"heap of {objects:,}: guppy3")
        peer = _merged(options, guppy, 1, objects=objects, repeats=repeats)
        report.raw[f"guppy3 {objects}"] = peer
        peers["guppy3"] = add(
            "guppy3: domisize of one set, after heap()", peer["domisize"], peer["collect"]
        ).median
    except (MissingError, ChildError) as error:
        report.skipped.append(f"guppy3, {where}: {str(error).splitlines()[-1]}")
    nodes = mine["nodes"]
    peak = (mine["graph bytes"] + mine["peak bytes"]) / nodes
    table.notes += [
        f"{nodes:,} nodes; the graph takes {mine['graph bytes'] / nodes:.1f} bytes for each, the",
        f"tree {mine['tree bytes'] / nodes:.1f}; {joined['rows']:,} traced blocks.",
    ]
    report.figures += [
        Figure(
            f"walk, dominators, all retained sizes, {where}: against gc.collect()",
            total.median,
            1.5,
            "at most",
            "x",
            peers,
        ),
        _figure(f"the same: peak bytes per node, graph included, {where}", peak, 80, "B"),
        _figure(f"the join, {where}: against gc.collect()", join_ratio.median, 0.15, "x"),
    ]
    return report


def list_report(options: Options, repeats: int) -> Report:
    """The long list."""
    report = Report()
    progress(f"doubly linked list of {LINKS:,}")
    values = run_child(options, linked_list, repeats=repeats)
    report.raw["linked list"] = values
    title = f"dominators of a doubly linked list of {LINKS:,}"
    report.figures.append(_figure(title, Sample(tuple(values)).median * 1e3, 100, "ms"))
    report.tables.append(
        Table("A long list", ["question", "CPU ms (quartiles)"], [[title, _milliseconds(values)]])
    )
    return report


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    report = Report()
    rounds, repeats = (1, 3) if options.quick else (3, 5)
    report.extend(heap_report(options, chosen.objects, rounds, repeats))
    if not options.quick:
        report.extend(heap_report(options, 3 * chosen.objects, 1, repeats))
    report.extend(list_report(options, 2 * repeats))
    return report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument(
        "--objects", type=int, default=1_000_000, help="tracked objects (default 1000000)"
    )


if __name__ == "__main__":
    sys.exit(main("What every object retains.", benchmark, arguments, results="Retained sizes"))
