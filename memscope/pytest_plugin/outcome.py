"""What was found out about one test: plain data, which travels with its report.

pytest-xdist sends reports between processes as JSON, so numbers, texts, lists and dicts are
all there is.  ``docs/pytest-report.md`` says what each field means.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memscope.leak_report import Leak

__all__ = ["SCHEMA", "VERDICTS", "Outcome"]

SCHEMA = 1
"""Version of the plain data; raised when a field changes its meaning or goes."""

VERDICTS = ("clean", "leaks", "known", "over limit", "not judged")


@dataclass(slots=True)
class Outcome:
    """Of one test."""

    nodeid: str
    verdict: str = "clean"
    """One of VERDICTS."""
    leaks: list[dict[str, Any]] = field(default_factory=list)
    """As Leak.to_dict gives them, largest first."""
    known: list[dict[str, Any]] = field(default_factory=list)
    """Leaks that are in the file of known ones."""
    in_fixtures: list[dict[str, Any]] = field(default_factory=list)
    """What fixtures of wider scope keep of each run, which does not count."""
    leftovers: list[str] = field(default_factory=list)
    """Threads, files, sockets and tasks that each run leaves, by name."""
    notes: list[str] = field(default_factory=list)
    """What should be known of how it was judged, or why it was not."""
    runs: int = 1
    """How often the test ran, all in all."""
    rounds: int = 0
    """By how many runs it was judged; 0: the first left nothing behind."""
    peak: int | None = None
    """Bytes that it allocated at most, above what was there before it; None: not traced."""
    limit: int | None = None
    at_peak: list[dict[str, Any]] = field(default_factory=list)
    """The lines that held most then, of a test over its limit: site, source, bytes, blocks."""
    seconds: float = 0.0
    """What judging it took, its repetitions included."""
    fails: bool = False
    """Whether it failed for this."""

    def to_dict(self) -> dict[str, Any]:
        # Lists that are empty are most of what a run keeps of its tests.
        return {
            name: () if (value := getattr(self, name)) == [] else value for name in self.__slots__
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Outcome:
        return cls(**data)

    def told(self) -> list[Leak]:
        """The leaks, as objects."""
        from memscope.leak_report import leak_of

        return [leak_of(one) for one in self.leaks]
