"""Say what each field of a policy means: its unit, one sentence, and whether it is a daily matter.

The policy page shows these sentences; nothing here decides anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from positions.domain.amounts import canonical
from positions.domain.policies import Policy


class Unit(StrEnum):
    """What a field's value is measured in, as people read it."""

    USD = "USD"
    SHARE = "a share: 0.02 is 2%"
    SECONDS = "seconds"
    SLOTS = "slots"
    NUMBER = "a number"
    ASSETS = "codes with commas"
    SWITCH = "on or off"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyField:
    """One field as a person meets it."""

    name: str
    label: str
    unit: Unit
    meaning: str
    daily: bool = False  # an operator may change it; everything else is the administrator's
    empty: str = ""  # what leaving it empty means; "": it must have a value


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldGroup:
    """Fields that a person thinks of together."""

    title: str
    fields: Sequence[PolicyField]


GROUPS: Sequence[FieldGroup] = (
    FieldGroup(
        title="Thresholds and cap",
        fields=(
            PolicyField(
                name="dust_threshold",
                label="Dust threshold",
                unit=Unit.USD,
                meaning="A position worth less is dust: it takes no slot and may be closed.",
                daily=True,
            ),
            PolicyField(
                name="winning_threshold",
                label="Winning threshold",
                unit=Unit.USD,
                meaning="A position worth this or more is called winning, whatever its profit.",
            ),
            PolicyField(
                name="position_cap",
                label="Position cap",
                unit=Unit.SLOTS,
                meaning="So many positions may count at once; what is left of it is free.",
            ),
            PolicyField(
                name="counting_band",
                label="Counting band",
                unit=Unit.SHARE,
                meaning="What was counted stays so until it is worth this much less than the dust "
                "threshold.",
            ),
        ),
    ),
    FieldGroup(
        title="Lists",
        fields=(
            PolicyField(
                name="protected_assets",
                label="Protected assets",
                unit=Unit.ASSETS,
                meaning="Never sold; whether one takes a slot goes by its value.",
                daily=True,
            ),
            PolicyField(
                name="ignored_assets",
                label="Ignored assets",
                unit=Unit.ASSETS,
                meaning="Never sold, and no slot is taken until one is worth the dust threshold.",
                daily=True,
            ),
            PolicyField(
                name="cash_assets",
                label="Cash assets",
                unit=Unit.ASSETS,
                meaning="Fiat and stablecoins: never a position, never sold.",
            ),
            PolicyField(
                name="fee_assets",
                label="Fee assets",
                unit=Unit.ASSETS,
                meaning="They pay the exchange's fees, so they are never sold.",
            ),
        ),
    ),
    FieldGroup(
        title="Routes",
        fields=(
            PolicyField(
                name="sell_enabled",
                label="Sell",
                unit=Unit.SWITCH,
                meaning="Dust may be sold by market orders.",
            ),
            PolicyField(
                name="convert_enabled",
                label="Convert",
                unit=Unit.SWITCH,
                meaning="Dust may be converted by the exchange, where it offers that.",
            ),
        ),
    ),
    FieldGroup(
        title="Guards",
        fields=(
            PolicyField(
                name="max_threshold",
                label="Highest dust threshold",
                unit=Unit.USD,
                meaning="No policy and no plan may use a dust threshold above this.",
            ),
            PolicyField(
                name="max_order_value",
                label="Highest value of an order",
                unit=Unit.USD,
                meaning="A position that is worth more when its order is due is not sold.",
                empty="the threshold x 1.05",
            ),
            PolicyField(
                name="max_plan_value",
                label="Highest value of a plan",
                unit=Unit.USD,
                meaning="A plan whose orders are worth more together is not drafted.",
            ),
            PolicyField(
                name="max_plan_orders",
                label="Most orders of a plan",
                unit=Unit.NUMBER,
                meaning="A plan with more orders is not drafted.",
            ),
            PolicyField(
                name="approval_above",
                label="Second person above",
                unit=Unit.USD,
                meaning="A plan worth more needs an approver who did not draft it.",
                empty="never needed",
            ),
            PolicyField(
                name="price_drift",
                label="Price drift",
                unit=Unit.SHARE,
                meaning="A plan expires when a price has moved further since its snapshot.",
            ),
            PolicyField(
                name="max_slippage",
                label="Highest slippage",
                unit=Unit.SHARE,
                meaning="Nothing is sold when the best bid is further below the last price.",
            ),
            PolicyField(
                name="minimum_margin",
                label="Room above the exchange minimum",
                unit=Unit.SHARE,
                meaning="An order must be worth the exchange minimum and this much more.",
            ),
        ),
    ),
    FieldGroup(
        title="Pace and freshness",
        fields=(
            PolicyField(
                name="snapshot_interval",
                label="Time between snapshots",
                unit=Unit.SECONDS,
                meaning="The account is read this often by itself; 0 means only when asked for.",
            ),
            PolicyField(
                name="snapshot_max_age",
                label="Longest age of a snapshot",
                unit=Unit.SECONDS,
                meaning="With an older snapshot the slots are unknown and no plan is drafted.",
            ),
            PolicyField(
                name="check_max_age",
                label="Longest age of the last check",
                unit=Unit.SECONDS,
                meaning="What was read before an order may be this old when the order leaves.",
            ),
            PolicyField(
                name="plan_ttl",
                label="Life of a draft",
                unit=Unit.SECONDS,
                meaning="A plan that nobody has started by then expires.",
            ),
            PolicyField(
                name="limit_share",
                label="Share of the rate limits",
                unit=Unit.SHARE,
                meaning="So much of the exchange's limits is used; the rest is left to the bots.",
            ),
        ),
    ),
)

