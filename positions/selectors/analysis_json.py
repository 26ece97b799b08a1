"""Write an analysis as the JSON of `check_dust_positions`: money and quantities as text."""

from decimal import Decimal
from typing import Any

from positions.domain.amounts import canonical
from positions.domain.classification import ClassifiedPosition
from positions.domain.verdicts import Category
from positions.selectors.analysis import Analysis, by_value


def as_json(analysis: Analysis) -> dict[str, Any]:
    """Return the analysis as the document that `check_dust_positions --json` prints."""
    policy, slots, counts = analysis.policy, analysis.slots, analysis.counts
    return {
        "account": analysis.account.slug,
        "exchange": analysis.account.exchange,
        "snapshot": {
            "id": analysis.snapshot.pk,
            "taken_at": analysis.snapshot.taken_at.isoformat(),
            "anchor": analysis.snapshot.anchor,
        },
        "policy": {
            "version": policy.version,
            "dust_threshold": canonical(policy.dust_threshold),
            "winning_threshold": canonical(policy.winning_threshold),
            "position_cap": policy.position_cap,
        },
        "counts": {
            "total": len(analysis.positions),
            "winning": counts[Category.WINNING],
            "small": counts[Category.SMALL],
            "dust": counts[Category.DUST],
            "unpriced": counts[Category.UNPRICED],
            "counted": slots.counted,
        },
        "slots": {
            "cap": slots.cap,
            "used": slots.used,
            "available": slots.available,
            "over_cap": slots.over_cap,
        },
        "value_usd": {
            "total": canonical(analysis.total_usd),
            "cash": canonical(analysis.cash_usd),
            "dust": canonical(analysis.dust_usd),
        },
        "positions": [_position_json(item) for item in by_value(analysis.positions)],
        "residue": [
            {
                "asset": item.asset,
                "total": canonical(item.total),
                "value_usd": _text(item.value_usd),
            }
            for item in analysis.classified.residue
        ],
        "thresholds": [
            {
                "threshold": canonical(effect.threshold),
                "dust": effect.dust,
                "counted": effect.counted,
                "available": effect.available,
                "dust_value_usd": canonical(effect.dust_value_usd),
                "closable": effect.closable,
            }
            for effect in analysis.thresholds
        ],
        "recommendations": [
            {"code": item.code, "message": item.message} for item in analysis.recommendations
        ],
    }


def _position_json(item: ClassifiedPosition) -> dict[str, Any]:
    holding, verdict = item.holding, item.verdict
    return {
        "asset": item.asset,
        "free": canonical(holding.free),
        "locked": canonical(holding.locked),
        "total": canonical(holding.total),
        "price": _text(holding.price_usd),
        "value_usd": _text(item.value_usd),
        "category": item.category.value,
        "counted": item.counted,
        "route": "KEEP" if verdict.route is None else verdict.route.value,
        "reason": None if verdict.reason is None else verdict.reason.value,
        "message": verdict.sentence,
        "expected_net_usd": _text(verdict.expected_net_usd),
    }


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else canonical(amount)
