from __future__ import annotations

from django.apps import AppConfig


class InventoryConfig(AppConfig):
    """Named by its full path, so that its tables are `inventory_…` wherever the project lies."""

    name = "apps.legacy.inventory"
    verbose_name = "Inventory"
