"""Django: which view leaks what.

INSTALLED_APPS = ["memscope.django", ...]
MIDDLEWARE = ["memscope.django.MemscopeMiddleware", ...]      the first
MEMSCOPE = {"DASHBOARD": True}                                all of it optional
urlpatterns = [...] + memscope_urls()                         where the pages are

apps          the app: registers the checks
options       MEMSCOPE as options of memscope.web
service       the engine of this process
middleware    requests, from the first byte to response.close()
urls          the pages
checks        what manage.py check says
panels        a panel for django-debug-toolbar; imports it
management    manage.py memscope
"""

from __future__ import annotations

from memscope.django.middleware import MemscopeMiddleware
from memscope.django.urls import memscope_urls

__all__ = ["MemscopeMiddleware", "memscope_urls"]
