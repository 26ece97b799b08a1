"""Keep one append-only, hash-chained record of everything that happened."""

from typing import Any, NoReturn

from django.conf import settings
from django.db import models

from positions.models.accounts import ExchangeAccount
from positions.models.orders import CloseOrder
from positions.models.plans import CleanupPlan


class AppendOnly(Exception):
    """History is never changed or deleted."""


class AppendOnlyQuerySet(models.QuerySet["AuditEvent"]):
    """Refuse every bulk change."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise AppendOnly("Events can't be changed.")

    def delete(self) -> NoReturn:
        """Refuse."""
        raise AppendOnly("Events can't be deleted.")


class AuditEvent(models.Model):
    """One thing that happened, carrying the hash of its content and of the chain before it.

    There is one chain per account and one (account None) for what concerns all of them.
    """

    account = models.ForeignKey(
        ExchangeAccount, null=True, on_delete=models.PROTECT, related_name="events"
    )
    sequence = models.PositiveBigIntegerField()
    kind = models.CharField(max_length=60)
    summary = models.CharField(max_length=300)
    plan = models.ForeignKey(
        CleanupPlan, null=True, on_delete=models.PROTECT, related_name="events"
    )
    order = models.ForeignKey(
        CloseOrder, null=True, on_delete=models.PROTECT, related_name="events"
    )
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    actor_name = models.CharField(max_length=150)
    at = models.DateTimeField()
    data = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        """The chain of an account never forks."""

        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["account", "sequence"], name="chains_never_fork"),
            # SQL takes two NULLs for different values, so the common chain needs its own.
            models.UniqueConstraint(
                fields=["sequence"],
                condition=models.Q(account=None),
                name="common_chain_never_forks",
            ),
        ]
        indexes = [
            models.Index(fields=["kind"], name="events_by_kind"),
            models.Index(fields=["at"], name="events_by_time"),
        ]

    def __str__(self) -> str:
        """Return what happened."""
        return self.summary

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert; refuse to change."""
        if self.pk is not None:
            raise AppendOnly("Events can't be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse."""
        raise AppendOnly("Events can't be deleted.")


class AuditChain(models.Model):
    """The end of one chain: what the next event builds on, and where a cut tail shows."""

    # The account's primary key as text; empty for the chain that concerns all of them.
    scope = models.CharField(max_length=20, primary_key=True)
    length = models.PositiveBigIntegerField(default=0)
    last_hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        """Return whose chain it is."""
        return f"Chain {self.scope or 'of everything'}"
