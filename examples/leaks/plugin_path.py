"""Every rendered report puts its plugin folder at the front of ``sys.path``, once more.

Imports get slower by the week, because they look into the same folder thousands of times.
"""

from __future__ import annotations

import sys
import tempfile

from examples.leaks._expected import Expected

PLUGINS = f"{tempfile.gettempdir()}/report-plugins"


def find_plugins(folder: str) -> None:
    sys.path.insert(0, f"{folder}/enabled")  # leaks


def find_plugins_once(folder: str) -> None:
    enabled = f"{folder}/enabled"
    if enabled not in sys.path:
        sys.path.insert(0, enabled)


def render(number: int) -> str:
    return f"<h1>Report {number}</h1>"


def work() -> None:
    for number in range(50):
        find_plugins(PLUGINS)
        render(number)


def work_fixed() -> None:
    for number in range(50):
        find_plugins_once(PLUGINS)
        render(number)


def close() -> None:
    sys.path[:] = [folder for folder in sys.path if not folder.startswith(PLUGINS)]


def leaked() -> int:
    return max(0, sum(folder.startswith(PLUGINS) for folder in sys.path) - 1)


EXPECTED = Expected(
    type="str",
    kind="growing-container",
    holder="module sys -> path",
    per_round=50,
)
