"""PyTraceMalloc_Track is seen from modules linked in every way, loaded before and after start()."""

import sys
import threading
import tracemalloc

from _support import load_ext, m, rows

if not sys.platform.startswith("linux"):
    raise SystemExit(77)

DOMAIN = 389047
KINDS = ["lazy", "now", "noplt"]
modules = {}
for late in (False, True):
    if late:
        m.start(3)
    for kind in KINDS[late::2]:
        modules[kind] = load_ext(f"_memscope_testtrack_{kind}")
modules["ext"] = ext = load_ext()
# A module that calls through a variable is not seen, which must do no harm.
through_variable = load_ext("_memscope_testtrack_pointer")
before = {kind: module.track(7, 1, 1) for kind, module in modules.items()}


def check(tracing: bool) -> None:
    for i, (kind, module) in enumerate(modules.items()):
        address = 0x5000_0000_0000 + i * 4096 + 8
        module.track(DOMAIN, address, 1_000_000 + i)
        line = sys._getframe().f_lineno - 1
        found = rows(1_000_000 + i, DOMAIN).get(address) if tracing else None
        if tracing:
            assert found is not None, f"a {kind} module's block was not seen"
            assert found[0] == DOMAIN and found[2][0] == (__file__, line), (kind, found)
        module.track(DOMAIN, address, 2_000_000 + i)
        if tracing:
            assert address in rows(2_000_000 + i, DOMAIN) and not rows(1_000_000 + i, DOMAIN)
        module.track(DOMAIN + 1, address, 3_000_000 + i)
        module.untrack(DOMAIN, address)
        if tracing:
            assert not rows(2_000_000 + i, DOMAIN), f"a {kind} module's untrack was not seen"
            assert address in rows(3_000_000 + i, DOMAIN + 1), "domains are separate tables"
        module.untrack(DOMAIN + 1, address)
        module.untrack(DOMAIN, address)
        through_variable.track(DOMAIN, address, 4_000_000)
        through_variable.untrack(DOMAIN, address)


for _ in range(3):
    check(True)
    m.stop()
    check(False)
    # Off means off: CPython's own answer again, and its own tables.
    assert {module.track(7, 1, 1) for module in modules.values()} == {-2}
    tracemalloc.start()
    m.start(3)
    check(True)
    for module in modules.values():
        assert module.track(9, 4096, 7_654_321) == 0
        assert any(
            t.domain == 9 and t.size == 7_654_321 for t in tracemalloc.take_snapshot().traces
        )
        assert module.untrack(9, 4096) == 0
        assert not any(t.domain == 9 for t in tracemalloc.take_snapshot().traces)
    m.stop()
    tracemalloc.stop()
    m.start(2)

# From many threads that do not hold the GIL.
running = threading.Thread(
    target=ext.track_threads, args=(4, DOMAIN, 0x6000_0000_0000, 777_777, 5000)
)
running.start()
while running.is_alive():
    m.take_snapshot()
assert len(rows(777_777, DOMAIN)) == 4 * 2500
m.stop()
