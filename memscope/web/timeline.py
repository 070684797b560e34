"""The process and its classes over the last minutes.  (Interface; being built.)"""

from __future__ import annotations

__all__ = ["Timeline"]


class Timeline:
    def tick(self) -> None:
        """Take a point if one is due."""
