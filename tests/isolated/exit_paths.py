"""Every way out of the interpreter with tracing on: no crash, no hang, the right exit code."""

import signal
import sys

from _support import DEBUG, SURVIVES_FOREIGN_THREADS, python

BEFORE = """
import atexit, gc, os, sys, threading, time, weakref
from _support import exercise, ext, m
m.start(5)
kept = [object() for _ in range(1000)]
class Thing:
    def __init__(self, work): self.work = work
    def __del__(self): self.work()
def for_ever():
    while True: exercise(20)
def daemons(count):
    for _ in range(count): threading.Thread(target=for_ever, daemon=True).start()
def snapshot_and_stop(exercise=exercise, m=m, len=len):
    exercise(20)
    len(m.take_snapshot()); m.get_traced_memory(); m.stop()
"""

WAYS: dict[str, tuple[str, int]] = {
    "fall off the end": ("exercise()", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "unhandled exception": ("raise ValueError('expected')", 1),
    "sys.exit in threads": (
        "for _ in range(20): t = threading.Thread(target=sys.exit, args=(5,)); t.start(); t.join()",
        0,
    ),
    "unhandled exception in a thread": ("threading.Thread(target=lambda: 1 / 0).start()", 0),
    "os._exit": ("daemons(2); os._exit(4)", 4),
    "os.abort": ("os.abort()", -signal.SIGABRT),
    "SIGKILL": ("os.kill(os.getpid(), 9)", -signal.SIGKILL),
    "daemon threads": ("daemons(6); time.sleep(0.05)", 0),
    "daemon threads, stop at exit": ("daemons(4); atexit.register(snapshot_and_stop)", 0),
    "foreign threads": ("ext.hammer_start(4, 64, 3000, 256); time.sleep(0.02)", 0),
    "foreign and daemon threads": ("ext.hammer_start(2, 64, 3000, 256); daemons(3)", 0),
    "thread still running": (
        "threading.Thread(target=lambda: (time.sleep(0.1), exercise())).start()",
        0,
    ),
    "allocate at exit": ("atexit.register(exercise)", 0),
    "stop at exit": ("atexit.register(m.stop)", 0),
    "start at exit": ("m.stop(); atexit.register(m.start, 25)", 0),
    "start and stop at exit": ("atexit.register(m.stop); atexit.register(m.start); m.stop()", 0),
    "snapshot at exit": ("atexit.register(snapshot_and_stop)", 0),
    "sys.exit at exit": ("atexit.register(sys.exit, 0)", 0),
    "stop in __del__ at shutdown": ("thing = Thing(m.stop)", 0),
    "snapshot in __del__ at shutdown": ("thing = Thing(snapshot_and_stop); thing.me = thing", 0),
    "start in __del__ at shutdown": ("m.stop(); thing = Thing(m.start); thing.me = thing", 0),
    "stop in a finalizer": ("weakref.finalize(m, m.stop); f = weakref.finalize(Thing, m.stop)", 0),
    "stop in a weakref callback": (
        "t = Thing(int); r = weakref.ref(t, lambda _: m.stop()); del t",
        0,
    ),
    "stop in a callback at shutdown": ("sys.r = weakref.ref(Thing, lambda _: m.stop())", 0),
    "stop in the excepthook": ("sys.excepthook = lambda *_: m.stop(); 1 / 0", 1),
    "snapshot kept": ("sys.kept = m.take_snapshot(); m.advance_epoch()", 0),
    "the module thrown away": (
        (
            "del sys.modules['memscope._memscope'], sys.modules['memscope']\n"
            "del sys.modules['_support'], m, exercise, ext; gc.collect()"
        ),
        0,
    ),
    "Py_FinalizeEx from C": ("ext.finalize()", 0),
    "Py_FinalizeEx with foreign threads": ("ext.hammer_start(3, 64, 3000, 256); ext.finalize()", 0),
    "exit() from C": ("ext.c_exit(True)", 0),
    "exit() from C without the GIL": ("daemons(2); ext.c_exit(False)", 0),
    "daemon threads, objects from free lists": ("m.stop(); m.start(5, reuse=True); daemons(4)", 0),
    "exit() from C, other threads": ("ext.hammer_start(4, 64, 3000, 256); ext.c_exit(False)", 0),
}

# Finalising below a running frame is not a thing to do, and debug builds say so from 3.13 on.
checked = DEBUG and sys.version_info >= (3, 13)
for name, (code, expect) in WAYS.items():
    foreign = "hammer" in code
    if (checked and "finalize()" in code) or (foreign and not SURVIVES_FOREIGN_THREADS):
        print("left out on a debug build:", name)
        continue
    print(name, flush=True)
    python(BEFORE + code, expect=expect, timeout=20)
