"""Keep the bots' tokens, the slots that they reserved and the assets that they claimed."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import Q

from positions.models.accounts import ExchangeAccount

LONGEST_BOT = 60
LONGEST_KEY = 100
LONGEST_REASON = 200


class Scope(models.TextChoices):
    """What a token lets its bot do."""

    READ = "read", "Read slots, positions and plans"
    LEASE = "lease", "Reserve slots"
    CLAIM = "claim", "Claim assets"


class BotToken(models.Model):
    """One bot's way in; of its secret only the hash is kept."""

    bot = models.CharField(max_length=LONGEST_BOT, help_text="The bot's name; it may have several.")
    # Public: it finds the row, and stands on pages and in the history.
    prefix = models.CharField(max_length=12, unique=True)
    secret_hash = models.CharField(max_length=64, editable=False, help_text="SHA-256.")
    accounts = models.ManyToManyField(ExchangeAccount, related_name="bot_tokens")
    scopes = models.JSONField(default=list)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    revoked_by_name = models.CharField(max_length=150, blank=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        """The newest first."""

        ordering = ["-pk"]

    def __str__(self) -> str:
        """Return whose it is, and which."""
        return f"{self.bot} ({self.prefix})"

    @staticmethod
    def valid(now: datetime) -> Q:
        """Return what is true of tokens that open something."""
        return Q(revoked_at=None, expires_at__gt=now)

    def may(self, scope: Scope) -> bool:
        """Tell whether it has the scope."""
        return scope.value in self.scopes


class LeaseEnd(models.TextChoices):
    """How a lease ended."""

    RELEASED = "released", "Released"
    NOT_OPENED = "not_opened", "Released, nothing was opened"
    EXPIRED = "expired", "Expired"


class BotsHold(models.Model):
    """What a bot holds of an account: an asset, until it gives it back or its time is over."""

    account = models.ForeignKey(
        ExchangeAccount, on_delete=models.PROTECT, related_name="%(class)ss"
    )
    asset = models.CharField(max_length=40)
    # A bot goes on with another token under the same name, so that the name says whose it is.
    bot = models.CharField(max_length=LONGEST_BOT)
    token = models.ForeignKey(BotToken, on_delete=models.PROTECT, related_name="%(class)ss")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        """What leases and claims share."""

        abstract = True

    def __str__(self) -> str:
        """Return whose it is."""
        return f"{self.asset} of {self.bot}"


class Lease(BotsHold):
    """One slot that a bot reserved for an asset; it is a claim on the asset as well."""

    expires_at = models.DateTimeField()
    idempotency_key = models.CharField(max_length=LONGEST_KEY)
    body_digest = models.CharField(max_length=64, help_text="Of what was asked for under the key.")
    ended_how = models.CharField(max_length=12, choices=LeaseEnd.choices, blank=True)
    opened = models.BooleanField(null=True, help_text="Whether a trade was opened, if it was told.")

    class Meta:
        """One lease in force per account and asset; a key means one request of its token."""

        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "asset"],
                condition=Q(ended_at=None),
                name="one_lease_per_asset",
            ),
            models.UniqueConstraint(
                fields=["token", "idempotency_key"], name="one_lease_per_idempotency_key"
            ),
        ]
        indexes = [
            models.Index(fields=["account", "ended_at"], name="leases_by_end"),
            models.Index(fields=["expires_at"], condition=Q(ended_at=None), name="leases_in_force"),
        ]

    @staticmethod
    def in_force(now: datetime) -> Q:
        """Return what is true of leases that hold now, whether their end is written down or not."""
        return Q(ended_at=None, expires_at__gt=now)


class Claim(BotsHold):
    """An asset that is a bot's for some time: no plan touches it."""

    until = models.DateTimeField()
    reason = models.CharField(max_length=LONGEST_REASON)

    class Meta:
        """One claim in force per account and asset."""

        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "asset"],
                condition=Q(ended_at=None),
                name="one_claim_per_asset",
            )
        ]
        indexes = [
            models.Index(fields=["until"], condition=Q(ended_at=None), name="claims_in_force")
        ]

    @staticmethod
    def in_force(now: datetime) -> Q:
        """Return what is true of claims that hold now, whether their end is written down or not."""
        return Q(ended_at=None, until__gt=now)
