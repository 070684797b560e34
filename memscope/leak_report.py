"""What leaks: a LeakReport, and the leaks in it, as data that outlives the process.

A report holds names and numbers only, none of the program's objects, so it can be kept,
sent, and read elsewhere: ``LeakReport.load`` reads what :meth:`LeakReport.save` wrote.
How a report comes about is told in ``memscope.leaks``, what it means in
``memscope.verdicts``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from memscope import files
from memscope.heap_paths import Path, Step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeVar

    from memscope.files import PathLike

    Record = TypeVar("Record")

__all__ = ["Aged", "Grown", "Leak", "LeakReport", "Moment", "NotALeak", "Site", "leak_of"]

SCHEMA = 1
"""Version of the plain data; raised when a field changes its meaning or goes."""


class Site(NamedTuple):
    """A line of source: where something was allocated."""

    filename: str
    lineno: int
    function: str
    """Qualified name; "" where it is not known."""


class Grown(NamedTuple):
    """Objects of one class that a leak added."""

    type_name: str
    count: int  # type: ignore[assignment]
    bytes: int


class Aged(NamedTuple):
    """Objects of one class, from one line, that have been alive for long."""

    type_name: str
    count: int  # type: ignore[assignment]
    bytes: int
    site: Site | None
    """None: not traced."""

    def __str__(self) -> str:
        from memscope.leak_text import aged_text

        return aged_text(self)


@dataclass(frozen=True)
class Leak:
    """One thing that grows: what, by how much, allocated where, held by whom, and the remedy."""

    kind: str
    """Which of the ways to leak, as in memscope.verdicts.KINDS: "unbounded-cache"."""
    verdict: str
    """What goes wrong, in a sentence."""
    advice: str
    """What to do about it, in a sentence."""
    type_name: str
    """Class of the objects that pile up, module.qualname; "" of memory that is no object."""
    count: int
    """How many of them were added and are still there."""
    bytes: int
    """Their own bytes."""
    retained_bytes: int
    """Bytes of all that was added with them: what is freed when they go."""
    per_round: tuple[int, ...] = ()
    """How many of them each round, or span between two checkpoints, left behind."""
    site: Site | None = None
    """Where they were allocated, in the program's own code if it took part; None: not traced."""
    source: str = ""
    """The text of that line."""
    path: Path | None = None
    """From a root to one of them."""
    holder: str = ""
    """What they pile up in, by name: "module app.cache -> _sessions"."""
    holder_type: str = ""
    """Class of that object."""
    evidence: tuple[str, ...] = ()
    """What was seen that speaks for the verdict, a sentence each."""
    also: tuple[Grown, ...] = ()
    """What was added together with them, most bytes first."""
    traceback: tuple[Site, ...] = ()
    """The calls that led to the site, newest first, as many as were traced; () where nothing
    was."""

    @property
    def headline(self) -> str:
        """The leak in one sentence."""
        from memscope.leak_text import headline

        return headline(self)

    def __str__(self) -> str:
        from memscope.leak_text import leak_text

        return leak_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json."""
        return {
            **{name: getattr(self, name) for name in PLAIN_FIELDS},
            "headline": self.headline,
            "per_round": list(self.per_round),
            "site": None if self.site is None else self.site._asdict(),
            "path": None if self.path is None else self.path.to_dict(),
            "evidence": list(self.evidence),
            "also": [grown._asdict() for grown in self.also],
            "traceback": [site._asdict() for site in self.traceback],
        }


PLAIN_FIELDS = (
    *("kind", "verdict", "advice", "type_name", "count", "bytes", "retained_bytes"),
    *("source", "holder", "holder_type"),
)


@dataclass(frozen=True)
class NotALeak:
    """Something that grew and is no leak: why, and how much."""

    what: str
    why: str
    count: int
    bytes: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Moment:
    """The process at the end of a round, or at a checkpoint."""

    label: str
    seconds: float
    """Since the baseline."""
    objects: int
    bytes: int
    """Of all objects."""
    rss: int | None = None
    """Resident bytes of the process, where the platform tells."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class LeakReport:
    """What a workload left behind.  False when nothing leaks.

    ``print(report)`` is a screen of text; ``to_html`` a page of its own; ``to_dict``,
    and ``save`` to a file that ends in .json, plain data.
    """

    leaks: tuple[Leak, ...] = ()
    """Largest first."""
    not_leaks: tuple[NotALeak, ...] = ()
    """What also grew, and is recognised: caches that fill, the interpreter's own."""
    moments: tuple[Moment, ...] = ()
    """The baseline first, then the end of each round or checkpoint."""
    types: tuple[Grown, ...] = ()
    """Classes whose objects became more since the baseline, most bytes first."""
    memory: Mapping[str, int | None] = field(default_factory=dict)
    """How the process's memory grew since the baseline, by kind, as
    memscope.process names them; None where the platform cannot tell."""
    notes: tuple[str, ...] = ()
    """What should be known about how the report came about."""
    title: str = ""
    """What was looked at: the name of a function, a script, a test."""
    python: str = ""
    """Version of the interpreter."""

    def __bool__(self) -> bool:
        return bool(self.leaks)

    @property
    def rounds(self) -> int:
        """Rounds, or spans between checkpoints, that were judged."""
        return max(len(self.moments) - 1, 0)

    @property
    def total_bytes(self) -> int:
        """Bytes that all leaks retain."""
        return sum(leak.retained_bytes for leak in self.leaks)

    def __str__(self) -> str:
        from memscope.leak_text import report_text

        return report_text(self)

    def show(self, file: IO[str] | None = None) -> None:
        """Print the report to *file*, by default sys.stdout; with colour on a terminal."""
        from memscope.leak_text import show_report

        show_report(self, file)

    def __repr__(self) -> str:
        return f"<LeakReport: {len(self.leaks)} leaks, {self.total_bytes} bytes>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json; docs/leak-report.md says what each field means."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            "python": self.python,
            "leaking": bool(self),
            "rounds": self.rounds,
            "total_bytes": self.total_bytes,
            "leaks": [leak.to_dict() for leak in self.leaks],
            "not_leaks": [one.to_dict() for one in self.not_leaks],
            "moments": [moment.to_dict() for moment in self.moments],
            "types": [grown._asdict() for grown in self.types],
            "memory": dict(self.memory),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> LeakReport:
        """A report from what to_dict gave.

        Raises ValueError if *data* is something else, or of a newer schema.
        """
        schema = data.get("schema") if isinstance(data, dict) else None
        if type(schema) is not int or not 0 < schema <= MOST:
            raise ValueError("not a leak report: it has no field 'schema'")
        if schema > SCHEMA:
            raise ValueError(
                f"a leak report of schema {schema}; this memscope reads up to {SCHEMA}"
            )
        try:
            return cls(
                leaks=tuple(map(leak_of, _list(data, "leaks"))),
                not_leaks=tuple(_records(NotALeak, data, "not_leaks")),
                moments=tuple(_records(Moment, data, "moments")),
                types=tuple(_records(Grown, data, "types")),
                memory=_memory(_get(data, "memory", dict)),
                notes=_texts(data, "notes"),
                title=_get(data, "title", str),
                python=_get(data, "python", str),
            )
        except TypeError as error:
            raise ValueError(f"not a leak report: {error}") from error

    def to_html(self) -> str:
        """One HTML page that needs nothing else: no network, no script."""
        from memscope.leak_page import page

        return page(self.to_dict())

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"

    def save(self, path: PathLike) -> None:
        """Write the report to *path*: .html a page, .json plain data, else text.

        Raises OSError.  The file is there whole or not at all.
        """
        import os

        name = os.fsdecode(path)
        if name.endswith((".html", ".htm")):
            text = self.to_html()
        elif name.endswith(".json"):
            text = json.dumps(self.to_dict(), indent=2) + "\n"
        else:
            text = str(self) + "\n"
        files.write_whole(path, text.encode("utf-8", "backslashreplace"))

    @classmethod
    def load(cls, path: PathLike) -> LeakReport:
        """The report that save wrote to a .json file.  Raises OSError, ValueError."""
        data = files.read(path)
        with files.describing(path):
            try:
                return cls.from_dict(json.loads(data))
            except RecursionError:
                raise ValueError("not a leak report: nested too deeply") from None


