"""memscope and tracemalloc started and stopped in every order: neither blinds the other."""

import _tracemalloc
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
    traces = _tracemalloc._get_traces()
    return [frames[0][0] for _, size, frames, *_ in traces if size == SIZE]


def check(done: str) -> None:
    ours = next((op == "M" for op in reversed(done) if op in "Mm"), False)
    theirs = next((op == "T" for op in reversed(done) if op in "Tt"), False)
    assert (m.is_tracing(), tracemalloc.is_tracing()) == (ours, theirs), done
    for domain in range(3):
        block = ext.malloc(domain, SIZE)
        block = ext.realloc(domain, block, SIZE * 2)
        block = ext.realloc(domain, block, SIZE)
        if ours:
            table = rows(SIZE)
            assert set(table) == {block}, (done, domain)
            assert table[block][2][0][0] == __file__
        if theirs:
            assert tracemalloc_sees() == [__file__], (done, domain)
        ext.free(domain, block)
    assert not (ours and rows(SIZE)), done
    assert not (theirs and tracemalloc_sees()), done
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
