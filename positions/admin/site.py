"""Serve the history to everybody who may see the panel, and nothing that other apps bring along."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest

from positions.services.permissions import Permission, user_has


class HistorySite(AdminSite):
    """The admin as the product's history, open to all groups."""

    site_header = "Dust Admin history"
    site_title = "Dust Admin history"
    index_title = "What happened"
    empty_value_display = "none"
    enable_nav_sidebar = False  # lists with many columns need its room

    def show(self, model: type[Model], page: Any) -> None:
        """Take a page of ours."""
        super().register(model, page)

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: Any = None,
        **options: Any,
    ) -> None:
        """Take nothing from other apps: their pages can change things, and show secrets."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Let in who may see the panel; Django would ask for the staff flag."""
        user = request.user
        return isinstance(user, User) and user_has(user, Permission.VIEW)
