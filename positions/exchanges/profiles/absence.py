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
    # arrival and again right before it goes to the matching engine. Data sources: the look-up
    # reads "Memory => Database", allOrders "Database"; both may follow with a delay that is not
    # stated, so a margin and two look-ups.
    source="binance-spot-api-docs: rest-api.md (Timing security, Data Sources); the second check, "
    "Query order and All orders as copied in github.com/arakinyemi/exchange-api-docs (2025)",
    read="2026-11",
)
