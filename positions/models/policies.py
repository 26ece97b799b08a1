"""Keep every version of every account's policy."""

from dataclasses import fields
from typing import Any

from django.conf import settings
from django.db import models

from positions.domain.policies import Policy
from positions.models.accounts import ExchangeAccount
from positions.models.fields import ExactDecimalField

ASSET_LISTS = ("cash_assets", "protected_assets", "ignored_assets", "fee_assets")


class DustPolicy(models.Model):
    """One version of an account's policy; the newest is in force. Never changed once written."""

    account = models.ForeignKey(ExchangeAccount, on_delete=models.PROTECT, related_name="policies")
    version = models.PositiveIntegerField()
    dust_threshold = ExactDecimalField()
    winning_threshold = ExactDecimalField()
    position_cap = models.PositiveIntegerField()
    counting_band = ExactDecimalField(default="0.05")
    cash_assets = models.JSONField(default=list)
    protected_assets = models.JSONField(default=list)
    ignored_assets = models.JSONField(default=list)
    fee_assets = models.JSONField(default=list)
    sell_enabled = models.BooleanField()
    convert_enabled = models.BooleanField(default=True)
    max_threshold = ExactDecimalField()
    max_order_value = ExactDecimalField(null=True)
    max_plan_value = ExactDecimalField()
    max_plan_orders = models.PositiveIntegerField()
    snapshot_max_age = models.PositiveIntegerField(help_text="Seconds.")
    check_max_age = models.PositiveIntegerField(help_text="Seconds.")
    price_drift = ExactDecimalField()
    max_slippage = ExactDecimalField()
    minimum_margin = ExactDecimalField()
    limit_share = ExactDecimalField()
    plan_ttl = models.PositiveIntegerField(help_text="Seconds.")
    snapshot_interval = models.PositiveIntegerField(help_text="Seconds; 0: off.")
    approval_above = ExactDecimalField(null=True)
    note = models.CharField(max_length=200, blank=True, help_text="Why it was changed.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    threshold_since = models.DateTimeField(
        help_text="When the dust threshold became what it is, through however many versions."
    )

    class Meta:
        """Versions count up per account."""

        ordering = ["account", "-version"]
        verbose_name_plural = "dust policies"
        constraints = [
            models.UniqueConstraint(fields=["account", "version"], name="one_policy_per_version")
        ]

    def __str__(self) -> str:
        """Return the version as people say it."""
        return f"{self.account.slug} policy v{self.version}"

    def as_domain(self) -> Policy:
        """Return the frozen value that the domain decides by."""
        values: dict[str, Any] = {
            item.name: getattr(self, item.name)
            for item in fields(Policy)
            if item.name not in ASSET_LISTS
        }
        for name in ASSET_LISTS:
            values[name] = frozenset(getattr(self, name))
        return Policy(**values)
