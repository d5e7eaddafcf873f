"""The URLs of the project, below wherever it is mounted."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from apps.legacy.inventory.views import ItemList

urlpatterns = [
    path("", ItemList.as_view(), name="items"),
    path("admin/", admin.site.urls),
]
