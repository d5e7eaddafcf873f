from __future__ import annotations

from django.views.generic import ListView

from apps.legacy.inventory.models import Item


class ItemList(ListView):
    """Everything on the shelves, for everybody to look at."""

    model = Item
    paginate_by = 50
