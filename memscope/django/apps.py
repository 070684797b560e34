"""The app: nothing happens in it until a handler loads the middleware."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register
from django.core.signals import setting_changed

from memscope.django import checks, service

__all__ = ["MemscopeConfig"]


class MemscopeConfig(AppConfig):
    name = "memscope.django"
    label = "memscope"
    verbose_name = "memscope"

    def ready(self) -> None:
        register(checks.check_settings)
        register(checks.check_middleware)
        register(checks.check_urls, "urls")
        setting_changed.connect(service.changed, dispatch_uid="memscope")
