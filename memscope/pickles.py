"""tracemalloc's snapshot files: a pickle of a tracemalloc.Snapshot and its attributes.

Such a file names classes of the module ``tracemalloc``.  We write those names,
so that the standard library reads our files, and read them as our own classes.
"""

from __future__ import annotations

import pickle
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from memscope._memscope import RawTrace
    from memscope.files import PathLike

__all__ = ["dump", "load", "loads_plain"]

PROTOCOL = pickle.HIGHEST_PROTOCOL


def dump(filename: PathLike, attributes: Mapping[str, Any], traces: list[RawTrace]) -> None:
    """Write *attributes* and *traces* as the pickle tracemalloc would write.

    The pickle module refuses to write a class under a name that leads to another
    class, and in a process where this package stands in for tracemalloc no
    class goes by tracemalloc's names.  So the instructions that make the two
    instances are spelt out here, and the pickle module writes what they hold.
    """
    buffer = BytesIO()
    # One pickler for both parts: the second goes on numbering where the first ended.
    pickler = pickle.Pickler(buffer, PROTOCOL)

    def state(content: dict[str, Any]) -> bytes:
        """*content* as instructions that end by giving it to the instance made last."""
        buffer.seek(0)
        buffer.truncate()
        pickler.dump(content)
        # In the place of STOP, so that the length of the last frame remains right.
        return buffer.getvalue()[len(header) : -1] + pickle.BUILD

    header = pickle.PROTO + bytes([PROTOCOL])
    others = {name: value for name, value in attributes.items() if name != "traces"}
    with open(filename, "wb") as file:
        file.write(header + _new("Snapshot"))
        file.write(state(others))
        file.write(pickle.EMPTY_DICT + pickle.SHORT_BINUNICODE + b"\x06traces" + _new("_Traces"))
        file.write(state({"_traces": traces}))
        file.write(pickle.SETITEM + pickle.BUILD + pickle.STOP)


def _new(name: str) -> bytes:
    """The instructions for an empty instance of tracemalloc's class *name*."""
    return b"".join(
        (pickle.GLOBAL, f"tracemalloc\n{name}\n".encode(), pickle.EMPTY_TUPLE, pickle.NEWOBJ)
    )


def load(filename: PathLike, classes: Mapping[str, type]) -> Any:
    """The object in *filename*, of *classes* where the file names tracemalloc's.

    Loading a pickle can run any code: only for files that are trusted.
    """
    with open(filename, "rb") as file:
        return _Unpickler(file, classes, plain=False).load()


def loads_plain(data: bytes) -> dict[str, Any]:
    """The attributes of the snapshot pickled in *data*, "traces" being a list of tuples.

    Refuses, with ValueError, whatever needs a class other than the two of a
    snapshot: nothing in the file runs.
    """
    classes = {"Snapshot": _Instance, "_Traces": _Instance}
    try:
        snapshot = _Unpickler(BytesIO(data), classes, plain=True).load()
        state = dict(vars(snapshot))
        state["traces"] = vars(state["traces"])["_traces"]
        limit = state["traceback_limit"]
    except _RefusedError:
        raise
    except Exception as error:
        raise ValueError(f"it is not a snapshot, or damaged ({error})") from error
    if not isinstance(state["traces"], list) or not isinstance(limit, int):
        raise ValueError("it is not a snapshot")
    return state


class _RefusedError(ValueError):
    """The file is a pickle of something else, or of more, than a snapshot."""


class _Instance:
    """Stands for an instance of one of tracemalloc's classes: attributes only."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, classes: Mapping[str, type], plain: bool) -> None:
        super().__init__(file)
        self._classes = classes
        self._plain = plain

    def find_class(self, module: str, name: str) -> Any:
        if module == "tracemalloc" and name in self._classes:
            return self._classes[name]
        if self._plain:
            raise _RefusedError(
                f"it holds an object of class {module}.{name}, which only"
                " memscope.tracemalloc.Snapshot.load reads, and only from files you trust"
            )
        return super().find_class(module, name)
