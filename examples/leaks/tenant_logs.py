"""Every tenant's access log is opened when it is first written to, and never closed.

A file object is small; its buffer is 8 KiB and more, and there are only so many descriptors.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import TextIO

from examples.leaks._expected import Expected

_folder = tempfile.TemporaryDirectory(prefix="access-logs-")
_logs: dict[str, TextIO] = {}
_tenants = itertools.count(1)


def log_of(tenant: str) -> TextIO:
    if tenant not in _logs:
        _logs[tenant] = (Path(_folder.name) / f"{tenant}.log").open("a")  # leaks
    return _logs[tenant]


def handle(tenant: str) -> None:
    log_of(tenant).write("GET / 200\n")


def handle_fixed(tenant: str) -> None:
    with (Path(_folder.name) / f"{tenant}.log").open("a") as log:
        log.write("GET / 200\n")


def work() -> None:
    for tenant in itertools.islice(_tenants, 10):
        handle(f"tenant-{tenant}")
        handle(f"tenant-{tenant}")


def work_fixed() -> None:
    for tenant in itertools.islice(_tenants, 10):
        handle_fixed(f"tenant-{tenant}")
        handle_fixed(f"tenant-{tenant}")


def close() -> None:
    for log in _logs.values():
        log.close()
    _logs.clear()
    _folder.cleanup()


def leaked() -> int:
    return sum(not log.closed for log in _logs.values())


EXPECTED = Expected(
    type="TextIOWrapper",
    kind="unclosed-resource",
    holder="module examples.leaks.tenant_logs -> _logs",
    per_round=10,
)
