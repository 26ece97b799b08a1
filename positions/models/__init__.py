"""The tables, one noun a file."""

from positions.models.accounts import Environment, ExchangeAccount
from positions.models.bots import BotToken, Claim, Lease, LeaseEnd, Scope
from positions.models.events import AppendOnly, AuditChain, AuditEvent
from positions.models.halts import Halt
from positions.models.listings import Listing
from positions.models.orders import AnswerClass, Attempt, CloseOrder, Conversion, Fill
from positions.models.plans import CleanupPlan
from positions.models.policies import DustPolicy
from positions.models.snapshots import Position, Snapshot, SnapshotStatus

__all__ = [
    "AnswerClass",
    "AppendOnly",
    "Attempt",
    "AuditChain",
    "AuditEvent",
    "BotToken",
    "Claim",
    "CleanupPlan",
    "CloseOrder",
    "Conversion",
    "DustPolicy",
    "Environment",
    "ExchangeAccount",
    "Fill",
    "Halt",
    "Lease",
    "LeaseEnd",
    "Listing",
    "Position",
    "Scope",
    "Snapshot",
    "SnapshotStatus",
]
