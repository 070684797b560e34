"""Settings of the test project; a test overrides what it is about."""

from __future__ import annotations

import json
import os

SECRET_KEY = "only for tests"
DEBUG = os.environ.get("MEMSCOPE_TEST_DEBUG", "1") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
INTERNAL_IPS = ["127.0.0.1"]
ROOT_URLCONF = "tests.web.django_project.urls"
ASGI_APPLICATION = WSGI_APPLICATION = None
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
USE_TZ = True
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = [
    "memscope.django",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    "debug_toolbar",
]
MIDDLEWARE = json.loads(
    os.environ.get("MEMSCOPE_TEST_MIDDLEWARE", '["memscope.django.MemscopeMiddleware"]')
)
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {}}
]
MEMSCOPE = json.loads(os.environ.get("MEMSCOPE_TEST_OPTIONS", "{}"))
DEBUG_TOOLBAR_PANELS = [
    "memscope.django.panels.MemoryPanel",
    "debug_toolbar.panels.sql.SQLPanel",
    "debug_toolbar.panels.history.HistoryPanel",
]
DEBUG_TOOLBAR_CONFIG = {"IS_RUNNING_TESTS": False}
SILENCED_SYSTEM_CHECKS = ["debug_toolbar.W001"]
