"""Snapshots of allocations that were taken, the last few.  (Interface; being built.)"""

from __future__ import annotations

__all__ = ["Shelf"]


class Shelf:
    def take(self, label: str, *, automatic: bool = False) -> None:
        """Keep a snapshot of now."""
