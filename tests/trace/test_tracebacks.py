"""Tracebacks: every kind of frame against sys._getframe; limits, totals, sharing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import random
import re
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

import pytest

from memscope import _memscope

if getattr(getattr(sys, "_jit", None), "is_enabled", bool)():
    pytest.skip(
        "under the JIT the interpreter itself does not know the line", allow_module_level=True
    )

Place = tuple[str, int]
Seen = tuple[int, tuple[Place, ...]]
SIZE = 7919
BYTES = bytes.__basicsize__  # bytes(n) is one block of n + BYTES bytes


def walk(frame: FrameType | None) -> tuple[Place, ...]:
    """The stack from this frame on, newest first, as the interpreter tells it."""
    places = []
    while frame is not None:
        places.append((frame.f_code.co_filename, frame.f_lineno or 0))
        frame = frame.f_back
    return tuple(places)


class Prober:
    """Makes a block and notes the stack it was made on, in one line."""

    def __init__(self, ext: ModuleType) -> None:
        self.ext = ext
        self.seen: list[Seen] = []

    def __call__(self, *_: object) -> int:
        self.seen.append((self.ext.malloc(2, SIZE), walk(sys._getframe())))
        return 0

    def check(self, nframe: int, total: bool) -> None:
        snapshot = _memscope.take_snapshot()
        table = {snapshot.address(i): snapshot.trace(i) for i in range(len(snapshot))}
        assert self.seen
        for address, places in self.seen:
            _, size, frames, depth = table[address]
            assert size == SIZE
            assert frames == places[:nframe]
            assert depth == (len(places) if total else None)
            self.ext.free(2, address)
        self.seen.clear()


@pytest.fixture
def probe(ext: ModuleType) -> Prober:
    return Prober(ext)


# ------------------------------------------------------------- the kinds of frame


def in_generator(probe: Prober) -> None:
    def inner() -> Iterator[int]:
        probe()
        yield 1
        probe()

    def outer() -> Iterator[int]:
        probe()
        yield from inner()
        probe()

    for _ in outer():
        probe()
    suspended = outer()
    next(suspended)
    probe()
    suspended.close()


def in_coroutines(probe: Prober) -> None:
    async def ticks() -> Any:
        for i in range(2):
            probe()
            yield i

    async def leaf() -> None:
        probe()
        await asyncio.sleep(0)
        probe()

    async def main() -> None:
        await asyncio.gather(leaf(), leaf())
        async for _ in ticks():
            probe()
        assert [probe() async for _ in ticks()] == [0, 0]
        task = asyncio.create_task(leaf())
        await task

    asyncio.run(main())


def in_class_bodies(probe: Prober) -> None:
    class Meta(type):
        def __new__(mcs, *arguments: Any) -> Any:
            probe()
            return super().__new__(mcs, *arguments)

        def __call__(cls, *arguments: Any) -> Any:
            probe()
            return super().__call__(*arguments)

    class Made(metaclass=Meta):
        probe()
        values = [probe() for _ in range(2)]

        def __init__(self) -> None:
            probe()

        @property
        def value(self) -> int:
            return probe()

        def __getattr__(self, name: str) -> int:
            return probe()

        def __add__(self, other: object) -> int:
            return probe()

    made: Any = Made()
    made.value, made.missing, made + 1


def in_plain_classes(probe: Prober) -> None:
    """The interpreter specialises the call, and pushes a frame of its own between the two."""

    class Plain:
        def __init__(self, depth: int) -> None:
            if depth:
                self.inner = Plain(depth - 1)
            else:
                self.value = probe()

    for _ in range(40):
        Plain(3)


def in_comprehensions(probe: Prober) -> None:
    [probe() for _ in range(2)]
    {probe() for _ in range(2)}
    {i: probe() for i in range(2)}
    list(probe() for _ in range(2))
    [[probe() for _ in range(2)] for _ in range(2)]
    [probe() for _ in range(2) if probe() == 0]


def in_callbacks(probe: Prober) -> None:
    (lambda: probe())()
    sorted([3, 1, 2], key=lambda n: probe() or n)
    list(map(probe, range(2)))
    list(filter(lambda n: not probe(), range(2)))
    functools.reduce(lambda a, b: probe() + b, [1, 2, 3])
    re.sub("a", lambda match: str(probe()), "banana")
    json.loads('{"a": {"b": 1}}', object_hook=lambda d: probe())
    functools.partial(probe, 1)()
    max([1, 2], key=probe)
    thing = {1}.union  # a method of C between two of ours
    thing([probe()])


def in_exceptions(probe: Prober) -> None:
    @contextlib.contextmanager
    def manager() -> Iterator[None]:
        probe()
        try:
            yield
        finally:
            probe()

    def failing() -> None:
        try:
            with manager():
                probe()
                raise ValueError
        except ValueError:
            probe()
            raise KeyError from None
        finally:
            probe()

    with pytest.raises(KeyError):
        failing()


def in_source_text(probe: Prober) -> None:
    scope: dict[str, Any] = {"probe": probe}
    exec("\n\nprobe()\ndef f():\n  return probe()\nf()", scope)
    eval("probe() or (\n probe())", scope)
    scope["f"]()
    exec(compile("probe()", "caf\xe9 \u0436 \U0001f40d \udcff", "exec"), scope)


def in_finalizers(probe: Prober) -> None:
    class Thing:
        def __del__(self) -> None:
            probe()

    thing = Thing()
    reference = weakref.ref(thing, probe)
    del thing
    cycle = Thing()
    cycle.me = cycle  # type: ignore[attr-defined]
    del cycle
    gc.collect()
    assert reference() is None


def in_threads(probe: Prober) -> None:
    def deep(n: int) -> None:
        probe()
        if n:
            deep(n - 1)

    threads = [threading.Thread(target=deep, args=(5,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_closures(probe: Prober) -> None:
    def outer(a: int, *rest: int, b: int = 0, **named: int) -> Callable[[], int]:
        def inner() -> int:
            probe()
            return a + b + len(rest) + len(named)

        probe()
        return inner

    outer(*(1, 2, 3), b=2, c=3)()
    long_call = outer(
        probe(),
        probe(),
        c=probe(),
    )
    long_call()


def in_recursion(probe: Prober) -> None:
    def even(n: int) -> None:
        probe()
        if n:
            odd(n - 1)
        probe()

    def odd(n: int) -> None:
        if n % 3 == 0:
            probe()
        even(n - 1) if n else probe()

    even(12)


def in_a_trace_function(probe: Prober) -> None:
    def hook(frame: FrameType, event: str, argument: object) -> Any:
        probe()
        return hook

    def traced() -> int:
        a = 1
        return a

    before = sys.gettrace()
    sys.settrace(hook)
    traced()
    sys.settrace(before)


KINDS = [
    in_generator,
    in_coroutines,
    in_class_bodies,
    in_plain_classes,
    in_comprehensions,
    in_callbacks,
    in_exceptions,
    in_source_text,
    in_finalizers,
    in_threads,
    in_closures,
    in_recursion,
    in_a_trace_function,
]


@pytest.mark.parametrize("total", [False, True], ids=["", "total"])
@pytest.mark.parametrize("nframe", [1, 2, 5, 500])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_as_the_interpreter_tells_it(
    tracer: ModuleType, probe: Prober, kind: Callable[[Prober], None], nframe: int, total: bool
) -> None:
    tracer.start(nframe, total_nframe=total)
    for _ in range(3):  # the second time through caches, the third specialised
        kind(probe)
        probe.check(nframe, total)


@pytest.mark.parametrize("seed", range(4))
def test_random_call_trees(tracer: ModuleType, probe: Prober, seed: int) -> None:
    """Stacks that share prefixes of every length, in two threads, at changing limits."""

    def a(choose: random.Random, depth: int) -> None:
        probe()
        for _ in range(choose.randrange(3)):
            if depth:
                choose.choice((a, b, c))(choose, depth - 1)
        probe()

    def b(choose: random.Random, depth: int) -> None:
        if depth:
            a(choose, depth - 1)
            b(choose, depth - 1)
        else:
            probe()

    def c(choose: random.Random, depth: int) -> None:
        for step in choose.sample((a, b, probe), 2):
            step(choose, max(0, depth - 1))

    choose = random.Random(seed)
    for nframe in (1, 2, 3, 5, 60, 1000):
        total = choose.random() < 0.5
        tracer.start(nframe, total_nframe=total)
        for _ in range(15):
            a(choose, 6)
            other = threading.Thread(target=b, args=(random.Random(seed), 4))
            other.start()
            c(choose, 5)
            other.join()
        probe.check(nframe, total)
        tracer.stop()


def test_raw_blocks_have_the_same_tracebacks(tracer: ModuleType, ext: ModuleType) -> None:
    def deep(n: int) -> tuple[int, int, tuple[Place, ...]]:
        if n:
            return deep(n - 1)
        return ext.malloc(0, SIZE), ext.malloc(2, SIZE), walk(sys._getframe())

    for nframe in (1, 4, 100):
        tracer.start(nframe, total_nframe=True)
        raw, obj, places = deep(20)
        snapshot = tracer.take_snapshot()
        table = {snapshot.address(i): snapshot.trace(i) for i in range(len(snapshot))}
        assert table[raw][2:] == table[obj][2:] == (places[:nframe], len(places))
        ext.free(0, raw)
        ext.free(2, obj)
        tracer.stop()


def test_code_from_before_start(tracer: ModuleType, probe: Prober) -> None:
    """Functions compiled, run and specialised before tracing began."""

    def old(n: int) -> int:
        return probe() if n == 0 else old(n - 1)

    for _ in range(100):
        old(3)
    for block, _ in probe.seen:
        probe.ext.free(2, block)
    probe.seen.clear()
    running = (probe() for _ in range(3))
    next(running)
    probe.ext.free(2, probe.seen.pop()[0])
    tracer.start(10)
    old(3)
    next(running)
    probe.check(10, False)


def test_equal_tracebacks_are_one_object(tracer: ModuleType) -> None:
    tracer.start(5)
    kept = [bytes(SIZE - BYTES) for _ in range(50)]
    frames = [trace[2] for trace in tracer.take_snapshot().traces() if trace[1] == SIZE]
    assert len(frames) == 50
    assert len({id(frame) for frame in frames}) == 1
    del kept


def test_limits_cut_the_oldest(tracer: ModuleType, ext: ModuleType) -> None:
    def deep(n: int) -> tuple[int, tuple[Place, ...]]:
        return deep(n - 1) if n else (ext.malloc(2, SIZE), walk(sys._getframe()))

    for nframe in (1, 2, 99, 100, 101, 102, 65_535):
        tracer.start(nframe, total_nframe=True)
        block, places = deep(100)
        found = {trace[1]: trace for trace in tracer.take_snapshot().traces()}[SIZE]
        assert found[2] == places[:nframe]
        assert found[3] == len(places)
        ext.free(2, block)
        tracer.stop()


def test_a_cell_is_charged_to_the_caller(tracer: ModuleType) -> None:
    """Before its first line a frame is incomplete: what it makes is its caller's doing."""

    def with_cell(value: object) -> Callable[[], object]:
        def inner() -> object:
            return value

        return inner

    def call(n: int) -> list[object]:
        return [with_cell(i) for i in range(n)]

    tracer.start(1)
    kept = call(500)
    line = call.__code__.co_firstlineno + 1
    inner = with_cell.__code__.co_firstlineno + 1
    lines = [t[2][0][1] for t in tracer.take_snapshot().traces() if t[2][0][0] == __file__]
    assert lines.count(line) >= 500, "500 cells"
    assert lines.count(inner) >= 500, "500 functions"
    # Its own first line has what the interpreter makes once, at the first call.
    assert lines.count(with_cell.__code__.co_firstlineno) < 5
    del kept


