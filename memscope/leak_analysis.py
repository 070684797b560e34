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
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from memscope import naming, noise
from memscope.heap_nodes import GONE, OWN_FOLDER, NodeNames, full_name
from memscope.heap_paths import Path, make_path
from memscope.leak_report import Aged, Grown, Leak, LeakReport, Moment, NotALeak, Site
from memscope.piles import GARBAGE, IN_C, Kindred, Pile, find_piles, grows
from memscope.process_memory import ProcessMemory, explain
from memscope.report import size_text
from memscope.sources import Sources, source_line
from memscope.verdicts import ADVICE, Scene, callable_class, judge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from memscope._memscope import Graph, History, Join, Survivors

__all__ = ["aged", "analyse", "nearest_site"]

MOST_LEAKS = 50
SAMPLES = 12
"""Objects of a pile that are looked at."""

WEAK_CONTAINERS = frozenset(
    ["_weakrefset.WeakSet", "weakref.WeakKeyDictionary", "weakref.WeakValueDictionary"]
)
MAPPINGS = frozenset(["dict", "defaultdict", "OrderedDict", "Counter"])
CONTAINERS = MAPPINGS | {"list", "set", "deque", "frozenset", "tuple"}
LEAST_OF_ONE = 10
LEAST_BYTES_OF_ONE = 64 * 1024
"""Objects, or bytes, that a single round must leave behind to be worth a report."""

NAMES_CACHED = 4096
NAME_BYTES = 160
"""The interpreter's cache of attribute lookups holds so many names, of up to 100 characters."""

MOST_AROUND = 6
"""Containers around a holder that are asked for a bound."""

MOST_ALSO = 8
MOST_TYPES = 20


def analyse(
    history: History,
    join: Join | None,
    lines: Sequence[tuple[str, float, int | None, Mapping[str, tuple[int, int]]]],
    *,
    title: str,
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    collects: bool,
    epochs: Sequence[int],
) -> LeakReport:
    """The report on *history*, whose moments are *lines*: label, seconds, RSS, classes.

    *epochs*: the epoch that began with each moment.
    """
    analysis = Analysis(history, join, lines, before, now, collects, epochs)
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
            for label, seconds, rss, totals in lines
        ),
        types=tuple(grown[:MOST_TYPES]),
        memory=analysis.memory(),
        notes=tuple(analysis.notes()),
        title=title,
        python=sys.version.split()[0],
    )


def aged(history: History, join: Join | None, old: Sequence[bool]) -> list[Aged]:
    """Objects by class and line, of which ``old[moment of birth]`` is true."""
    types = history.graph.types()
    sources = Sources()
    rows: dict[tuple[int, Site | None], list[int]] = {}
    survivors = history.survivors()
    for pile in range(len(survivors)):
        for number, _, _, count, size, _, example, born in survivors.groups(pile, join):
            some = sum(new for moment, new in enumerate(born, 1) if old[moment])
            if some:
                site = None if join is None else nearest_site(join.places(example), sources)
                row = rows.setdefault((number, site), [0, 0])
                row[0] += some
                row[1] += size * some // count
    found = [
        Aged(full_name(*types[number][:2]), count, size, site)
        for (number, site), (count, size) in rows.items()
    ]
    return sorted(found, key=lambda row: (-row.bytes, row.type_name, row.site or ()))


def nearest_site(places: Sequence[tuple[str, int, str]], sources: Sources) -> Site | None:
    """The newest line of the program's own code; else the newest that has a file; else any."""
    # What has no file is made by a library, unless all that called it is memscope.
    written = [place for place in places if not place[0].startswith(("<", OWN_FOLDER))] or places
    if not written:
        return None
    return Site(*next((one for one in written if sources.is_mine(one[0])), written[0]))


class Found(NamedTuple):
    """A leak, and where it was seen."""

    leak: Leak
    holder: int
    way: tuple[int, ...]
    """From the root to the holder."""


