from __future__ import annotations

from django.urls import path

from memscope.django import memscope_urls
from orders import views

urlpatterns = [
    path("", views.home),
    path("articles/", views.Articles.as_view()),
    path("orders/<int:number>/", views.order),
    path("customers/<int:customer>/orders/", views.orders_of_customer),
    *memscope_urls(),
]
