"""File and function names that no encoder likes: surrogates, NUL, four-byte, empty, a megabyte."""

from _support import BYTES, m, rows

NAMES = [
    "",
    "plain.py",
    "caf\xe9.py",
    "\u0436\u0443\u043a.py",
    "\U0001f40d.py",
    "\udcff\udc80.py",
    "\ud800.py",
    "nul\0in the middle",
    "new\nline",
    "a" * 1_000_000,
    "\u0436" * 500_000,
    "\U0001f40d" * 250_000,
]

for nframe in (1, 10):
    m.start(nframe)
    kept = []
    for i, name in enumerate(NAMES):
        code = compile("def f(n):\n  return bytes(n)\n", "<none>", "exec")
        scope: dict[str, object] = {}
        exec(code, scope)
        function = scope["f"]
        inner = function.__code__.replace(co_filename=name, co_name="\udc80" + name[:5])  # type: ignore[attr-defined]
        if hasattr(inner, "co_qualname"):
            inner = inner.replace(co_qualname=name)
        function.__code__ = inner  # type: ignore[attr-defined]
        kept.append(function(7000 + i))  # type: ignore[operator]
        del function, inner, scope, code
    for i, name in enumerate(NAMES):
        (trace,) = rows(7000 + i + BYTES).values()
        assert trace[2][0] == (name, 2), (name[:30], trace[2][0][0][:30])
        found = m.get_object_traceback(kept[i])
        assert found is not None
    m.take_snapshot()
    own = m.get_tracemalloc_memory()
    print("own bytes", own)
    m.stop()
