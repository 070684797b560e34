"""Allocation from a pthread key destructor, when the thread's own variables may be gone."""

import _thread
import time

from _support import WATCHED, exercise, ext, foreign_blocks, m

m.start()
truth = set(ext.thread_exit(1000, WATCHED))
assert len(truth) == 1000
assert foreign_blocks() == truth
for address in truth:
    ext.free(0, address)

# Python threads too short to be joined.
alive = [0]
lock = _thread.allocate_lock()


def short() -> None:
    exercise(5)
    with lock:
        alive[0] -= 1


for _ in range(1000):
    with lock:
        alive[0] += 1
    _thread.start_new_thread(short, ())
    while alive[0] > 20:
        time.sleep(0.0005)
while alive[0]:
    time.sleep(0.001)
m.stop()
