from __future__ import annotations

import logging

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from apps.legacy.inventory.models import Item

logger = logging.getLogger(__name__)


@admin.register(Item)
class ItemAdmin(admin.ModelAdmin):
    """Items in the admin: a list to search and to narrow."""

    list_display = ["name", "shelf", "count", "state"]
    list_filter = ["state"]
    search_fields = ["name", "shelf"]

    def save_model(self, request: HttpRequest, obj: Item, form: ModelForm[Item], change: bool) -> None:
        super().save_model(request, obj, form, change)
        logger.info("item %d %s by user %d", obj.pk, "changed" if change else "created", request.user.pk)

    def delete_model(self, request: HttpRequest, obj: Item) -> None:
        logger.info("item %d deleted by user %d", obj.pk, request.user.pk)
        super().delete_model(request, obj)
