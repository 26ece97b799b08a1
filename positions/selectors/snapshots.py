"""Find an account's snapshots."""

from django.db.models import F, Q, QuerySet

from positions.domain.orders import OrderState
from positions.models import CloseOrder, DustPolicy, ExchangeAccount, Snapshot, SnapshotStatus


def of_this_account(snapshots: QuerySet[Snapshot]) -> QuerySet[Snapshot]:
    """Return those that were read since the key last moved to another account, if it ever did."""
    since = F("account__read_since")
    return snapshots.filter(Q(account__read_since=None) | Q(asked_at__gt=since))


def latest_good(account: ExchangeAccount) -> Snapshot | None:
    """Return the newest snapshot that worked; the last good one stays visible with its age."""
    return of_this_account(account.snapshots.filter(status=SnapshotStatus.GOOD)).first()


def latest(account: ExchangeAccount) -> Snapshot | None:
    """Return the newest snapshot, failed or not."""
    return of_this_account(account.snapshots.all()).first()


def remembers(snapshot: Snapshot, policy: DustPolicy) -> bool:
    """Tell whether what it says about counting holds: a changed threshold forgets it.

    Also one that was changed and changed back.
    """
    return snapshot.asked_at >= policy.threshold_since


MAY_HAVE_SOLD = (
    *(OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED),
    OrderState.RESOLVED,
)


def shows_all_orders(snapshot: Snapshot) -> bool:
    """Tell whether the account's balances were asked for after its last order had ended."""
    return not CloseOrder.objects.filter(
        account=snapshot.account_id, closed_at__gte=snapshot.asked_at, status__in=MAY_HAVE_SOLD
    ).exists()
