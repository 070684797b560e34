"""CPython's own failing allocator (_testcapi.set_nomemory) above us, restored blindly."""

from _support import exercise, m, skip

try:
    import _testcapi
except ImportError:
    skip("this Python ships without _testcapi")

kept: list[object] = [None] * 50
for nframe in (1, 25):
    m.start(nframe)
    for start in range(0, 100, 2):
        try:
            _testcapi.set_nomemory(start, start + 10)
            # (Not by append: debug builds of 3.15 abort when that runs out of memory.)
            for i in range(50):
                kept[i] = [i, str(i), {i: i}]
        except MemoryError:
            pass
        finally:
            _testcapi.remove_mem_hooks()
    exercise()
    thing = [[i] for i in range(1000)]
    assert m.get_object_traceback(thing) is not None
    assert m.take_snapshot().lost == 0
    m.stop()
