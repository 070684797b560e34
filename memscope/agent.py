"""What ``memscope attach`` does inside the process that it watches.

All of it runs in one thread, so that the program goes on, and talks to the command through a
socket.  When the command goes away, the watching ends.  What stays behind is that the
memscope package is imported; tracing is stopped unless the program had it on.

Messages are lines of JSON.  To the command: {"event": "begun" | "checkpoint"}, and at last
{"report": ...} or {"error": "one sentence"}.  From it: {"event": "finish"}.
"""

from __future__ import annotations

import json
import select
import socket
import time
from typing import Any

import memscope

__all__ = ["PROTOCOL", "serve"]

PROTOCOL = 1
"""Raised when a message changes its meaning."""


class CommandGoneError(Exception):
    """Nobody waits for the report any more."""


def serve(address: str, options: dict[str, Any]) -> None:
    """Watch this process as *options* say, and send the report to *address*.

    Never raises; called in a thread of its own.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(address)
            try:
                answer = _watch(line, options)
            except CommandGoneError:
                return
            except Exception as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            _send(line, answer)
    except (OSError, CommandGoneError):
        pass  # the command is gone: nobody to tell


def _watch(line: socket.socket, options: dict[str, Any]) -> dict[str, Any]:
    if options["protocol"] != PROTOCOL:
        raise RuntimeError(
            f"it has memscope {memscope.__version__}, which is not the version of the command"
        )
    watcher = memscope.watch(nframe=options["nframe"], title=options["title"])
    try:
        begun = time.monotonic()
        end = begun + options["duration"]
        _send(line, {"event": "begun"})
        while not _finished(line, min(options["interval"], end - time.monotonic())):
            watcher.checkpoint()
            _send(line, {"event": "checkpoint", "seconds": time.monotonic() - begun})
            if time.monotonic() >= end:
                break
        else:
            watcher.checkpoint("asked to finish")
        return {"report": watcher.report().to_dict()}
    finally:
        watcher.stop()


def _finished(line: socket.socket, seconds: float) -> bool:
    """Wait so long for the command to say that it is enough."""
    readable, _, _ = select.select([line], [], [], max(seconds, 0))
    if not readable:
        return False
    if not line.recv(4096):
        raise CommandGoneError
    return True


def _send(line: socket.socket, message: dict[str, Any]) -> None:
    try:
        line.sendall(json.dumps(message).encode() + b"\n")
    except OSError as error:
        raise CommandGoneError from error
