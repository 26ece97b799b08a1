"""Say an analysis and a plan in text, with the numbers of the JSON."""

from collections.abc import Iterable
from decimal import Decimal

from positions.domain.amounts import canonical
from positions.domain.classification import ClassifiedPosition
from positions.domain.orders import OrderState
from positions.domain.verdicts import Category
from positions.management.console import Column, Writer
from positions.models import CloseOrder
from positions.selectors.analysis import Analysis, by_value
from positions.selectors.plans import PlanView, skipped_json
from positions.templatetags.formats import (
    age,
    price,
    quantity,
    signed_usd4,
    usd,
    usd4,
    utc_date,
)

LEAST_SHOWN = Decimal("0.0001")  # USD; smaller differences round away beside the totals


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def write_analysis(writer: Writer, analysis: Analysis) -> None:
    """Write everything that the JSON of the analysis has."""
    slots, counts = analysis.slots, analysis.counts
    writer.line(
        f"{analysis.account.slug} at {analysis.account.exchange}, read "
        f"{utc_date(analysis.snapshot.taken_at)} ({age(analysis.age)}), "
        f"anchor: {analysis.snapshot.anchor}"
    )
    if analysis.anchor_problem:
        writer.line(analysis.anchor_problem)
    writer.line(
        f"Policy v{analysis.policy.version}: dust below "
        f"${canonical(analysis.policy.dust_threshold)}, winning from "
        f"${canonical(analysis.policy.winning_threshold)}, cap {analysis.policy.position_cap}"
    )
    if analysis.threshold != analysis.policy.dust_threshold:
        writer.line(f"Shown with a dust threshold of ${canonical(analysis.threshold)}")
    writer.line(
        f"{counted(len(analysis.positions), 'position')}: {counts[Category.WINNING]} winning, "
        f"{counts[Category.SMALL]} small, {counts[Category.DUST]} dust, "
        f"{counts[Category.UNPRICED]} unpriced"
    )
    over = f", over cap by {slots.over_cap}" if slots.over_cap else ""
    writer.line(f"Slots: {slots.used} of {slots.cap} used, {slots.available} available{over}")
    writer.line(
        f"Value: {usd(analysis.total_usd)} in all, {usd(analysis.cash_usd)} cash, "
        f"{usd(analysis.dust_usd)} dust"
    )
    _write_positions(writer, by_value(analysis.positions))
    write_skipped(writer, staying(analysis))
    _write_residue(writer, analysis)
    _write_thresholds(writer, analysis)
    if analysis.recommendations:
        writer.heading("Recommendations")
        for item in analysis.recommendations:
            writer.line(item.message)


def _write_positions(writer: Writer, positions: Iterable[ClassifiedPosition]) -> None:
    rows = [
        [
            item.asset,
            quantity(item.holding.total),
            quantity(item.holding.locked),
            price(item.holding.price_usd),
            usd4(item.value_usd),
            item.category.value,
            "yes" if item.counted else "no",
            usd4(item.verdict.expected_net_usd) if item.verdict.route else "",
            _verdict(item),
        ]
        for item in positions
    ]
    if not rows:
        return
    writer.heading("Positions, largest value first")
    writer.table(
        [
            Column("Asset"),
            Column("Total", is_number=True),
            Column("Locked", is_number=True),
            Column("Price", is_number=True),
            Column("Value", is_number=True),
            Column("Category"),
            Column("Counted"),
            Column("Net", is_number=True),
            Column("Verdict"),
        ],
        rows,
    )


def staying(analysis: Analysis) -> list[dict[str, str]]:
    """Return the dust and the unpriced positions that can't be closed, with the reasons."""
    return [
        {
            "asset": item.asset,
            "reason": item.verdict.reason.value,
            "message": item.verdict.sentence,
        }
        for item in analysis.positions
        if item.category in {Category.DUST, Category.UNPRICED} and item.verdict.reason is not None
    ]


def _verdict(item: ClassifiedPosition) -> str:
    """Return the route, or why it stays."""
    verdict = item.verdict
    if verdict.route is not None:
        return verdict.route.value
    return f"KEEP {verdict.reason.value}" if verdict.reason else "KEEP"