# -- reading plain data, which may be anything

NONE = type(None)
MOST = 2**64
"""No count, size or address is more."""

FIELDS: dict[type, dict[str, tuple[type, ...]]] = {
    Site: {"filename": (str,), "lineno": (int,), "function": (str,)},
    Grown: {"type_name": (str,), "count": (int,), "bytes": (int,)},
    NotALeak: {"what": (str,), "why": (str,), "count": (int,), "bytes": (int,)},
    Moment: {
        "label": (str,),
        "seconds": (float, int),
        "objects": (int,),
        "bytes": (int,),
        "rss": (int, NONE),
    },
    Step: {
        **dict.fromkeys(("edge", "description", "type_name", "site"), (str,)),
        **dict.fromkeys(("bytes", "address", "node", "count"), (int,)),
    },
    Leak: {
        **dict.fromkeys(PLAIN_FIELDS, (str,)),
        **dict.fromkeys(("count", "bytes", "retained_bytes"), (int,)),
    },
}
"""Of which types the fields of each record are.  What is not here is left out."""


def _checked(value: Any, name: str, types: tuple[type, ...]) -> Any:
    if type(value) not in types:
        raise TypeError(f"{name} is of type {type(value).__name__}")
    if type(value) in (int, float) and not -MOST <= value <= MOST:  # NaN is not either
        raise TypeError(f"{name} is no number that can be")
    return value


def _get(data: Any, name: str, *types: type) -> Any:
    if type(data) is not dict or name not in data:
        raise TypeError(f"it has no field {name!r}")
    return _checked(data[name], name, types)


def _list(data: Any, name: str) -> list[Any]:
    found: list[Any] = _get(data, name, list)
    return found


def _texts(data: Any, name: str) -> tuple[str, ...]:
    return tuple(_checked(one, name, (str,)) for one in _list(data, name))


def _fields(cls: type, data: Any) -> dict[str, Any]:
    return {name: _get(data, name, *types) for name, types in FIELDS[cls].items()}


def _records(cls: type[Record], data: Any, name: str) -> list[Record]:
    return [cls(**_fields(cls, one)) for one in _list(data, name)]


def _memory(data: dict[str, Any]) -> dict[str, int | None]:
    return {name: _checked(value, "memory", (int, NONE)) for name, value in data.items()}


def leak_of(data: Any) -> Leak:
    """The leak of what Leak.to_dict gave.  Raises TypeError if it is something else."""
    site, path = _get(data, "site", dict, NONE), _get(data, "path", dict, NONE)
    return Leak(
        **_fields(Leak, data),
        per_round=tuple(_checked(one, "per_round", (int,)) for one in _list(data, "per_round")),
        site=None if site is None else Site(**_fields(Site, site)),
        path=None if path is None else _path(path),
        evidence=_texts(data, "evidence"),
        also=tuple(_records(Grown, data, "also")),
        # Reports of before it was added do not have it.
        traceback=tuple(_records(Site, data, "traceback")) if "traceback" in data else (),
    )


def _path(data: Any) -> Path:
    steps = _records(Step, data, "steps")
    if not steps:
        raise TypeError("a path has no steps")
    return Path(steps, _get(data, "count", int))
