"""The live table: sizes, realloc, peak, epochs, domains; against a model and tracemalloc."""

from __future__ import annotations

import array
import collections
import functools
import gc
import random
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from memscope import _memscope

MARK = 7919


def rows(size: int | None = None) -> dict[int, tuple[Any, ...]]:
    snapshot = _memscope.take_snapshot()
    traces = snapshot.traces()
    return {
        snapshot.address(i): trace
        for i, trace in enumerate(traces)
        if size is None or trace[1] == size
    }


def test_off(tracer: ModuleType) -> None:
    assert not tracer.is_tracing()
    assert tracer.get_traced_memory() == (0, 0)
    assert tracer.get_object_traceback([]) is None
    tracer.clear_traces()
    tracer.reset_peak()
    assert len(tracer.take_snapshot()) == 0
    assert tracer.get_epoch() == 0
    with pytest.raises(RuntimeError):
        tracer.advance_epoch()
    assert tracer.memory_of_epochs((0, 1)) == (0, 0)


def test_limit_is_kept(tracer: ModuleType) -> None:
    for nframe in (7, 1, 65_535):
        tracer.start(nframe)
        assert tracer.get_traceback_limit() == nframe
        assert tracer.take_snapshot().traceback_limit == nframe
        tracer.stop()
        assert tracer.get_traceback_limit() == nframe
    for nframe in (0, -1, 65_536, 2**70):
        with pytest.raises((ValueError, OverflowError)):
            tracer.start(nframe)
    with pytest.raises(TypeError):
        tracer.start(nframe=2)
    assert not tracer.is_tracing()


