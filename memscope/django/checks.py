"""What manage.py check says.

    memscope.E001   MEMSCOPE has a mistake, or would serve the pages with DEBUG off and no token
    memscope.W001   the app is installed, and its middleware is not used
    memscope.W002   the middleware comes after others that answer or replace responses
    memscope.W003   the pages are enabled, and in no urlpatterns
    memscope.W004   the toolbar's panel is used without the middleware

That the middleware is used without the app, no check of the app can say: the middleware
logs it.  How many workers a server has is not known before they are there: each has an
engine of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core import checks
from django.utils.module_loading import import_string

from memscope.django import options
from memscope.django.middleware import MemscopeMiddleware
from memscope.django.urls import is_mounted
from memscope.web.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.core.checks import CheckMessage

__all__ = ["check_middleware", "check_settings", "check_urls", "position"]

REPLACING = (
    "django.middleware.cache.UpdateCacheMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "debug_toolbar.middleware.DebugToolbarMiddleware",
    "silk.middleware.SilkyMiddleware",
)
"""What makes another response of the one it was given, or works much for each."""

PANEL = "memscope.django.panels.MemoryPanel"


def check_settings(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    try:
        options.read()
    except SettingsError as error:
        return [checks.Error(f"{error}.", id="memscope.E001")]
    return []


def check_middleware(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    if not _is_enabled():
        return []
    found: list[CheckMessage] = []
    at = position()
    if at is None:
        found.append(
            checks.Warning(
                "memscope.django is installed, but its middleware is not used: nothing is"
                " measured.",
                hint='Add "memscope.django.MemscopeMiddleware" to MIDDLEWARE, as the first.',
                id="memscope.W001",
            )
        )
    else:
        before = [name for name in django_settings.MIDDLEWARE[:at] if name in REPLACING]
        if before:
            found.append(
                checks.Warning(
                    f"memscope.django.MemscopeMiddleware comes after {' and '.join(before)}: of a"
                    " response that is replaced there the end is not seen.",
                    hint="Make it the first of MIDDLEWARE.",
                    id="memscope.W002",
                )
            )
    panels = getattr(django_settings, "DEBUG_TOOLBAR_PANELS", ())
    if at is None and PANEL in panels:
        found.append(
            checks.Warning(
                "The toolbar's memory panel shows what the middleware of memscope measures,"
                " which is not used.",
                hint='Add "memscope.django.MemscopeMiddleware" to MIDDLEWARE, as the first.',
                id="memscope.W004",
            )
        )
    return found


def check_urls(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    settings = _settings()
    if settings is None or not settings.enabled or not settings.dashboard:
        return []
    if not getattr(django_settings, "ROOT_URLCONF", None) or is_mounted(settings.url_prefix):
        return []
    return [
        checks.Warning(
            f"The pages of memscope are enabled, but no URL leads to {settings.url_prefix}.",
            hint=(
                "Add memscope.django.memscope_urls() to urlpatterns, before patterns that match"
                " everything."
            ),
            id="memscope.W003",
        )
    ]


def position() -> int | None:
    """Where in MIDDLEWARE ours is; also a subclass of it."""
    for at, name in enumerate(django_settings.MIDDLEWARE):
        try:
            found = import_string(name)
        except ImportError:
            continue  # Django says so itself
        if isinstance(found, type) and issubclass(found, MemscopeMiddleware):
            return at
    return None


def _settings() -> Settings | None:
    try:
        return options.read()
    except SettingsError:
        return None  # E001 says so


def _is_enabled() -> bool:
    settings = _settings()
    return settings is not None and settings.enabled
