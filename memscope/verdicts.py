"""Which way of leaking it is, and what to do: from what is seen on the way to the objects.

A *scene* is one pile that grows: the objects on the way from the root to what holds it, by
which names they refer to each other, what piles up, and what else is known of it.  The
rules are asked in order, the most particular first; the first that recognises the scene
decides.  Each gives what it saw as evidence.

Nothing here runs code of the program: objects are asked by what the interpreter's own
classes define.
"""

from __future__ import annotations

import functools
import gc
import re
import sys
import types
from _weakref import ReferenceType
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from memscope import naming
from memscope.piles import GARBAGE, IN_C

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ADVICE", "KINDS", "Scene", "Verdict", "judge"]

ADVICE = {
    "growing-container": "Remove entries when they are done with, or bound it:"
    " collections.deque(maxlen=...).",
    "unbounded-cache": "Give it a bound or a TTL: functools.lru_cache(maxsize=...),"
    " cachetools.TTLCache; or delete the key when its request is over.",
    "method-cache": "Do not cache on self: use functools.cached_property, a cache kept on the"
    " instance, or cache a function of the values that matter.",
    "uncollected-cycle": "Let the collector run (gc.enable(), the usual gc.set_threshold), or break"
    " the cycle: weakref.ref for the way back, close() in a finally.",
    "closure": "Do not collect in a variable that an inner function keeps: pass it in, bound it, or"
    " clear it after each call.",
    "default-argument": "Use None as the default and make the object inside the function.",
    "callback": "Unregister it when its owner goes, register once at start-up, or keep it in a"
    " weakref.WeakSet or weakref.WeakMethod.",
    "exception": "Do not keep exceptions: their traceback keeps every frame and its variables. Keep"
    " str(error), or call error.with_traceback(None).",
    "frame-local": "The function never returns, so its variables are never freed: clear or bound"
    " the variable in each turn of the loop.",
    "thread-local": "Threads of a pool live on, and so does what is in their thread-local"
    " storage: clear it at the end of each task.",
    "thread": "Let the threads end (set an Event, put a sentinel), join() them, or use one"
    " ThreadPoolExecutor.",
    "asyncio-task": "Await or cancel the tasks, with a timeout (asyncio.timeout, TaskGroup), and"
    " drop the reference when one is done (add_done_callback(tasks.discard)).",
    "queue": "Give the queue a maxsize, and make sure that somebody consumes it.",
    "unclosed-resource": "Close it: use a with statement, or contextlib.closing.",
    "suspended-generator": "Exhaust or close() the generators, or use contextlib.closing; do not"
    " keep them.",
    "weakref-callback": "Drop the weak reference, or use weakref.finalize and detach() it; the"
    " callback and all it refers to live as long as the reference.",
    "logging-handler": "Configure logging once at start-up; removeHandler() and close() what is"
    " added for a request; name loggers after modules, not after data.",
    "c-reference": "No Python object holds it: look at the extension that got it for a missing"
    " Py_DECREF, or a callback that C code still has.",
    "fragmentation": "Few living objects hold many pages: allocate what lives long before or apart"
    " from what is short-lived, or recycle the worker process.",
    "libc-retention": "The C library keeps freed memory: malloc_trim(0), MALLOC_ARENA_MAX=2, or"
    " jemalloc with LD_PRELOAD.",
    "native-memory": "Memory that C code allocated: look for an object that must be closed or"
    " freed; memray --native or heaptrack shows the C stack.",
}
"""Kind -> what to do about it."""

KINDS = tuple(ADVICE)
"""The ways to leak."""

CALLBACK_NAME = re.compile(
    r"callbacks?|handlers?|listeners?|observers?|subscri(?:ber|ption)s?|receivers?|hooks?"
    r"|watchers?|signals?|(?<![a-z])on_|atexit|finalizers?|cleanups?|teardowns?|notif\w+",
    re.IGNORECASE,
)
"""What programs call the places where they keep what is to be called."""

CALLABLES = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    functools.partial,
)

EXIT_STACKS = (("contextlib", "_BaseExitStack"),)

SUSPENDED = (types.GeneratorType, types.AsyncGeneratorType)


class Verdict(NamedTuple):
    """Which way of leaking, in a sentence, and what was seen."""

    kind: str
    sentence: str
    evidence: tuple[str, ...] = ()
    holder: str = ""
    """Who holds it, if that is known better than by the way."""


