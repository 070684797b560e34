"""The project without the pages of memscope."""

from __future__ import annotations

from django.urls import path

from tests.web.django_project import views

urlpatterns = [path("plain/", views.plain)]
