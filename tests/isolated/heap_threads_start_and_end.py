"""Threads allocate, start and end while graphs are taken: each is of one moment, none crashes."""

import sys
import threading
from collections.abc import Callable

from _heap import Graph, question
from _support import deadline, exercise, threads


def busy(stopped: Callable[[], bool]) -> None:
    while not stopped():
        inner = threading.Thread(target=exercise, args=(20,))
        inner.start()
        generator = (n for n in range(9))
        next(generator)
        exercise(20)
        inner.join()


def asking(stopped: Callable[[], bool]) -> None:
    while not stopped():
        graph = Graph.take()
        graph.objects(range(0, len(graph), 50))


sys.setswitchinterval(1e-5)
for work in (busy, asking):
    with threads(3, work):
        for i in deadline(1.5):
            question(Graph.take(keep=i % 2 == 1), busy, threading)


def named(shared: list[int], done: threading.Event) -> None:
    done.wait()


shared: list[int] = [1]
done = threading.Event()
waiting = [threading.Thread(target=named, args=(shared, done)) for _ in range(5)]
for thread in waiting:
    thread.start()
while True:  # until all have come into their function
    graph = Graph.take(threads={thread.ident: "mine" for thread in waiting})
    held = [
        graph.holder(graph.holder(holder)[1])
        for holder in graph.referrers(graph.find([shared])[0])
        if holder < graph.holders and graph.holder(holder)[3] == "named"
    ]
    if len(held) == 5:
        break
assert {row[3] for row in held} == {"mine"}
assert {row[2] for row in held} == {thread.ident for thread in waiting}
done.set()
for thread in waiting:
    thread.join()
