from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models


class Item(models.Model):
    """A thing on a shelf."""

    class State(models.TextChoices):
        GOOD = "good", "good"
        WORN = "worn", "worn"
        BROKEN = "broken", "broken"

    name = models.CharField(max_length=100)
    shelf = models.CharField(max_length=20)
    count = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    state = models.CharField(max_length=10, choices=State, default=State.GOOD)

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name
