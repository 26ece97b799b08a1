"""How absence is proved, exchange by exchange: each rule with its source and date."""

from positions.domain.absence import AbsenceRule

BINANCE = AbsenceRule(
    proof="signature validity",
    look_up="GET /api/v3/order by origClientOrderId",
    history="GET /api/v3/allOrders since the signing time",
    history_rows=1000,
    ahead_ms=1_000,
    margin_ms=1_000,
    apart_ms=2_000,
    # Timing security: refused when timestamp >= serverTime + 1000 ms or older than recvWindow, on
    # arrival and, since 2025-05, again right before the matching engine. Data sources: the look-up
    # reads "Memory => Database", allOrders "Database"; both may follow with a delay that is not
    # stated, so a margin and two look-ups.
    source="binance-spot-api-docs: rest-api.md (Timing security, Data Sources, Query order, All "
    "orders), CHANGELOG.md 2025-05-21",
    read="2026-11",
)
