"""Keep what an exchange said an account held at one moment."""

from decimal import Decimal
from typing import Any

from django.db import models

from positions.domain.amounts import canonical
from positions.domain.balances import Holding, Kind
from positions.domain.conversions import Offer
from positions.domain.markets import Market, SaleMarket, Ticker, TradingRule
from positions.domain.valuation import Doubt, Hop
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
    prices = models.JSONField(
        default=dict, help_text="USD prices of what sales and conversions pay in, and of fees."
    )
    conversion_problem = models.CharField(
        max_length=200, blank=True, help_text="Why the exchange did not say what it converts."
    )
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

    What is cash or dust is not stored: the policy in force says so when it is read. That it was
    counted is, so that what hovers around the threshold does not free and take a slot in turn.
    """

    snapshot = models.ForeignKey(Snapshot, on_delete=models.CASCADE, related_name="positions")
    asset = models.CharField(max_length=40)
    free = ExactDecimalField()
    locked = ExactDecimalField()
    kind = models.CharField(
        max_length=10, default=Kind.SPOT, choices=[(kind.value, kind.value) for kind in Kind]
    )
    debt = ExactDecimalField(default="0", help_text="Borrowed of it and to be paid back.")
    price_usd = ExactDecimalField(null=True)
    price_hops = models.JSONField(default=list, help_text="The markets it came through.")
    price_doubts = models.JSONField(default=list)
    price_problem = models.CharField(max_length=100, blank=True)
    price_is_stale = models.BooleanField(default=False)
    value_rank = models.BigIntegerField(null=True, help_text="Sorts as the value in USD does.")
    sales = models.JSONField(default=list, help_text="The markets where it could be sold.")
    offer = models.JSONField(null=True, help_text="What a conversion by the exchange would pay.")
    has_open_order = models.BooleanField(default=False)
    counted_at = ExactDecimalField(
        null=True, help_text="The dust threshold at which it was counted when it was read."
    )

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
        return holding_of({name: getattr(self, name) for name in HOLDING_FIELDS})


HOLDING_FIELDS = tuple(Holding.__dataclass_fields__)


def holding_of(row: dict[str, Any]) -> Holding:
    """Return the holding that these columns keep."""
    asset, offer = row["asset"], row["offer"]
    return Holding(
        **row
        | {
            "kind": Kind(row["kind"]),
            "price_hops": tuple(
                Hop(
                    symbol=symbol,
                    price=None if price is None else Decimal(price),
                    inverted=inverted,
                )
                for symbol, price, inverted in row["price_hops"]
            ),
            "price_doubts": tuple(Doubt(text) for text in row["price_doubts"]),
            "sales": tuple(_sale_of(asset, item) for item in row["sales"]),
            "offer": offer and Offer(asset=asset, **_amounts(offer)),
        }
    )


def columns_of(holding: Holding) -> dict[str, Any]:
    """Return what a row keeps of a holding: amounts inside JSON are canonical text."""
    offer = holding.offer
    columns = {name: getattr(holding, name) for name in HOLDING_FIELDS}
    return columns | {
        "price_hops": [
            [hop.symbol, None if hop.price is None else canonical(hop.price), hop.inverted]
            for hop in holding.price_hops
        ],
        "price_doubts": [doubt.value for doubt in holding.price_doubts],
        "sales": [_sale_columns(sale) for sale in holding.sales],
        "offer": offer
        and _texts({name: getattr(offer, name) for name in ("quantity", "gross", "fee", "net")}),
    }


def _sale_of(asset: str, item: dict[str, Any]) -> SaleMarket:
    amounts: dict[str, Any] = {
        name: None if item[name] is None else Decimal(item[name]) for name in _SALE_AMOUNTS
    }
    rule = {name: amounts[name] for name in TradingRule.__dataclass_fields__}
    ticker = None
    if item["has_ticker"]:
        ticker = Ticker(
            symbol=item["symbol"], **{name: amounts[name] for name in ("bid", "ask", "last")}
        )
    return SaleMarket(
        market=Market(
            symbol=item["symbol"],
            base=asset,
            quote=item["quote"],
            active=item["active"],
            delisted=item["delisted"],
            taker_fee=amounts["taker_fee"],
            rule=TradingRule(**rule),
        ),
        ticker=ticker,
        quote_price_usd=amounts["quote_price_usd"],
        deep_bid=amounts["deep_bid"],
    )


def _sale_columns(sale: SaleMarket) -> dict[str, Any]:
    market, ticker = sale.market, sale.ticker
    amounts = {name: getattr(market.rule, name) for name in TradingRule.__dataclass_fields__} | {
        "taker_fee": market.taker_fee,
        "quote_price_usd": sale.quote_price_usd,
        "deep_bid": sale.deep_bid,
        **{name: getattr(ticker, name, None) for name in ("bid", "ask", "last")},
    }
    return _texts(amounts) | {
        "symbol": market.symbol,
        "quote": market.quote,
        "active": market.active,
        "delisted": market.delisted,
        "has_ticker": ticker is not None,
    }


_SALE_AMOUNTS = (
    *TradingRule.__dataclass_fields__,
    *("taker_fee", "quote_price_usd", "deep_bid", "bid", "ask", "last"),
)


def _texts(amounts: dict[str, Decimal | None]) -> dict[str, Any]:
    return {name: None if amount is None else canonical(amount) for name, amount in amounts.items()}


def _amounts(texts: dict[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(text) for name, text in texts.items()}
