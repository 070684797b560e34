"""What a report must say about a program that leaks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Expected:
    """The answer.  Where several are right, all of them are given."""

    type: str | tuple[str, ...]
    """Class of what leaks, without its module; () where no Python object does."""

    kind: str | tuple[str, ...]
    """``Leak.kind``: the verdict."""

    per_round: int
    """By how much ``leaked()`` rises with each ``work()``."""

    holder: str | tuple[str, ...] = ()
    """Names on the path from a root, in this order: "module x -> _cache".  Of a tuple, one
    must fit; () where nothing that has a name holds it."""

    line: str | None = "# leaks"
    """What marks the line that allocates it; None where no line of Python does."""

    exact: bool = True
    """False: by per_round or more; it is memory of the process, not a number of objects."""

    def any_of(self, field: str) -> tuple[str, ...]:
        value = getattr(self, field)
        return (value,) if isinstance(value, str) else tuple(value)
