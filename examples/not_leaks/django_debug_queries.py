"""With DEBUG on, Django keeps the SQL of all queries in ``connection.queries``, the last 9000.

"Django leaks" is what this looks like.  It is a deque with a limit, and each request of a
real server begins by emptying it.
"""

from __future__ import annotations

import itertools

import django
from django.conf import settings

settings.configure(
    DEBUG=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
django.setup()

from django.db import connection, models  # noqa: E402  (needs the settings)


class Product(models.Model):
    name = models.CharField(max_length=40)

    class Meta:
        app_label = "shop"


with connection.schema_editor() as editor:
    editor.create_model(Product)

LIMIT = 9000

_numbers = itertools.count(1)


def work() -> None:
    for number in itertools.islice(_numbers, 20):
        assert not Product.objects.filter(name=f"kettle {number}").exists()


def close() -> None:
    connection.close()


def size() -> int:
    return len(connection.queries_log)
