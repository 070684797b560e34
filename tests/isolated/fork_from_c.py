"""fork() behind the interpreter's back, with no handler of Python's run, under load."""

from collections.abc import Callable

from _support import deadline, exercise, ext, m, threads


def work(stopped: Callable[[], bool]) -> None:
    while not stopped():
        exercise(20)


m.start(5)
ext.hammer_start(3, 64, 2000, 512)
with threads(3, work):
    for _ in deadline(2):
        assert set(ext.fork_exit(5, 5.0)) == {0}
        assert ext.fork_in_thread(5) == 0
ext.hammer_stop()
m.stop()
assert set(ext.fork_exit(5, 5.0)) == {0}
