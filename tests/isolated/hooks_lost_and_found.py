"""tracemalloc takes our hooks off blindly; what died meanwhile must not come back as a lie."""

import gc
import tracemalloc

from _support import BYTES, ext, m, rows


def generated(number: int, size: int) -> tuple[str, int]:
    """Run code that keeps one block of that size, and dies."""
    name = f"<generated {number}>"
    lines = number % 50
    scope: dict[str, object] = {"kept": kept}
    exec(compile("\n" * lines + f"kept.append(bytes({size - BYTES}))", name, "exec"), scope)
    return (name, lines + 1)


for nframe in (1, 4):
    kept: list[bytes] = []
    for number in range(10):
        tracemalloc.start()
        m.start(nframe)
        before = ext.malloc(2, 7919)
        # What a look whether the hooks are there asks for will lie where one of these lay.
        tiny = [(domain, ext.malloc(domain, 1)) for domain in range(3) for _ in range(500)]
        generated(number, 5000)
        tracemalloc.stop()
        # Blind now, if nobody noticed: code and blocks come and go.
        ext.free(2, before)
        for domain, address in tiny:
            ext.free(domain, address)
        kept.clear()
        for other in range(20):
            generated(1000 + other, 6000)
        kept.clear()
        gc.collect()
        # Any question is a chance to notice.
        m.is_tracing(), m.status(), m.take_snapshot(), m.get_traced_memory()
        places = [generated(2000 + number + other, 9000 + other) for other in range(20)]
        for other, place in enumerate(places):
            (trace,) = rows(9000 + other).values()
            assert trace[2][0] == place, (trace, place)
        m.stop()
        assert not m.is_tracing()