@dataclass
class Scene:
    """What is known of one pile.  ``steps`` and ``names`` go from the root to the holder."""

    root: int
    steps: Sequence[Any]
    """The objects; naming words for a thread ("thread") or a frame ("frame")."""
    names: Sequence[str]
    """names[i]: by which name steps[i] refers to steps[i + 1]."""
    place: str
    """The holder, by name."""
    rounds: int
    entries: Sequence[Any] = ()
    """Some of the new objects that the holder has directly."""
    sample: Any = None
    """One of the objects that pile up."""
    main_class: type | None = None
    members: Sequence[Any] = ()
    """Some of all the new objects in the pile."""
    replaced: bool = False
    """The holder has as much as before, but something else: with all that came before in it."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else was measured: "atexit", "collector", "threads"."""

    @property
    def when(self) -> str:
        return (
            f"in each of {self.rounds} rounds" if self.rounds > 1 else "in the one round there was"
        )

    @property
    def holder(self) -> Any:
        return self.steps[-1] if self.steps else None

    @property
    def holder_class(self) -> str:
        name: str = type.__dict__["__qualname__"].__get__(type(self.holder))
        return name

    def mostly(self, test: Callable[[Any], object]) -> Any:
        """One for which the test holds: the sample, or an entry if it does for most; else None."""
        if self.sample is not None and test(self.sample):
            return self.sample
        found = [entry for entry in self.entries if test(entry)]
        return found[0] if 2 * len(found) > len(self.entries) else None

    def on_the_way(self, *classes: type) -> Any:
        """The last object on the way of one of *classes*; None if there is none."""
        return next((step for step in reversed(self.steps) if is_a(step, *classes)), None)


def judge(scene: Scene) -> Verdict:
    """The verdict on a pile that grows."""
    for rule in RULES:
        verdict = rule(scene)
        if verdict is not None:
            return verdict
    return _container(scene)


def is_a(obj: Any, *classes: type) -> bool:
    """isinstance, by the object's real class."""
    bases = naming.mro_of(type(obj))
    return any(base is cls for base in bases for cls in classes)


def library_class(module: str, name: str) -> type | None:
    """A class of a module, if the program imported it."""
    found = dict.get(sys.modules, module)
    if type(found) is not types.ModuleType:
        return None
    cls = dict.get(naming.globals_of(found), name)
    return cls if is_a(cls, type) else None


def _is_of(obj: Any, *places: tuple[str, str]) -> bool:
    classes = [cls for place in places if (cls := library_class(*place)) is not None]
    return bool(classes) and is_a(obj, *classes)


# -- the rules, the most particular first ----------------------------------------------------


def _cycle(scene: Scene) -> Verdict | None:
    state = scene.facts.get("collector", "")
    if scene.root == GARBAGE:
        return Verdict(
            "uncollected-cycle",
            "objects that refer to each other in a cycle are never collected",
            ("no root leads to them: they are garbage", *([state] if state else [])),
        )
    if any(step is gc.garbage for step in scene.steps):
        return Verdict(
            "uncollected-cycle",
            "the collector puts garbage into gc.garbage instead of freeing it",
            ("held by gc.garbage", *([state] if state else [])),
        )
    return None


def _logging(scene: Scene) -> Verdict | None:
    handler, logger = ("logging", "Filterer"), ("logging", "PlaceHolder")
    if scene.mostly(lambda one: _is_of(one, handler, logger)) is not None:
        what = "loggers" if _is_of(scene.sample, ("logging", "Logger"), logger) else "handlers"
        return Verdict(
            "logging-handler",
            f"{what} of logging are made again and again, and logging keeps them for ever",
            (f"held by {scene.place}",),
        )
    if any(_is_of(step, ("logging", "Handler")) for step in scene.steps):
        return Verdict(
            "logging-handler",
            "a logging handler keeps the records that it gets",
            (f"held by {scene.place}",),
        )
    return None


def _weakref_callback(scene: Scene) -> Verdict | None:
    if any(_is_weak_mapping(step) for step in scene.steps):
        return None
    callback = naming.namespace_of(ReferenceType)["__callback__"].__get__
    some = scene.mostly(lambda one: is_a(one, ReferenceType) and callback(one) is not None)
    if some is not None or any(step is finalize_registry() for step in scene.steps):
        return Verdict(
            "weakref-callback",
            "weak references with a callback pile up, and keep what the callback refers to",
            (f"weak references with callbacks in {scene.place}",),
        )
    return None


