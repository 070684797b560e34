"""From the history of a heap to a report: the piles that grow, named, judged and told.

The order of work: which piles grow (``piles``), which of them are no leaks (``noise``),
where the rest were allocated, who holds them, and which way of leaking it is
(``verdicts``).  Objects are looked at only here, once, and let go of with the answer.
"""

from __future__ import annotations

import gc
import sys
import types
from bisect import bisect_right
from collections import deque
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from memscope import naming, noise
from memscope.heap_nodes import GONE, OWN_FOLDER, NodeNames, full_name
from memscope.heap_paths import Path, make_path
from memscope.leak_report import Aged, Grown, Leak, LeakReport, Moment, NotALeak, Site
from memscope.piles import GARBAGE, IN_C, Kindred, Pile, find_piles, grows
from memscope.process import ProcessMemory, explain
from memscope.report import size_text
from memscope.sources import Sources, source_line
from memscope.verdicts import ADVICE, Scene, callable_class, is_a, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memscope._memscope import Graph, History, Join, Survivors

Line = tuple[str, float, "int | None", "Mapping[str, tuple[int, int]]", "Mapping[str, int]", int]
"""Of a moment: label, seconds, RSS, (objects, bytes) by class, strays by class, own bytes."""

__all__ = ["aged", "analyse", "nearest_site"]

MOST_LEAKS = 50
SAMPLES = 12
"""Objects of a pile that are looked at."""

WEAK_CONTAINERS = frozenset(
    ["_weakrefset.WeakSet", "weakref.WeakKeyDictionary", "weakref.WeakValueDictionary"]
)
MAPPINGS = frozenset(["dict", "defaultdict", "OrderedDict", "Counter"])
BUFFERS = frozenset(["bytearray", "BytesIO", "StringIO", "array", "ndarray"])
CONTAINERS = MAPPINGS | {"list", "set", "deque", "frozenset", "tuple"}
EXTENDED = (dict, list, set, deque)
LEAST_OF_ONE = 10
LEAST_OF_PROGRAM = 2
LEAST_BYTES_OF_ONE = 64 * 1024
"""Objects, those of the program's own classes, or bytes, that a single round must leave behind
to be worth a report."""

NAMES_CACHED = 4096
NAME_BYTES = 160
"""The interpreter's cache of attribute lookups holds so many names, of up to 100 characters."""

SYS_MODULES = "module sys -> modules"

MOST_AROUND = 6
"""Containers around a holder that are asked for a bound."""

MOST_ALSO = 8
MOST_TYPES = 20


def analyse(
    history: History,
    join: Join | None,
    lines: Sequence[Line],
    *,
    title: str,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    collects: bool,
    epochs: tuple[int, ...],
    since: bool = False,
) -> LeakReport:
    """The report on *history*, whose moments are *lines*: label, seconds, RSS, classes.

    *epochs*: the epoch that began with each moment.  *since*: the one round was over before
    the history began, so that what is new is known by its epoch alone.
    """
    analysis = Analysis(history, join, lines, before, now, collects, epochs, since)
    leaks, others = analysis.judged()
    first, last = lines[0][3], lines[-1][3]
    grown = [
        Grown(name, count - first.get(name, (0, 0))[0], size - first.get(name, (0, 0))[1])
        for name, (count, size) in last.items()
        if count > first.get(name, (0, 0))[0]
    ]
    grown.sort(key=lambda row: (-row.bytes, row.type_name))
    return LeakReport(
        leaks=tuple(leaks),
        not_leaks=tuple(others),
        moments=tuple(
            Moment(
                label,
                seconds,
                sum(count for count, _ in totals.values()),
                sum(size for _, size in totals.values()),
                rss,
            )
            for label, seconds, rss, totals, *_ in lines
        ),
        types=tuple(grown[:MOST_TYPES]),
        memory=analysis.memory(),
        notes=tuple(analysis.notes()),
        title=title,
        python=sys.version.split()[0],
    )


