"""A stand-alone exchange on loopback that speaks Binance's spot REST protocol.

Start it with `python -m sandbox --port N --scenario NAME`. It shares no code with the product:
what it knows about orders, balances and limits is written down here independently, so that the
product's numbers can be checked against somebody else's books.
"""