def _write_residue(writer: Writer, analysis: Analysis) -> None:
    if not analysis.classified.residue:
        return
    writer.heading("Residue: less than one step, no position")
    writer.table(
        [Column("Asset"), Column("Total", is_number=True), Column("Value", is_number=True)],
        [
            [item.asset, quantity(item.total), usd4(item.value_usd)]
            for item in analysis.classified.residue
        ],
    )


def _write_thresholds(writer: Writer, analysis: Analysis) -> None:
    writer.heading("What a threshold would mean")
    numbers = ("Threshold", "Dust", "Counted", "Available", "Dust value", "Closable")
    writer.table(
        [Column(title, is_number=True) for title in numbers],
        [
            [
                f"${canonical(effect.threshold)}",
                str(effect.dust),
                str(effect.counted),
                str(effect.available),
                usd4(effect.dust_value_usd),
                str(effect.closable),
            ]
            for effect in analysis.thresholds
        ],
    )


# --- Plans --------------------------------------------------------------------------------------


def write_preview(writer: Writer, view: PlanView) -> None:
    """Write what a plan would send and what stays."""
    plan = view.plan
    writer.line(
        f"Plan {plan.pk} ({plan.short_hash}) for {plan.account.slug}: "
        f"{counted(len(view.orders), 'order')} below ${canonical(plan.threshold)}, worth "
        f"{usd(plan.value_usd)}, about {usd(plan.expected_net_usd)} after "
        f"{usd4(view.expected_fee_usd)} fees and {usd4(view.expected_slippage_usd)} slippage"
    )
    writer.heading("Orders")
    writer.table(
        [
            Column("Asset"),
            Column("Symbol"),
            Column("Route"),
            Column("Quantity", is_number=True),
            Column("Value", is_number=True),
            Column("Net", is_number=True),
        ],
        [
            [
                order.asset,
                order.symbol,
                order.route,
                quantity(order.quantity),
                usd4(order.value_usd),
                usd4(order.expected_net_usd),
            ]
            for order in view.orders
        ],
    )
    write_skipped(writer, skipped_json(plan))
    writer.line()
    writer.line(
        f"Positions: {plan.positions_before} now, {plan.positions_after} afterwards. "
        f"Free slots: {plan.slots_before} now, {plan.slots_after} afterwards."
    )


def write_skipped(writer: Writer, skipped: list[dict[str, str]]) -> None:
    """Write what stays, each with its reason."""
    if not skipped:
        return
    writer.heading("Dust that stays")
    writer.table(
        [Column("Asset"), Column("Reason"), Column("Why")],
        [[item["asset"], item["reason"], item["message"]] for item in skipped],
    )


def order_line(order: CloseOrder) -> str:
    """Return what became of an order so far, on one line."""
    return f"{order.asset}: {order.get_status_display().lower()}. {order.message}".strip()


def write_result(writer: Writer, view: PlanView) -> None:
    """Write what came of a plan."""
    writer.heading(f"Plan {view.plan.pk} is {view.plan.get_status_display().lower()}")
    writer.table(
        [
            Column("Asset"),
            Column("Status"),
            Column("Filled", is_number=True),
            Column("Average price", is_number=True),
            Column("Fee", is_number=True),
            Column("Net", is_number=True),
            Column("Message"),
        ],
        [
            [
                order.asset,
                order.status,
                quantity(order.filled_quantity),
                quantity(order.average_price) if order.filled_quantity else "",
                f"{quantity(order.fee)} {order.fee_currency}" if order.filled_quantity else "",
                usd4(order.net_usd) if order.filled_quantity else "",
                "" if order.state is OrderState.FILLED else order.message,
            ]
            for order in view.orders
        ],
    )
    writer.line()
    net = usd4(view.net_usd) if view.net_is_complete else "unknown"
    seen = view.net_is_complete and abs(view.difference_usd) >= LEAST_SHOWN
    difference = f" ({signed_usd4(view.difference_usd)})" if seen else ""
    writer.line(
        f"{view.filled} of {counted(len(view.orders), 'order')} filled. Net {net}, expected "
        f"{usd4(view.expected_net_usd)}{difference}."
    )
    if view.positions_after is not None:
        writer.line(f"Positions: {view.plan.positions_before} before, {view.positions_after} now.")
    for item in view.plan.other_activity:
        writer.line(f"Other activity: {item['quantity']} {item['asset']}")
