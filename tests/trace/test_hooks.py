"""The allocator hooks: installed, passed through, removed; nested; without the GIL."""

from __future__ import annotations

import hashlib
import sys
import threading
import tracemalloc
import zlib
from types import ModuleType
from typing import Any

import pytest

MARK = 7919
DOMAINS = {0: "RAW", 1: "MEM", 2: "OBJ"}
UNKNOWN = (("<unknown>", 0),)


def rows(tracer: ModuleType, size: int = MARK) -> dict[int, tuple[Any, ...]]:
    snapshot = tracer.take_snapshot()
    traces = snapshot.traces()
    return {snapshot.address(i): trace for i, trace in enumerate(traces) if trace[1] == size}


def allocators(ext: ModuleType) -> list[Any]:
    return [ext.allocator(domain) for domain in DOMAINS]


def test_off_means_gone(tracer: ModuleType, ext: ModuleType) -> None:
    before = allocators(ext)
    tracer.start()
    during = allocators(ext)
    assert all(new != old for new, old in zip(during, before)), "a domain without a hook"
    tracer.stop()
    assert allocators(ext) == before


def test_start_twice_installs_once(tracer: ModuleType, ext: ModuleType) -> None:
    before = allocators(ext)
    tracer.start(3)
    during = allocators(ext)
    tracer.start(9)
    assert allocators(ext) == during
    assert tracer.get_traceback_limit() == 3
    tracer.stop()
    tracer.stop()
    assert allocators(ext) == before


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("size", [1, 8, 511, 512, 513, 7919, 65_535, 65_536, 1 << 20])
def test_one_block_is_one_row(tracer: ModuleType, ext: ModuleType, domain: int, size: int) -> None:
    """A request of more than 512 bytes in MEM or OBJ becomes a RAW one below: still one row."""
    tracer.start()
    before = set(rows(tracer, size))
    block = ext.malloc(domain, size)
    assert set(rows(tracer, size)) - before == {block}
    assert rows(tracer, size)[block][0] == 0
    ext.free(domain, block)
    assert block not in rows(tracer, size)
    block = ext.calloc(domain, 1, size)
    assert set(rows(tracer, size)) - before == {block}
    ext.free(domain, block)
    assert not set(rows(tracer, size)) - before


def test_hook_above_stays(tracer: ModuleType, ext: ModuleType) -> None:
    """stop() with somebody on top leaves their hooks alone; ours only pass through."""
    before = allocators(ext)
    tracer.start()
    ext.hook_install(2)
    try:
        theirs = allocators(ext)
        tracer.stop()
        assert allocators(ext) == theirs
        calls = ext.hook_calls()
        block = ext.malloc(1, MARK)
        assert ext.hook_calls() > calls
        ext.free(1, block)
        tracer.start()
        block = ext.malloc(1, MARK)
        assert set(rows(tracer)) == {block}
        ext.free(1, block)
        assert not rows(tracer)
    finally:
        ext.hook_remove(2)
        tracer.stop()
    tracer.start()
    tracer.stop()
    assert allocators(ext) == before, "hooks of a stopped session stay when they could go"


def test_raw_without_the_gil_is_charged_to_the_caller(tracer: ModuleType, ext: ModuleType) -> None:
    """A thread that released the GIL still has its frames."""
    tracer.start(2)
    block = ext.malloc_nogil(MARK)
    line = sys._getframe().f_lineno - 1
    frames = rows(tracer)[block][2]
    ext.free(0, block)
    assert frames[0] == (__file__, line)


def test_foreign_threads_are_unknown(tracer: ModuleType, ext: ModuleType) -> None:
    tracer.start(5)
    truth = dict(ext.hammer(2, 3000, 237, 0, 64, False))
    table = {address: trace for address, trace in rows(tracer, 237).items() if trace[2] == UNKNOWN}
    assert set(table) == set(truth)
    assert {trace[0] for trace in table.values()} == {0}
    for address in truth:
        ext.free(0, address)


def test_threads_of_python_have_their_own_frames(tracer: ModuleType, ext: ModuleType) -> None:
    tracer.start(3)
    blocks: dict[int, int] = {}

    def work(size: int) -> None:
        for _ in range(50):
            blocks[ext.malloc_nogil(size)] = size
            zlib.compress(bytes(size))
            hashlib.sha256(bytes(size)).digest()

    threads = [threading.Thread(target=work, args=(9001 + i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    line = work.__code__.co_firstlineno + 2
    for size in range(9001, 9005):
        table = rows(tracer, size)
        mine = {address for address, owner in blocks.items() if owner == size}
        assert mine <= set(table)
        assert {table[address][2][0] for address in mine} == {(__file__, line)}
    for address in blocks:
        ext.free(0, address)


def test_free_of_nothing_and_of_unknown_blocks(tracer: ModuleType, ext: ModuleType) -> None:
    blocks = [(domain, ext.malloc(domain, size)) for domain in DOMAINS for size in (8, MARK)]
    tracer.start()
    for domain, block in blocks:
        ext.free(domain, 0)
        ext.free(domain, block)
    size, peak = tracer.get_traced_memory()
    assert 0 <= size <= peak < 1 << 20


def test_beside_tracemalloc(tracer: ModuleType, ext: ModuleType) -> None:
    if tracemalloc.is_tracing():
        pytest.skip("tracemalloc is on for the whole test run")
    for first, second in ((tracer, tracemalloc), (tracemalloc, tracer)):
        first.start()
        second.start()
        block = ext.malloc(1, MARK)
        assert set(rows(tracer)) == {block}
        assert len([t for t in tracemalloc.take_snapshot().traces if t.size == MARK]) == 1
        ext.free(1, block)
        second.stop()
        first.stop()
        assert not tracer.is_tracing() and not tracemalloc.is_tracing()


def test_status_is_plain_data(tracer: ModuleType) -> None:
    for _ in range(2):
        status = tracer.status()
        assert status and all(isinstance(name, str) for name in status)
        tracer.start()