def _told_once(found: Sequence[Found]) -> list[Found]:
    """Without what lies inside another leak, which is a part of that, and with threads once."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (not one.way, len(one.way))):
        for index, outer in enumerate(kept):
            if outer.holder in one.way[:-1] or one.leak.kind == outer.leak.kind == "thread":
                total = outer.leak.retained_bytes + one.leak.retained_bytes
                kept[index] = outer._replace(leak=replace(outer.leak, retained_bytes=total))
                break
        else:
            kept.append(one)
    return kept


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
        lines: Sequence[tuple[str, float, int | None, Mapping[str, tuple[int, int]]]],
        before: Mapping[str, Any],
        now: Mapping[str, Any],
        collects: bool,
        epochs: Sequence[int],
    ) -> None:
        self.epochs = epochs
        self.history = history
        self.graph: Graph = history.graph
        self.join = join
        self.totals = [totals for *_, totals in lines]
        self.resident = [rss for _, _, rss, _ in lines]
        self.rounds = len(lines) - 1
        self.before, self.now, self.collects = before, now, collects
        self.sources = Sources()
        self.survivors: Survivors = history.survivors()
        self.types = self.graph.types()

    def judged(self) -> tuple[list[Leak], list[NotALeak]]:
        """What leaks, largest first, and what only looks so."""
        found: list[Found] = []
        others: list[NotALeak] = []
        piles = find_piles(self.graph, self.history, self.survivors, self.join)
        for pile in piles[: 4 * MOST_LEAKS]:
            main = pile.main()
            if main is None or not self._adds_up(pile, main):
                continue
            judged = self._judge(pile, main)
            if isinstance(judged, NotALeak):
                others.append(judged)
            else:
                found.append(Found(judged, pile.holder, pile.way))
        found += self._growers({pile.holder for pile in piles}, others)
        leaks = [one.leak for one in _told_once(found)] + self._strays()
        leaks.sort(key=lambda leak: (-self._weight(leak), leak.holder, leak.type_name))
        native = self._native(leaks)
        return [*leaks[:MOST_LEAKS], *native], others

    def _weight(self, leak: Leak) -> float:
        """Bytes; of what a library keeps book of beside the program, a part."""
        root = leak.path.steps[0] if leak.path is not None and leak.path.steps else None
        own = True
        if root is not None and root.type_name == "module":
            module = sys.modules.get(root.description.removeprefix("module "))
            filename = getattr(module, "__file__", None)
            own = isinstance(filename, str) and self.sources.is_mine(filename)
        elif root is None or "C code" in leak.holder:
            own = False
        return leak.retained_bytes * (1.0 if own else 0.25)

    def _adds_up(self, pile: Pile, main: Kindred) -> bool:
        """Whether what is new came on top of the old, not in its place."""
        if self.rounds < 2:
            # Of one round there is no telling a leak from what is made once.
            return main.count >= LEAST_OF_ONE or main.below >= LEAST_BYTES_OF_ONE
        if pile.root == GARBAGE:
            return True
        if pile.holder >= self.graph.holders and pile.alike == 1:
            _, rises, references, _ = self.history.node(pile.holder)
            if rises * 2 >= self.rounds and references * 2 >= pile.entries:
                return True
            if main.entries and self._is_container(pile.holder):
                return False
        counts = [totals.get(main.name, (0, 0))[0] for totals in self.totals]
        added = [max(after - before, 0) for before, after in pairwise(counts)]
        return grows(added) and 2 * (counts[-1] - counts[0]) >= sum(main.born)

    def _judge(self, pile: Pile, main: Kindred) -> Leak | NotALeak:
        entries = self.survivors.members(pile.index, True, SAMPLES)
        members = self.survivors.members(pile.index, False, 4 * SAMPLES)
        way = self.survivors.way(main.example)
        holder_way = list(pile.way)
        names = NodeNames(self.graph, {*way, *holder_way, *entries, *members})
        path = make_path(self.graph, names, way) if pile.root != GARBAGE else None
        place = make_path(self.graph, names, holder_way) if holder_way else None
        holder = self._place(pile, main, place)
        label = noise.label_of(holder) or self._own_label(names, holder_way, main)
        if label:
            return NotALeak(holder, label, main.count, pile.bytes)
        steps = [self._step(names, node) for node in holder_way]
        site = self._site(main)
        bound = self._bound(names, holder_way, steps, self._adders(site, steps))
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
            self._facts(),
        )
        verdict = judge(scene)
        site = self._site(main)
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
        )

    # -- parts of a leak

    def _place(self, pile: Pile, main: Kindred, place: Path | None) -> str:
        if pile.root == GARBAGE:
            return "nothing: garbage that is never collected"
        if pile.holder < 0 and self.types[main.type][1] == "module":
            return "module sys -> modules"
        if place is None:
            return "C code" if pile.root == IN_C else "the interpreter"
        more = f" and {pile.alike - 1:,} more like it" if pile.alike > 1 else ""
        return place.place + more

    def _own_label(self, names: NodeNames, way: Sequence[int], main: Kindred | None) -> str:
        """What it is that grows, if its class or its owner's says so."""
        classes = [names.type_name(node) for node in way]
        if any(name.startswith("memscope.") for name in classes):
            return "memscope itself"
        if classes[-2:] == ["sqlite3.Connection", "list"]:
            return "cursors that a connection of sqlite3 knows, pruned every 200"
        weak = main is not None and main.full in ("weakref.ReferenceType", "weakref.KeyedRef")
        if weak and any(name in WEAK_CONTAINERS for name in classes[-3:]):
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
        references = len(self.graph.referents(node))
        return references // 2 if self._class_of(node) in MAPPINGS else references

    def _class_of(self, node: int) -> str:
        return self.types[self.graph.node(node)[1]][1] if node >= self.graph.holders else ""

    def _is_container(self, node: int) -> bool:
        return self._class_of(node) in CONTAINERS

    def _adders(self, site: Site | None, steps: Sequence[Any]) -> list[Any]:
        """The functions that allocate at *site*: what else they do is told by their code."""
        if site is None:
            return []
        found = []
        for step in steps[:4]:
            space = naming.globals_of(step) if type(step) is types.ModuleType else None
            if space is None and isinstance(step, dict):
                space = step
            for value in list(space.values()) if space else ():
                if type(value) is types.FunctionType:
                    found.append(value)
                elif isinstance(value, type):
                    found += [
                        member
                        for member in list(naming.namespace_of(value).values())
                        if type(member) is types.FunctionType
                    ]
        for step in steps:
            if step is GONE or isinstance(step, str):
                continue
            for base in naming.mro_of(type(step)):
                if base.__module__ != "builtins":
                    found += [
                        member
                        for member in list(naming.namespace_of(base).values())
                        if type(member) is types.FunctionType
                    ]
        return [
            function
            for function in dict.fromkeys(found)
            if function.__code__.co_filename == site.filename
            and any(line == site.lineno for _, _, line in function.__code__.co_lines())
        ]

    def _site(self, main: Kindred) -> Site | None:
        """The line that allocated most of them: of the program, if it took part."""
        if self.join is None:
            return None
        sites: dict[Site, int] = {}
        for count, example in main.tracebacks.values():
            site = nearest_site(self.join.places(example), self.sources)
            if site is None:
                continue
            sites[site] = sites.get(site, 0) + count
        return max(sites, key=lambda site: sites[site], default=None)

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

    def _growers(self, seen: set[int], others: list[NotALeak]) -> list[Found]:
        """Containers that grow by what was there before: shared, small or interned objects."""
        if self.rounds < 2:
            return []
        rows = self.history.growers(self.rounds)
        found = [row for row in rows if row[0] not in seen and self._is_telling(row)][:MOST_LEAKS]
        leaks = []
        for node, _, references, size in found:
            way = self.graph.paths_to_root([node], 1)
            if not way:
                continue
            names = NodeNames(self.graph, way[0])
            place = make_path(self.graph, names, way[0])
            label = noise.label_of(place.place) or self._own_label(names, way[0], None)
            steps = [self._step(names, one) for one in way[0]]
            bound = "" if label else self._bound(names, way[0], steps, ())
            if label or bound:
                others.append(NotALeak(place.place, label or f"bounded: {bound}", references, size))
                continue
            scene = Scene(
                0,
                steps,
                self._edges(names, way[0]),
                place.place,
                self.rounds,
                facts=self._facts(),
            )
            verdict = judge(scene)
            inside = self.graph.referents(node)[-1:]
            of = names.type_name(inside[0]) if references and inside else names.type_name(node)
            leak = Leak(
                verdict.kind,
                verdict.sentence,
                ADVICE[verdict.kind],
                of,
                references or 1,
                size,
                size,
                path=place,
                holder=verdict.holder or place.place,
                holder_type=names.type_name(node),
                evidence=verdict.evidence,
            )
            leaks.append(Found(leak, node, tuple(way[0])))
        return leaks

    def _is_telling(self, row: tuple[int, int, int, int]) -> bool:
        node, _, references, size = row
        module, qualname, *_ = self.types[self.graph.node(node)[1]]
        if module not in (None, "", "builtins", "collections", "array", "_io"):
            return False
        if qualname in ("type", "function", "module", "frame", "generator", "coroutine", "code"):
            return False
        return references >= self.rounds or (references == 0 and size >= 1024 * self.rounds)

    # -- objects that only C code has

    def _strays(self) -> list[Leak]:
        """Objects of classes the collector does not track, to which nothing leads."""
        if self.join is None or self.rounds < 2:
            return []
        groups: dict[tuple[int, Site | None], list[tuple[int, int]]] = {}
        epochs = self.epochs
        for number, row, size, epoch in self.join.strays():
            moment = bisect_right(epochs, epoch)
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
            if not grows(born) or min(born) == 0 or (short and len(members) <= NAMES_CACHED):
                continue
            leaks.append(
                Leak(
                    "c-reference",
                    "no object refers to them, and yet they are not freed: C code has, or lost,"
                    " the references",
                    ADVICE["c-reference"],
                    full_name(*self.types[number][:2]),
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
                evidence=(f"resident memory rose to {size_text(sizes[-1])}",),
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
