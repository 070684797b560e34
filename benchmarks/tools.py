"""The tools that are compared, each as a start and a stop.

A tool is named ``<product>-<frames>``: ``memscope-25`` is memscope keeping 25
frames of each traceback, ``dropin-25`` is memscope.tracemalloc.  Two names
measure the absence of one: ``off`` (no tool was ever loaded) and ``stopped``
(memscope traced for a while and was stopped).
"""

import importlib
import importlib.metadata
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Session:
    """One tool, switched on in this process.

    Attributes:
        stop: Switches the tool off and removes what it left on disk.
        peak: Bytes the tool saw live at once, or None where it cannot tell
            without reading its output; zero means that it saw nothing.
    """

    stop: Callable[[], None]
    peak: Callable[[], int | None]


def start(tool: str) -> Session:
    """Switch ``tool`` on in this process.

    Raises:
        ImportError: The tool is not installed for this interpreter.
        ValueError: There is no such tool.
    """
    product, _, frames = tool.partition("-")
    match product:
        case "off":
            return Session(_nothing, _unknown)
        case "memscope" | "dropin" | "tracemalloc":
            name = "memscope.tracemalloc" if product == "dropin" else product
            tracer: Any = importlib.import_module(name)
            tracer.start(int(frames))
            return Session(tracer.stop, lambda: int(tracer.get_traced_memory()[1]))
        case "stopped":
            tracer = importlib.import_module("memscope")
            tracer.start(25)
            busy = [[str(i)] for i in range(100_000)]
            tracer.stop()
            del busy
            return Session(_nothing, _unknown)
        case "memray":
            return _start_memray()
    raise ValueError(f"no such tool: {tool!r}")


def version(product: str) -> str:
    """Version of an installed product, or that there is none."""
    if product == "memscope":
        return str(importlib.import_module(product).__version__)
    try:
        return importlib.metadata.version(product)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _start_memray() -> Session:
    """memray with every Python allocator, writing to a file in memory.

    /dev/shm keeps the disk out of the figures; the file is what a user would get.
    """
    memray: Any = importlib.import_module("memray")
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    handle, path = tempfile.mkstemp(suffix=".bin", dir=folder)
    os.close(handle)
    destination = memray.FileDestination(path, overwrite=True, compress_on_exit=False)
    tracker = memray.Tracker(destination=destination, trace_python_allocators=True)
    tracker.__enter__()

    def stop() -> None:
        tracker.__exit__(None, None, None)
        os.unlink(path)

    return Session(stop, _unknown)


def _nothing() -> None:
    pass


def _unknown() -> None:
    return None
