"""Thirty-two threads call start() at the same moment, then stop()."""

import threading

from _support import WATCHED, exercise, ext, m, quick_start, rows

COUNT = 32
barrier = threading.Barrier(COUNT)
errors: list[BaseException] = []


def both() -> None:
    try:
        for _ in range(10):
            barrier.wait()
            quick_start(5)
            assert m.is_tracing()
            exercise(3)
            barrier.wait()
            m.stop()
            barrier.wait()
            assert not m.is_tracing()
    except BaseException as error:
        errors.append(error)
        barrier.abort()


before = [ext.allocator(domain) for domain in range(3)]
running = [threading.Thread(target=both) for _ in range(COUNT)]
for thread in running:
    thread.start()
for thread in running:
    thread.join()
if errors:
    raise errors[0]
assert [ext.allocator(domain) for domain in range(3)] == before, "hooks left behind"
m.start()
block = ext.malloc(2, WATCHED)
assert rows(WATCHED)[block][0] == 0
m.stop()