def test_the_number_of_traced_blocks(tracer: ModuleType, ext: ModuleType) -> None:
    assert tracer.get_traced_blocks() == 0
    tracer.start(1)
    before = tracer.get_traced_blocks()
    blocks = [ext.malloc(domain, MARK) for domain in range(3) for _ in range(1000)]
    full = tracer.get_traced_blocks()
    assert full - before >= 3000
    assert abs(full - len(tracer.take_snapshot())) < 50
    for number, block in enumerate(blocks):
        ext.free(number // 1000, block)
    assert abs(full - tracer.get_traced_blocks() - 3000) < 50
    tracer.stop()
    assert tracer.get_traced_blocks() == 0


@pytest.mark.parametrize("domain", range(3))
def test_realloc_is_a_new_block(tracer: ModuleType, ext: ModuleType, domain: int) -> None:
    """The new size at the new place with the traceback of the realloc, moved or not."""
    tracer.start(2)
    tracer.advance_epoch()
    block = ext.malloc(domain, MARK)
    first = sys._getframe().f_lineno - 1
    assert rows(MARK)[block][2][0] == (__file__, first)
    for size in (MARK + 1, 20, 600, 100_000, 99_999, 1 << 20, 300, 299):
        block = ext.realloc(domain, block, size)
        line = sys._getframe().f_lineno - 1
        table = rows(size)
        assert table[block][:2] == (0, size)
        assert table[block][2][0] == (__file__, line)
        assert not rows(MARK)
    ext.free(domain, block)
    assert not rows(299).keys() & {block}


@pytest.mark.parametrize("domain", range(3))
def test_a_pause(tracer: ModuleType, ext: ModuleType, domain: int) -> None:
    """What a thread allocates meanwhile is left out; what was there is followed."""
    tracer.start(1)
    before, moved, known = (ext.malloc(domain, MARK + number) for number in range(3))
    assert tracer.pause(True) is False
    assert tracer.pause(True) is True
    try:
        block, zeroed = ext.malloc(domain, MARK + 3), ext.calloc(domain, 1, MARK + 4)
        grown = ext.realloc(domain, ext.malloc(domain, 100), MARK + 5)
        ext.free(domain, before)
        moved = ext.realloc(domain, moved, 100_000)
        thread = threading.Thread(target=lambda: others.append(ext.malloc(domain, MARK + 6)))
        others: list[int] = []
        thread.start()
        thread.join()
    finally:
        assert tracer.pause(False) is True
    table = rows()
    assert {moved, known, *others} <= table.keys()
    assert table[moved][1] == 100_000
    sizes = {trace[1] for trace in table.values()}
    assert sizes & {MARK + number for number in range(7)} == {MARK + 2, MARK + 6}
    # An unknown block is freed and moved as if it were from before the start.
    live = tracer.get_traced_memory()[0]
    ext.free(domain, block)
    ext.free(domain, zeroed)
    assert abs(tracer.get_traced_memory()[0] - live) < 1000
    grown = ext.realloc(domain, grown, MARK + 7)
    assert rows(MARK + 7).keys() == {grown}
    for last in (grown, moved, known, *others):
        ext.free(domain, last)


def test_a_pause_outlives_the_tracing(tracer: ModuleType, ext: ModuleType) -> None:
    tracer.pause(True)
    try:
        tracer.start(1)
        block = ext.malloc(2, MARK)
        assert not rows(MARK)
        tracer.stop()
        assert tracer.pause(True) is True
    finally:
        tracer.pause(False)
    ext.free(2, block)


@pytest.mark.parametrize("seed", range(3))
def test_against_a_model(tracer: ModuleType, ext: ModuleType, seed: int) -> None:
    """Thousands of random calls in three domains against a dict."""
    choose = random.Random(seed)
    model: dict[int, tuple[int, int]] = {}
    addresses: list[int] = []  # those of the model, and some that have gone

    def made(address: int, domain: int, size: int) -> None:
        model[address] = (domain, size)
        addresses.append(address)

    tracer.start()
    for step in range(6000):
        domain = choose.randrange(3)
        size = choose.choice(
            [choose.randrange(1, 600), choose.randrange(1, 70_000), 1 << choose.randrange(18)]
        )
        action = choose.random()
        if action < 0.35:
            made(ext.malloc(domain, size), domain, size)
        elif action < 0.45:
            made(ext.calloc(domain, 1, size), domain, size)
        elif (address := choose.choice(addresses or [0])) in model:
            domain, _ = model.pop(address)
            if action < 0.7:
                made(ext.realloc(domain, address, size), domain, size)
            else:
                ext.free(domain, address)
        if step % 1000 == 999:
            table = rows()
            assert {address: table[address][1] for address in model} == {
                address: size for address, (_, size) in model.items()
            }
            assert all(table[address][2][0][0] == __file__ for address in model)
    for address, (domain, _) in model.items():
        ext.free(domain, address)
    # Small blocks may belong to others by now; nobody else makes them this large.
    assert not [
        address for address, trace in rows().items() if address in model and trace[1] > 8000
    ]
    assert tracer.take_snapshot().lost == 0


def test_sizes_over_the_slots_field(tracer: ModuleType, ext: ModuleType) -> None:
    """Sizes that do not fit 16 or 32 bits."""
    tracer.start()
    sizes = [65_533, 65_534, 65_535, 65_536, 65_537, (1 << 24) + 3, (1 << 32) - 1, (1 << 32) + 5]
    blocks = {}
    for size in sizes:
        block = ext.malloc(0, size)
        if block:
            blocks[block] = size
    table = rows()
    assert {address: table[address][1] for address in blocks} == blocks
    total = tracer.get_traced_memory()[0]
    assert sum(blocks.values()) < total < sum(blocks.values()) + (1 << 20)
    for block in blocks:
        ext.free(0, block)
    assert tracer.get_traced_memory()[0] < 1 << 20


def test_current_and_peak(tracer: ModuleType, ext: ModuleType) -> None:
    slack = 4096
    million = 1 << 20
    tracer.start()
    base = tracer.get_traced_memory()[0]
    raw = ext.malloc(0, million)
    mem = ext.malloc(1, million)
    current, peak = tracer.get_traced_memory()
    assert abs(current - base - 2 * million) < slack
    assert abs(peak - base - 2 * million) < slack
    ext.free(0, raw)
    obj = ext.malloc(2, million)
    ext.free(2, obj)
    current, peak = tracer.get_traced_memory()
    assert abs(current - base - million) < slack
    assert abs(peak - base - 2 * million) < slack
    tracer.reset_peak()
    current, peak = tracer.get_traced_memory()
    assert 0 <= peak - current < slack
    ext.free(1, mem)
    current, peak = tracer.get_traced_memory()
    assert abs(current - base) < slack
    assert abs(peak - base - million) < slack
    tracer.clear_traces()
    current, peak = tracer.get_traced_memory()
    assert 0 <= current <= peak < slack
    assert len(tracer.take_snapshot()) < 50


def test_total_is_the_sum_of_the_rows(tracer: ModuleType) -> None:
    tracer.start(3)
    kept = [bytearray(i * 7) for i in range(2000)]
    snapshot = tracer.take_snapshot()
    assert snapshot.total_size == sum(trace[1] for trace in snapshot.traces())
    assert len(snapshot) == len(snapshot.traces())
    assert [snapshot.trace(i) for i in range(len(snapshot))] == snapshot.traces()
    assert abs(tracer.get_traced_memory()[0] - snapshot.total_size) < 200_000
    assert len({snapshot.address(i) for i in range(len(snapshot))}) == len(snapshot)
    del kept


def test_a_snapshot_does_not_change(tracer: ModuleType, ext: ModuleType) -> None:
    tracer.start(2)
    block = ext.malloc(2, MARK)
    snapshot = tracer.take_snapshot()
    before = snapshot.traces()
    ext.free(2, block)
    kept = [[] for _ in range(1000)]
    tracer.clear_traces()
    assert snapshot.traces() == before
    tracer.stop()
    assert snapshot.traces() == before
    tracer.start(9)
    del kept
    assert snapshot.traces() == before and snapshot.traceback_limit == 2


def test_taking_a_snapshot_is_not_in_it(tracer: ModuleType) -> None:
    tracer.start()
    kept = [object() for _ in range(50_000)]
    tracer.take_snapshot()
    first = tracer.take_snapshot()
    size = tracer.get_traced_memory()[0]
    second = tracer.take_snapshot()
    assert abs(len(second) - len(first)) < 20
    assert tracer.get_traced_memory()[0] - size < 2000
    del kept


def test_epochs(tracer: ModuleType, ext: ModuleType) -> None:
    tracer.start()
    first = tracer.get_epoch()
    old = ext.malloc(2, MARK)
    moved = ext.malloc(0, MARK)
    assert tracer.advance_epoch() == first + 1 == tracer.get_epoch()
    young = ext.malloc(1, MARK)
    moved = ext.realloc(0, moved, MARK)
    snapshot = tracer.take_snapshot()
    assert snapshot.epoch == first + 1
    born = {snapshot.address(i): snapshot.row_epoch(i) for i in range(len(snapshot))}
    assert (born[old], born[young], born[moved]) == (first, first + 1, first + 1)
    assert set(born.values()) <= {first, first + 1}
    # Later checkpoints do not change what a snapshot says.
    for _ in range(600):
        tracer.advance_epoch()
    assert snapshot.row_epoch(0) in (first, first + 1) and snapshot.epoch == first + 1
    for domain, block in ((2, old), (1, young), (0, moved)):
        ext.free(domain, block)


def test_thousands_of_epochs(tracer: ModuleType, ext: ModuleType) -> None:
    """Young blocks keep exact epochs, old ones their order, however many checkpoints there were."""
    tracer.start()
    born: dict[int, int] = {}
    for _ in range(3000):
        born[ext.malloc(2, MARK)] = tracer.get_epoch()
        tracer.advance_epoch()
    snapshot = tracer.take_snapshot()
    found = {snapshot.address(i): snapshot.row_epoch(i) for i in range(len(snapshot))}
    order = [found[address] for address in born]
    truth = list(born.values())
    assert order == sorted(order)
    assert order[-64:] == truth[-64:]
    assert all(said <= true for said, true in zip(order, truth))
    assert snapshot.epoch == tracer.get_epoch() == truth[-1] + 1
    for address in born:
        ext.free(2, address)


@pytest.mark.parametrize("seed", range(3))
def test_memory_of_epochs(tracer: ModuleType, ext: ModuleType, seed: int) -> None:
    """In every domain, large blocks and those of extensions too, against the rows of a snapshot."""
    choose = random.Random(seed)
    tracer.start()
    blocks: list[tuple[int, int]] = []
    for _ in range(400):
        if choose.random() < 0.3:
            tracer.advance_epoch()
        for _ in range(choose.randrange(12)):
            domain = choose.randrange(3)
            size = choose.choice([choose.randrange(1, 600), choose.randrange(1, 300_000)])
            blocks.append((domain, ext.malloc(domain, size)))
        if blocks and choose.random() < 0.5:
            ext.free(*blocks.pop(choose.randrange(len(blocks))))
    tracked = [(7, 2**20 + number * 4096) for number in range(50)]
    for domain, address in tracked:
        assert ext.track(domain, address, 5000) == 0
    tracer.advance_epoch()  # what is made from here on is in no question
    snapshot = tracer.take_snapshot()
    known: dict[int, tuple[int, int]] = collections.defaultdict(lambda: (0, 0))
    for row in range(len(snapshot)):
        total, count = known[snapshot.row_epoch(row)]
        known[snapshot.row_epoch(row)] = total + snapshot.trace(row)[1], count + 1
    epochs = [epoch for epoch in known if epoch != snapshot.epoch]
    assert len(epochs) > 50
    for epoch in epochs:
        assert tracer.memory_of_epochs((epoch,)) == known[epoch]
    for _ in range(20):
        chosen = tuple(choose.sample(epochs, choose.randrange(len(epochs))))
        assert tracer.memory_of_epochs(chosen + chosen[:3]) == (
            sum(known[epoch][0] for epoch in chosen),
            sum(known[epoch][1] for epoch in chosen),
        )
    assert tracer.memory_of_epochs(()) == tracer.memory_of_epochs((2**64 - 1,)) == (0, 0)
    for domain, block in blocks:
        ext.free(domain, block)
    for domain, address in tracked:
        ext.untrack(domain, address)


def test_memory_of_epochs_wants_numbers(tracer: ModuleType) -> None:
    tracer.start()
    for wrong in ([1], None, ("one",), (1.5,)):
        with pytest.raises(TypeError):
            tracer.memory_of_epochs(wrong)
    for wrong in ((-1,), (2**64,)):
        with pytest.raises(OverflowError):
            tracer.memory_of_epochs(wrong)


def test_clear_forgets_and_goes_on(tracer: ModuleType, ext: ModuleType) -> None:
    tracer.start(3)
    old = ext.malloc(2, MARK)
    tracer.clear_traces()
    assert tracer.is_tracing() and tracer.get_traceback_limit() == 3
    assert not rows(MARK)
    new = ext.malloc(2, MARK)
    assert set(rows(MARK)) == {new}
    old = ext.realloc(2, old, MARK)
    assert set(rows(MARK)) == {new, old}
    ext.free(2, old)
    ext.free(2, new)
    assert not rows(MARK)


def test_own_memory_is_counted_and_given_back(tracer: ModuleType) -> None:
    tracer.start()
    little = tracer.get_tracemalloc_memory()
    kept = [object() for _ in range(100_000)]
    much = tracer.get_tracemalloc_memory()
    assert 100_000 * 8 <= much - little <= 100_000 * 40
    del kept
    tracer.stop()
    assert tracer.get_tracemalloc_memory() < little + 65_536


# ----------------------------------------------------------------- single objects


class Plain:
    def __init__(self) -> None:
        self.name = "plain"


class Slotted:
    __slots__ = ("a", "b")


class WithWeakref:
    __slots__ = ("__weakref__", "a")


class Empty:
    pass


class OfList(list):  # type: ignore[type-arg]
    pass


class OfDict(dict):  # type: ignore[type-arg]
    pass


class OfInt(int):
    pass


class OfStr(str):
    pass


class OfTuple(tuple):  # type: ignore[type-arg]
    pass


class Failure(Exception):
    pass


def generator() -> Any:
    yield


Point = collections.namedtuple("Point", [f"f{i}" for i in range(25)])

# On 3.11 and 3.12 a block from a free list keeps its first owner's traceback,
# so the types that have one are made in such numbers that the last is fresh.
MAKERS: dict[str, Callable[[], object]] = {
    "instance": lambda: Plain(),
    "instance without attributes": lambda: Empty(),
    "instance with slots": lambda: Slotted(),
    "instance with __weakref__": lambda: WithWeakref(),
    "object()": lambda: object(),
    "list": lambda: [1, 2, 3],
    "list subclass": lambda: OfList([1]),
    "dict": lambda: {"a": 1},
    "dict subclass": lambda: OfDict(a=1),
    "set": lambda: {1, 2},
    "frozenset": lambda: frozenset([1, 2]),
    "tuple": lambda: tuple(range(40)),
    "tuple subclass": lambda: OfTuple((1,)),
    "named tuple": lambda: Point(*range(25)),
    "int": lambda: int("9" * 300),
    "int subclass": lambda: OfInt(5),
    "float": lambda: float("1.5"),
    "complex": lambda: complex("1+2j"),
    "str": lambda: "x" * 1000 + str(len(MAKERS)),
    "str subclass": lambda: OfStr("abc"),
    "bytes": lambda: bytes(3000),
    "bytearray": lambda: bytearray(3000),
    "array": lambda: array.array("i", [1, 2]),
    "function": lambda: types.FunctionType(generator.__code__, {}),
    "class": lambda: type("Made", (), {}),
    "generator": lambda: generator(),
    "exception": lambda: Failure(1),
    "deque": lambda: collections.deque([1]),
    "module": lambda: types.ModuleType("made"),
    "partial": lambda: functools.partial(len, []),
    "code": lambda: compile("pass", "made", "exec"),
    "memoryview": lambda: memoryview(b"abc"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_object_traceback(tracer: ModuleType, kind: str) -> None:
    make = MAKERS[kind]
    if kind == "code":
        make()
    tracer.start(2)
    before = make()
    things = [make() for _ in range(300)]
    line = sys._getframe().f_lineno - 1
    found = tracer.get_object_traceback(things[-1])
    assert found is not None, "the object's block was not found"
    frames = found[0]
    places = (make.__code__.co_firstlineno, line)
    assert frames[0][0] == __file__ or kind in ("function", "deque", "named tuple")
    assert (__file__, places[0]) in frames or kind == "class", (frames, places)
    tracer.stop()
    assert tracer.get_object_traceback(things[-1]) is None
    del before


def test_object_from_before_start(tracer: ModuleType) -> None:
    things = [Plain(), [1], {"a": 1}, "x" * 999, 5, None, Plain, sys, len, True, ""]
    tracer.start()
    for thing in things:
        assert tracer.get_object_traceback(thing) is None


def test_object_after_clear(tracer: ModuleType) -> None:
    tracer.start()
    thing = Plain()
    assert tracer.get_object_traceback(thing) is not None
    tracer.clear_traces()
    assert tracer.get_object_traceback(thing) is None


def test_start_empties_the_free_lists(tracer: ModuleType) -> None:
    """What a free list holds at start() is not handed out with an old owner, nor without any."""
    waste: list[object] = [[float(i), [i], {i: i}, (i, i)] for i in range(500)]
    del waste
    tracer.start()
    things = [[i] for i in range(40)]
    line = sys._getframe().f_lineno - 1
    owners = [tracer.get_object_traceback(thing) for thing in things]
    assert None not in owners
    # (Another thread of the test runner may have freed a list since.)
    assert [owner[0][0] for owner in owners].count((__file__, line)) >= 30


@pytest.mark.skipif(sys.version_info < (3, 13), reason="PyRefTracer came with CPython 3.13")
@pytest.mark.parametrize("nframe", [1, 3])
def test_reuse_finds_the_new_owner(tracer: ModuleType, nframe: int) -> None:
    """An object made from a free list belongs to the line that made it."""
    gc.collect()
    tracer.start(nframe, reuse=True)
    if tracer.status()["ref_tracer"] != "on":
        pytest.skip(f"the reference tracer is {tracer.status()['ref_tracer']}")
    thing: object = []
    thing = None
    thing = []
    assert tracer.get_object_traceback(thing)[0][0] == (__file__, sys._getframe().f_lineno - 1)
    things = [[i] for i in range(60)]
    addresses = {id(thing) for thing in things}
    del things
    again = [[i] for i in range(60)]
    line = sys._getframe().f_lineno - 1
    reused = [thing for thing in again if id(thing) in addresses]
    assert reused, "this interpreter keeps no lists"
    assert {tracer.get_object_traceback(thing)[0][0] for thing in again} == {(__file__, line)}


# ------------------------------------------------------------- domains, extensions


def test_domains(tracer: ModuleType, ext: ModuleType) -> None:
    """The three domains of PyMem are domain 0, as in tracemalloc; extensions have their own."""
    tracer.start(2)
    address = 0x7000_0000_0008
    for domain in (1, 2, 389_047, 2**32 - 1):
        ext.track(domain, address, 5_000_001)
    line = sys._getframe().f_lineno - 1
    found = [trace for trace in tracer.take_snapshot().traces() if trace[1] == 5_000_001]
    assert sorted(trace[0] for trace in found) == [1, 2, 389_047, 2**32 - 1]
    assert {trace[2][0] for trace in found} == {(__file__, line)}
    for domain in (1, 2, 389_047, 2**32 - 1):
        ext.untrack(domain, address)
        ext.untrack(domain, address)
    assert not rows(5_000_001)


def test_tracked_bytes_count(tracer: ModuleType, ext: ModuleType) -> None:
    tracer.start()
    base = tracer.get_traced_memory()[0]
    ext.track(77, 0x7000_0000_1000, 10_000_000)
    assert abs(tracer.get_traced_memory()[0] - base - 10_000_000) < 4096
    ext.track(77, 0x7000_0000_1000, 4_000_000)
    assert abs(tracer.get_traced_memory()[0] - base - 4_000_000) < 4096
    ext.untrack(77, 0x7000_0000_1000)
    current, peak = tracer.get_traced_memory()
    assert abs(current - base) < 4096
    assert peak - base >= 10_000_000


# --------------------------------------------------------------- tracemalloc says

WORKLOAD = """
import sys

class Plain:
    def __init__(self, n):
        self.data = bytearray(n)
        self.more = {"n": n}

class Slotted:
    __slots__ = ("a",)

def recurse(n, out):
    out.append(bytes(n + 100))
    if n:
        recurse(n - 1, out)

def closure(n):
    def inner():
        return n
    return inner

def generator(n):
    data = bytearray(n)
    yield data

kept = []
for i in range(300):
    kept.append(Plain(i))
    kept.append(Slotted())
    kept.append("%050d" % i)
    kept.append([j * 1000 for j in range(300, 330)])
    kept.append({j for j in range(20)})
    if sys.version_info >= (3, 13):  # before, tuples from a free list keep their first owner
        kept.append(closure(i + 1000))
    g = generator(i)
    next(g)
    kept.append(g)
recurse(50, kept)
grown = []
for i in range(1000):
    grown.append(i + 10000)
table = {}
for i in range(1000):
    table[str(i) * 3] = i
data = bytearray()
for i in range(200):
    data += bytes(1000)
text = "".join(str(i) for i in range(5000))
made = type("Made", (Plain,), {"x": 1})
"""

HARNESS = """
import gc, sys
source = compile(open(sys.argv[2]).read(), "<workload>", "exec")
scope = {}
nframe = int(sys.argv[3])
if sys.argv[1] == "tracemalloc":
    import _tracemalloc
    start = lambda: _tracemalloc.start(nframe)
    traces = _tracemalloc._get_traces
else:
    from memscope import _memscope
    start = lambda: _memscope.start(nframe, total_nframe=True, reuse=True)
    traces = lambda: _memscope.take_snapshot().traces()
gc.collect()
gc.disable()
start()
exec(source, scope)
found = {}
for domain, size, frames, total in traces():
    if frames[0][0] == "<workload>":
        count, total_size = found.get((frames, total), (0, 0))
        found[frames, total] = count + 1, total_size + size
for key in sorted(found):
    print(key, found[key], sep=chr(9))
"""


@pytest.mark.parametrize("nframe", [1, 2, 10])
def test_same_as_tracemalloc(tmp_path: Path, nframe: int) -> None:
    """Per traceback, the counts and bytes of CPython's own tracer on the same program."""
    workload = tmp_path / "workload.py"
    workload.write_text(WORKLOAD)
    said: dict[str, dict[str, tuple[int, int]]] = {}
    for which in ("tracemalloc", "memscope"):
        command = [sys.executable, "-c", HARNESS, which, str(workload), str(nframe)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=Path(_memscope.__file__).parents[1],
        )
        assert done.returncode == 0, done.stderr
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        said[which] = {key: tuple(map(int, value.strip("()").split(","))) for key, value in lines}
    theirs, ours = said["tracemalloc"], said["memscope"]
    assert len(theirs) > 15
    differing = {key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)}
    # Only what a free list gave out twice may differ: a handful of small blocks.
    for key in differing:
        count, size = theirs.get(key, (0, 0))
        our_count, our_size = ours.get(key, (0, 0))
        assert abs(count - our_count) <= 3, (key, theirs.get(key), ours.get(key))
        assert abs(size - our_size) <= 3 * 200, (key, theirs.get(key), ours.get(key))
    assert len(differing) <= len(theirs) // 4, differing


def test_collector_state_is_left_alone(tracer: ModuleType) -> None:
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            tracer.start()
            tracer.take_snapshot()
            tracer.stop()
            assert gc.isenabled() is enabled
        finally:
            gc.enable()
