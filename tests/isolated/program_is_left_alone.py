"""A hundred sessions patch nothing: threading, sys, gc, builtins, allocators are as before."""

import gc
import signal
import sys
import threading
import types
import warnings

from _support import exercise, ext, m

warnings.simplefilter("ignore")


def state() -> list[object]:
    modules: list[types.ModuleType] = [threading, gc, signal, sys.modules["builtins"]]
    spaces = [dict(vars(module)) for module in modules]
    spaces.append(dict(vars(threading.Thread)))
    settings = [
        sys.getswitchinterval(),
        sys.getprofile(),
        sys.gettrace(),
        sys.excepthook,
        sys.path[:],
        sys.argv[:],
        gc.get_threshold(),
        gc.isenabled(),
        gc.get_debug(),
        len(gc.callbacks),
        threading.active_count(),
        signal.getsignal(signal.SIGINT),
        list(sys.meta_path),
        [ext.allocator(domain) for domain in range(3)],
    ]
    if sys.version_info >= (3, 12):
        settings += [
            [sys.monitoring.get_tool(i) for i in range(6)],
            sys.is_stack_trampoline_active(),
        ]
    return [spaces, settings]


gc.collect()
before = state()
frozen = gc.get_freeze_count()
for i in range(100):
    m.start(1 + i)
    exercise(10)
    m.take_snapshot()
    m.stop()
    if i % 10 == 0:
        assert state() == before, i
assert state() == before
assert gc.get_freeze_count() == frozen
gc.disable()
m.start()
assert not gc.isenabled()
m.stop()
assert not gc.isenabled()
