"""Read the policy in force and write new versions of it; no other place holds a threshold."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from positions.domain.amounts import BadAmount, canonical, typed
from positions.domain.policies import GuardBroken, Policy, problems
from positions.domain.policy_fields import FIELDS
from positions.models import DustPolicy, ExchangeAccount
from positions.models.policies import ASSET_LISTS
from positions.services import audit
from positions.services.actors import Actor
from positions.services.permissions import Permission, require

DEFAULTS = Policy()
# What an operator may change; everything else is the administrator's.
DAILY_FIELDS = frozenset(name for name, field in FIELDS.items() if field.daily)
_LONGEST_LIST = 2000


class BadPolicy(Exception):
    """A field or its value makes no sense; `problems` has a sentence for each field."""

    def __init__(self, found: Mapping[str, str]) -> None:
        """Join the sentences for those who show only one."""
        super().__init__(" ".join(f"{name}: {text}" for name, text in found.items()))
        self.problems = dict(found)


class PolicyConflict(Exception):
    """Somebody wrote a version that the caller has not seen; look at it, then decide."""

    def __init__(self, current: DustPolicy) -> None:
        """Keep the version in force."""
        super().__init__(
            f"{current.created_by_name} made policy v{current.version}; nothing was saved."
        )
        self.current = current


def in_force(account: ExchangeAccount) -> DustPolicy:
    """Return the newest version of the account's policy."""
    return account.policies.select_related("account").order_by("-version")[0]


def in_force_pk(account: ExchangeAccount) -> int:
    """Return the primary key of the account's policy."""
    newest: int = account.policies.order_by("-version").values_list("pk", flat=True)[0]
    return newest


def parse(name: str, text: str) -> Any:
    """Return the value that a person wrote for a field; raise `BadPolicy` with a sentence."""
    kinds = {item.name: getattr(DEFAULTS, item.name) for item in fields(Policy)}
    if name not in kinds or name == "version":
        raise BadPolicy({name: "There is no such field."})
    try:
        return _parsed(name, text.strip(), kinds[name])
    except BadAmount as error:
        raise BadPolicy({name: str(error)}) from None


def _parsed(name: str, text: str, default: Any) -> Any:
    if name in ASSET_LISTS:
        return _assets(name, text)
    if FIELDS[name].empty and text.lower() in {"", "none", "off"}:
        return None
    if isinstance(default, bool):
        if text.lower() not in {"true", "false"}:
            raise BadPolicy({name: "Write true or false."})
        return text.lower() == "true"
    amount = typed(text, name=name)
    if isinstance(default, int):
        if amount != amount.to_integral_value() or amount > 10**9:
            raise BadPolicy({name: "Enter a whole number."})
        return int(amount)
    return amount


def _assets(name: str, text: str) -> frozenset[str]:
    found = {part.strip().upper() for part in text.split(",") if part.strip()}
    if any(not part.isascii() or not part.isalnum() or len(part) > 40 for part in found):
        raise BadPolicy({name: "Write asset codes separated by commas, for example BTC,ETH."})
    if len(found) > _LONGEST_LIST:
        raise BadPolicy({name: f"At most {_LONGEST_LIST} assets."})
    return frozenset(found)


def change(
    account: ExchangeAccount,
    changes: Mapping[str, Any],
    *,
    actor: Actor,
    now: datetime,
    note: str = "",
    based_on: int | None = None,
) -> DustPolicy:
    """Write a new version with these fields changed; return the old one if nothing changes.

    Raise `NotPermitted`, `BadPolicy` for values that make no sense, `GuardBroken` for a threshold
    above the guard, or `PolicyConflict` unless version `based_on`, if given, is in force.
    """
    needed = Permission.THRESHOLD if set(changes) <= DAILY_FIELDS else Permission.POLICY
    require(actor, needed)
    with transaction.atomic():
        # The account's row is the queue: two changes at once become two versions, not a conflict.
        ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        current = in_force(account)
        if based_on is not None and current.version != based_on:
            raise PolicyConflict(current)
        before = current.as_domain()
        values = {item.name: getattr(before, item.name) for item in fields(Policy)}
        values |= dict(changes)
        wanted = Policy(**values)
        if wanted == before:
            return current
        if (
            "dust_threshold" in changes
            and wanted.dust_threshold.is_finite()
            and wanted.max_threshold.is_finite()
            and wanted.dust_threshold > wanted.max_threshold
        ):
            raise GuardBroken(
                field_name="max_threshold",
                limit=canonical(wanted.max_threshold),
                asked=canonical(wanted.dust_threshold),
            )
        if found := problems(wanted):
            raise BadPolicy(found)
        return _write(account, wanted, version=current.version + 1, actor=actor, now=now, note=note)