def finalize_registry() -> Any:
    finalize = library_class("weakref", "finalize")
    return dict.get(dict(naming.namespace_of(finalize)), "_registry") if finalize else object()


def _queue(scene: Scene) -> Verdict | None:
    queues = (
        *(("queue", name) for name in ("Queue", "LifoQueue", "PriorityQueue")),
        *(("_queue", "SimpleQueue"), ("queue", "_PySimpleQueue"), ("asyncio.queues", "Queue")),
        *(("asyncio", "Queue"), ("multiprocessing.queues", "Queue"), ("queue", "SimpleQueue")),
    )
    found = next((step for step in reversed(scene.steps[-4:]) if _is_of(step, *queues)), None)
    if found is None:
        return None
    name = naming.describe(found)
    return Verdict(
        "queue",
        f"more is put into the {name.rpartition('.')[2]} than is taken out of it",
        (f"{scene.place} only gets longer",),
    )


def _task(scene: Scene) -> Verdict | None:
    tasks = (("_asyncio", "Task"), ("_asyncio", "Future"), ("asyncio.tasks", "_PyTask"))
    some = scene.mostly(lambda one: _is_of(one, *tasks) or type(one) is types.CoroutineType)
    if some is not None:
        return Verdict(
            "asyncio-task",
            "asyncio tasks are started faster than they end, or are kept when they are done",
            (f"tasks in {scene.place}",),
        )
    if any(_is_of(step, ("asyncio.base_events", "BaseEventLoop")) for step in scene.steps[-3:]):
        return Verdict(
            "asyncio-task",
            "the event loop has more and more to wait for",
            (f"held by {scene.place}",),
        )
    return None


def _thread(scene: Scene) -> Verdict | None:
    thread = ("threading", "Thread")
    # A running thread's first frame calls a bound method that only C holds.
    some = scene.mostly(
        lambda one: _is_of(one.__self__ if type(one) is types.MethodType else one, thread)
    )
    if some is not None:
        more = scene.facts.get("threads", 0)
        running = f"{more:,} more threads are running" if more else "the threads have ended"
        sentence = (
            "threads are started and never end" if more else "threads that have ended are kept"
        )
        return Verdict("thread", sentence, (running,))
    return None


def _unclosed(scene: Scene) -> Verdict | None:
    resources = (
        *(("_io", "_IOBase"), ("_socket", "socket"), ("sqlite3", "Connection")),
        *(("sqlite3", "Cursor"), ("subprocess", "Popen"), ("mmap", "mmap"), ("select", "epoll")),
        *(("_ssl", "_SSLSocket"), ("tempfile", "_TemporaryFileWrapper"), ("zipfile", "ZipFile")),
        *(("tempfile", "TemporaryDirectory"), ("http.client", "HTTPConnection")),
        *(("_sqlite3", "Connection"), ("_sqlite3", "Cursor"), ("os", "ScandirIterator")),
    )
    memory = (("_io", "BytesIO"), ("_io", "StringIO"))
    some = [one for one in (scene.sample, *scene.entries) if _is_of(one, *resources)]
    some = [one for one in some if not _is_of(one, *memory)]
    if not some:
        return None
    name = naming.describe(some[0]).rpartition(".")[2]
    opened = [one for one in some if not _is_closed(one)]
    if not opened:
        return None
    return Verdict(
        "unclosed-resource",
        f"{name} objects are opened and never closed",
        (f"{len(opened)} of {len(some)} that were looked at are open",),
    )


def _is_closed(obj: Any) -> bool:
    for module, name in (("_io", "FileIO"), ("_io", "BufferedReader"), ("_io", "TextIOWrapper")):
        cls = library_class(module, name)
        if cls is not None and type(obj) is cls:
            try:
                return bool(naming.namespace_of(cls)["closed"].__get__(obj))
            except ValueError:
                return True
    cls = library_class("_socket", "socket")
    if cls is not None and is_a(obj, cls):
        return bool(naming.namespace_of(cls)["fileno"](obj) == -1)
    return False


def _generator(scene: Scene) -> Verdict | None:
    if scene.mostly(lambda one: is_a(one, *SUSPENDED)) is not None:
        return Verdict(
            "suspended-generator",
            "generators are left suspended, and keep their variables",
            (f"generators in {scene.place}",),
        )
    return None


