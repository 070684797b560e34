"""What the plugin is asked by: its modes, its fixture, its warning."""

from __future__ import annotations

__all__ = ["FIXTURE", "MODES", "MemscopeWarning"]

MODES = ("fail", "warn", "report")
FIXTURE = "no_leaks"


class MemscopeWarning(UserWarning):
    """A test leaks, and ``--memscope-mode=warn`` says so."""
