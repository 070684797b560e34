"""From the symptom to the cause: which tool to take, decided by what can be measured from outside.

Four numbers, read before and after some rounds of work, tell leaks of Python objects from cycles
that nobody collects, from memory of C code, and from a process that has only warmed up.
"""

from __future__ import annotations

import gc
import itertools
import statistics
import sys
from collections.abc import Callable
from typing import NamedTuple

import memscope
from examples.leaks import audit_trail, c_library_strings, gc_disabled
from examples.not_leaks import large_documents
from examples.recipes._process import mib, resident

ROUNDS = 5


class Numbers(NamedTuple):
    resident: int
    """What the operating system sees, in bytes."""
    traced: int
    """What Python's allocators hold."""
    blocks: int
    """In how many pieces."""
    garbage: int
    """How many of the objects were only waiting for the collector."""


class Advice(NamedTuple):
    symptom: str
    cause: str
    command: str
    remedy: str


CYCLES = Advice(
    "it grows, and gc.collect() brings it back",
    "cycles, and a collector that is off or late",
    "gc.isenabled(), gc.get_threshold(); memscope.show_growth() before and after gc.collect()",
    "gc.enable(); break the cycle with weakref",
)
OBJECTS = Advice(
    "it grows by as much in each round, and gc.collect() does not help",
    "objects that something still refers to",
    "snapshot.compare_to(before, 'lineno'); heap.compare_to(before); heap.paths_to_root(obj)",
    "remove what is done with, or bound the container",
)
NATIVE = Advice(
    "the process grows, Python's memory does not",
    "memory of C code: a library that has to be told to free",
    "RSS beside memscope.get_traced_memory(); then memray --native or heaptrack",
    "close or free what the library gave",
)
STEADY = Advice(
    "it was large once, and stays as it is",
    "caches that are filled, memory that the allocators keep for later",
    "the same numbers over more rounds",
    "none: it is not a leak",
)


def numbers() -> Numbers:
    """All without memscope's help but one: it must be tracing."""
    blocks = sys.getallocatedblocks()
    traced = memscope.get_traced_memory()[0]
    return Numbers(resident(), traced, blocks, gc.collect())


def decide(work: Callable[[], None]) -> tuple[Advice, Numbers, Numbers]:
    memscope.start()
    for _ in range(3):
        work()  # warms up
    before = numbers()
    sizes = [before.resident]
    for _ in range(ROUNDS):
        work()
        sizes.append(resident())
    after = numbers()
    memscope.stop()
    # A process that was once large grows in some rounds; one that leaks, in all of them.
    usual = statistics.median(new - old for old, new in itertools.pairwise(sizes))
    if after.garbage > 100 * ROUNDS:
        return CYCLES, before, after
    if after.blocks - before.blocks > 20 * ROUNDS:
        return OBJECTS, before, after
    if usual > 2**19 + (after.traced - before.traced) / ROUNDS:
        return NATIVE, before, after
    return STEADY, before, after


def main() -> None:
    for service in (audit_trail, gc_disabled, c_library_strings, large_documents):
        advice, before, after = decide(service.work)
        print(service.__name__.rpartition(".")[2])
        print(
            f"    RSS {mib(after.resident - before.resident)} more,"
            f" Python {mib(after.traced - before.traced)} in"
            f" {after.blocks - before.blocks:+} blocks, {after.garbage} objects were garbage"
        )
        for field, text in advice._asdict().items():
            print(f"    {field:8} {text}")


if __name__ == "__main__":
    main()