def aged(
    history: History, join: Join | None, epochs: tuple[int, ...], old: Sequence[bool]
) -> list[Aged]:
    """Objects by class and line, of which ``old[moment of birth]`` is true."""
    types = history.graph.types()
    sources = Sources()
    rows: dict[tuple[int, Site | None], list[int]] = {}
    survivors = history.survivors()
    for pile in range(len(survivors)):
        for row in survivors.groups(pile, join, epochs):
            number, traceback, _, count, size, _, example, born = row
            some = sum(new for moment, new in enumerate(born, 1) if old[moment])
            if some:
                places = join.places(example) if join is not None and traceback else []
                total = rows.setdefault((number, nearest_site(places, sources)), [0, 0])
                total[0] += some
                total[1] += size * some // count
    found = [
        Aged(full_name(*types[number][:2]), count, size, site)
        for (number, site), (count, size) in rows.items()
    ]
    return sorted(found, key=lambda row: (-row.bytes, row.type_name, row.site or ()))


def nearest_site(places: Sequence[tuple[str, int, str]], sources: Sources) -> Site | None:
    """The newest line of the program's own code; else the newest that has a file; else any."""
    if places and places[0][0].startswith(OWN_FOLDER):
        # A block that memscope let go of, and the program got from a free list.
        return None
    written = [place for place in places if not place[0].startswith(("<", OWN_FOLDER))] or places
    if not written:
        return None
    return Site(*next((one for one in written if sources.is_mine(one[0])), written[0]))


class Origin(NamedTuple):
    """Where objects were allocated."""

    site: Site | None
    traceback: tuple[Site, ...] = ()
    """Of the most of those that the site allocated, newest first."""


NOWHERE = Origin(None)


class Found(NamedTuple):
    """A leak, and where it was seen."""

    leak: Leak
    holder: int
    way: tuple[int, ...]
    """From the root to the holder."""
    is_own: bool
    """The root is the program's: its module, or a variable of its."""
    is_namespace: bool = False
    """The holder is the dict of a module or a class, which leads to half the program."""

    alike: int = 1
    """Holders that it stands for."""

    def with_bytes(self, more: int) -> Found:
        total = self.leak.retained_bytes + more
        return self._replace(leak=replace(self.leak, retained_bytes=total))


def _told_once(found: Sequence[Found]) -> list[Found]:
    """Without what lies inside another leak, which is a part of that; threads once.

    What is larger than the other is a story of its own, unless it is many: if each of the
    objects that pile up grows as well, it is they that should not be there.
    """
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (not one.way, len(one.way))):
        for index, outer in enumerate(kept):
            inside = not outer.is_namespace and outer.holder in one.way[:-1]
            threads = one.leak.kind == outer.leak.kind == "thread"
            smaller = outer.leak.retained_bytes >= one.leak.retained_bytes
            if threads or (inside and (smaller or one.alike > 1)):
                kept[index] = outer.with_bytes(one.leak.retained_bytes)
                break
        else:
            kept.append(one)
    return kept


def _accounted(found: Sequence[Found]) -> list[Found]:
    """Without what libraries keep book of about the objects of a leak of the program's own.

    Told by the number of objects in each round: if a registry of a library got as many as
    a list of the program's, or some for each of them, they are the same story.
    """
    # Garbage is in no library's books.
    found = [
        one._replace(is_own=True) if one.leak.kind == "uncollected-cycle" else one for one in found
    ]
    kept = [one for one in found if one.is_own]
    for one in found:
        same = next(
            (
                index
                for index, other in enumerate(kept)
                if not one.is_own and other.is_own and _as_many(one.leak, other.leak)
            ),
            None,
        )
        if one.is_own:
            continue
        if same is None:
            kept.append(one)
        else:
            kept[same] = kept[same].with_bytes(one.leak.retained_bytes)
    return kept


def _as_many(books: Leak, leak: Leak) -> bool:
    if books.per_round:
        return books.per_round == leak.per_round
    return 0 < leak.count <= books.count and books.count % leak.count == 0


