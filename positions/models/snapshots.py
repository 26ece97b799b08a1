"""Keep what an exchange said an account held at one moment."""

from django.db import models

from positions.domain.balances import Holding
from positions.models.accounts import ExchangeAccount
from positions.models.fields import ExactDecimalField


class SnapshotStatus(models.TextChoices):
    """Whether the reading worked."""

    GOOD = "GOOD", "Good"
    FAILED = "FAILED", "Failed"


class Snapshot(models.Model):
    """One reading of an account; a failed one keeps its reason and holds no positions."""

    account = models.ForeignKey(ExchangeAccount, on_delete=models.PROTECT, related_name="snapshots")
    status = models.CharField(max_length=10, choices=SnapshotStatus.choices)
    # Asked before taken: a trade that filled in between is not in the balances.
    asked_at = models.DateTimeField()
    taken_at = models.DateTimeField()
    failure_code = models.CharField(max_length=40, blank=True)
    failure = models.CharField(max_length=300, blank=True)
    anchor = models.CharField(max_length=20, blank=True)
    anchor_deviation = ExactDecimalField(null=True)
    requests = models.PositiveIntegerField(default=0)
    trigger = models.CharField(max_length=150)

    class Meta:
        """The newest first."""

        ordering = ["-taken_at", "-pk"]
        indexes = [models.Index(fields=["account", "status", "-taken_at"], name="newest_snapshot")]

    def __str__(self) -> str:
        """Return which account and when."""
        return f"{self.account.slug} at {self.taken_at:%Y-%m-%d %H:%M:%S} UTC"


class Position(models.Model):
    """One held asset in one snapshot, with the facts that every verdict rests on.

    What is cash, dust or counted is not stored: the policy in force says so when it is read.
    """

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="positions")
    asset = models.CharField(max_length=40)
    free = ExactDecimalField()
    locked = ExactDecimalField()
    earn = models.BooleanField(default=False)
    price_usd = ExactDecimalField(null=True)
    price_path = models.CharField(max_length=100, blank=True)
    price_problem = models.CharField(max_length=100, blank=True)
    value_rank = models.BigIntegerField(null=True, help_text="Sorts as the value in USD does.")
    symbol = models.CharField(max_length=60, null=True)
    market_active = models.BooleanField(default=False)
    step_size = ExactDecimalField(null=True)
    min_quantity = ExactDecimalField(null=True)
    max_quantity = ExactDecimalField(null=True)
    min_notional = ExactDecimalField(null=True)
    taker_fee = ExactDecimalField(null=True)
    bid = ExactDecimalField(null=True)
    ask = ExactDecimalField(null=True)
    last = ExactDecimalField(null=True)
    quote_price_usd = ExactDecimalField(null=True)
    has_open_order = models.BooleanField(default=False)

    class Meta:
        """Largest first; each asset once."""

        ordering = ["-value_rank", "asset"]
        constraints = [
            models.UniqueConstraint(fields=["snapshot", "asset"], name="one_row_per_asset")
        ]

    def __str__(self) -> str:
        """Return the asset."""
        return self.asset

    def as_domain(self) -> Holding:
        """Return the frozen value that the domain decides by."""
        return Holding(**{name: getattr(self, name) for name in HOLDING_FIELDS})


HOLDING_FIELDS = tuple(Holding.__dataclass_fields__)
