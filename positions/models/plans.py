"""Keep cleanup plans: the previewed orders, who started them, and what came of it."""

from django.conf import settings
from django.db import models

from positions.domain.plans import ENDED, LIVE, UNSTARTED, PlanState, Purpose
from positions.models.accounts import ExchangeAccount
from positions.models.fields import ExactDecimalField
from positions.models.policies import DustPolicy
from positions.models.snapshots import Snapshot

PLAN_STATES = [(state.value, state.value.replace("_", " ").capitalize()) for state in PlanState]

PURPOSES = [(Purpose.DUST.value, "Close dust"), (Purpose.ENFORCE.value, "Enforce the cap")]


class CleanupPlan(models.Model):
    """The orders previewed from one snapshot under one policy version, named by their hash."""

    account = models.ForeignKey(ExchangeAccount, on_delete=models.PROTECT, related_name="plans")
    snapshot = models.ForeignKey(Snapshot, on_delete=models.PROTECT, related_name="plans")
    policy = models.ForeignKey(DustPolicy, on_delete=models.PROTECT, related_name="plans")
    status = models.CharField(max_length=20, choices=PLAN_STATES, default=PlanState.DRAFT)
    purpose = models.CharField(max_length=10, choices=PURPOSES, default=Purpose.DUST.value)
    hash = models.CharField(max_length=64, db_index=True)
    threshold = ExactDecimalField()
    value_usd = ExactDecimalField()
    expected_net_usd = ExactDecimalField()
    positions_before = models.PositiveIntegerField()
    positions_after = models.PositiveIntegerField()
    slots_before = models.PositiveIntegerField()
    slots_after = models.PositiveIntegerField()
    skipped = models.JSONField(default=list)
    status_note = models.CharField(max_length=300, blank=True, help_text="Why it ended or waits.")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_by_name = models.CharField(max_length=150)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    approved_by_name = models.CharField(max_length=150, blank=True)
    approved_at = models.DateTimeField(null=True)
    started_by_name = models.CharField(max_length=150, blank=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    closing_snapshot = models.ForeignKey(
        Snapshot, null=True, on_delete=models.PROTECT, related_name="closed_plans"
    )
    other_activity = models.JSONField(default=list)

    class Meta:
        """The newest first."""

        ordering = ["-pk"]
        indexes = [models.Index(fields=["status"], name="plans_by_status")]

    def __str__(self) -> str:
        """Return the plan's number."""
        return f"Plan {self.pk}"

    @property
    def state(self) -> PlanState:
        """Return the status as the domain's state."""
        return PlanState(self.status)

    @property
    def enforces_cap(self) -> bool:
        """Tell whether it closes counted positions, real ones, because there are too many."""
        return self.purpose == Purpose.ENFORCE

    @property
    def needs_second_person(self) -> bool:
        """Tell whether somebody other than its author has to approve it, whoever that is."""
        limit = self.policy.approval_above
        return self.enforces_cap or (limit is not None and self.value_usd > limit)

    @property
    def short_hash(self) -> str:
        """Return the part of the hash that buttons name."""
        return f"{self.hash[:4]} {self.hash[4:8]}"

    @property
    def is_live(self) -> bool:
        """Tell whether it runs or is paused."""
        return self.state in LIVE

    @property
    def is_unstarted(self) -> bool:
        """Tell whether it is still a dry run."""
        return self.state in UNSTARTED

    @property
    def is_ended(self) -> bool:
        """Tell whether nothing will change it any more."""
        return self.state in ENDED
