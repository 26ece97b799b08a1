"""Register the application that holds the whole product."""

from django.apps import AppConfig


class PositionsConfig(AppConfig):
    """Name the application."""

    name = "positions"
    verbose_name = "Dust Admin"
