"""A few small objects that keep arenas: fragmentation, whether tracing is on or not."""

from _memory import MIB, explain, known, now
from _support import m

known("anonymous", "arenas_total")

for tracing in (False, True):
    if tracing:
        m.start()
    older = now()
    # 16 KiB pools of 64-byte blocks: each object is its own, and one of 500 stays.
    many = [(i, i, i) for i in range(1_500_000)]
    peak = now()
    assert explain(older, peak, 80 * MIB) is None, "Python's growth is not explained away"
    assert tracing or explain(older, peak) is None, "blocks in use speak for themselves"
    few = many[::500]
    del many
    newer = now()
    found = explain(older, newer)
    change = newer.diff(older)
    assert found is not None and found.kind == "fragmentation", (found, change)
    assert change.arenas_free is not None and change.arenas_free > 60 * MIB, change
    # All but the last one, which may have been too short of blocks for one that stays.
    left = peak.arenas_total - newer.arenas_total
    assert 0 <= left <= 2 * MIB, ("an arena with a block stays", left)
    # Asked without a baseline, the process says the same of itself.
    alone = explain(None, newer)
    assert alone is not None and alone.kind == "fragmentation", alone
    assert f"{newer.arenas_total / MIB:,.1f} MiB" in found.sentence
    del few
    last = now()
    assert explain(older, last) is None, (explain(older, last), str(last.diff(older)))
    assert explain(None, last) is None
m.stop()
