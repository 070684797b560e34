"""Memory ends at any point of taking and asking: MemoryError, and nothing is left behind."""

import gc
import resource

from _heap import Graph, node_of, question
from _support import m, skip

if not hasattr(m, "_fail_after"):
    skip("memscope._memscope has no _fail_after: it was built without its test hook")


class Thing:
    pass


things = [Thing() for _ in range(300)]
gc.collect()
gc.freeze()
plain, kept = Graph.take(), Graph.take(keep=True)
node = node_of(plain, things)
pairs = [(i, i + 1) for i in range(99)]
made = [Graph.from_pairs(count, pairs[: count - 1], [0]) for count in (40, 70, 100)]
history = m.History.begin(made[0]).advance(made[1]).advance(made[2])
survivors = history.survivors()
live = m.History.begin(plain)
m.start(3)
join = m.Join.take()
m.stop()


def noted() -> None:
    try:
        m.start(1)
        lengths = m.Lengths()
        for _ in range(3):
            lengths.note()
            kept = [{number: number} for number in range(300)]
            lengths.longest_rise(0)
            del kept
    finally:
        m.stop()


QUERIES = {
    "take": lambda: Graph.take(),
    "take, kept": lambda: Graph.take(keep=True),
    "take, named": lambda: Graph.take(threads={1: "one"}, hide=[things]),
    "from_pairs": lambda: Graph.from_pairs(100, pairs, [0]),
    "types": plain.types,
    "find": lambda: plain.find(things),
    "find, kept": lambda: kept.find(things),
    "referents": lambda: plain.referents(node),
    "referrers": lambda: plain.referrers(node),
    "objects": lambda: plain.objects(plain.referents(node)),
    "select": lambda: plain.select([0, 1]),
    "chain": lambda: kept.chain(things[0], None),
    "paths_to_root": lambda: plain.paths_to_root([node], 3),
    "merged_paths": lambda: plain.merged_paths([node]),
    "reachable": lambda: plain.reachable([node]),
    "grown": lambda: plain.grown(kept, 9),
    "History.begin": lambda: m.History.begin(plain),
    "History.advance": lambda: live.advance(kept),
    "History.advance with a join": lambda: live.advance(join.graph, join, (1, 2, 3)),
    "History.growers": lambda: history.growers(0),
    "History.survivors": lambda: history.survivors([1]),
    "History.survivors of a live heap": lambda: live.survivors(),
    "Survivors.piles": lambda: survivors.piles(9),
    "Survivors.groups": lambda: survivors.groups(0),
    "Survivors.members": lambda: survivors.members(0),
    "Survivors.way": lambda: survivors.way(99),
    "Join.take": lambda: m.Join.take(),
    "Lengths.note": lambda: m.Lengths().note(),
    "Lengths.note of what is traced": noted,
    "Join.site_column": lambda: join.site_column(),
}
for name, query in QUERIES.items():
    m._fail_after(-1)
    expected = query()
    failures, n = 0, 0
    while True:
        m._fail_after(n)
        try:
            query()
        except MemoryError:
            failures += 1
        else:
            m._fail_after(-1)
            if failures < n - 5 or n > 3000:
                break  # so many succeed in a row that none is left to fail
        n += 1 + n // 20
    m._fail_after(-1)
    again = query()
    assert type(again) is type(expected), name
    if isinstance(again, list) and name not in ("types", "objects"):
        assert again == expected, name
del expected, again
gc.collect()
own = m.get_tracemalloc_memory()
for query in QUERIES.values():
    for n in (0, 1, 2, 3, 5, 8, 13, 21, 34):
        m._fail_after(n)
        try:
            query()
        except MemoryError:
            pass
m._fail_after(-1)
gc.collect()
assert m.get_tracemalloc_memory() == own, m.get_tracemalloc_memory() - own
question(plain, things)
question(kept, things[0])
question(Graph.take(), things)

# No address space: the C library's own failures, not ours.
kept = None
for megabytes in (0, 1, 2, 4, 8, 16, 32):
    with open("/proc/self/statm") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size + megabytes * 1000 * 1000, hard))
    many = None
    try:
        many = [Graph.take() for _ in range(50)]
    except MemoryError:
        pass
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    del many
question(Graph.take(keep=True), things)