def test_no_line_is_invented(tracer: ModuleType) -> None:
    """Code whose line table is empty or missing lines gives 0, not a neighbour's."""
    code = compile(f"kept.append(bytes({SIZE - BYTES}))\n", "<no lines>", "exec")
    code = code.replace(co_linetable=b"")
    kept: list[bytes] = []
    tracer.start()
    exec(code, {"kept": kept})
    (frames,) = {trace[2] for trace in tracer.take_snapshot().traces() if trace[1] == SIZE}
    assert frames[0][0] == "<no lines>" and frames[0][1] in (0, 1)


def test_tracebacks_after_an_import(tracer: ModuleType, tmp_path: Any, monkeypatch: Any) -> None:
    """Module code is executed once and dies: its blocks keep its name."""
    (tmp_path / "memscope_test_once.py").write_text(f"\n\nkept = bytes({SIZE - BYTES})\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    tracer.start(3)
    module = __import__("memscope_test_once")
    gc.collect()
    waste = [compile(f"x = {i}", f"<waste {i}>", "exec") for i in range(500)]
    (frames,) = {trace[2] for trace in tracer.take_snapshot().traces() if trace[1] == SIZE}
    assert frames[0] == (str(tmp_path / "memscope_test_once.py"), 3)
    del sys.modules["memscope_test_once"], module, waste
