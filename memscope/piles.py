"""What a workload left behind, in piles, and which of them grow.

The C core charges each object that is new to the object that it piles up in
(heap/survivors.h).  Here it is judged whether a pile grows, which of its classes tells most,
and which piles are one, told apart only by the place in a container.

A pile grows if it gets new objects again and again, up to the end, at no falling rate; and
if they come on top of the others, not in their place.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from memscope.heap_nodes import full_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from memscope._memscope import Graph, History, Join, Survivors

__all__ = ["GARBAGE", "IN_C", "Group", "Kindred", "Pile", "find_piles", "grows", "grows_no_more"]

NAMED, BY_CLASS, IN_C, IMMORTAL, GARBAGE = range(5)
"""How a pile is reached, as in heap/survivors.h."""

MOST_PILES = 2000
"""Piles that are looked at, those of most bytes first."""

MOST_MERGED = 1000
"""Piles up to which those are looked into that do not grow by themselves: together they may."""

TAIL = 3
"""Objects before the holder whose classes must agree for piles to be one."""

WRAPPERS = frozenset(
    """
    builtins.tuple builtins.list builtins.dict builtins.set builtins.frozenset builtins.cell
    builtins.method weakref.ReferenceType weakref.KeyedRef weakref.WeakMethod
    functools.partial functools._lru_list_elem functools._HashedSeq
    functools._lru_cache_wrapper _asyncio.Future collections.deque collections.OrderedDict
    collections.defaultdict types.SimpleNamespace
    """.split()
)
"""Classes of which one asks what is in them, if something of the program's is."""

INTERNAL = frozenset(
    ["functools._lru_list_elem", "functools._HashedSeq", "builtins.cell", "_asyncio.Future"]
)
"""Classes that nobody knows by name; what they stand for is behind them."""


TO_BE_CALLED = frozenset(["builtins.function", "builtins.coroutine", "_asyncio.Task"])
"""Classes of the interpreter that say more than the tuple they are in."""


class Group(NamedTuple):
    """New objects of one class, from one traceback."""

    type: int
    traceback: int
    entry: bool
    """The holder has them directly."""
    count: int  # type: ignore[assignment]
    bytes: int
    below: int
    """Bytes of them and of all new objects behind them."""
    example: int
    born: tuple[int, ...]


