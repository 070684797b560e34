"""Greenlets switch stacks under the tracer: each block is charged to the greenlet that made it."""

from _support import BYTES, m, rows, skip

try:
    import greenlet
except ImportError as error:
    skip(f"greenlet cannot be imported: {error}")


def first(n: int) -> bytes:
    return bytes(n)


def second(n: int) -> bytes:
    return bytes(n)


kept: list[bytes] = []


def deep(make: object, sizes: range, depth: int) -> None:
    if depth:
        return deep(make, sizes, depth - 1)
    for n in sizes:
        kept.append(make(n))  # type: ignore[operator]
        hub.switch()


hub = greenlet.getcurrent()
before = set(vars(greenlet.greenlet))
m.start(10)
# Even sizes from one, odd from the other; they take turns.
pair = [
    greenlet.greenlet(lambda: deep(first, range(7000, 8000, 2), 20)),
    greenlet.greenlet(lambda: deep(second, range(7001, 8001, 2), 3)),
]
while not all(g.dead for g in pair):
    for g in pair:
        if not g.dead:
            g.switch()
    if len(kept) % 100 == 0:
        m.take_snapshot()
lines = {make: make.__code__.co_firstlineno + 1 for make in (first, second)}
table = {trace[1] - BYTES: trace[2] for trace in rows().values() if trace[2][0][0] == __file__}
assert len([n for n in table if n in range(7000, 8000)]) >= 1000
for block in kept:
    n = len(block)
    assert table[n][0] == (__file__, lines[second if n % 2 else first]), (n, table[n])
    assert table[n][1] == (__file__, deep.__code__.co_firstlineno + 4)
abandoned = greenlet.greenlet(lambda: deep(first, range(9000, 9100), 50))
abandoned.switch()
del abandoned
m.stop()
assert set(vars(greenlet.greenlet)) == before
