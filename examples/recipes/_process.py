"""What the operating system says of this process."""

from __future__ import annotations

import resource
from pathlib import Path


def resident() -> int:
    """Bytes of this process that are in memory (RSS), on Linux."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
