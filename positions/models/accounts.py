"""Keep exchange accounts and their encrypted credentials."""

from django.conf import settings
from django.db import models


class Environment(models.TextChoices):
    """What kind of money an account holds."""

    SANDBOX = "sandbox", "Sandbox"
    TESTNET = "testnet", "Testnet"
    LIVE = "live", "Live"


class ExchangeAccount(models.Model):
    """One set of credentials at one exchange and one base URL."""

    slug = models.SlugField(max_length=60, unique=True)
    exchange = models.CharField(max_length=40, help_text="The exchange's ccxt id.")
    environment = models.CharField(
        max_length=10, choices=Environment.choices, default=Environment.SANDBOX
    )
    base_url = models.CharField(
        max_length=200, blank=True, help_text="Empty: the exchange's own hosts."
    )
    quote = models.CharField(max_length=20, default="USDT")
    # Fernet tokens of a JSON document; never shown, never logged.
    credentials = models.BinaryField(editable=False)
    key_fingerprint = models.CharField(max_length=64)
    key_checked_at = models.DateTimeField(null=True)
    # Stands for the exchange's own id of the account; empty where it does not tell.
    owner_fingerprint = models.CharField(max_length=64, blank=True)
    read_since = models.DateTimeField(
        null=True, help_text="What was read before is of another account at the exchange."
    )
    conversions_at = models.JSONField(
        default=list, help_text="When its small balances were converted lately, by anybody."
    )
    is_enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=200, blank=True)
    disabled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    disabled_by_name = models.CharField(max_length=150, blank=True)
    disabled_at = models.DateTimeField(null=True)
    unverified_accepted_at = models.DateTimeField(
        null=True,
        help_text="When a person accepted that orders are not verified at this exchange.",
    )
    unverified_accepted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    snapshot_due_at = models.DateTimeField(null=True, help_text="Asked for by a person or a plan.")
    snapshot_claimed_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        """The same key is accepted once per exchange and base URL."""

        ordering = ["slug"]
        # What each of them allows, and which group has it: positions/services/permissions.py.
        permissions = [
            ("view_panel", "Can see accounts, plans and history"),
            ("take_snapshot", "Can ask for a snapshot"),
            ("change_threshold", "Can change the dust threshold and the asset lists"),
            ("draft_plan", "Can draft a cleanup plan"),
            ("start_plan", "Can start a plan on an account without live money"),
            ("stop_trading", "Can pause and halt plans and press the kill switch"),
            ("approve_plan", "Can approve plans and start them on live accounts"),
            ("release_halt", "Can release the kill switch"),
            ("resolve_order", "Can close an unknown order by hand"),
            ("change_policy", "Can change every field of a policy"),
            ("connect_account", "Can connect exchange accounts"),
            ("lease_slot", "Can end the leases of bots"),
            ("claim_asset", "Can give back what bots have claimed"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["exchange", "base_url", "key_fingerprint"],
                name="one_account_per_key",
            )
        ]

    def __str__(self) -> str:
        """Return the slug, which people use as its name."""
        return self.slug

    @property
    def needs_person(self) -> bool:
        """Tell whether the product itself took it out of use, so that somebody has to look."""
        return not self.is_enabled and self.disabled_by_id is None

    @property
    def exchange_name(self) -> str:
        """Return the exchange's name as people write it."""
        if self.environment == Environment.SANDBOX:
            return "Sandbox"
        return EXCHANGE_NAMES.get(self.exchange, self.exchange.capitalize())


EXCHANGE_NAMES = {
    "binance": "Binance",
    "okx": "OKX",
    "bybit": "Bybit",
    "kraken": "Kraken",
    "coinbase": "Coinbase",
    "kucoin": "KuCoin",
}
