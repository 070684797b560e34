"""Interpreters with their own GILs allocate in every domain at the same time as the main one."""

import sys
import threading
from collections.abc import Callable

from _support import deadline, exercise, ext, m, quick_start, rows, skip, threads

if sys.version_info < (3, 12):
    skip("one GIL per interpreter came with CPython 3.12")

CODE = """
for cycle in range({cycles}):
    kept = [[i, str(i), {{i: i}}, b"x" * (i % 900)] for i in range(500)]
    for name in range(20):
        exec(compile("def f(n): return [n] * n", "<inside %d>" % name, "exec"))
        kept.append(f(name))
"""


def inside(stopped: Callable[[], bool]) -> None:
    while not stopped():
        assert ext.run_in_subinterp(CODE.format(cycles=5), True) == 0


for cycle in range(3):
    quick_start(1 + 10 * cycle, reuse=cycle == 1)
    with threads(4, inside):
        for _ in deadline(1.2):
            blocks = {ext.malloc(i % 3, 7919): i % 3 for i in range(300)}
            exercise(20)
            table = rows(7919)
            assert set(table) == set(blocks)
            assert all(trace[2][0][0] == __file__ for trace in table.values())
            for address, domain in blocks.items():
                ext.free(domain, address)
            assert not rows(7919)
    assert m.take_snapshot().lost == 0
    m.stop()

# start() and stop() while they run.
with threads(3, inside):
    for i in deadline(1.2):
        quick_start(1 + i % 3, reuse=i % 2 == 1)
        exercise(20)
        m.stop()

# Nothing of a destroyed interpreter is left in the table, and what is in it is true.
quick_start(5)
for _ in range(3):
    running = [
        threading.Thread(target=inside, args=(iter([False, True]).__next__,)) for _ in range(3)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
left = [trace for trace in rows().values() if trace[2][0][0].startswith("<inside")]
assert len(left) < 50, f"{len(left)} blocks of dead interpreters"
m.stop()
