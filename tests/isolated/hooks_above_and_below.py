"""Another tool hooks above us and removes itself, or puts back what it saw, in any order."""

import itertools

from _support import exercise, ext, in_fork, m, quick_start, rows

SIZE = 7919


def check(done: str) -> None:
    tracing = m.is_tracing()
    assert tracing == next((op == "M" for op in reversed(done) if op in "Mm"), False), done
    blocks = [ext.realloc(domain, ext.malloc(domain, 10), SIZE) for domain in range(3)]
    if tracing:
        assert set(rows(SIZE)) == set(blocks), done
    for domain in range(3):
        ext.free(domain, blocks[domain])
    assert not (tracing and rows(SIZE)), done
    exercise(10)


OPERATIONS = {
    "M": quick_start,
    "m": m.stop,
    "A": lambda: ext.hook_install(0),
    "a": lambda: ext.hook_remove(0),
    "B": lambda: ext.hook_install(1),
    "b": lambda: ext.hook_remove(1),
}


def run(order: str) -> None:
    for i, operation in enumerate(order):
        OPERATIONS[operation]()
        check(order[: i + 1])


def sane(order: str) -> bool:
    """Nobody removes a hook it has not installed, nor installs it twice."""
    return all(
        order.count(name) <= 1 and order.find(name) <= order.find(name.lower()) for name in "AB"
    )


for order in set(map("".join, itertools.permutations("MmAaBb"))) | {
    "MAmMa",
    "AMamM",
    "MAmMmaM",
    "MmAMam",
}:
    if sane(order):
        in_fork(lambda order=order: run(order), order)
