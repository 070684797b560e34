"""settings.MEMSCOPE as options of memscope.web: names in small letters, dotted paths imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from memscope.web.settings import Settings, SettingsError

__all__ = ["mount", "options", "read", "spelled"]

CALLABLES = ("sampler", "group_by", "on_report", "show_callback")
"""Options that may be given as "package.module.function", as is usual in Django's settings."""


def spelled(name: str) -> str:
    """An option as the user writes it."""
    return f'MEMSCOPE["{name.upper()}"]'


def options() -> dict[str, Any]:
    """What MEMSCOPE says.  Raises SettingsError."""
    given = getattr(django_settings, "MEMSCOPE", {})
    if not isinstance(given, Mapping):
        raise SettingsError(
            f'MEMSCOPE must be a dictionary like {{"EVERY": 10}}, not a {type(given).__name__}'
        )
    found: dict[str, Any] = {}
    for name, value in given.items():
        if not isinstance(name, str) or name != name.upper():
            raise SettingsError(
                f"MEMSCOPE[{name!r}]: its keys are texts in capital letters, as all settings of"
                ' Django are, like "EVERY"'
            )
        found[name.lower()] = value
    for name in CALLABLES:
        if isinstance(found.get(name), str):
            found[name] = _imported(name, found[name])
    return found


def read() -> Settings:
    """The settings of this project, whether it is enabled or not.  Raises SettingsError."""
    return Settings.of(options(), debug=django_settings.DEBUG, spelled=spelled)


def mount() -> str:
    """Where the pages are.

    What is wrong in MEMSCOPE is told by the checks and by the middleware: if URLs were refused
    for it, it would be told as an error of the URLs.
    """
    given = getattr(django_settings, "MEMSCOPE", {})
    try:
        return Settings.of({"url_prefix": given["URL_PREFIX"]}).mount
    except (LookupError, TypeError, SettingsError):
        return Settings().mount


def _imported(name: str, path: str) -> Any:
    try:
        return import_string(path)
    except ImportError as error:
        raise SettingsError(
            f"{spelled(name)} must be a function, or where to import it from, not {path!r}: {error}"
        ) from error
