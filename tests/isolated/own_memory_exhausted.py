"""memscope's own allocations fail, from the n-th on: the program never notices."""

from _support import exercise, ext, m, quick_start, rows

if not hasattr(m, "_fail_after"):
    raise SystemExit("memscope._memscope has no _fail_after: it was built without its test hook")


def work() -> list[object]:
    exercise(100)
    scope: dict[str, object] = {}
    exec(
        compile("def f(n):\n    return [n] if n == 0 else [f(n - 1)]\n", f"<{id(scope)}>", "exec"),
        scope,
    )
    return scope["f"](30)  # type: ignore[operator,no-any-return]


def tables_are_consistent() -> None:
    """After an exhaustion is over, a fresh session is exact."""
    m._fail_after(-1)
    m.clear_traces()
    blocks = {ext.malloc(domain, size): size for domain in range(3) for size in range(1, 3000, 13)}
    table = rows()
    assert {address: table[address][1] for address in blocks} == blocks
    for i, address in enumerate(blocks):
        ext.free(i // (len(blocks) // 3), address)
    # Some of the addresses belong to other blocks by now, made on other lines.
    place = (__file__, tables_are_consistent.__code__.co_firstlineno + 4)
    table = {address: trace for address, trace in rows().items() if trace[2][0] == place}
    assert not [address for address in blocks if table.get(address, (0, 0))[1] == blocks[address]]
    assert 0 <= m.get_traced_memory()[0] <= m.get_traced_memory()[1]


lost_at_all = 0
for n in [*range(40), 50, 75, 100, 150, 250, 500, 1000]:
    # While it starts: either it traces or it says MemoryError and leaves nothing behind.
    m._fail_after(n)
    try:
        quick_start(5)
    except MemoryError:
        assert not m.is_tracing()
        m._fail_after(-1)
        quick_start(5)
    # While it traces.
    m._fail_after(n)
    kept = work()
    blocks = [ext.malloc(domain, 7919 + i) for domain in range(3) for i in range(50)]
    # While it is asked: a real answer or MemoryError.
    for query in (
        m.take_snapshot,
        m.get_traced_memory,
        lambda kept=kept: m.get_object_traceback(kept),
    ):
        m._fail_after(n)
        try:
            query()
        except MemoryError:
            pass
    m._fail_after(-1)
    lost = m.take_snapshot().lost
    lost_at_all += lost
    for i, block in enumerate(blocks):
        ext.free(i // 50, block)
    del kept
    tables_are_consistent()
    m._fail_after(n)
    m.stop()
    m._fail_after(-1)
assert lost_at_all > 0, "traces were lost and not counted"
