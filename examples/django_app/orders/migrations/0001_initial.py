"""The table, and two hundred orders in it."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

ARTICLES = "kettle lamp clock chair drawer mirror carpet candle vase shelf".split()


def sell(apps: Any, schema_editor: Any) -> None:
    order = apps.get_model("orders", "Order")
    order.objects.bulk_create(
        order(customer=number % 8, article=ARTICLES[number % 10], amount=number % 5 + 1)
        for number in range(200)
    )


class Migration(migrations.Migration):
    initial = True
    operations = (
        migrations.CreateModel(
            name="Order",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("customer", models.IntegerField(db_index=True)),
                ("article", models.CharField(max_length=40)),
                ("amount", models.IntegerField()),
            ],
        ),
        migrations.RunPython(sell, migrations.RunPython.noop),
    )
