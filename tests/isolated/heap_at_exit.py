"""Graphs at exit: in atexit, in module teardown, after that, under daemon threads."""

from _support import python

CODES = {
    "atexit": """
import atexit
from _heap import Graph, question
atexit.register(lambda: (question(Graph.take()), question(Graph.take(keep=True))))
kept = Graph.take(keep=True)
""",
    "teardown": """
import sys
from _heap import Graph
class Last:
    def __init__(self, name): self.name = name
    def __del__(self, take=Graph.take):
        graph = take()
        assert len(graph) > 100
        graph.types(); graph.select([0]); graph.objects([len(graph) - 1])
        graph = take(keep=True)
        graph.paths_to_root([len(graph) - 1])
a = Last("global")
sys.last = Last("in sys")
b = [Last("in a cycle")]
b.append(b)
kept = Graph.take(keep=True)
plain = Graph.take()
sys.kept = [kept, plain]
""",
    "when the modules are gone": """
import codecs, os
from _heap import Graph
class Last:
    def __del__(self, take=Graph.take):
        take(), take(keep=True)
    def __call__(self, *a): return None
os.register_at_fork(before=Last())
codecs.register(Last())
""",
    "daemon threads": """
import sys, threading, time
from _heap import Graph
from _support import DEBUG
def for_ever():
    while True:
        # What a daemon thread holds is never released, which a debug build's exit asserts.
        graph = Graph.take(keep=not DEBUG)
        graph.objects([len(graph) - 1])
def busy():
    while True:
        [[i] for i in range(100)]
sys.setswitchinterval(1e-5)
for work in (for_ever, busy, for_ever):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.1)
""",
    "threads that are joined": """
import threading
from _heap import Graph, question
def late():
    threading.main_thread().join()
    question(Graph.take(keep=True))
threading.Thread(target=late).start()
""",
}
for i in range(3):
    for name, code in CODES.items():
        output = python(code, timeout=60)
        assert not output, (i, name, output)
