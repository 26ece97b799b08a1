"""What a cleanup plan is for, and its life: one table of states."""

from enum import StrEnum


class Purpose(StrEnum):
    """Why a plan closes positions."""

    DUST = "DUST"  # they are worth less than the threshold
    ENFORCE = "ENFORCE"  # more positions count than the cap allows


class PlanState(StrEnum):
    """Where a plan is between the dry run and its result."""

    DRAFT = "DRAFT"
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    APPROVED = "APPROVED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    HALTED = "HALTED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


P = PlanState

TRANSITIONS: dict[PlanState, frozenset[PlanState]] = {
    P.DRAFT: frozenset({P.AWAITING_APPROVAL, P.APPROVED, P.EXPIRED, P.REJECTED}),
    P.AWAITING_APPROVAL: frozenset({P.APPROVED, P.EXPIRED, P.REJECTED}),
    P.APPROVED: frozenset({P.RUNNING, P.EXPIRED, P.REJECTED}),
    P.RUNNING: frozenset({P.PAUSED, P.COMPLETED, P.HALTED}),
    P.PAUSED: frozenset({P.RUNNING, P.COMPLETED, P.HALTED}),
    P.COMPLETED: frozenset(),
    P.HALTED: frozenset(),
    P.EXPIRED: frozenset(),
    P.REJECTED: frozenset(),
}

ENDED = frozenset(state for state, targets in TRANSITIONS.items() if not targets)
UNSTARTED = frozenset({P.DRAFT, P.AWAITING_APPROVAL, P.APPROVED})
LIVE = frozenset({P.RUNNING, P.PAUSED})


class IllegalPlanStep(Exception):
    """The plan is not in a state that allows this step."""


def check_transition(current: PlanState, target: PlanState) -> None:
    """Raise `IllegalPlanStep` unless the table allows the step."""
    if target not in TRANSITIONS[current]:
        raise IllegalPlanStep(
            f"The plan is {current.replace('_', ' ').lower()}; it can't become "
            f"{target.replace('_', ' ').lower()}."
        )
