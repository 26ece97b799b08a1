"""Find what each asset is worth in USD, and say why when nobody can tell.

Every value rests on an anchor: the account's quote asset, taken as 1.00 USD. An asset is priced
in a two-sided market against the anchor, against another priced cash asset, or through one
bridge asset (ALT -> BTC -> USDT). A missing price stays missing: it is never zero and never one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from statistics import median_low

from positions.domain.markets import Market, Ticker

ONE = Decimal(1)
BRIDGES = ("BTC", "ETH", "BNB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One asset's USD price and the markets it came through; or the problem."""

    usd: Decimal | None
    path: tuple[str, ...] = ()
    problem: str = ""


def _within_book(ticker: Ticker) -> Decimal:
    """Return the last price, held between bid and ask: an old trade says nothing about today."""
    if ticker.last is None or ticker.bid is None or ticker.ask is None:
        raise ValueError(f"{ticker.symbol} has no two-sided book")
    return min(max(ticker.last, ticker.bid), ticker.ask)


def unpriced(problem: str) -> Price:
    """Return that nobody can say what the asset is worth, and why."""
    return Price(usd=None, problem=problem)


class PriceList:
    """Price assets from one reading of markets and tickers."""

    def __init__(
        self,
        *,
        anchor: str,
        cash_assets: Iterable[str],
        markets: Mapping[str, Market],
        tickers: Mapping[str, Ticker],
    ) -> None:
        """Take the anchor as 1.00 USD and remember where everything else is traded."""
        self._anchor = anchor
        self._tickers = tickers
        self._by_pair = {(market.base, market.quote): market for market in markets.values()}
        self._cash = [anchor, *(asset for asset in sorted(cash_assets) if asset != anchor)]
        self._known: dict[str, Price] = {anchor: Price(usd=ONE)}

    def price(self, asset: str) -> Price:
        """Return the asset's USD price, from the most direct two-sided market."""
        if asset not in self._known:
            self._known[asset] = self._found(asset)
        return self._known[asset]

    def _found(self, asset: str) -> Price:
        listed = False
        for quote in (*self._cash, *BRIDGES):
            if quote == asset:
                continue
            market = self._by_pair.get((asset, quote))
            if market is None:
                continue
            listed = True
            ticker = self._tickers.get(market.symbol)
            if ticker is None or not ticker.two_sided or ticker.last is None:
                continue
            in_usd = self._quote_price(quote)
            if in_usd.usd is not None:
                return Price(
                    usd=_within_book(ticker) * in_usd.usd, path=(market.symbol, *in_usd.path)
                )
        if listed:
            return unpriced("Its markets have no buyers, no sellers or no trades.")
        return unpriced("It has no market here that leads to a known price.")

    def _quote_price(self, quote: str) -> Price:
        """Price a quote asset against the anchor directly: one hop, so no loop is possible."""
        if quote == self._anchor:
            return self._known[quote]
        for pair, inverse in (((quote, self._anchor), False), ((self._anchor, quote), True)):
            market = self._by_pair.get(pair)
            ticker = self._tickers.get(market.symbol) if market else None
            if market is not None and ticker is not None and ticker.two_sided:
                price = _within_book(ticker)
                return Price(usd=ONE / price if inverse else price, path=(market.symbol,))
        return unpriced("Its quote asset has no price.")

    def anchor_deviation(self, stablecoins: Iterable[str]) -> Decimal | None:
        """Return how far the anchor is off the other stablecoins here, as a share; None: unknown.

        The median decides: one coin that lost its peg says nothing about the anchor.
        """
        ratios = [
            price.usd
            for asset in stablecoins
            if asset != self._anchor and (price := self._quote_price(asset)).usd is not None
        ]
        deviations = [abs(ratio - ONE) for ratio in ratios if ratio is not None]
        return median_low(deviations) if deviations else None
