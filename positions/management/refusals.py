"""Say in the plan's JSON why there is no plan, with the same keys as if there were one."""

from decimal import Decimal
from typing import Any

from positions.domain.amounts import canonical
from positions.domain.plans import Purpose
from positions.domain.policies import GuardBroken
from positions.management.reports import staying
from positions.selectors.analysis import Analysis

EVERYTHING = "*"  # instead of an asset


def of_everything(code: str, message: str) -> dict[str, str]:
    """Return the entry of `skipped` that concerns the whole plan."""
    return {"asset": EVERYTHING, "reason": code, "message": message}


def guard_broken(
    analysis: Analysis, error: GuardBroken, *, asked: Decimal | None, dry_run: bool
) -> dict[str, Any]:
    """Return the document of a plan that a guard refused to draw."""
    return _document(
        analysis,
        status="DENIED",
        threshold=analysis.threshold if asked is None else asked,
        skipped=[of_everything(error.field_name.upper(), str(error))],
        dry_run=dry_run,
    )


def nothing_to_close(analysis: Analysis, *, dry_run: bool) -> dict[str, Any]:
    """Return the document of a plan that would be empty, with why each dust position stays."""
    return _document(
        analysis,
        status="NOTHING_TO_CLOSE",
        threshold=analysis.threshold,
        skipped=staying(analysis),
        dry_run=dry_run,
    )


def _document(
    analysis: Analysis,
    *,
    status: str,
    threshold: Decimal,
    skipped: list[dict[str, str]],
    dry_run: bool,
) -> dict[str, Any]:
    positions, slots = len(analysis.positions), analysis.slots.available
    return {
        "account": analysis.account.slug,
        "plan": {
            "id": None,
            "hash": None,
            "status": status,
            "dry_run": dry_run,
            "threshold": canonical(threshold),
            "purpose": Purpose.DUST.value,
        },
        "orders": [],
        "skipped": skipped,
        "totals": {
            "planned": 0,
            "filled": 0,
            "failed": 0,
            "unknown": 0,
            "not_sent": 0,
            "expected_net_usd": "0",
            "net_usd": "0",
            "counts_before": positions,
            "counts_after": positions,
            "slots_before": slots,
            "slots_after": slots,
        },
    }
