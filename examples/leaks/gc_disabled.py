"""Every page that is parsed stays: the collector was switched off "because it pauses".

The nodes of the parsed page know their parent and their children: cycles, which only the
collector frees.  Without it each page's tree is there until the process ends.
"""

from __future__ import annotations

import gc
import itertools

from examples.leaks._expected import Expected


class Node:
    def __init__(self, name: str, parent: Node | None = None) -> None:
        self.name = name
        self.parent = parent
        self.children: list[Node] = []


def parse(page: int) -> Node:
    root = Node(f"page {page}")
    for section in range(9):
        root.children.append(Node(f"section {page}.{section}", root))  # leaks
    return root


_pages = itertools.count(1)


def serve() -> None:
    for page in itertools.islice(_pages, 20):
        assert len(parse(page).children) == 9


def work() -> None:
    gc.disable()  # in the service: once, when it starts
    serve()


def work_fixed() -> None:
    """The collector on, less often: a pause now and then, and memory that stays flat."""
    gc.enable()
    serve()
    gc.collect()


def close() -> None:
    gc.enable()


def leaked() -> int:
    return sum(type(thing) is Node for thing in gc.get_objects()) // 10


EXPECTED = Expected(
    type="Node",
    kind="uncollected-cycle",
    per_round=20,
)
