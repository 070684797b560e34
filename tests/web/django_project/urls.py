"""URLs of the test project: paths, a regular expression, an include, our own pages."""

from __future__ import annotations

from django.urls import include, path, re_path

from memscope.django import memscope_urls
from tests.web.django_project import views

shop = [
    path("", views.plain),
    path("items/<int:number>/", views.keeps),
    path("shelf/<str:name>", views.Shelf.as_view()),
]

urlpatterns = [
    path("", views.plain),
    path("plain/", views.plain),
    path("keeps/<int:number>/", views.keeps),
    path("fails/", views.fails),
    path("missing/", views.missing),
    path("wrapped/", views.wrapped),
    path("async-shelf/", views.AsyncShelf.as_view()),
    path("streamed/", views.streamed),
    path("astreamed/", views.astreamed),
    path("awaits/", views.awaits),
    path("afails/", views.afails),
    path("never/", views.never),
    path("file/", views.file),
    path("cached/", views.cached),
    path("computed/", views.computed),
    path("queries/", views.queries),
    path("health", views.plain),
    re_path(r"^old/(?P<number>[0-9]+)/$", views.keeps),
    path("shop/<slug:town>/", include((shop, "shop"))),
    *memscope_urls(),
    # Not debug_toolbar_urls(): it gives none if the first test of all has DEBUG off.
    path("__debug__/", include("debug_toolbar.urls")),
    path("_memscope/do/anything", views.echo),
]