def write_first(account: ExchangeAccount, *, actor: Actor, now: datetime) -> DustPolicy:
    """Give a new account the default policy; live accounts need a second person from $10."""
    policy = DEFAULTS
    if account.environment == "live":
        values = {item.name: getattr(DEFAULTS, item.name) for item in fields(Policy)}
        policy = Policy(**{**values, "approval_above": Decimal("10.00")})
    return _write(account, policy, version=1, actor=actor, now=now, note="")


def _write(
    account: ExchangeAccount,
    policy: Policy,
    *,
    version: int,
    actor: Actor,
    now: datetime,
    note: str,
) -> DustPolicy:
    values = {item.name: getattr(policy, item.name) for item in fields(Policy)}
    values |= {name: sorted(values[name]) for name in ASSET_LISTS}
    previous = account.policies.order_by("-version").first()
    row = DustPolicy.objects.create(
        account=account,
        **{**values, "version": version},
        note=note[:200],
        created_by=actor.user,
        created_by_name=actor.name,
        created_at=now,
        threshold_since=previous.threshold_since
        if previous is not None and previous.dust_threshold == policy.dust_threshold
        else now,
    )
    changed = {
        name: {"from": getattr(previous, name), "to": value}
        for name, value in values.items()
        if previous is not None and name != "version" and getattr(previous, name) != value
    }
    told = "; ".join(_told(name, changed[name]) for name in sorted(changed))
    audit.record(
        "policy.changed" if previous else "policy.created",
        f"{actor.name} made policy v{version}"
        + (f": {told}" if told else "")
        + (f" ({note})" if note else ""),
        actor=actor,
        at=now,
        account=account,
        data={"version": version, "changed": changed, "note": note},
    )
    return row


def _told(name: str, change: Mapping[str, Any]) -> str:
    """Return one change in words: what was added and taken away, or from what to what."""
    before, after = change["from"], change["to"]
    if name in ASSET_LISTS:
        added, gone = sorted(set(after) - set(before)), sorted(set(before) - set(after))
        signs = [f"+{asset}" for asset in added] + [f"-{asset}" for asset in gone]
        return f"{name} {' '.join(signs)}"
    return f"{name} from {_plain(before)} to {_plain(after)}"


def _plain(value: Any) -> str:
    return canonical(value) if isinstance(value, Decimal) else str(value)


def protect(
    account: ExchangeAccount, asset: str, *, reason: str, actor: Actor, now: datetime
) -> DustPolicy:
    """Put an asset on the protected list: never sold; its slot goes by its value."""
    return _listed(account, "protected_assets", asset, on=True, reason=reason, actor=actor, now=now)


def unprotect(
    account: ExchangeAccount, asset: str, *, reason: str, actor: Actor, now: datetime
) -> DustPolicy:
    """Take an asset off the protected list: it may be sold as dust again."""
    return _listed(
        account, "protected_assets", asset, on=False, reason=reason, actor=actor, now=now
    )


def ignore(
    account: ExchangeAccount, asset: str, *, reason: str, actor: Actor, now: datetime
) -> DustPolicy:
    """Put an asset on the ignored list: it takes no slot and is never sold."""
    return _listed(account, "ignored_assets", asset, on=True, reason=reason, actor=actor, now=now)


def unignore(
    account: ExchangeAccount, asset: str, *, reason: str, actor: Actor, now: datetime
) -> DustPolicy:
    """Take an asset off the ignored list: it counts and may be sold like any other."""
    return _listed(account, "ignored_assets", asset, on=False, reason=reason, actor=actor, now=now)


def _listed(
    account: ExchangeAccount,
    name: str,
    asset: str,
    *,
    on: bool,
    reason: str,
    actor: Actor,
    now: datetime,
) -> DustPolicy:
    require(actor, Permission.THRESHOLD)
    if not reason.strip():
        raise BadPolicy({"reason": "Say why, so that the next person understands."})
    codes = _assets(name, asset)
    if len(codes) != 1:
        raise BadPolicy({name: "Name one asset."})
    with transaction.atomic():
        ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        listed = frozenset(getattr(in_force(account), name))
        wanted = listed | codes if on else listed - codes
        return change(account, {name: wanted}, actor=actor, now=now, note=reason.strip())
