"""Hold what the team chose: thresholds, cap, lists and guards of one account."""

from dataclasses import dataclass, fields
from decimal import Decimal

from positions.domain.amounts import canonical

# Fiat and dollar stablecoins. Never a position, whatever they are worth.
DOLLAR_STABLECOINS = frozenset(
    {"USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USDP", "PYUSD", "USD1"}
)
DEFAULT_CASH_ASSETS = DOLLAR_STABLECOINS | frozenset(
    {"USD", "EUR", "GBP", "JPY", "CHF", "AUD", "CAD", "BRL", "TRY", "EURI"}
)
# They pay the exchange's fees; selling the last of them would make every later fee dearer.
DEFAULT_FEE_ASSETS = frozenset(["BNB", "KCS", "OKB", "GT", "BGB", "MX", "HT", "CRO", "LEO"])
# The thresholds that the analysis always shows beside the policy's own, USD.
SHOWN_THRESHOLDS = tuple(Decimal(text) for text in ("0.001", "0.01", "0.50", "1", "5"))
# max_order_value, unless set: room for the drift between a snapshot and the order.
ORDER_VALUE_ROOM = Decimal("1.05")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One version of an account's policy. Values are USD, shares are fractions of 1."""

    version: int = 1
    dust_threshold: Decimal = Decimal("1.00")
    winning_threshold: Decimal = Decimal("5.00")
    position_cap: int = 8
    # What was counted stays so down to the threshold less this share of it.
    counting_band: Decimal = Decimal("0.05")
    cash_assets: frozenset[str] = DEFAULT_CASH_ASSETS
    protected_assets: frozenset[str] = frozenset()
    ignored_assets: frozenset[str] = frozenset()
    fee_assets: frozenset[str] = DEFAULT_FEE_ASSETS
    sell_enabled: bool = True
    convert_enabled: bool = True
    max_threshold: Decimal = Decimal("10.00")
    max_order_value: Decimal | None = None  # None: the threshold x 1.05
    max_plan_value: Decimal = Decimal("50.00")
    max_plan_orders: int = 300
    snapshot_max_age: int = 300  # seconds
    check_max_age: int = 5  # seconds
    price_drift: Decimal = Decimal("0.02")
    max_slippage: Decimal = Decimal("0.01")
    minimum_margin: Decimal = Decimal("0.02")
    limit_share: Decimal = Decimal("0.5")
    plan_ttl: int = 900  # seconds
    snapshot_interval: int = 60  # seconds, 0: off
    approval_above: Decimal | None = None  # None: no second person needed

    @property
    def stablecoins(self) -> frozenset[str]:
        """Return the cash assets that are meant to be worth one dollar."""
        return self.cash_assets & DOLLAR_STABLECOINS

    def order_value_limit(self, threshold: Decimal) -> Decimal:
        """Return the highest value one order may have, USD."""
        if self.max_order_value is not None:
            return self.max_order_value
        return threshold * ORDER_VALUE_ROOM


class GuardBroken(Exception):
    """A guard of the policy refuses: the field, its value and what was asked."""

    def __init__(self, *, field_name: str, limit: str, asked: str) -> None:
        """Keep the three facts and say them in one sentence."""
        super().__init__(f"The policy's {field_name} is {limit}; this asks for {asked}.")
        self.field_name = field_name
        self.limit = limit
        self.asked = asked


def check_threshold(threshold: Decimal, policy: Policy) -> None:
    """Raise `GuardBroken` unless a plan or a policy may use this dust threshold."""
    if threshold > policy.max_threshold:
        raise GuardBroken(
            field_name="max_threshold",
            limit=canonical(policy.max_threshold),
            asked=canonical(threshold),
        )


def problems(policy: Policy) -> dict[str, str]:
    """Return a sentence for every field whose value makes no sense, by field name."""
    found: dict[str, str] = {}
    comparable = True
    for item in fields(policy):
        value = getattr(policy, item.name)
        if isinstance(value, Decimal) and not value.is_finite():
            found[item.name] = "It must be a finite number."
            comparable = False
        elif isinstance(value, Decimal | int) and not isinstance(value, bool) and value < 0:
            found[item.name] = "It can't be negative."
    if not comparable:
        return found
    for name in ("dust_threshold", "winning_threshold", "max_threshold", "max_plan_value"):
        if getattr(policy, name) == 0:
            found.setdefault(name, "It must be above zero.")
    for name in ("counting_band", "price_drift", "max_slippage", "minimum_margin"):
        if getattr(policy, name) >= 1:
            found.setdefault(name, "It is a share and must stay below 1.")
    if not 0 < policy.limit_share <= 1:
        found.setdefault("limit_share", "It is a share of the exchange's limits: above 0, up to 1.")
    if policy.position_cap < 1:
        found.setdefault("position_cap", "There must be at least one slot.")
    if policy.max_plan_orders < 1:
        found.setdefault("max_plan_orders", "A plan needs at least one order.")
    if policy.max_order_value == 0:
        found.setdefault("max_order_value", "It must be above zero.")
    if policy.dust_threshold > policy.max_threshold:
        found.setdefault(
            "dust_threshold", f"The guard max_threshold allows at most {policy.max_threshold}."
        )
    for name, most in (
        ("position_cap", 10_000),
        ("snapshot_max_age", 86_400),
        ("check_max_age", 60),
        ("plan_ttl", 86_400),
        ("snapshot_interval", 86_400),
        ("max_plan_orders", 10_000),
    ):
        if getattr(policy, name) > most:
            found.setdefault(name, f"It can't be above {most}.")
    for name in ("snapshot_max_age", "check_max_age", "plan_ttl"):
        if getattr(policy, name) < 1:
            found.setdefault(name, "It must be at least one second.")
    return found
