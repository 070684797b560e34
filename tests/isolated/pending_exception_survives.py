"""Allocation while an exception is pending or being handled must not replace or chain it."""

import codecs
import sys

from _support import exercise, m, skip


class Exploding:
    def __iter__(self) -> "Exploding":
        return self

    def __next__(self) -> object:
        exercise(2)
        raise StopIteration([bytearray(100)] * 3)

    def __del__(self) -> None:
        kept = [bytearray(n) for n in range(50)]
        raise KeyError(len(kept))


def handler(error: UnicodeError) -> tuple[str, int]:
    exercise(2)
    return ("?", error.end)  # type: ignore[attr-defined]


codecs.register_error("memscope_test", handler)
sys.unraisablehook = lambda _: None
m.start(25)
source = "def f(n):\n    raise ValueError(f'{n} ' * n)\n"
scope: dict[str, object] = {}
exec(compile(source, "\udcff.py", "exec"), scope)
for n in range(1, 300):
    try:
        scope["f"](n)  # type: ignore[operator]
    except ValueError as error:
        assert str(error) == f"{n} " * n
        assert error.__context__ is None and error.__cause__ is None
        assert error.__traceback__ is not None and error.__traceback__.tb_next is not None
    assert list(Exploding()) == []
    assert "\udc80abc".encode("ascii", "memscope_test") == b"?abc"
    try:
        [][n]
    except IndexError as error:
        assert error.__context__ is None
assert sys.exc_info() == (None, None, None)

# A C function that allocates with an exception set.
try:
    import _testcapi
except ImportError:
    skip("this Python ships without _testcapi; the rest passed")
for _ in range(50):
    try:
        _testcapi.raise_exception(RuntimeError, 2)
    except RuntimeError as error:
        assert len(error.args) == 2
m.stop()
