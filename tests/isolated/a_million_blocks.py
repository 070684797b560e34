"""More than 65,536 live blocks, and a million: counts, bytes and lookups stay exact."""

import threading
import time

from _support import m, rows

m.start()
start = m.get_traced_memory()[0]
count = len(m.take_snapshot())
LINE = 16
kept = [object() for _ in range(1_000_000)]
assert kept.__sizeof__() > 8_000_000
snapshot = m.take_snapshot()
assert 1_000_000 <= len(snapshot) - count < 1_001_000
mine = object.__sizeof__(kept[0])
grown = m.get_traced_memory()[0] - start
assert abs(grown - 1_000_000 * mine - kept.__sizeof__()) < 200_000, grown
assert (
    snapshot.total_size == m.get_traced_memory()[0]
    or abs(snapshot.total_size - start - grown) < 100_000
)
for thing in kept[::50_000]:
    found = m.get_object_traceback(thing)
    assert found is not None and found[0][0][0] == __file__

# Another thread lives on while snapshots are taken.
longest = 0.0
done = False


def beat() -> None:
    global longest
    while not done:
        before = time.perf_counter()
        time.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)


thread = threading.Thread(target=beat)
thread.start()
for _ in range(5):
    m.take_snapshot()
done = True
thread.join()
print("longest pause of another thread:", round(longest * 1000), "ms")
print("own bytes per trace:", m.get_tracemalloc_memory() / len(snapshot))
del snapshot, kept, thing
assert m.get_traced_memory()[0] - start < 500_000
assert len(rows()) < count + 1000
m.stop()
