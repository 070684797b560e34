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
    # Not periodic: on a busy machine the next would come amid this one, for ever.
    signal.setitimer(signal.ITIMER_REAL, 0.05)


def work() -> None:
    exercise(50)
    question(Graph.take(), exercise)
    sorted(range(100), key=lambda n: -n)


signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
for _ in deadline(4):
    work()
while handled <= 3:
    work()
signal.setitimer(signal.ITIMER_REAL, 0)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
