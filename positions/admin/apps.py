"""Give the project its history site; named in `INSTALLED_APPS` instead of Django's own admin.

This module imports nothing of the site: it is read before any model exists.
"""

from django.contrib.admin.apps import AdminConfig


class HistoryConfig(AdminConfig):
    """Django's admin with our site and our pages."""

    default_site = "positions.admin.site.HistorySite"

    def ready(self) -> None:
        """List our pages, once the site exists and all models are loaded."""
        super().ready()
        from django.contrib import admin

        from positions.admin.pages import PAGES

        for model, page in PAGES.items():
            admin.site.show(model, page)  # type: ignore[attr-defined]  # it is ours
