"""What the shop sold."""

from __future__ import annotations

from django.db import models


class Order(models.Model):
    customer = models.IntegerField(db_index=True)
    article = models.CharField(max_length=40)
    amount = models.IntegerField()
