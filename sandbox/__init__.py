"""A stand-alone exchange on loopback that speaks a spot REST protocol, Binance's or Kraken's.

Start it with `python -m sandbox --port N --scenario NAME`. It shares no code with the product:
what it knows about orders, balances and limits is written down here independently, so that the
product's numbers can be checked against somebody else's books.

A request goes through `server`, `service` (faults, ledger) and the desk of the scenario's
protocol: `binance` with its calls beside it, or the package `kraken`. Books, matching, faults,
control and conservation are the same for both.
"""
