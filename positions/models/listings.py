"""Keep which assets an exchange trades, as an account's last reading found them."""

from django.db import models

from positions.models.accounts import ExchangeAccount


class Listing(models.Model):
    """What bots may name beside what the account holds: whatever has a market there."""

    account = models.OneToOneField(
        ExchangeAccount, primary_key=True, on_delete=models.CASCADE, related_name="listing"
    )
    assets = models.JSONField(default=list)
    read_at = models.DateTimeField()

    def __str__(self) -> str:
        """Return whose it is."""
        return f"What {self.account_id} could hold"