def _length(obj: Any, other: int) -> int:
    """Entries of a container, as its base class of the interpreter counts; else *other*."""
    for base in naming.mro_of(type(obj)):
        if base in naming.SIZED:
            return int(base.__len__(obj))
    return other


class Analysis:
    """One report in the making."""

    def __init__(
        self,
        history: History,
        join: Join | None,
        lines: Sequence[Line],
        before: Mapping[str, Any],
        now: Mapping[str, Any],
        collects: bool,
        epochs: tuple[int, ...],
        since: bool,
    ) -> None:
        self.epochs = epochs
        self.since = since
        self.history = history
        self.graph: Graph = history.graph
        self.join = join
        self.totals = [line[3] for line in lines]
        self.strays = [line[4] for line in lines]
        # Without memscope's own tables, which grow in the first rounds.
        self.resident = [None if line[2] is None else line[2] - line[5] for line in lines]
        self.rounds = len(lines) - 1
        self.before, self.now, self.collects = before, now, collects
        self.sources = Sources()
        self.survivors: Survivors = history.survivors()
        self.types = self.graph.types()

    def judged(self) -> tuple[list[Leak], list[NotALeak]]:
        """What leaks, largest first, and what only looks so."""
        found: list[Found] = []
        others: list[NotALeak] = []
        piles, seen = find_piles(self.graph, self.history, self.survivors, self.join, self.epochs)
        for pile in piles[: 4 * MOST_LEAKS]:
            main = pile.main()
            if main is None or not self._adds_up(pile, main):
                continue
            judged = self._judge(pile, main)
            if isinstance(judged, NotALeak):
                others.append(judged)
            else:
                found.append(
                    Found(
                        judged,
                        pile.holder,
                        pile.way,
                        self._is_own(judged),
                        self._is_namespace(pile.way),
                        pile.alike,
                    )
                )
        found += self._growers(seen, others)
        leaks = [one.leak for one in _accounted(_told_once(found))]
        leaks = self._with_strays(leaks)
        leaks.sort(key=lambda leak: (-self._weight(leak), leak.holder, leak.type_name))
        return [*leaks[:MOST_LEAKS], *self._native(leaks)], others

    def _is_own(self, leak: Leak) -> bool:
        """Whether the leak begins in the program: in its module, or a variable of its."""
        root = leak.path.steps[0] if leak.path is not None and leak.path.steps else None
        if root is None or leak.holder == "C code":
            return False
        return root.type_name != "module" or not self._foreign(root.description)

    def _foreign(self, description: str) -> str:
        """The name of a module that is not the program's; "" of one that is, or of no module."""
        if not description.startswith("module "):
            return ""
        name = description.removeprefix("module ")
        if name == "__main__":
            return ""
        module = dict.get(sys.modules, name)
        space = naming.globals_of(module) if type(module) is types.ModuleType else {}
        filename = space.get("__file__")
        own = type(filename) is str and self.sources.is_mine(filename)
        return "" if own else name

    def _is_namespace(self, way: Sequence[int]) -> bool:
        return (
            len(way) > 1
            and self._class_of(way[-1]) == "dict"
            and (self._class_of(way[-2]) in ("module", "type"))
        )

    def _weight(self, leak: Leak) -> float:
        """Bytes; of what a library keeps book of beside the program, a part."""
        return leak.retained_bytes * (1.0 if self._is_own(leak) else 0.25)

    def _adds_up(self, pile: Pile, main: Kindred) -> bool:
        """Whether what is new came on top of the old, not in its place."""
        if pile.root == GARBAGE:
            return True
        if self.rounds < 2:
            # Of one round there is no telling a leak from what is made once.
            least = LEAST_OF_PROGRAM if main.is_program else LEAST_OF_ONE
            if main.count < least and main.below < LEAST_BYTES_OF_ONE:
                return False
        if self.since:
            return True
        if pile.alike == 1 and 2 * main.entries >= main.count and self._is_container(pile.holder):
            return self._has_risen(pile.holder, pile.entries)
        if self.rounds >= 4 and 2 * main.born[-1] > sum(main.born):
            # What is at work now, made anew for each request; some of it lies where that of
            # an earlier one lay, and passes for it.
            return False
        counts = [totals.get(main.name, (0, 0))[0] for totals in self.totals]
        added = [max(after - before, 0) for before, after in pairwise(counts)]
        return grows(added) and 2 * (counts[-1] - counts[0]) >= sum(main.born)

    def _has_risen(self, node: int, entries: int) -> bool:
        """Whether a container has more than ever, by half of its new *entries* at least, and
        had so again and again, up to the end."""
        _, rises, references, _ = self.history.node(node)
        risen, step = self.history.rise(node)
        if 2 * references < entries or references <= 0:
            return False
        if self.rounds < 3:
            return rises == self.rounds
        steady = 2 * step * rises >= references or rises == self.rounds
        # A pause at the end that is longer than those before is the end of it.
        goes_on = self.rounds - risen <= min(risen - rises, 1)
        return 2 * rises >= self.rounds and goes_on and steady

    def _judge(self, pile: Pile, main: Kindred) -> Leak | NotALeak:
        entries = self.survivors.members(pile.index, True, SAMPLES)
        members = self.survivors.members(pile.index, False, 4 * SAMPLES)
        way = self.survivors.way(main.example)
        holder_way = self._telling(list(pile.way))
        if way[: len(pile.way)] == list(pile.way):
            way = [*holder_way, *way[len(pile.way) :]]
        replaced = (
            pile.alike == 1
            and not self.since
            and len(way) > len(holder_way) + 1
            and self._is_container(pile.holder)
            and self.history.node(pile.holder)[2] <= 0
        )
        if replaced:
            # "module app -> items", not the namespace in which the name is.
            holder_way.append(way[len(holder_way)])
        names = NodeNames(self.graph, {*way, *holder_way, *entries, *members})
        way, fixture = self._from_fixture(names, way)
        path = self._path(names, way, fixture) if pile.root != GARBAGE else None
        holder_way, fixture = self._from_fixture(names, holder_way)
        place = self._path(names, holder_way, fixture) if holder_way else None
        holder = self._place(pile, main, place)
        foreign = self._foreign(names.describe(holder_way[0])) if holder_way else ""
        label = self._own_label(names, holder_way, main)
        if not label and (not main.is_program or noise.of_runner([main.full])):
            label = noise.label_of(holder, foreign)
        if self.since and holder == SYS_MODULES:
            label = "modules being imported"
        if label:
            return NotALeak(holder, label, main.count, pile.bytes)
        steps = [self._step(names, node) for node in holder_way]
        origin = self._origin_of_pile(pile, main)
        bound = self._bound(names, holder_way, steps, self._adders(origin.site, steps))
        if bound:
            return NotALeak(holder, f"bounded: {bound}", main.count, pile.bytes)
        if main.full == "builtins.function":
            main = self._called_by(pile, main)
        scene = Scene(
            pile.root,
            steps,
            self._edges(names, holder_way),
            holder,
            self.rounds,
            [obj for node in entries if (obj := names.object(node)) is not GONE],
            names.object(main.example),
            type(names.object(main.example)) if names.object(main.example) is not GONE else None,
            [obj for node in members if (obj := names.object(node)) is not GONE],
            replaced,
            self._facts(),
        )
        verdict = judge(scene)
        origin = self._origin_of_pile(pile, main)
        site = origin.site or self._site_by_code(steps, scene.names)
        return Leak(
            verdict.kind,
            verdict.sentence,
            ADVICE[verdict.kind],
            main.name,
            main.count,
            main.bytes,
            pile.bytes,
            tuple(main.born),
            site,
            source_line(site.filename, site.lineno) if site is not None else "",
            path,
            verdict.holder or holder,
            names.type_name(holder_way[-1]) if holder_way and not verdict.holder else "",
            verdict.evidence,
            self._also(pile, main),
            origin.traceback,
        )

    # -- parts of a leak

    def _telling(self, way: list[int]) -> list[int]:
        """*way*, or one from a module of the program's, if it begins in a variable of a library:
        what a worker thread works on is better known by who gave it the work."""
        graph = self.graph
        frame = next((node for node in reversed(way[:-1]) if node < graph.holders), None)
        if frame is None or self.sources.is_mine(graph.holder(frame)[4]):
            return way
        others = graph.paths_to_root([way[-1]], 1, avoid=list(range(graph.holders)))
        other = list(others[0]) if others else []
        names = NodeNames(graph, other[:1])
        named = bool(other) and names.type_name(other[0]) == "module"
        return other if named and not self._foreign(names.describe(other[0])) else way

    def _from_fixture(self, names: NodeNames, way: list[int]) -> tuple[list[int], str]:
        """*way* from the value of a pytest fixture on, if it goes through one, and the fixture in
        words: pytest has it, but what it has is the program's."""
        for at, node in enumerate(way):
            value, fixture = noise.value_of_fixture(names.object(node))
            for behind in range(at + 1, len(way)) if fixture else ():
                if names.object(way[behind]) is value:
                    return way[behind:], fixture
        return way, ""

    def _path(self, names: NodeNames, way: Sequence[int], fixture: str) -> Path:
        path = make_path(self.graph, names, way)
        if not fixture:
            return path
        first, *others = path.steps
        return Path([first._replace(description=fixture), *others], path.count)

    def _place(self, pile: Pile, main: Kindred, place: Path | None) -> str:
        if pile.root == GARBAGE:
            return "nothing: garbage that is never collected"
        if pile.holder < 0 and self.types[main.type][1] == "module":
            return SYS_MODULES
        if place is None:
            return "C code" if pile.root == IN_C else "the interpreter"
        more = f" and {pile.alike - 1:,} more like it" if pile.alike > 1 else ""
        return place.place + more

    def _own_label(self, names: NodeNames, way: Sequence[int], main: Kindred | None) -> str:
        """What it is that grows, if its class or its owner's says so."""
        classes = [names.type_name(node) for node in way]
        if any(name.startswith("memscope.") for name in classes) or (
            main is not None and main.module.startswith("memscope.")
        ):
            return "memscope itself"
        frames = [self.graph.holder(node)[4] for node in way if node < self.graph.holders]
        if noise.of_runner(classes) or (frames and noise.runs_tests(frames[-1])):
            return "the test runner"
        if noise.of_tool(classes):
            return "a debugging tool"
        if main is not None and noise.finalizes_receivers(names.object(main.example)):
            return "finalizers by which Django's signals know that a receiver is gone"
        if classes[-2:] == ["sqlite3.Connection", "list"]:
            return "cursors that a connection of sqlite3 knows, pruned every 200"
        weak = main is not None and main.full in ("weakref.ReferenceType", "weakref.KeyedRef")
        # A dict that nothing leads to is a built-in class's list of subclasses.
        of_class = classes in ([], ["dict"]) or (
            len(way) > 1 and ".__subclasses__" in names.edges(way[-2], way[-1])
        )
        if weak and (of_class or any(name in WEAK_CONTAINERS for name in classes[-3:])):
            return "weak references, which keep nothing alive"
        return ""

    def _step(self, names: NodeNames, node: int) -> Any:
        if node < self.graph.holders:
            return self.graph.holder(node)[0]
        return names.object(node)

    def _edges(self, names: NodeNames, way: Sequence[int]) -> list[str]:
        return [(names.edges(source, target) or [""])[0] for source, target in pairwise(way)]

    def _bound(
        self, names: NodeNames, way: Sequence[int], steps: Sequence[Any], adders: Sequence[Any]
    ) -> str:
        """What bounds the holder, or a container that the holder is in; "" if nothing does."""
        for at in range(len(way) - 1, max(len(way) - 1 - MOST_AROUND, 0), -1):
            if at == len(way) - 1 or self._is_container(way[at]):
                edge = (names.edges(way[at - 1], way[at]) or [""])[0]
                length = _length(steps[at], self._length(way[at]))
                bound = noise.bound_of(steps[at], steps[:at], edge, length, adders)
                if bound:
                    return bound
        return ""

    def _length(self, node: int) -> int:
        return self._entries(node, len(self.graph.referents(node)))

    def _entries(self, node: int, references: int) -> int:
        """How many entries so many references of a container are: in a mapping, two for each."""
        return references // 2 if self._container_class_of(node) in MAPPINGS else references

    def _class_of(self, node: int) -> str:
        return self.types[self.graph.node(node)[1]][1] if node >= self.graph.holders else ""

    def _container_class_of(self, node: int) -> str:
        """Of a container of the program's own class: which of Python's it is."""
        name = self._class_of(node)
        if name in CONTAINERS or name in BUFFERS or node < self.graph.holders:
            return name
        (found,) = self.graph.objects([node])
        bases = naming.mro_of(type(found))
        return next((one.__name__ for one in EXTENDED if any(base is one for base in bases)), name)

    def _is_container(self, node: int) -> bool:
        return self._container_class_of(node) in CONTAINERS

    def _functions(self, steps: Sequence[Any]) -> list[types.FunctionType]:
        """The functions of the modules and classes on the way to a holder, and of its own."""
        found: list[types.FunctionType] = []
        for step in steps:
            if step is GONE or type(step) is str:
                continue
            if type(step) is types.ModuleType:
                for value in dict.values(naming.globals_of(step)):
                    if type(value) is types.FunctionType:
                        found.append(value)
                    elif is_a(value, type):
                        found += noise.methods_of_class(value)
            elif is_a(step, type):
                found += noise.methods_of_class(step)
            else:
                found += noise.methods_of_class(type(step))
        return list(dict.fromkeys(found))

    def _adders(self, site: Site | None, steps: Sequence[Any]) -> list[types.FunctionType]:
        """The functions that allocate at *site*: what else they do is told by their code."""
        if site is None:
            return []
        return [
            function
            for function in self._functions(steps)
            if function.__code__.co_filename == site.filename
            and any(line == site.lineno for _, _, line in function.__code__.co_lines())
        ]

    def _site_by_code(self, steps: Sequence[Any], edges: Sequence[str]) -> Site | None:
        """The one line of the program that adds to the holder, read from the code.

        For objects of which no allocation was seen: before CPython 3.13 it cannot be known
        who took a tuple, list, dict or float from a free list.
        """
        name = noise.last_name(edges[-1]) if edges else ""
        if not name:
            return None
        sites = {
            Site(function.__code__.co_filename, line, function.__code__.co_qualname)
            for function in self._functions(steps)
            if name in function.__code__.co_names
            for line in noise.handled_lines(function, name, noise.ADDERS, "STORE_SUBSCR")
            if self.sources.is_mine(function.__code__.co_filename)
        }
        return sites.pop() if len(sites) == 1 else None

    def _origin(self, main: Kindred) -> Origin:
        """The line that allocated most of them: of the program, if it took part."""
        if self.join is None:
            return NOWHERE
        sites: dict[Site, int] = {}
        largest: dict[Site, tuple[int, int]] = {}
        for traceback, (count, example) in main.tracebacks.items():
            site = nearest_site(self.join.places(example), self.sources) if traceback else None
            if site is not None:
                sites[site] = sites.get(site, 0) + count
                largest[site] = max(largest.get(site, (0, 0)), (count, example))
        if not sites:
            return NOWHERE
        site = max(sites, key=lambda site: sites[site])
        return Origin(site, tuple(Site(*place) for place in self.join.places(largest[site][1])))

    def _origin_of_pile(self, pile: Pile, main: Kindred) -> Origin:
        """The same; of objects that came from a free list, from where nobody knows, the line
        that allocated what is in them."""
        kinds = sorted(pile.kinds.values(), key=lambda kind: -kind.below)
        others = [kind for kind in kinds if kind is not main and 2 * kind.count >= main.count]
        origins = (self._origin(kind) for kind in (main, *others))
        return next((origin for origin in origins if origin.site is not None), NOWHERE)

    def _called_by(self, pile: Pile, main: Kindred) -> Kindred:
        """Of a library's wrapper functions, the program's objects that they call."""
        inside = [
            kind
            for kind in pile.kinds.values()
            if kind.is_program and 2 * kind.count >= main.count and grows(kind.born)
        ]
        names = NodeNames(self.graph, [kind.example for kind in inside])
        inside = [kind for kind in inside if callable_class(type(names.object(kind.example)))]
        return max(inside, key=lambda kind: (kind.below, kind.name), default=main)

    def _also(self, pile: Pile, main: Kindred) -> tuple[Grown, ...]:
        rows = [
            Grown(kind.name, kind.count, kind.bytes)
            for kind in pile.kinds.values()
            if kind is not main
        ]
        rows.sort(key=lambda row: (-row.bytes, row.type_name))
        return tuple(rows[:MOST_ALSO])

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {}
        for name in ("atexit", "threads"):
            facts[name] = max(self.now.get(name, 0) - self.before.get(name, 0), 0)
        if not gc.isenabled():
            facts["collector"] = "gc.isenabled() is False"
        elif not self.collects:
            facts["collector"] = f"gc.get_threshold() is {gc.get_threshold()}"
        elif gc.get_freeze_count() > 0:
            facts["collector"] = f"gc.get_freeze_count() is {gc.get_freeze_count():,}"
        return facts

    # -- containers whose elements are not new

    def _growers(self, seen: Mapping[int, int], others: list[NotALeak]) -> list[Found]:
        """Containers that grow by what was there before: shared, small or interned objects."""
        rows = self.history.growers(max(self.rounds // 2, 1))
        found = [row for row in rows if self._is_telling(row, seen.get(row[0], 0))][:MOST_LEAKS]
        leaks = []
        for node, _, references, size in found:
            entries = self._entries(node, references)
            way = self.graph.paths_to_root([node], 1)
            if not way:
                continue
            names = NodeNames(self.graph, way[0])
            holders, fixture = self._from_fixture(names, list(way[0]))
            place = self._path(names, holders, fixture)
            foreign = self._foreign(names.describe(holders[0]))
            label = noise.label_of(place.place, foreign) or self._own_label(names, holders, None)
            steps = [self._step(names, one) for one in holders]
            bound = "" if label else self._bound(names, holders, steps, ())
            if label or bound:
                others.append(NotALeak(place.place, label or f"bounded: {bound}", entries, size))
                continue
            scene = Scene(
                0,
                steps,
                self._edges(names, holders),
                place.place,
                self.rounds,
                facts=self._facts(),
            )
            verdict = judge(scene)
            inside = self.graph.referents(node)[-1:]
            of = names.type_name(inside[0]) if entries and inside else names.type_name(node)
            leak = Leak(
                verdict.kind,
                verdict.sentence,
                ADVICE[verdict.kind],
                of,
                entries or 1,
                size,
                size,
                path=place,
                holder=verdict.holder or place.place,
                holder_type=names.type_name(node),
                evidence=verdict.evidence,
            )
            leaks.append(Found(leak, node, tuple(way[0]), self._is_own(leak)))
        return leaks

    def _is_telling(self, row: tuple[int, int, int, int], entries: int) -> bool:
        """Whether the growth of an object says something; *entries*: new ones it has."""
        node, rises, references, size = row
        name = self._container_class_of(node)
        if name not in CONTAINERS and name not in BUFFERS:
            return False
        risen, step = self.history.rise(node)
        if rises < self.rounds - 1 and (
            # What is large grows in steps that are longer than a round.
            name not in BUFFERS or rises < 2 or self.rounds - risen > min(risen - rises, 1)
        ):
            return False
        if references > 0:
            own = self._entries(node, references)
            least = self.rounds if self.rounds > 1 else LEAST_OF_ONE
            return own >= least and 4 * entries < own and self._has_risen(node, own)
        return size >= max(1024 * self.rounds, 4096) and 4 * step * self.rounds >= size

    # -- objects that only C code has

    def _with_strays(self, leaks: Sequence[Leak]) -> list[Leak]:
        """The leaks, and objects that only C code has.

        Objects written in C need not tell the collector of all that they have (the base of
        an array, the name of a task).  Strays that are no more in any round than the objects
        of a leak are taken for what those have.
        """
        told = list(leaks)
        for stray in self._strays():
            owner = next(
                (
                    index
                    for index, leak in enumerate(told)
                    if leak.kind != "c-reference"
                    and len(leak.per_round) == len(stray.per_round)
                    and all(
                        2 * mine >= theirs
                        for mine, theirs in zip(leak.per_round, stray.per_round, strict=True)
                    )
                ),
                None,
            )
            if owner is None:
                told.append(stray)
            else:
                more = told[owner].retained_bytes + stray.retained_bytes
                told[owner] = replace(told[owner], retained_bytes=more)
        return told

    def _strays(self) -> list[Leak]:
        """Objects of classes the collector does not track, to which nothing leads."""
        if self.join is None or self.rounds < 2:
            return []
        groups: dict[tuple[int, Site | None], list[tuple[int, int]]] = {}
        for number, row, size, epoch in self.join.strays():
            moment = bisect_right(self.epochs, epoch)
            if moment > 0:
                site = nearest_site(self.join.places_of_row(row), self.sources)
                groups.setdefault((number, site), []).append((min(moment, self.rounds), size))
        leaks = []
        for (number, site), members in groups.items():
            born = [0] * self.rounds
            for moment, _ in members:
                born[moment - 1] += 1
            total = sum(size for _, size in members)
            short = self.types[number][1] == "str" and total < NAME_BYTES * len(members)
            name = full_name(*self.types[number][:2])
            counts = [strays.get(name, 0) for strays in self.strays]
            added = [max(after - before, 0) for before, after in pairwise(counts)]
            if not grows(born) or min(born) == 0 or (short and len(members) <= NAMES_CACHED):
                continue
            if not grows(added) or 2 * sum(added) < sum(born):
                continue
            leaks.append(
                Leak(
                    "c-reference",
                    "no object refers to them, and yet they are not freed: C code has, or lost,"
                    " the references",
                    ADVICE["c-reference"],
                    name,
                    len(members),
                    total,
                    total,
                    tuple(born),
                    site,
                    source_line(site.filename, site.lineno) if site is not None else "",
                    holder="C code",
                    evidence=(f"allocated, alive, and in no object of {len(self.graph):,}",),
                )
            )
        return leaks

    # -- the process

    def memory(self) -> dict[str, int | None]:
        """By how much the process grew, by kind of memory."""
        changes: dict[str, int | None] = {}
        for name, value in self.now["memory"].items():
            earlier = self.before["memory"].get(name)
            changes[name] = None if value is None or earlier is None else value - earlier
        return changes

    def _native(self, leaks: Sequence[Leak]) -> list[Leak]:
        """Growth of the process that is no Python object's, if it goes on to the end."""
        sizes = [rss for rss in self.resident if rss is not None]
        steps = [max(after - before, 0) for before, after in pairwise(sizes)]
        if not steps or (self.rounds > 1 and not grows(steps)):
            return []
        python = sum(size for _, size in self.totals[-1].values())
        python -= sum(size for _, size in self.totals[0].values())
        why = explain(
            ProcessMemory(**self.before["memory"]), ProcessMemory(**self.now["memory"]), python
        )
        if why is None:
            return []
        grown = sizes[-1] - sizes[0] - max(python, 0)
        return [
            Leak(
                why.kind,
                why.sentence,
                why.advice,
                "",
                0,
                0,
                max(grown, 0),
                per_round=tuple(steps),
                holder="no Python object",
                evidence=(f"resident memory rose by {size_text(sizes[-1] - sizes[0])}",),
            )
        ]

    def notes(self) -> list[str]:
        notes = []
        if self.rounds == 1:
            notes.append(
                "Judged on one round: a cache that was filled for the first time looks the same."
            )
        if not self.collects:
            notes.append("Garbage was not collected, because the program has the collector off.")
        return notes
