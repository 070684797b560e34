"""A code object's address is reused by another: every block still names the line that made it."""

import gc
import random

from _support import BYTES, ext, m, rows

random.seed(2)
kept: dict[int, tuple[str, int]] = {}
blocks: list[bytes] = []


def make(number: int) -> None:
    lines = random.randrange(1, 60)
    size = 5000 + number
    name = f"<generated {number}>"
    source = "def f():" + "\n" * lines + f"    return bytes({size})\n"
    scope: dict[str, object] = {}
    exec(compile(source, name, "exec"), scope)
    blocks.append(scope["f"]())  # type: ignore[operator]
    kept[size + BYTES] = (name, 1 + lines)
    if number % 50 == 0:
        gc.collect()


for nframe in (1, 3):
    kept.clear()
    blocks.clear()
    m.start(nframe)
    for number in range(5000):
        make(number)
        if number % 1000 == 999:
            m.take_snapshot()
        if number > 500 and number % 3 == 0:
            gone = random.randrange(len(blocks))
            kept.pop(len(blocks.pop(gone)) + BYTES)
    found = {trace[1]: trace[2] for trace in rows().values() if trace[1] in kept}
    assert found.keys() == kept.keys()
    for size, place in kept.items():
        assert found[size][0] == place, (size, found[size], place)
        if nframe == 3:
            assert found[size][1][0] == __file__ and found[size][2][0] == __file__
    m.stop()

# Code that makes nothing but RAW blocks, with the GIL released.
for nframe in (1, 4):
    m.start(nframe)
    places = {}
    for number in range(2000):
        size = 7000 + number
        lines = random.randrange(40)
        name = f"<raw {number}>"
        # So that the next code object lies now where the last was, now elsewhere.
        for _ in range(number % 3):
            code = compile(f"leak({size})", "<not run>", "exec")
        code = compile("\n" * lines + f"leak({size})", name, "exec")
        exec(code, {"leak": ext.leak_nogil})
        places[size] = (name, lines + 1)
        del code
    found = {
        trace[1]: trace[2][0] for trace in rows().values() if trace[2][0][0].startswith("<raw")
    }
    assert found == places
    m.stop()
