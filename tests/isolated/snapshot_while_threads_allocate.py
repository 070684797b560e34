"""Snapshots, clears and peaks are taken while twelve threads change the table."""

import sys
from collections.abc import Callable

from _support import WATCHED, deadline, exercise, ext, foreign_blocks, m, threads


def work(stopped: Callable[[], bool]) -> None:
    while not stopped():
        exercise(50)


sys.setswitchinterval(1e-4)
m.start(10)
ext.hammer_start(4, WATCHED, 0, 2000)
with threads(8, work):
    for i in deadline(3):
        snapshot = m.take_snapshot()
        # A block cannot be at two places, nor two at one.
        addresses = [snapshot.address(row) for row in range(len(snapshot))]
        assert len(set(addresses)) == len(addresses)
        assert sum(trace[1] for trace in snapshot.traces()) == snapshot.total_size
        m.reset_peak()
        size, peak = m.get_traced_memory()
        assert 0 <= size <= peak, (size, peak)
        if i % 5 == 4:
            m.clear_traces()
truth = dict(ext.hammer_stop())
# What lived through a clear is not known; what is known is alive.
assert foreign_blocks() <= set(truth)
for address in truth:
    ext.free(0, address)
assert not foreign_blocks()
assert m.take_snapshot().lost == 0
m.stop()