def _exception(scene: Scene) -> Verdict | None:
    kept = (BaseException, types.TracebackType, types.FrameType)
    one = scene.mostly(lambda one: is_a(one, *kept))
    if one is None:
        one = next((step for step in scene.steps if is_a(step, *kept)), None)
    if one is None:
        return None
    return Verdict(
        "exception",
        "exceptions are kept, and with each its traceback: every frame with its variables",
        (f"{naming.describe(one)} in {scene.place}",),
    )


def _callback(scene: Scene) -> Verdict | None:
    words = " ".join(scene.names[-3:])
    match = CALLBACK_NAME.search(words)
    named = match[0] if match else ""
    registered = scene.facts.get("atexit", 0)
    if registered and (scene.root == IN_C or "atexit" in words):
        return Verdict(
            "callback",
            "functions are registered with atexit again and again",
            (f"atexit has {registered:,} more functions to call than before",),
            "atexit",
        )
    if len(scene.steps) > 1 and _is_of(scene.steps[-2], ("_asyncio", "Future")):
        return Verdict(
            "callback",
            "callbacks are added to a future that is never done, and never removed",
            (f"held by {scene.place}",),
        )
    stack = next((step for step in scene.steps if _is_of(step, *EXIT_STACKS)), None)
    if stack is not None:
        return Verdict(
            "callback",
            "callbacks are added to an exit stack that is never closed",
            (f"held by {scene.place}",),
        )
    signal = next(filter(None, map(_signal_of, (*scene.steps, *scene.entries))), "")
    if signal:
        return Verdict(
            "callback",
            "signal handlers are installed again and again, each keeping the one before",
            (f"the handler of signal {signal} leads to all of them",),
            f"the handler of signal {signal}",
        )
    some = [one for one in (scene.sample, *scene.entries) if _is_callback(one)]
    if not some and named:
        inside = (part for one in scene.entries if type(one) in (tuple, list) for part in one)
        some = [part for part in inside if _is_callback(part) or _is_weak_callback(part)]
        some = some or [one for one in scene.entries if _is_weak_callback(one)]
    if not some and not (named and callable_class(scene.main_class)):
        return None
    evidence = [f"{naming.describe(some[0])}: something to be called"] if some else []
    if named:
        evidence.append(f"the way to it goes by the name of {named.strip('_')!r}")
    return Verdict(
        "callback",
        "callbacks are registered again and again, and never unregistered",
        (*evidence, f"in {scene.place}"),
    )


def _is_callback(obj: Any) -> bool:
    return is_a(obj, *CALLABLES)


def _is_weak_callback(obj: Any) -> bool:
    return _is_of(obj, ("weakref", "WeakMethod"))


def callable_class(cls: type | None) -> bool:
    """Whether instances of a class of the program can be called."""
    if cls is None:
        return False
    return any("__call__" in naming.namespace_of(base) for base in naming.mro_of(cls))


def _signal_of(obj: Any) -> str:
    """The name of the signal that the object handles; "" if none."""
    signal = dict.get(sys.modules, "_signal")
    if type(signal) is not types.ModuleType or not is_a(obj, *CALLABLES):
        return ""
    from signal import Signals

    ask = naming.globals_of(signal)["getsignal"]
    return next((one.name for one in Signals if ask(one) is obj), "")


def _thread_local(scene: Scene) -> Verdict | None:
    local = library_class("_thread", "_local")
    words = " ".join(scene.names)
    if (local is not None and any(is_a(step, local) for step in scene.steps)) or (
        "_thread._local" in words or "_local__impl" in words
    ):
        return Verdict(
            "thread-local",
            "what is put into thread-local storage stays as long as the thread",
            (f"the way to it goes through thread-local storage: {scene.place}",),
        )
    return None


def _cache(scene: Scene) -> Verdict | None:
    wrapper = scene.on_the_way(functools._lru_cache_wrapper)
    if wrapper is None:
        return None
    info = functools._lru_cache_wrapper.cache_info(wrapper)
    function = next((one for one in _referents(wrapper) if type(one) is types.FunctionType), None)
    name = naming.describe(function) if function is not None else "a function"
    seen = (f"cache_info(): {info[3]:,} entries, maxsize {info[2]}, {info[0]:,} hits",)
    owner = next((step for step in reversed(scene.steps) if is_a(step, type)), None)
    method = function is not None and function.__code__.co_varnames[:1] == ("self",)
    if method or owner is not None:
        return Verdict(
            "method-cache",
            f"the cache of {name} has self in its keys, and so keeps every instance for ever",
            (
                *seen,
                f"it is an attribute of {naming.describe(owner)}" if owner is not None else name,
            ),
        )
    return Verdict("unbounded-cache", f"the cache of {name} has no bound", seen)


