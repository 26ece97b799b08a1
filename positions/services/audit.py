"""Write and verify the append-only history: every event carries the hash of the one before.

There is one chain per account and one for what concerns all of them. `record` belongs into the
transaction of the change it tells of; the chain's end is locked there, so that chains never fork.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from positions.domain.amounts import canonical
from positions.models import AuditChain, AuditEvent, CleanupPlan, CloseOrder, ExchangeAccount
from positions.services.actors import Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A place where the history is not what was written."""

    chain: str
    sequence: int
    problem: str


def record(
    kind: str,
    summary: str,
    *,
    actor: Actor,
    at: datetime,
    account: ExchangeAccount | None = None,
    plan: CleanupPlan | None = None,
    order: CloseOrder | None = None,
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append one event, past tense, in the caller's transaction; amounts become exact text."""
    if order is not None:
        plan = plan or order.plan
    if plan is not None:
        account = account or plan.account
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("An event is written with its change.")
    end = _locked_end(account)
    event = AuditEvent(
        account=account,
        sequence=end.length + 1,
        kind=kind,
        summary=summary[:300],
        plan=plan,
        order=order,
        actor=actor.user,
        actor_name=actor.name,
        at=at.astimezone(UTC),
        data=_plain(data or {}),
        previous_hash=end.last_hash,
    )
    event.hash = content_hash(event)
    event.save()
    end.length, end.last_hash = event.sequence, event.hash
    end.save(update_fields=["length", "last_hash"])
    return event


def _scope(account: ExchangeAccount | None) -> str:
    return "" if account is None else str(account.pk)


def _locked_end(account: ExchangeAccount | None) -> AuditChain:
    ends = AuditChain.objects.select_for_update(no_key=True).filter(scope=_scope(account))
    if (end := ends.first()) is not None:
        return end
    AuditChain.objects.get_or_create(scope=_scope(account))
    return ends.get()


def _plain(value: Any) -> Any:
    """Return JSON-ready data: amounts as canonical text, and never a float."""
    if isinstance(value, Decimal):
        return canonical(value)
    if isinstance(value, float):
        raise TypeError("A float has no place in the history.")
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [_plain(item) for item in value]
        return sorted(items) if isinstance(value, set | frozenset) else items
    return value


def content_hash(event: AuditEvent) -> str:
    """Return the SHA-256 of everything the event says, the previous hash included."""
    content = {
        "account": event.account_id,
        "sequence": event.sequence,
        "kind": event.kind,
        "summary": event.summary,
        "plan": event.plan_id,
        "order": event.order_id,
        "actor": event.actor_id,
        "actor_name": event.actor_name,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "data": event.data,
        "previous": event.previous_hash,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def verify(account: ExchangeAccount | None) -> Iterator[Break]:
    """Walk one chain from its start and yield every place that was tampered with.

    Safe while the chain grows: what was written meanwhile is walked before its end is judged.
    """
    name = account.slug if account else "everything"
    previous, sequence, walked_to, goal = "", 0, -1, -1
    while True:
        events = AuditEvent.objects.filter(account=account, sequence__gt=walked_to)
        for event in events.order_by("sequence", "pk").iterator(chunk_size=1000):
            for problem in _problems(event, after=sequence, previous=previous):
                yield Break(chain=name, sequence=event.sequence, problem=problem)
            previous, sequence = event.hash, event.sequence
            walked_to = sequence
        end = AuditChain.objects.filter(scope=_scope(account)).first()
        length, last_hash = (end.length, end.last_hash) if end else (0, "")
        if length <= sequence or length == goal:
            break
        goal = length  # a walk that starts now must get there
    if account is not None and walked_to < 0:
        # Every account's history begins when it is connected.
        yield Break(chain=name, sequence=0, problem="The whole history is missing.")
    elif (length, last_hash) != (sequence, previous):
        yield Break(
            chain=name, sequence=sequence, problem="The end of the history was cut off or changed."
        )


def _problems(event: AuditEvent, *, after: int, previous: str) -> Iterator[str]:
    if event.sequence <= after:
        yield "A second event claims this place."
    elif event.sequence != after + 1:
        yield "An event is missing before it."
    if event.previous_hash != previous:
        yield "It does not follow the one before."
    if content_hash(event) != event.hash:
        yield "Its content was changed."


def verify_all() -> list[Break]:
    """Return every break in every chain; empty when the history is whole."""
    accounts = list(ExchangeAccount.objects.all())
    breaks = [found for account in (None, *accounts) for found in verify(account)]
    known = {_scope(account) for account in (None, *accounts)}
    orphans = AuditChain.objects.exclude(scope__in=known).values_list("scope", flat=True)
    return breaks + [
        Break(chain=f"account {scope}", sequence=0, problem="Its account is missing.")
        for scope in orphans
    ]
