"""Keep the kill switch: one account's, or everybody's."""

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Coalesce

from positions.models.accounts import ExchangeAccount


class Halt(models.Model):
    """Nothing is sent while it is in force: for one account, or (account None) for all."""

    account = models.ForeignKey(
        ExchangeAccount, null=True, on_delete=models.PROTECT, related_name="halts"
    )
    reason = models.CharField(max_length=200, blank=True)
    placed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    placed_by_name = models.CharField(max_length=150)
    placed_at = models.DateTimeField()
    presses = models.PositiveIntegerField(
        default=1, help_text="A release that has begun notices another press by it."
    )
    released_by_name = models.CharField(max_length=150, blank=True)
    released_at = models.DateTimeField(null=True)

    class Meta:
        """At most one in force per account, and one for all."""

        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(released_at=None), name="one_halt_per_account"
            ),
            # SQL takes two NULLs for different values, so "all" needs a constraint of its own.
            models.UniqueConstraint(
                Coalesce("account", Value(0)),
                condition=Q(released_at=None, account=None),
                name="one_halt_of_everything",
            ),
        ]

    def __str__(self) -> str:
        """Return what is stopped."""
        return f"Halt of {self.account.slug if self.account else 'everything'}"
