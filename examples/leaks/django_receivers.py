"""Every saved order connects one more receiver to ``post_save``, inside the view.

A receiver that is a local function would vanish at once, so it was connected with
``weak=False``.  Now none vanishes, and each save calls all of them.
"""

from __future__ import annotations

import itertools
from typing import Any

import django
from django.conf import settings

from examples.leaks._expected import Expected

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
django.setup()

from django.db import connection, models  # noqa: E402  (needs the settings)
from django.db.models.signals import post_save  # noqa: E402


class Order(models.Model):
    customer = models.CharField(max_length=40)

    class Meta:
        app_label = "shop"


with connection.schema_editor() as editor:
    editor.create_model(Order)

_customers = itertools.count(1)
_mails: list[str] = []


def create_order(customer: str) -> None:
    def send_mail(instance: Order, **_: Any) -> None:  # leaks
        if instance.customer == customer:
            _mails.append(f"Dear {customer}")

    post_save.connect(send_mail, sender=Order, weak=False)
    Order(customer=customer).save()


def send_mail_once(instance: Order, **_: Any) -> None:
    """What a receiver needs comes with the signal."""
    if instance.customer.startswith("new"):
        _mails.append(f"Dear {instance.customer}")


post_save.connect(send_mail_once, sender=Order, dispatch_uid="mail")  # once, at module level


def work() -> None:
    for number in itertools.islice(_customers, 15):
        create_order(f"customer {number}")
    _mails.clear()


def work_fixed() -> None:
    for number in itertools.islice(_customers, 15):
        Order(customer=f"new customer {number}").save()
    _mails.clear()


def leaked() -> int:
    return len(post_save.receivers)


EXPECTED = Expected(
    type="function",
    kind="callback",
    holder="post_save -> receivers",
    per_round=15,
)
