"""What it costs to ask who holds what: the whole heap in memscope, objgraph and guppy3.

python -m benchmarks.bench_heap [--quick] [--objects 1000000] [--only typestats,graph]

A heap is half replaced twice, as that of a server that has run for a while: the order of the
collector's list and that of the addresses no longer agree, which costs every tool four to
six times what a new heap costs.
"""

import argparse
import contextlib
import dataclasses
import gc
import importlib
import io
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
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
    rotated,
    run_child,
)
from benchmarks.bench_snapshot import Memory

HOLDERS = 300
"""Sessions that hold one and the same configuration."""

CACHE: dict[int, object] = {}


class User:
    """What a request is about."""

    def __init__(self, number: int) -> None:
        self.name = f"user {number}"
        self.number = number


class Request:
    """Five objects that the collector tracks: itself and four that it refers to."""

    def __init__(self, number: int) -> None:
        self.user = User(number)
        self.tags: list[object] = [number, self.user]
        self.headers: dict[str, object] = {"id": str(number), "user": self.user}
        self.route = (self.tags, number)


class Session:
    """Reaches the configuration through a list of its own."""

    def __init__(self, config: object) -> None:
        self.settings = [config]


class Config:
    """What all sessions share."""


def build(objects: int) -> Config:
    """Fill the cache with so many tracked objects; the object that HOLDERS sessions hold."""
    count = objects // 5
    order = random.Random(7)
    for number in range(count):
        CACHE[number] = Request(number)
    for turn in (1, 2):
        for number in order.sample(range(count), count // 2):
            CACHE[number] = Request(number + turn * count)
    config = Config()
    for number in order.sample(range(count), HOLDERS):
        request: Any = CACHE[number]
        request.headers["session"] = Session(config)
    gc.collect()
    return config


# The questions


def _never(obj: object) -> bool:
    return False


def _graph(product: str) -> Callable[[], Any]:
    if product == "guppy3":
        return importlib.import_module("guppy").hpy().heap  # type: ignore[no-any-return]
    graph: Any = importlib.import_module("memscope._memscope").Graph
    return graph.take  # type: ignore[no-any-return]


def _question(name: str, product: str, config: Config, folder: str) -> Callable[[], Any]:
    """The call to be timed."""
    match name:
        case "gc.collect":
            return gc.collect
        case "gc.get_objects":
            return gc.get_objects
        case "graph":
            return _graph(product)
    module = "memscope.objgraph" if product == "memscope" else product
    peer: Any = importlib.import_module(module)
    out = io.StringIO()
    stats: dict[str, int] = {}
    path = str(Path(folder) / "picture.dot")
    questions: dict[str, Callable[[], Any]] = {
        "typestats": peer.typestats,
        "show_growth": lambda: peer.show_growth(peak_stats=stats, file=out),
        "by_type": lambda: peer.by_type("Request"),
        "get_leaking_objects": peer.get_leaking_objects,
        "get_new_ids": lambda: peer.get_new_ids(file=out),
        "find_backref_chain": lambda: peer.find_backref_chain(config, peer.is_proper_module),
        "show_backrefs": lambda: peer.show_backrefs([config], max_depth=5, filename=path),
        "find_ref_chain": lambda: peer.find_ref_chain(CACHE, _never),
    }
    return questions[name]


def _collect_nothing(*_: object) -> int:
    return 0


def ask(
    name: str, product: str, objects: int, warm: int, repeats: int, collect: bool
) -> dict[str, Any]:
    """In a child: CPU seconds of one question to a churned heap, and what it adds to the process.

    Args:
        name: One of QUESTIONS.
        product: Who is asked.
        objects: Tracked objects in the heap.
        warm: Calls before that do not count.
        repeats: Calls that do.
        collect: Whether the collection counts that most of objgraph's functions begin with;
            without, gc.collect() does nothing while the question is asked.

    Returns:
        ``seconds`` of each call; ``peak`` and ``kept``, bytes by which resident memory was and
        stayed higher; of a graph, its ``nodes`` and ``bytes``.
    """
    config = build(objects)
    memory = Memory()
    found: dict[str, Any] = {"seconds": []}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        question = _question(name, product, config, folder)
        if not collect:
            gc.collect = _collect_nothing  # type: ignore[assignment]
        memory.reset_peak()
        before = memory.rss()
        for turn in range(warm + repeats):
            start = time.process_time()
            result = question()
            seconds = time.process_time() - start
            if turn >= warm:
                found["seconds"].append(seconds)
            if name == "graph" and product == "memscope":
                found |= {"nodes": len(result), "bytes": result.nbytes}
            elif name == "find_backref_chain" and len(result) < 4:
                raise RuntimeError(f"{product} found no chain: {result!r}")
            del result
        found["peak"] = memory.rss_peak() - before
        found["kept"] = memory.rss() - before
    return found


# Reports


@dataclasses.dataclass(frozen=True)
class Question:
    """One row.

    Attributes:
        title: What the table calls it.
        products: Who can be asked, memscope first.
        factor: How much faster than the second memscope must be.
        collects: It begins with a collection, which hides the rest: asked without it as well.
        heavy: objgraph takes minutes at a million objects.
    """

    title: str
    products: tuple[str, ...]
    factor: float | None = None
    collects: bool = False
    heavy: bool = False


_BOTH = ("memscope", "objgraph")
QUESTIONS = {
    "gc.collect": Question("gc.collect()", ("python",)),
    "gc.get_objects": Question("gc.get_objects()", ("python",)),
    "graph": Question("the whole graph", ("memscope", "guppy3")),
    "typestats": Question("typestats", _BOTH, 10),
    "show_growth": Question("show_growth", _BOTH, 10, collects=True),
    "by_type": Question("by_type", _BOTH, 10),
    "get_leaking_objects": Question("get_leaking_objects", _BOTH, 10, collects=True),
    "get_new_ids": Question("get_new_ids", _BOTH, 10, collects=True),
    "find_backref_chain": Question(
        f"find_backref_chain, {HOLDERS} holders", _BOTH, 150, collects=True, heavy=True
    ),
    "show_backrefs": Question(
        f"show_backrefs to .dot, depth 5, {HOLDERS} holders", _BOTH, 10, collects=True
    ),
    "find_ref_chain": Question(
        "find_ref_chain, nothing found", _BOTH, 100, collects=True, heavy=True
    ),
}

Answers = dict[str, dict[str, Any]]
"""product -> what ``ask`` returned, of all processes together."""


def _ask_all(
    options: Options,
    name: str,
    objects: int,
    rounds: int,
    report: Report,
    *,
    collect: bool = True,
    products: tuple[str, ...] = (),
) -> Answers:
    """The same question to each product, in turn; who is not installed is left out."""
    question = QUESTIONS[name]
    answers: Answers = {}
    missing: set[str] = set()
    slow = question.heavy and objects > 200_000
    for turn in range(1 if slow else rounds):
        for product in rotated(products or question.products, turn):
            if product in missing:
                continue
            progress(f"heap of {objects:,}: {name}, {product}")
            peer_is_slow = slow and product != "memscope"
            try:
                answer = run_child(
                    options,
                    ask,
                    timeout=1800,
                    name=name,
                    product=product,
                    objects=objects,
                    warm=0 if peer_is_slow else 1,
                    repeats=1 if peer_is_slow else 3,
                    collect=collect,
                )
            except MissingError as error:
                missing.add(product)
                report.skipped.append(f"{name}: {error}")
                continue
            except ChildError as error:
                if product == "memscope":
                    raise
                # What kills a peer is a finding about the peer.
                missing.add(product)
                report.skipped.append(f"{name}, {product}: {str(error).splitlines()[-1]}")
                continue
            kept = answers.setdefault(product, {**answer, "seconds": []})
            kept["seconds"] += answer["seconds"]
            kept["peak"] = max(kept["peak"], answer["peak"])
    report.raw[f"{name} {objects}{'' if collect else ' without collection'}"] = answers
    return answers


def _seconds(answers: Answers, product: str) -> Sample | None:
    return Sample(tuple(answers[product]["seconds"])) if product in answers else None


def _milliseconds(sample: Sample | None) -> str:
    if sample is None:
        return ""
    first, third = sample.quartiles
    return f"{sample.median * 1e3:,.1f} ({first * 1e3:,.1f}-{third * 1e3:,.1f})"


def _megabytes(answers: Answers, product: str) -> str:
    return f"{answers[product]['peak'] / 1e6:,.0f}" if product in answers else ""


def _row(title: str, answers: Answers, products: tuple[str, ...]) -> list[str]:
    mine, peer = (_seconds(answers, product) for product in products)
    times = f"{peer.median / mine.median:,.1f}x" if mine and peer else ""
    return [
        title,
        *(_milliseconds(sample) for sample in (mine, peer)),
        times,
        *(_megabytes(answers, product) for product in products),
    ]


def question_report(options: Options, objects: int, rounds: int, only: set[str]) -> Report:
    """Every question at one size."""
    report = Report()
    where = f"{objects:,} tracked objects"
    table = Table(
        f"CPU milliseconds (quartiles), churned heap of {where}",
        ["question", "memscope", "peer", "factor", "memscope: peak MB", "peer: peak MB"],
        notes=[
            "The peer is guppy3's heap() for the graph, objgraph for the rest.  Peak is how much",
            "higher resident memory rose while it was asked.",
        ],
    )
    report.tables.append(table)
    yard = {}
    for name in ("gc.collect", "gc.get_objects"):
        answers = _ask_all(options, name, objects, rounds, report)
        sample = yard[name] = Sample(tuple(answers["python"]["seconds"]))
        table.rows.append(
            [name + "()", "", _milliseconds(sample), "", "", _megabytes(answers, "python")]
        )
    for name, question in QUESTIONS.items():
        if name in yard or (only and name not in only):
            continue
        answers = _ask_all(options, name, objects, rounds, report)
        table.rows.append(_row(question.title, answers, question.products))
        title = question.title
        if question.collects:
            title += ", less the collection"
            answers = _ask_all(options, name, objects, rounds, report, collect=False)
            table.rows.append(_row(title, answers, question.products))
        mine, peer = (_seconds(answers, product) for product in question.products)
        if name == "graph" and mine is not None:
            table.notes += _graph_figures(options, report, where, answers, yard["gc.collect"])
        elif question.heavy and options.quick:
            continue  # the target is for the whole heap
        elif mine is not None and peer is not None and question.factor is not None:
            report.figures.append(
                Figure(
                    f"{title}, {where}: times faster",
                    peer.median / mine.median,
                    question.factor,
                    "at least",
                    "x",
                    {"objgraph": 1.0},
                )
            )
    return report


def _graph_figures(
    options: Options, report: Report, where: str, answers: Answers, collect: Sample
) -> list[str]:
    version = run_child(options, python_version)
    guppy = _seconds(answers, "guppy3")
    peers = {"guppy3": guppy.median / collect.median} if guppy is not None else {}
    mine = answers["memscope"]
    report.figures += [
        Figure(
            f"whole graph, both directions, {where}: against gc.collect()",
            Sample(tuple(mine["seconds"])).median / collect.median,
            1.0 if version >= [3, 14] else 1.5,
            "at most",
            "x",
            peers,
        ),
        Figure(
            f"whole graph, {where}: bytes per node",
            mine["bytes"] / mine["nodes"],
            48,
            "at most",
            "B",
            {},
        ),
    ]
    return [f"The graph has {mine['nodes']:,} nodes and takes {mine['bytes'] / 1e6:,.0f} MB."]


def python_version() -> list[int]:
    """In a child: which interpreter it is."""
    return list(sys.version_info[:2])


def pause_report(options: Options, sizes: list[int], rounds: int) -> Report:
    """How long the program stands still while a graph is taken, by the size of the heap."""
    report = Report()
    table = Table(
        "Pause for a graph, by size of the heap",
        ["tracked objects", "gc.collect() ms", "graph ms", "ratio", "ns per node", "peak MB"],
    )
    report.tables.append(table)
    for objects in sizes:
        if objects * 400 > _available():
            report.skipped.append(f"pause at {objects:,} objects: not enough memory free")
            continue
        collect = _ask_all(options, "gc.collect", objects, rounds, report)["python"]
        graph = _ask_all(options, "graph", objects, rounds, report, products=("memscope",))[
            "memscope"
        ]
        base, mine = (Sample(tuple(each["seconds"])).median for each in (collect, graph))
        table.rows.append(
            [
                f"{objects:,}",
                f"{base * 1e3:,.0f}",
                f"{mine * 1e3:,.0f}",
                f"{mine / base:.2f}",
                f"{mine / graph['nodes'] * 1e9:.0f}",
                f"{graph['peak'] / 1e6:,.0f}",
            ]
        )
    return report


def _available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    only = {name for name in chosen.only.split(",") if name}
    unknown = only - set(QUESTIONS)
    if unknown:
        raise ChildError(f"no such question: {', '.join(sorted(unknown))}")
    rounds = 1 if options.quick else 3
    light = {name for name, question in QUESTIONS.items() if not question.heavy}
    heavy = set(QUESTIONS) - light
    report = Report()
    if options.quick:
        # Minutes of objgraph become seconds in a tenth of the heap; the ratio is then smaller.
        for objects, names in ((chosen.objects, light), (chosen.objects // 10, heavy)):
            wanted = names & only if only else names
            if wanted:
                report.extend(question_report(options, objects, rounds, wanted))
        return report
    report.extend(question_report(options, chosen.objects, rounds, only))
    if not only:
        report.extend(question_report(options, 3 * chosen.objects, 1, light))
        sizes = [chosen.objects * times for times in (1, 3, 10)]
        report.extend(pause_report(options, sizes, rounds=1))
    return report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument(
        "--objects", type=int, default=1_000_000, help="tracked objects (default 1000000)"
    )
    parser.add_argument(
        "--only", default="", metavar="NAMES", help=f"some of {', '.join(QUESTIONS)}"
    )


if __name__ == "__main__":
    sys.exit(main("Who holds what, in a heap of a million.", benchmark, arguments, results="Heap"))
