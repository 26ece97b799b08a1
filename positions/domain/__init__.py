"""Decide, with the standard library only: values in, values out, no clock, no database.

Money and quantities are `Decimal`. The default of 28 digits would round the sum of two exact
28-digit quantities, so every thread that imports this package computes with 60.
"""

import decimal

PRECISION = 60

decimal.DefaultContext.prec = PRECISION
decimal.setcontext(decimal.Context(prec=PRECISION))