FIELDS: dict[str, PolicyField] = {field.name: field for group in GROUPS for field in group.fields}


def written(field: PolicyField, value: Any) -> str:
    """Return a value as a person writes it into the field; empty where nothing is set."""
    if value is None:
        return ""
    if field.unit is Unit.ASSETS:
        return ", ".join(sorted(value))
    if field.unit is Unit.SWITCH:
        return "true" if value else "false"
    if field.unit is Unit.USD:
        # Cents, and every digit beyond them.
        return max(canonical(value), f"{value:.2f}", key=len)
    return canonical(value) if isinstance(value, Decimal) else str(value)


def told(field: PolicyField, value: Any) -> str:
    """Return a value as a person reads it: never blank."""
    if value is None:
        return field.empty
    if field.unit is Unit.SWITCH:
        return "on" if value else "off"
    text = written(field, value) or "none"
    if field.unit is Unit.USD:
        return f"${text}"
    if field.unit is Unit.SECONDS:
        return f"{text} s"
    return f"{text} ({canonical(value * 100)}%)" if field.unit is Unit.SHARE else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field that differs between two versions of a policy."""

    field: PolicyField
    before: Any
    after: Any

    @property
    def sentence(self) -> str:
        """Return the change in words: what was added and taken off, or from what to what."""
        if self.field.unit is not Unit.ASSETS:
            before, after = told(self.field, self.before), told(self.field, self.after)
            return f"{self.field.label} from {before} to {after}"
        added, gone = sorted(self.after - self.before), sorted(self.before - self.after)
        parts = [f"{', '.join(added)} added"] if added else []
        parts += [f"{', '.join(gone)} taken off"] if gone else []
        return f"{self.field.label}: {', '.join(parts)}"


def differences(before: Policy, after: Policy) -> list[Difference]:
    """Return the fields whose values differ, in the order in which people meet them."""
    return [
        Difference(field=field, before=old, after=new)
        for name, field in FIELDS.items()
        if (old := getattr(before, name)) != (new := getattr(after, name))
    ]
