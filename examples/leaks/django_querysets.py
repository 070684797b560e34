"""Every visitor's "latest orders" query is kept, to be sent on to the next page.

Evaluated once, a Django queryset keeps all rows it fetched as model instances.  Kept in a
dict by session, it is a cache of the table, once for each visitor.
"""

from __future__ import annotations

import itertools

import django
from django.conf import settings

from examples.leaks._expected import Expected

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
django.setup()

from django.db import connection, models  # noqa: E402  (needs the settings)


class Order(models.Model):
    number = models.IntegerField()
    customer = models.CharField(max_length=40)

    class Meta:
        app_label = "shop"


with connection.schema_editor() as editor:
    editor.create_model(Order)
Order.objects.bulk_create(Order(number=n, customer=f"customer {n % 5}") for n in range(50))

_latest: dict[str, models.QuerySet[Order]] = {}
_sessions = itertools.count(1)


def first_page(session: str, customer: str) -> int:
    orders = Order.objects.filter(customer=customer).order_by("-number")  # leaks
    _latest[session] = orders
    return sum(order.number for order in orders)  # leaks


def work() -> None:
    for visitor in itertools.islice(_sessions, 20):
        assert first_page(f"session-{visitor}", f"customer {visitor % 5}")


def work_fixed() -> None:
    """The next page asks the database again, for the rows that it shows."""
    for visitor in itertools.islice(_sessions, 20):
        customer = f"customer {visitor % 5}"
        orders = Order.objects.filter(customer=customer).order_by("-number")
        assert sum(order.number for order in orders)


def leaked() -> int:
    return len(_latest)


EXPECTED = Expected(
    type=("Order", "QuerySet"),
    kind="unbounded-cache",
    holder="module examples.leaks.django_querysets -> _latest",
    per_round=20,
)
