"""Generators, coroutines and greenlets, running and suspended, in the heap while it is walked."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from _heap import Graph, node_of, question


class Thing:
    pass


def held_by(graph: Any, obj: object) -> int:
    return len(graph.referrers(node_of(graph, obj)))


def suspended(thing: Thing) -> Iterator[int]:
    yield from iter([1, 2, 3])
    yield 4


def running(thing: Thing) -> Iterator[Any]:
    # The frame is a generator's and is running: both tell of it.
    while True:
        graph = Graph.take()
        assert held_by(graph, thing) >= 1
        question(graph, thing)
        question(Graph.take(keep=True), thing)
        yield graph


thing = Thing()
never_started, started = suspended(thing), suspended(thing)
next(started)
finished = suspended(thing)
list(finished)
loop = running(thing)
for _ in range(3):
    next(loop)
question(Graph.take(), never_started, started, finished, loop, thing)
assert held_by(Graph.take(), thing) >= 3


async def agen(thing: Thing) -> AsyncIterator[int]:
    for number in range(3):
        await asyncio.sleep(0)
        yield number


async def coroutine(thing: Thing, depth: int) -> None:
    if depth:
        return await coroutine(thing, depth - 1)
    await asyncio.sleep(0)
    async for _ in agen(thing):
        question(Graph.take(), thing)
    question(Graph.take(keep=True), thing)


async def main() -> None:
    tasks = [asyncio.create_task(coroutine(thing, n)) for n in range(20)]
    await asyncio.sleep(0)
    graph = Graph.take()
    assert held_by(graph, thing) >= 20
    question(graph, tasks)
    await asyncio.gather(*tasks)


asyncio.run(main())

try:
    import greenlet
except ImportError:
    raise SystemExit(0) from None


def deep(depth: int, thing: Thing) -> None:
    mine = [depth, thing]
    if depth:
        return deep(depth - 1, thing)
    for turn in range(10):
        question(Graph.take(keep=turn % 2 == 1), mine)
        hub.switch()


hub = greenlet.getcurrent()
green = [greenlet.greenlet(lambda n=n: deep(n, thing)) for n in (1, 10, 50)]
while not all(one.dead for one in green):
    for one in green:
        one.switch()
    question(Graph.take(), green, thing)
abandoned = greenlet.greenlet(lambda: deep(30, thing))
abandoned.switch()
del abandoned
question(Graph.take(keep=True), thing)
