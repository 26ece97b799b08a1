"""What a person found out about an order at the exchange, and whether that can be true of it."""

from dataclasses import dataclass
from decimal import Decimal

from positions.domain.amounts import ZERO, canonical

LONGEST_REASON = 200
LONGEST_CODE = 20


class BadFinding(ValueError):
    """What was recorded can't be true of the order; `problems` has a sentence for each field."""

    def __init__(self, problems: dict[str, str]) -> None:
        """Keep a sentence for each field."""
        super().__init__(" ".join(problems.values()))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """What was sold, as the exchange's own pages show it to a person."""

    quantity: Decimal  # base, of the whole order
    average_price: Decimal  # quote
    fee: Decimal | None = None  # in fee_currency; None if it is not known
    fee_currency: str = ""

    @property
    def notional(self) -> Decimal:
        """Return what the sale brought before fees, quote."""
        return self.quantity * self.average_price


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A sale, or (None) that nothing more was sold than is proved; and why the person is sure."""

    sale: Sale | None
    reason: str


def check_finding(finding: Finding, *, sent: Decimal, proved: Decimal) -> None:
    """Raise `BadFinding` unless it can be true of an order.

    `sent` is the quantity that was sent, `proved` what the exchange's trades show already; base.
    """
    problems = {}
    sale = finding.sale
    if sale is not None:
        if sale.quantity <= proved:
            problems["quantity"] = (
                f"Enter more than the {canonical(proved)} that the exchange has reported."
                if proved
                else "Enter a quantity above zero."
            )
        elif sale.quantity > sent:
            problems["quantity"] = f"Enter at most {canonical(sent)}: no more was sent."
        if sale.average_price <= ZERO:
            problems["average_price"] = "Enter a price above zero."
        if sale.fee is not None and sale.fee < ZERO:
            problems["fee"] = "Enter a fee of zero or more."
        code = sale.fee_currency
        if code and not (code.isascii() and code.isalnum() and len(code) <= LONGEST_CODE):
            problems["fee_currency"] = "Enter one currency, for example USDT."
        if sale.fee is not None and not sale.fee_currency:
            problems["fee_currency"] = "Enter the currency of the fee, for example USDT."
        if sale.fee is None and sale.fee_currency:
            problems["fee"] = f"Enter the fee in {sale.fee_currency}, or leave both empty."
    if not finding.reason:
        problems["reason"] = "Say why you are sure, so that the next person understands."
    elif len(finding.reason) > LONGEST_REASON:
        problems["reason"] = f"Say it in at most {LONGEST_REASON} characters."
    if problems:
        raise BadFinding(problems)