@dataclass
class Kindred:
    """The new objects of one class in a pile."""

    type: int
    module: str
    name: str
    """module.qualname."""
    count: int = 0
    bytes: int = 0
    below: int = 0
    entries: int = 0
    """Those that the holder has directly."""
    entries_below: int = 0
    """Bytes of these and of all new objects behind them."""
    example: int = 0
    born: list[int] = field(default_factory=list)
    tracebacks: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Traceback -> how many of them, and the node of one."""

    def add(self, group: Group) -> None:
        if group.count > self.count or not self.born:
            self.example = group.example
        self.count += group.count
        self.bytes += group.bytes
        self.below += group.below
        if group.entry:
            self.entries += group.count
            self.entries_below += group.below
        self.born = _sum(self.born, group.born)
        self._allocated(group.traceback, group.count, group.example)

    def _allocated(self, traceback: int, count: int, example: int) -> None:
        before = self.tracebacks.get(traceback, (0, 0))[0]
        self.tracebacks[traceback] = (before + count, example)

    def join(self, other: Kindred) -> None:
        """Count the objects of *other* in."""
        self.count += other.count
        self.bytes += other.bytes
        self.below += other.below
        self.entries += other.entries
        self.entries_below += other.entries_below
        self.example = self.example or other.example
        self.born = _sum(self.born, other.born)
        for traceback, (count, example) in other.tracebacks.items():
            self._allocated(traceback, count, example)

    @property
    def full(self) -> str:
        return f"{self.module or 'builtins'}.{self.name.removeprefix(f'{self.module}.')}"

    @property
    def is_wrapper(self) -> bool:
        return self.full in WRAPPERS

    @property
    def is_program(self) -> bool:
        """Whether its class is none of the interpreter and the standard library."""
        top = (self.module or "builtins").partition(".")[0]
        return top != "builtins" and top not in sys.stdlib_module_names


@dataclass
class Pile:
    """All that is new behind one holder."""

    index: int
    holder: int
    """Its node; -1 for a root that is new itself, and for garbage."""
    root: int
    count: int
    entries: int
    bytes: int
    born: list[int]
    way: tuple[int, ...] = ()
    """From the root to the holder."""
    alike: int = 1
    """Holders that it stands for."""
    kinds: dict[int, Kindred] = field(default_factory=dict)
    """By type."""

    def main(self) -> Kindred | None:
        """The class that tells most of what the pile is made of."""
        growing = [kind for kind in self.kinds.values() if grows(kind.born)]
        # A class of entries is one even if most of its objects are deeper: the keys of a
        # cache are tuples, and so are the rows in what it keeps.
        entries = [
            kind
            for kind in growing
            if 2 * kind.entries >= kind.count or 4 * kind.entries >= self.entries > 0
        ] or growing
        if not entries:
            return None
        entry = max(
            entries, key=lambda kind: (kind.entries_below, kind.below, kind.is_program, kind.name)
        )
        own = [kind for kind in entries if kind.is_program]
        if own and not entry.is_program:
            best = max(own, key=lambda kind: (kind.below, kind.name))
            # Of garbage nothing is behind anything, and data is in no cycle.
            if best.below * 4 >= entry.below or entry.is_wrapper or self.root == GARBAGE:
                entry = best
        if entry.is_wrapper:
            # Of a tuple of (time, Session) one says that it is a Session.
            inside = [
                kind
                for kind in growing
                if (
                    kind.is_program
                    or kind.full in TO_BE_CALLED
                    or (entry.full in INTERNAL and not kind.is_wrapper)
                )
                and 2 * kind.count >= (entry.entries or entry.count)
            ]
            if inside:
                return max(inside, key=_rank)
        return entry


def _rank(kind: Kindred) -> tuple[bool, bool, int, str]:
    """How much a class tells of what is in a wrapper."""
    return kind.is_program, kind.full in TO_BE_CALLED, kind.below, kind.name


def grows(born: Sequence[int]) -> bool:
    """Whether objects born at these numbers per round are growth, and not a cache that fills.

    Of one round there is nothing to compare, and everything counts.
    """
    rounds = len(born)
    if rounds < 2:
        return sum(born) > 0
    busy = sum(number > 0 for number in born)
    if busy == rounds == 2:
        return True
    if busy * 2 < rounds or busy < 2:
        return False
    # A pause at the end that is longer than any before is the end of it.
    pauses = [len(pause) for pause in "".join(" " if new else "-" for new in born).split(" ")]
    if pauses[-1] > max(pauses[:-1]):
        return False
    if busy < rounds and sum(born) < 2 * rounds:
        return False
    if born[-1] == 0 and 0 in _up_to_last(born):
        # It comes and goes, in every second round: the last idle one ends nothing.
        return not grows_no_more(_up_to_last(born))
    return not grows_no_more(born)


def _up_to_last(born: Sequence[int]) -> Sequence[int]:
    """From the first round that left something to the last that did."""
    busy = [at for at, number in enumerate(born) if number]
    return born[busy[0] : busy[-1] + 1]


def grows_no_more(born: Sequence[int]) -> bool:
    """Whether the later half of the rounds left at most half of what the earlier half did.

    A burst in the first round and then a constant rate is no such fall.
    """
    half = len(born) // 2
    later = born[1:]
    if len(later) > 1 and 5 * min(later) >= 4 * max(later) > 0:
        return False
    return half > 0 and sum(born[-half:]) * 2 <= sum(born[:half])


def find_piles(
    graph: Graph,
    history: History,
    survivors: Survivors,
    join: Join | None,
    epochs: tuple[int, ...],
) -> tuple[list[Pile], dict[int, int]]:
    """The piles that grow, those of most bytes first; and of every pile that was looked at,
    growing or not, the holder and how many objects it got directly."""
    types = graph.types()
    piles: list[Pile] = []
    seen: dict[int, int] = {}
    for index, row in enumerate(survivors.piles(MOST_PILES)):
        pile = Pile(index, *row)
        if pile.holder >= 0:
            seen[pile.holder] = pile.entries
            pile.way = tuple(survivors.way(pile.holder))
        # Of a sum that does not grow, one class may.
        if grows(pile.born) or (len(pile.born) > 1 and len(piles) < MOST_MERGED):
            groups = survivors.groups(index, join, epochs)
            _fill(pile, [Group(*group[:7], tuple(group[7])) for group in groups], types)
            piles.append(pile)
    growing = [pile for pile in _merged(graph, piles) if pile.main() is not None]
    return sorted(growing, key=lambda pile: -pile.bytes), seen


def _fill(pile: Pile, groups: Iterable[Group], types: Sequence[Any]) -> None:
    for group in groups:
        kind = pile.kinds.get(group.type)
        if kind is None:
            module, qualname, *_ = types[group.type]
            kind = Kindred(group.type, module or "builtins", full_name(module, qualname))
            pile.kinds[group.type] = kind
        kind.add(group)


def _merged(graph: Graph, piles: Sequence[Pile]) -> list[Pile]:
    """Piles of one class of holder, reached alike, as one."""
    alike: dict[object, Pile] = {}
    for pile in piles:
        main = max(pile.kinds.values(), key=lambda kind: kind.below, default=None)
        key: object = pile.index
        if pile.holder >= 0 and main is not None and len(pile.way) > TAIL:
            tail = tuple(graph.node(node)[1] for node in pile.way[-TAIL:])
            key = (pile.way[0], pile.way[:-TAIL][1:3], tail, main.type)
        first = alike.setdefault(key, pile)
        if first is not pile:
            _add(first, pile)
    return list(alike.values())


def _add(pile: Pile, other: Pile) -> None:
    pile.alike += 1
    pile.count += other.count
    pile.entries += other.entries
    pile.bytes += other.bytes
    pile.born = _sum(pile.born, other.born)
    for number, kind in other.kinds.items():
        mine = pile.kinds.setdefault(number, Kindred(number, kind.module, kind.name))
        mine.join(kind)


def _sum(left: Sequence[int], right: Sequence[int]) -> list[int]:
    if not left:
        return list(right)
    return [a + b for a, b in zip(left, right, strict=True)]
