"""A plan moves only along its table."""

from itertools import product

import pytest

from positions.domain.plans import (
    ENDED,
    LIVE,
    TRANSITIONS,
    UNSTARTED,
    IllegalPlanStep,
    PlanState,
    check_transition,
)

# Written out on purpose: rows are "from", columns are "to", x is allowed.
COLUMNS = "DRAFT AWAITING_APPROVAL APPROVED RUNNING PAUSED COMPLETED HALTED EXPIRED REJECTED"
#                     DR AW AP RU PA CO HA EX RE
ALLOWED = {
    "DRAFT":             ". x x . . . . x x",
    "AWAITING_APPROVAL": ". . x . . . . x x",
    "APPROVED":          ". . . x . . . x x",
    "RUNNING":           ". . . . x x x . .",
    "PAUSED":            ". . . x . x x . .",
    "COMPLETED":         ". . . . . . . . .",
    "HALTED":            ". . . . . . . . .",
    "EXPIRED":           ". . . . . . . . .",
    "REJECTED":          ". . . . . . . . .",
}  # fmt: skip
EXPECTED = {
    (PlanState(current), PlanState(target)): mark == "x"
    for current, row in ALLOWED.items()
    for target, mark in zip(COLUMNS.split(), row.split(), strict=True)
}


@pytest.mark.parametrize(("current", "target"), list(product(PlanState, repeat=2)))
def test_a_plan_takes_exactly_the_steps_of_the_table(current: PlanState, target: PlanState) -> None:
    if EXPECTED[current, target]:
        check_transition(current, target)
    else:
        with pytest.raises(IllegalPlanStep):
            check_transition(current, target)


def test_every_state_has_its_row_and_stands_in_exactly_one_set() -> None:
    assert TRANSITIONS.keys() == set(PlanState)
    for state in PlanState:
        assert sum(state in group for group in (UNSTARTED, LIVE, ENDED)) == 1


def test_the_sets_of_states_are_these() -> None:
    assert set(UNSTARTED) == {"DRAFT", "AWAITING_APPROVAL", "APPROVED"}
    assert set(LIVE) == {"RUNNING", "PAUSED"}
    assert set(ENDED) == {"COMPLETED", "HALTED", "EXPIRED", "REJECTED"}


def test_the_refusal_is_a_sentence_in_plain_words() -> None:
    with pytest.raises(IllegalPlanStep) as refusal:
        check_transition(PlanState.AWAITING_APPROVAL, PlanState.RUNNING)
    assert str(refusal.value) == "The plan is awaiting approval; it can't become running."
