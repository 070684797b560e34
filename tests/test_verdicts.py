"""Which way of leaking it is, from small scenes: each kind once, what is near it, and liars."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import queue
import sqlite3
import sys
import threading
import types
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from memscope.piles import GARBAGE, IN_C, NAMED
from memscope.verdicts import ADVICE, KINDS, Scene, judge


class Session:
    """What piles up."""

    def work(self) -> None:
        pass


class Called:
    def __call__(self) -> None:
        pass


def scene(
    *steps: Any, sample: Any = None, names: Any = (), root: int = NAMED, **more: Any
) -> Scene:
    """From the root to the holder; entries are samples."""
    sample = Session() if sample is None else sample
    names = names or ["name"] * max(len(steps) - 1, 0)
    more.setdefault("entries", [sample])
    more.setdefault("main_class", type(sample))
    return Scene(root, steps, names, "module app -> kept", 3, sample=sample, **more)


def closure() -> Callable[[], Any]:
    kept: list[Any] = []
    return lambda: kept


def default(one: Any, kept: list[Any] = []) -> None:  # noqa: B006
    kept.append(one)


def generator() -> Any:
    yield 1


def started() -> Any:
    made = generator()
    next(made)
    return made


async def coroutine() -> None:
    pass


def error() -> BaseException:
    try:
        raise KeyError
    except KeyError as raised:
        return raised


@functools.cache
def function(x: int) -> int:
    return x


class Cached:
    @functools.cache  # noqa: B019
    def method(self) -> int:
        return 1


def a_task() -> Any:
    loop = asyncio.new_event_loop()
    task = loop.create_future()
    loop.close()
    return task


app = types.ModuleType("app")
target = Session()
inner = closure()
connection = sqlite3.connect(":memory:")

SCENES: dict[str, tuple[str, Scene]] = {
    "a list": ("growing-container", scene(app, [])),
    "a deque": ("growing-container", scene(app, deque())),
    "a set": ("growing-container", scene(app, set())),
    "an object": ("growing-container", scene(app, Session())),
    "nothing": ("growing-container", scene()),
    "a dict": ("unbounded-cache", scene(app, {"key": 1})),
    "a dict as a set": (
        "growing-container",
        scene(app, {target: 1}, sample=target),
    ),
    "a cache": ("unbounded-cache", scene(app, function)),
    "a cached method": ("method-cache", scene(app, Cached, Cached.__dict__["method"])),
    "garbage": ("uncollected-cycle", scene(root=GARBAGE)),
    "gc.garbage": ("uncollected-cycle", scene(app, gc.garbage)),
    "a closure": ("closure", scene(app, inner, inner.__closure__[0], [])),  # type: ignore[index]
    "a default": (
        "default-argument",
        scene(app, default, default.__defaults__, [], names=["default", ".__defaults__", "[0]"]),
    ),
    "a function": ("callback", scene(app, [], sample=closure())),
    "a bound method": ("callback", scene(app, [], sample=target.work)),
    "a partial": ("callback", scene(app, [], sample=functools.partial(print))),
    "by name": ("callback", scene(app, [], names=["listeners"], sample=Called())),
    "not by name": ("growing-container", scene(app, [], names=["things"], sample=Called())),
    "on_close": ("callback", scene(app, [], names=["on_close"], sample=Called())),
    "nothing to call": ("growing-container", scene(app, [], names=["handlers"])),
    "atexit": ("callback", scene(root=IN_C, facts={"atexit": 5}, sample=print)),
    "an exit stack": ("callback", scene(app, contextlib.ExitStack(), deque(), sample=(1, 2))),
    "an exception": ("exception", scene(app, [], sample=error())),
    "a traceback": ("exception", scene(app, error(), error().__traceback__)),
    "a frame": ("frame-local", scene("thread", "frame", [])),
    "a running generator": ("frame-local", scene(app, started(), [])),
    "a generator": ("suspended-generator", scene(app, [], sample=started())),
    "a thread-local": ("thread-local", scene(app, threading.local(), [])),
    "a thread": ("thread", scene(app, [], sample=threading.Thread())),
    "running threads": (
        "thread",
        scene(app, [], sample=threading.Thread(), facts={"threads": 3}),
    ),
    "a future": ("asyncio-task", scene(app, [], sample=a_task())),
    "a queue": ("queue", scene(app, queue.Queue(), deque())),
    "a simple queue": ("queue", scene(app, queue.SimpleQueue())),
    "a connection": ("unclosed-resource", scene(app, [], sample=connection)),
    "a weak reference": ("weakref-callback", scene(app, [], sample=weakref.ref(target, print))),
    "a weak reference alone": (
        "growing-container",
        scene(app, [], sample=weakref.ref(target)),
    ),
    "a handler": ("logging-handler", scene(app, [], sample=logging.NullHandler())),
    "a logger": ("logging-handler", scene(app, {}, sample=logging.Logger("one"))),
    "a handler's records": ("logging-handler", scene(app, logging.NullHandler(), [])),
    "C": ("c-reference", scene(root=IN_C)),
    "C by a container": ("growing-container", scene(Session(), Session(), [], root=IN_C)),
}
MEASURED = {"fragmentation", "libc-retention", "native-memory"}
"""Kinds that come from the memory of the process, not from a scene."""


@pytest.mark.parametrize("name", SCENES)
def test_kinds(name: str) -> None:
    kind, of = SCENES[name]
    verdict = judge(of)
    assert verdict.kind == kind, verdict
    assert verdict.sentence
    assert verdict.evidence, "a verdict shows what was seen"
    assert all(type(line) is str and line for line in verdict.evidence)
    assert "\n" not in verdict.sentence


def test_every_kind_has_a_scene_and_advice() -> None:
    assert {kind for kind, _ in SCENES.values()} | MEASURED == set(KINDS)
    assert set(ADVICE) == set(KINDS)
    assert all(text.endswith(".") for text in ADVICE.values())


def test_what_the_evidence_says() -> None:
    assert "cache_info()" in judge(scene(app, function)).evidence[0]
    assert judge(scene(root=IN_C, facts={"atexit": 5}, sample=print)).holder == "atexit"
    threads = judge(SCENES["running threads"][1])
    assert (threads.sentence, threads.evidence) == (
        "threads are started and never end",
        ("3 more threads are running",),
    )
    off = judge(scene(root=GARBAGE, facts={"collector": "gc.isenabled() is False"}))
    assert "gc.isenabled() is False" in off.evidence
    assert "the deque has no maxlen" in judge(scene(app, deque())).evidence
    assert "in the one round" in judge(Scene(0, [app, []], ["a"], "a", 1)).evidence[0]


def test_a_closed_resource_is_not_unclosed() -> None:
    closed = open(__file__)  # noqa: SIM115
    closed.close()
    assert judge(scene(app, [], sample=closed)).kind == "growing-container"
    with open(__file__) as opened:
        assert judge(scene(app, [], sample=opened)).kind == "unclosed-resource"


def test_a_coroutine_is_a_task() -> None:
    made = coroutine()
    assert judge(scene(app, [], sample=made)).kind == "asyncio-task"
    made.close()


ran: list[str] = []


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        ran.append(f"Meta {name}")
        raise RuntimeError(name)

    def __instancecheck__(cls, instance: object) -> bool:
        ran.append("__instancecheck__")
        return True


def hostile(name: str) -> Any:
    def method(*_: Any, **__: Any) -> Any:
        ran.append(name)
        raise RuntimeError(name)

    return method


NAMES = """__getattribute__ __repr__ __str__ __eq__ __hash__ __len__ __bool__ __iter__ __call__
    __contains__ __getitem__ __index__ __get__""".split()
BASES: list[type] = [object, list, dict, set, deque, Exception, threading.Thread, threading.local]
BASES += [logging.Handler, queue.Queue, weakref.ref]


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_no_code_of_the_program_is_run(base: type) -> None:
    space: dict[str, Any] = {name: hostile(name) for name in NAMES}
    space["__class__"] = property(hostile("__class__"))
    if base is not object:
        space.pop("__hash__")
    cls = Meta("Hostile", (base,), space)
    one = base.__new__(cls, target) if base is weakref.ref else base.__new__(cls)
    ran.clear()
    for of in (
        scene(app, one),
        scene(app, one, []),
        scene(app, {}, sample=one),
        scene(app, [], sample=one, entries=[one, (one,)], members=[one]),
        scene(app, [], sample=one, names=["callbacks"], main_class=cls),
        scene(app, one, sample=one, root=IN_C, facts={"atexit": 1}),
    ):
        assert judge(of).kind in KINDS
    assert ran == []


def test_a_class_that_lies() -> None:
    class Liar:
        __class__ = threading.Thread  # type: ignore[assignment]

    assert judge(scene(app, [], sample=Liar())).kind == "growing-container"


def test_modules_that_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands in sys.modules need be no module."""

    class Fake:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    for name in ("threading", "asyncio", "queue", "logging", "sqlite3", "weakref"):
        monkeypatch.setitem(sys.modules, name, Fake())
    assert judge(scene(app, [])).kind == "growing-container"
