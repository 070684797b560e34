"""Code that is made and thrown away for ever does not make the tracer grow without bound."""

from _support import m

m.start(5)
padding = "x" * 1000


def own_bytes_after(count: int, source: str, first: int) -> int:
    for i in range(first, first + count):
        exec(compile(source, f"<eval {i} {padding}>", "exec"), {})
    return m.get_tracemalloc_memory()


def one_name(count: int) -> int:
    for i in range(count):
        eval(f"[{i}, [{i}]]")
    return m.get_tracemalloc_memory()


warm = one_name(5000)
grown = one_name(60_000) - warm
print("eval of 60,000 expressions:", grown, "bytes")
assert grown < 512 * 1024, f"{grown} bytes for 60,000 evals"

# Names that never come again, and that nothing alive refers to.
warm = own_bytes_after(10_000, "x = [0]", 0)
grown = own_bytes_after(40_000, "x = [0]", 10_000) - warm
print("40,000 names that never come again:", grown, "bytes")
assert grown < 12 << 20, f"{grown} bytes for 40,000 file names of a kilobyte"
assert m.take_snapshot().lost == 0
m.stop()
