"""memscope and tracemalloc started and stopped in every order: neither kills or blinds the other."""

import itertools
import tracemalloc

from _support import exercise, ext, in_fork, m, quick_start, rows

OPERATIONS = {
    "M": quick_start,
    "m": m.stop,
    "T": tracemalloc.start,
    "t": tracemalloc.stop,
}
SIZE = 7919


def tracemalloc_sees() -> list[str]:
    traces = tracemalloc.take_snapshot().traces
    return [trace.traceback[0].filename for trace in traces if trace.size == SIZE]


def check(done: str) -> None:
    ours = next((op == "M" for op in reversed(done) if op in "Mm"), False)
    theirs = next((op == "T" for op in reversed(done) if op in "Tt"), False)
    assert (m.is_tracing(), tracemalloc.is_tracing()) == (ours, theirs), done
    for domain in range(3):
        block = ext.malloc(domain, SIZE)
        if ours:
            assert set(rows(SIZE)) == {block}, (done, domain)
            assert rows(SIZE)[block][2][0][0] == __file__
        if theirs:
            assert tracemalloc_sees() == [__file__], (done, domain)
        block = ext.realloc(domain, block, SIZE * 2)
        block = ext.realloc(domain, block, SIZE)
        if ours:
            assert set(rows(SIZE)) == {block}, (done, domain)
        ext.free(domain, block)
        if ours:
            assert not rows(SIZE), (done, domain)
        if theirs:
            assert not tracemalloc_sees(), (done, domain)
    exercise(10)


def run(order: str) -> None:
    for i, operation in enumerate(order):
        OPERATIONS[operation]()
        check(order[: i + 1])


def toggles(count: int) -> "itertools.chain[str]":
    """Orders in which every operation changes something."""
    orders = []
    for pattern in itertools.product("mt", repeat=count):
        on: set[str] = set()
        order = ""
        for who in pattern:
            order += who if who in on else who.upper()
            on ^= {who}
        orders.append(order)
    return itertools.chain(orders)


for order in itertools.chain(map("".join, itertools.product("MmTt", repeat=4)), toggles(6)):
    in_fork(lambda order=order: run(order), order)
for order in toggles(5):
    run(order)
    m.stop()
    tracemalloc.stop()
