"""Draft cleanup plans: dry runs that nobody has to start."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from positions.domain.amounts import canonical
from positions.domain.classification import classify
from positions.domain.enforcement import WithinCap, draw_enforcement
from positions.domain.planning import PlanDraft, PlannedOrder, draw_plan, plan_hash
from positions.domain.plans import PlanState
from positions.domain.verdicts import Route
from positions.models import CleanupPlan, CloseOrder, DustPolicy, ExchangeAccount, Snapshot
from positions.selectors.conversions import circumstances_of
from positions.selectors.holds import held_on
from positions.selectors.memory import as_counted
from positions.selectors.snapshots import latest_good, remembers, shows_all_orders
from positions.services import audit, policies
from positions.services.actors import Actor
from positions.services.permissions import Permission, require
from positions.services.plans import PlanRefused
from positions.services.stops import expire


def draft_plan(
    account: ExchangeAccount, *, threshold: Decimal | None, actor: Actor, now: datetime
) -> CleanupPlan:
    """Keep the plan for the account's newest snapshot: a dry run, nothing is sent.

    A draft replaces older drafts of the account, because an asset can be in one plan only. Raise
    `NotPermitted`, `PlanRefused` if there is no fresh snapshot, `GuardBroken` or `NothingToClose`.
    """
    require(actor, Permission.DRAFT)
    with transaction.atomic():
        locked = ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        policy = policies.in_force(locked)
        rules = policy.as_domain()
        snapshot = _fresh_snapshot(locked, policy, now=now)
        _replace_drafts(locked, actor=actor, now=now)
        wanted = rules.dust_threshold if threshold is None else threshold
        circumstances = circumstances_of(
            locked,
            snapshot,
            held=held_on(locked, snapshot, now=now),
            now=now,
        )
        draft = draw_plan(
            classify(
                [row.as_domain() for row in snapshot.positions.all()],
                threshold=wanted,
                policy=rules,
                circumstances=circumstances,
            ),
            threshold=wanted,
            policy=rules,
            terms=circumstances.terms,
            leased=circumstances.leased,
        )
        return _kept(locked, draft, policy=policy, snapshot=snapshot, actor=actor, now=now)


def draft_enforcement_plan(account: ExchangeAccount, *, actor: Actor, now: datetime) -> CleanupPlan:
    """Keep the plan that brings the account back to its cap: a dry run, nothing is sent.

    It sells real positions, so only a person drafts one, and another one has to approve it. It
    replaces older drafts like any plan. Raise `NotPermitted`, `PlanRefused` if the account is not
    over its cap or has no fresh snapshot, `GuardBroken` or `NothingToClose`.
    """
    require(actor, Permission.DRAFT)
    if actor.user is None:
        raise PlanRefused("Only a person may draft a plan that enforces the cap.")
    with transaction.atomic():
        locked = ExchangeAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
        policy = policies.in_force(locked)
        snapshot = _fresh_snapshot(locked, policy, now=now)
        if not shows_all_orders(snapshot):
            raise PlanRefused(
                "Orders of another plan have ended since the newest snapshot. Take a snapshot "
                "first, so that nothing more is sold than has to be."
            )
        _replace_drafts(locked, actor=actor, now=now)
        held = held_on(locked, snapshot, now=now)
        try:
            draft = draw_enforcement(
                as_counted(
                    (row.as_domain() for row in snapshot.positions.all()),
                    remembered=remembers(snapshot, policy),
                ),
                policy=policy.as_domain(),
                circumstances=circumstances_of(locked, snapshot, held=held, now=now),
            )
        except WithinCap as within:
            raise PlanRefused(str(within)) from None
        return _kept(locked, draft, policy=policy, snapshot=snapshot, actor=actor, now=now)


def _fresh_snapshot(account: ExchangeAccount, policy: DustPolicy, *, now: datetime) -> Snapshot:
    if not account.is_enabled:
        raise PlanRefused(f"{account.slug} is disabled. Enable it first.")
    snapshot = latest_good(account)
    if snapshot is None:
        raise PlanRefused(f"{account.slug} has no snapshot yet. Take one first.")
    age = now - snapshot.taken_at
    if age > timedelta(seconds=policy.snapshot_max_age):
        raise PlanRefused(
            f"The newest snapshot is {int(age.total_seconds())} s old; the policy's "
            f"snapshot_max_age is {policy.snapshot_max_age} s. Take a snapshot first."
        )
    return snapshot


def _replace_drafts(account: ExchangeAccount, *, actor: Actor, now: datetime) -> None:
    for plan in account.plans.filter(status=PlanState.DRAFT):
        expire(plan, "A newer draft replaced it.", actor=actor, now=now)


def _kept(
    account: ExchangeAccount,
    draft: PlanDraft,
    *,
    policy: DustPolicy,
    snapshot: Snapshot,
    actor: Actor,
    now: datetime,
) -> CleanupPlan:
    plan = CleanupPlan.objects.create(
        account=account,
        snapshot=snapshot,
        policy=policy,
        purpose=draft.purpose,
        hash=plan_hash(
            account=account.slug,
            snapshot=snapshot.pk,
            policy_version=policy.version,
            draft=draft,
            drafted_at=now.isoformat(),
        ),
        threshold=draft.threshold,
        value_usd=draft.value_usd,
        expected_net_usd=draft.expected_net_usd,
        positions_before=draft.positions_before,
        positions_after=draft.positions_after,
        slots_before=draft.slots_before.available,
        slots_after=draft.slots_after.available,
        skipped=[
            {
                "asset": item.asset,
                "category": item.category.value,
                "value_usd": None if item.value_usd is None else canonical(item.value_usd),
                "reason": item.reason.value,
                "message": item.message,
                "remedy": item.remedy,
            }
            for item in draft.skipped
        ],
        created_by=actor.user,
        created_by_name=actor.name,
        created_at=now,
        expires_at=now + timedelta(seconds=policy.plan_ttl),
    )
    CloseOrder.objects.bulk_create(
        _order(plan, number, order, now=now) for number, order in enumerate(draft.orders, start=1)
    )
    audit.record(
        "plan.drafted",
        f"{actor.name} drafted plan {plan.pk}: {len(draft.orders)} orders"
        + (" to enforce the cap" if plan.enforces_cap else ""),
        actor=actor,
        at=now,
        plan=plan,
        data={
            "hash": plan.hash,
            "purpose": draft.purpose.value,
            "snapshot": snapshot.pk,
            "policy": policy.version,
            "threshold": draft.threshold,
            "value_usd": draft.value_usd,
            "orders": len(draft.orders),
        },
    )
    return plan


def _order(plan: CleanupPlan, number: int, order: PlannedOrder, *, now: datetime) -> CloseOrder:
    return CloseOrder(
        plan=plan,
        account=plan.account,
        number=number,
        asset=order.asset,
        symbol=order.symbol,
        quote=order.into,
        route=order.route,
        # 32 hexadecimal digits: valid at every exchange that takes text ids, and never reused.
        client_order_id=None if order.route is Route.CONVERT else uuid.uuid4().hex,
        quantity=order.quantity,
        price=order.price,
        value_usd=order.value_usd,
        expected_fee_usd=order.expected_fee_usd,
        expected_slippage_usd=order.expected_slippage_usd,
        expected_net_usd=order.expected_net_usd,
        updated_at=now,
    )