def _referents(obj: Any) -> list[Any]:
    from memscope import _memscope

    return _memscope.referents(obj)


def _default(scene: Scene) -> Verdict | None:
    for step, name in zip(scene.steps, scene.names, strict=False):
        if type(step) is types.FunctionType and name.lstrip(".") in (
            "__defaults__",
            "__kwdefaults__",
        ):
            return Verdict(
                "default-argument",
                f"the default of an argument of {naming.describe(step)} is changed by each call,"
                " and lives as long as the function",
                (f"the way to it goes through {name.lstrip('.')}",),
            )
    return None


def _closure(scene: Scene) -> Verdict | None:
    cell = scene.on_the_way(types.CellType)
    if cell is None:
        return None
    at = next(index for index, step in enumerate(scene.steps) if step is cell)
    function = next(
        (step for step in reversed(scene.steps[:at]) if type(step) is types.FunctionType), None
    )
    name = naming.describe(function) if function is not None else "an inner function"
    return Verdict(
        "closure",
        f"a variable that {name} keeps from the function around it only grows",
        (f"the way to it goes through a closure: {scene.place}",),
    )


def _frame(scene: Scene) -> Verdict | None:
    words = [step for step in scene.steps if type(step) is str and step == "frame"]
    running = scene.on_the_way(types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)
    if not words and running is None:
        return None
    where = naming.describe(running) if running is not None else scene.place
    return Verdict(
        "frame-local",
        "a variable of a function that never returns only grows",
        (f"held by a variable of {where}",),
    )


def _held_by_c(scene: Scene) -> Verdict | None:
    if scene.root != IN_C or len(scene.steps) > 2:
        return None
    return Verdict(
        "c-reference",
        "references that only C code has keep the objects alive",
        ("their reference counts are higher than the references that objects and frames have",),
    )


def _container(scene: Scene) -> Verdict:
    holder = scene.holder
    if scene.replaced:
        return Verdict(
            "growing-container",
            f"what {scene.place} refers to is replaced by something larger again and again",
            (f"{scene.place} keeps what it had before, and more, {scene.when}",),
        )
    if is_a(holder, dict) and not _has_objects_for_keys(scene):
        weak = any(_is_weak_mapping(step) for step in scene.steps[-3:])
        seen = [f"{scene.place} got new keys {scene.when}, and lost none"]
        if weak:
            seen.append("its keys are weak, but the values refer to them and keep them alive")
        return Verdict(
            "unbounded-cache",
            f"the {scene.holder_class} gets new keys and never evicts",
            tuple(seen),
        )
    sized = is_a(holder, list, set, deque, bytearray, frozenset, tuple)
    what = f"the {scene.holder_class}" if sized else scene.place
    seen = [f"{scene.place} grew {scene.when}"]
    if is_a(holder, deque):
        seen.append("the deque has no maxlen")
    return Verdict("growing-container", f"{what} only grows", tuple(seen))


def _is_weak_mapping(obj: Any) -> bool:
    return _is_of(
        obj,
        *(("weakref", "WeakKeyDictionary"), ("weakref", "WeakValueDictionary")),
        ("weakref", "WeakSet"),
    )


def _has_objects_for_keys(scene: Scene) -> bool:
    """Whether a dict serves as a set of objects: its keys are instances of the program's."""
    if scene.main_class is None or any(_is_weak_mapping(step) for step in scene.steps):
        return False
    keys = [
        entry
        for entry in scene.entries
        if "key" in (kind for kind in naming.edge_texts(scene.holder, entry))
    ]
    plain = (str, bytes, int, float, tuple, frozenset, type(None))
    return bool(keys) and not any(is_a(key, *plain) for key in keys)


RULES: tuple[Callable[[Scene], Verdict | None], ...] = (
    _cycle,
    _logging,
    _thread_local,
    _weakref_callback,
    _queue,
    _task,
    _thread,
    _unclosed,
    _generator,
    _exception,
    _callback,
    _cache,
    _default,
    _closure,
    _held_by_c,
    _frame,
)
