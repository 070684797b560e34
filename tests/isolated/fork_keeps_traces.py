"""A child still traces, with its parent's traces; forking costs the parent no memory."""

import os
import threading
import warnings

from _support import WATCHED, ext, in_fork, m, rows

warnings.simplefilter("ignore", DeprecationWarning)
m.start(3)
block = ext.malloc(2, WATCHED)
parents = rows(WATCHED)
assert set(parents) == {block}


def child() -> None:
    assert rows(WATCHED) == parents
    mine = ext.malloc(2, WATCHED)
    assert set(rows(WATCHED)) == {block, mine}
    ext.free(2, block)
    assert set(rows(WATCHED)) == {mine}
    if os.getpid() % 5 == 0:
        in_fork(child_of_child)


def child_of_child() -> None:
    assert block not in rows(WATCHED)
    m.stop()


def fork_twice() -> None:
    for _ in range(2):
        in_fork(child)


def forks() -> int:
    for _ in range(60):
        in_fork(child)
    for _ in range(10):
        thread = threading.Thread(target=fork_twice)
        thread.start()
        thread.join()
    return m.get_tracemalloc_memory()


forks()
grown = -forks() + forks()
assert grown < 16 * 1024, f"{grown} bytes for 80 forks"
assert rows(WATCHED) == parents
m.stop()
