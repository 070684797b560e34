"""A signal handler takes graphs, between any two instructions and amid another graph's queries."""

import signal
from typing import Any

from _heap import Graph, question
from _support import deadline, exercise

handled = 0


def handler(number: int, frame: Any) -> None:
    global handled
    handled += 1
    local = [number]
    question(Graph.take(keep=handled % 2 == 1), local, frame)


signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
for _ in deadline(4):
    exercise(50)
    question(Graph.take(), exercise)
    sorted(range(100), key=lambda n: -n)
signal.setitimer(signal.ITIMER_REAL, 0)
assert handled > 3
