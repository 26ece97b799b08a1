"""Read what a person found out at the exchange about an order; a sentence at each wrong field."""

from decimal import Decimal
from typing import Any

from django import forms

from positions.domain.amounts import BadAmount, canonical, typed
from positions.domain.resolutions import (
    LONGEST_REASON,
    BadFinding,
    Finding,
    Sale,
    check_finding,
)
from positions.models import CloseOrder
from positions.selectors.orders import done_with

_NUMBER = {"inputmode": "decimal", "autocomplete": "off"}


class ResolutionForm(forms.Form):
    """What a person found out at the exchange about an order whose end it does not tell."""

    found = forms.ChoiceField(
        label="What you found",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what you found."},
    )
    quantity = forms.CharField(required=False, widget=forms.TextInput(_NUMBER))
    average_price = forms.CharField(
        required=False,
        widget=forms.TextInput(_NUMBER),
    )
    fee = forms.CharField(
        required=False,
        label="Fee, if you know it",
        help_text="Without it the net proceeds stay unknown.",
        widget=forms.TextInput(_NUMBER),
    )
    fee_currency = forms.CharField(required=False, label="Currency of the fee")
    reason = forms.CharField(
        required=False,  # the domain has the sentence
        label="Why you are sure",
        help_text="For the history: where you looked, and what stands there.",
        widget=forms.Textarea({"rows": 3, "maxlength": LONGEST_REASON}),
    )

    def __init__(self, *args: Any, order: CloseOrder, **kwargs: Any) -> None:
        """Ask about one order."""
        super().__init__(*args, **kwargs)
        self._order = order
        done, sent = done_with(order), canonical(order.sent_quantity or order.quantity)
        self.fields["quantity"].label = f"Quantity {done}, {order.asset}"
        self.fields["quantity"].help_text = f"Of the whole order: {sent} was sent."
        self.fields["average_price"].label = f"Average price, {order.quote}"
        self.fields["average_price"].help_text = (
            "As the order history shows it."
            if order.symbol
            else f"{order.quote} before the charge, for one {order.asset}."
        )
        self.fields["fee_currency"].help_text = f"For example {order.quote}."
        choices = [("nothing", f"Nothing was {done}"), ("sold", f"It was {done}")]
        if order.filled_quantity:
            proved = canonical(order.filled_quantity)
            choices = [
                ("nothing", f"No more than the {proved} reported was {done}"),
                ("sold", f"More was {done}"),
            ]
        self.fields["found"].choices = choices  # type: ignore[attr-defined]  # a choice field

    def clean(self) -> dict[str, Any]:
        """Read the amounts and see whether they can be true of the order."""
        values = super().clean() or {}
        sale = self._sale(values) if values.get("found") == "sold" else None
        self.finding = Finding(sale=sale, reason=" ".join(values.get("reason", "").split()))
        order = self._order
        try:
            check_finding(
                self.finding,
                sent=order.sent_quantity or order.quantity,
                proved=order.filled_quantity,
            )
        except BadFinding as error:
            self.refuse(error)
        return values

    def refuse(self, error: BadFinding) -> None:
        """Put each sentence to its field."""
        for name, sentence in error.problems.items():
            self.add_error(name, sentence)

    def _sale(self, values: dict[str, Any]) -> Sale | None:
        quantity = self._amount("quantity", values, name="the quantity")
        price = self._amount("average_price", values, name="the average price")
        fee = self._amount("fee", values, name="the fee") if values.get("fee") else None
        if quantity is None or price is None or self.errors:
            return None
        return Sale(
            quantity=quantity,
            average_price=price,
            fee=fee,
            fee_currency=values.get("fee_currency", "").upper(),
        )

    def _amount(self, field: str, values: dict[str, Any], *, name: str) -> Decimal | None:
        try:
            return typed(values.get(field, ""), name=name)
        except BadAmount as error:
            self.add_error(field, str(error))
            return None
