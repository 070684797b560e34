"""Ten thousand start/stop cycles: own bytes, interpreter blocks and the heap stay flat."""

import gc
import resource
import sys

from _support import exercise, m

gc.collect()
gc.freeze()


def sessions(count: int) -> tuple[int, int, int]:
    for i in range(count):
        m.start(1 + i % 25)
        kept = [[i] for i in range(20)]
        if i % 50 == 0:
            exercise(20)
            exec(compile("x = [0]", f"<session {i}>", "exec"), {})
            m.take_snapshot().group("lineno") if hasattr(m.Columns, "group") else None
        del kept
        m.stop()
    gc.collect()
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return m.get_tracemalloc_memory(), sys.getallocatedblocks(), resident


own, blocks, resident = sessions(500)
own_after, blocks_after, resident_after = sessions(10_000)
print("own bytes", own, own_after, "blocks", blocks, blocks_after)
print("peak resident bytes", resident, resident_after)
assert own_after <= own + 4096
assert blocks_after - blocks < 100
# The peak may settle a little; a leak of 200 bytes a session would be 2 MB.
assert resident_after - resident < 1 << 20
m.start()
block = [bytes(7918)]
assert m.get_object_traceback(block) is not None
m.stop()
