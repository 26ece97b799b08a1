"""Read the versions of an account's policy: the newest first, and any two side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from positions.domain.policies import Policy
from positions.domain.policy_fields import FIELDS, Difference, PolicyField, differences, told
from positions.models import DustPolicy, ExchangeAccount

PER_PAGE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version with what it changed; the first one changed nothing."""

    row: DustPolicy
    changes: Sequence[Difference]


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """A page of versions, newest first."""

    shown: Sequence[Version]
    older: int | None  # the version before which the next page starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One field in two versions."""

    field: PolicyField
    left: str
    right: str
    differs: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions, field by field."""

    left: DustPolicy
    right: DustPolicy
    lines: Sequence[Line]

    @property
    def differing(self) -> int:
        """Return how many fields differ."""
        return sum(line.differs for line in self.lines)


def versions(account: ExchangeAccount, *, before: int | None = None) -> Versions:
    """Return the newest versions, or the newest before one of them, in one query."""
    rows = account.policies.order_by("-version")
    if before is not None:
        rows = rows.filter(version__lt=before)
    found = list(rows[: PER_PAGE + 1])
    older: list[DustPolicy | None] = [*found[1:], None]
    shown = [
        Version(
            row=row,
            changes=[] if earlier is None else differences(earlier.as_domain(), row.as_domain()),
        )
        for row, earlier in zip(found[:PER_PAGE], older, strict=False)
    ]
    more = len(found) > PER_PAGE
    return Versions(shown=shown, older=shown[-1].row.version if more else None)


def compared(account: ExchangeAccount, left: int, right: int) -> Comparison | None:
    """Return two versions side by side; None unless the account has both."""
    rows = {row.version: row for row in account.policies.filter(version__in={left, right})}
    if not {left, right} <= set(rows):
        return None
    return Comparison(
        left=rows[left],
        right=rows[right],
        lines=_lines(rows[left].as_domain(), rows[right].as_domain()),
    )


def _lines(left: Policy, right: Policy) -> list[Line]:
    return [
        Line(
            field=field,
            left=told(field, getattr(left, name)),
            right=told(field, getattr(right, name)),
            differs=getattr(left, name) != getattr(right, name),
        )
        for name, field in FIELDS.items()
    ]
