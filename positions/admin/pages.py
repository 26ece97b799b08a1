"""List the pages of the history."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User
from django.db.models import Model

from positions.admin.accounts import AccountAdmin
from positions.admin.attempts import AttemptAdmin
from positions.admin.bots import ClaimAdmin, LeaseAdmin, TokenAdmin
from positions.admin.conversions import ConversionAdmin
from positions.admin.events import EventAdmin
from positions.admin.fills import FillAdmin
from positions.admin.halts import HaltAdmin
from positions.admin.orders import OrderAdmin
from positions.admin.people import AuthenticatorAdmin, GroupsAdmin, PeopleAdmin
from positions.admin.plans import PlanAdmin
from positions.admin.policies import PolicyAdmin
from positions.admin.positions import PositionAdmin
from positions.admin.snapshots import SnapshotAdmin
from positions.models import (
    Attempt,
    AuditEvent,
    BotToken,
    Claim,
    CleanupPlan,
    CloseOrder,
    Conversion,
    DustPolicy,
    ExchangeAccount,
    Fill,
    Halt,
    Lease,
    Position,
    Snapshot,
)

PAGES: dict[type[Model], Any] = {
    ExchangeAccount: AccountAdmin,
    DustPolicy: PolicyAdmin,
    Snapshot: SnapshotAdmin,
    Position: PositionAdmin,
    CleanupPlan: PlanAdmin,
    CloseOrder: OrderAdmin,
    Attempt: AttemptAdmin,
    Conversion: ConversionAdmin,
    Fill: FillAdmin,
    AuditEvent: EventAdmin,
    Halt: HaltAdmin,
    BotToken: TokenAdmin,
    Lease: LeaseAdmin,
    Claim: ClaimAdmin,
    User: PeopleAdmin,
    Group: GroupsAdmin,
    Authenticator: AuthenticatorAdmin,
}
