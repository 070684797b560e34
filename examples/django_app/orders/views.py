"""The pages of the shop."""

from __future__ import annotations

import functools
from datetime import datetime

from django.db.models import QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views import View

from orders.models import Order

_listings: dict[tuple[int, datetime], QuerySet[Order]] = {}


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{Order.objects.count()} orders")


class Articles(View):
    def get(self, request: HttpRequest) -> JsonResponse:
        sums = Order.objects.values("article").annotate(Sum("amount")).order_by("article")
        return JsonResponse({"articles": list(sums)})


@functools.lru_cache(maxsize=100)
def article_of(number: int) -> str | None:
    """Articles of orders never change, so they are kept: a hundred of them."""
    order = Order.objects.filter(pk=number).first()
    return order.article if order is not None else None


def order(request: HttpRequest, number: int) -> JsonResponse:
    article = article_of(number)
    if article is None:
        raise Http404
    return JsonResponse({"number": number, "article": article})


def orders_of_customer(request: HttpRequest, customer: int) -> JsonResponse:
    """The orders of a customer, "cached".  The key holds the time of the request, so no entry is
    ever found again, and each keeps the rows that it fetched."""
    key = (customer, timezone.now())
    if key not in _listings:
        _listings[key] = Order.objects.filter(customer=customer).order_by("-pk")  # leaks
    return JsonResponse({"articles": [one.article for one in _listings[key]]})  # leaks
