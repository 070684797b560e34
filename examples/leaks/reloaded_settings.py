"""Every change of the settings file is loaded as a module of a new name, and stays loaded.

The watcher wanted to be sure to get the new text, not a cached module.  ``sys.modules``
holds each version for ever.
"""

from __future__ import annotations

import itertools
import sys
import types

from examples.leaks._expected import Expected

SOURCE = "WORKERS = {version} % 16 + 1\nREGIONS = ['eu', 'us', 'ap']\n"

_versions = itertools.count(1)


def load(name: str, source: str) -> types.ModuleType:
    module = types.ModuleType(name)  # leaks
    sys.modules[name] = module
    exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    return module


def workers(version: int, *, keep: bool = True) -> int:
    name = f"settings_v{version}"
    module = load(name, SOURCE.format(version=version))
    if not keep:
        del sys.modules[name]
    count: int = module.WORKERS
    return count


def work() -> None:
    for version in itertools.islice(_versions, 30):
        workers(version)


def work_fixed() -> None:
    for version in itertools.islice(_versions, 30):
        workers(version, keep=False)


def close() -> None:
    for name in [name for name in sys.modules if name.startswith("settings_v")]:
        del sys.modules[name]


def leaked() -> int:
    return sum(name.startswith("settings_v") for name in sys.modules)


EXPECTED = Expected(
    type=("module", "dict"),
    kind="growing-container",
    holder=("module sys -> modules", "sys.modules"),
    per_round=30,
)
