"""Keep closing orders, each request made for them, and every fill."""

from django.db import models
from django.db.models import Q

from positions.domain.orders import CLOSED, OrderState, Trade
from positions.domain.verdicts import Route
from positions.models.accounts import ExchangeAccount
from positions.models.fields import ExactDecimalField
from positions.models.plans import CleanupPlan

ORDER_STATES = [(state.value, state.value.replace("_", " ").capitalize()) for state in OrderState]
NOT_CLOSED = ~Q(status__in=sorted(CLOSED))


class CloseOrder(models.Model):
    """One position to close by one route."""

    plan = models.ForeignKey(CleanupPlan, on_delete=models.PROTECT, related_name="orders")
    account = models.ForeignKey(ExchangeAccount, on_delete=models.PROTECT, related_name="orders")
    number = models.PositiveIntegerField()
    asset = models.CharField(max_length=40)
    symbol = models.CharField(max_length=60, blank=True, help_text="Empty for a conversion.")
    quote = models.CharField(max_length=20, help_text="What comes back.")
    route = models.CharField(max_length=10, choices=[(item.value, item.value) for item in Route])
    # On the wire for every attempt of this order; the exchange is asked by it. A conversion's
    # orders have none of their own.
    client_order_id = models.CharField(max_length=36, unique=True, null=True)
    conversion = models.ForeignKey(
        "Conversion", null=True, on_delete=models.PROTECT, related_name="orders"
    )
    status = models.CharField(max_length=20, choices=ORDER_STATES, default=OrderState.PLANNED)
    reason = models.CharField(max_length=30, blank=True)
    message = models.CharField(max_length=300, blank=True)
    # Planned
    quantity = ExactDecimalField()
    price = ExactDecimalField()
    value_usd = ExactDecimalField()
    expected_fee_usd = ExactDecimalField()
    expected_slippage_usd = ExactDecimalField()
    expected_net_usd = ExactDecimalField()
    # Actual, from the exchange's fills
    sent_quantity = ExactDecimalField(null=True)
    filled_quantity = ExactDecimalField(default="0")
    notional = ExactDecimalField(default="0")
    average_price = ExactDecimalField(null=True)
    fee = ExactDecimalField(null=True)
    fee_currency = models.CharField(max_length=20, blank=True)
    net_usd = ExactDecimalField(null=True)
    exchange_order_id = models.CharField(max_length=64, blank=True)
    # Work: what is due, and who has it until when
    due_at = models.DateTimeField(null=True, help_text="When something must be done about it.")
    claim_token = models.CharField(max_length=32, blank=True)
    claimed_until = models.DateTimeField(null=True)
    # Looking for an order whose answer is unknown
    unknown_since = models.DateTimeField(null=True)
    lookups = models.PositiveIntegerField(default=0)
    absent_since = models.DateTimeField(null=True, help_text="First not found after its validity.")
    waits_for_person = models.BooleanField(default=False)
    change = models.PositiveBigIntegerField(default=0, help_text="Counts up per plan; a cursor.")
    updated_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    class Meta:
        """One order per account and asset that is not closed, an unknown one included."""

        ordering = ["plan", "number"]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "asset"], condition=NOT_CLOSED, name="one_open_order_per_asset"
            ),
            models.UniqueConstraint(fields=["plan", "number"], name="orders_are_numbered"),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=NOT_CLOSED, name="due_orders"),
            models.Index(fields=["plan", "change"], name="changed_orders"),
        ]

    def __str__(self) -> str:
        """Return the asset and the plan."""
        return f"{self.asset} in plan {self.plan_id}"

    @property
    def state(self) -> OrderState:
        """Return the status as the domain's state."""
        return OrderState(self.status)

    @property
    def is_open_for_long(self) -> bool:
        """Tell whether it waits for a person because the exchange goes on listing it as open."""
        return self.waits_for_person and self.unknown_since is None


class AnswerClass(models.TextChoices):
    """What one request's answer means."""

    PENDING = "PENDING", "No answer yet"
    ACCEPTED = "ACCEPTED", "Accepted"
    REJECTED = "REJECTED", "Rejected"
    NOT_PLACED = "NOT_PLACED", "Certainly not placed"
    UNKNOWN = "UNKNOWN", "Unknown"


class ExchangeRequest(models.Model):
    """One request that changes something at the exchange, committed before it is sent."""

    claim_token = models.CharField(max_length=32)
    # The request is signed with this moment, on the exchange's clock, however late it leaves.
    signed_at_ms = models.BigIntegerField()
    valid_until_ms = models.BigIntegerField()
    sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    answer = models.CharField(
        max_length=12, choices=AnswerClass.choices, default=AnswerClass.PENDING
    )
    answer_code = models.CharField(max_length=60, blank=True)
    answer_text = models.TextField(blank=True, help_text="The exchange's words, without secrets.")
    request = models.JSONField(default=dict, help_text="Without key and signature.")
    wire = models.JSONField(
        default=dict,
        help_text="How it went over the wire and was answered, without key and signature.",
    )
    created_at = models.DateTimeField()

    class Meta:
        """What attempts and conversions share."""

        abstract = True


class Attempt(ExchangeRequest):
    """One request for one order."""

    order = models.ForeignKey(CloseOrder, on_delete=models.PROTECT, related_name="attempts")
    number = models.PositiveIntegerField()
    quantity = ExactDecimalField()

    class Meta:
        """In the order they were made."""

        ordering = ["order", "number"]
        constraints = [
            models.UniqueConstraint(fields=["order", "number"], name="attempts_are_numbered")
        ]

    def __str__(self) -> str:
        """Return which attempt of which order."""
        return f"Attempt {self.number} of order {self.order_id}"


class Conversion(ExchangeRequest):
    """The one request that converts a plan's small balances, shared by its orders."""

    plan = models.ForeignKey(CleanupPlan, on_delete=models.PROTECT, related_name="conversions")
    number = models.PositiveIntegerField()
    target = models.CharField(max_length=20)
    # Ours, where the exchange takes one; the exchange's own, where it quotes first.
    client_id = models.CharField(max_length=36, unique=True)
    reference = models.CharField(max_length=64, blank=True)

    class Meta:
        """In the order they were made; one that was certainly not made may be followed."""

        ordering = ["plan", "number"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "number"], name="conversions_are_numbered")
        ]

    def __str__(self) -> str:
        """Return which conversion of which plan."""
        return f"Conversion {self.number} of plan {self.plan_id}"


class Fill(models.Model):
    """One trade of one order, as the exchange reports it."""

    order = models.ForeignKey(CloseOrder, on_delete=models.PROTECT, related_name="fills")
    trade_id = models.CharField(max_length=64)
    price = ExactDecimalField()
    quantity = ExactDecimalField()
    fee = ExactDecimalField()
    fee_currency = models.CharField(max_length=20)
    at = models.DateTimeField()

    class Meta:
        """A trade is stored once, however often it is reported."""

        ordering = ["order", "at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["order", "trade_id"], name="one_row_per_trade")
        ]

    def __str__(self) -> str:
        """Return the trade's id."""
        return self.trade_id

    def as_domain(self) -> Trade:
        """Return the frozen value that the domain computes with."""
        return Trade(
            trade_id=self.trade_id,
            price=self.price,
            quantity=self.quantity,
            fee=self.fee,
            fee_currency=self.fee_currency,
            at_ms=int(self.at.timestamp() * 1000),
        )
