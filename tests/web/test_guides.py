"""The guides explain every code that a page, a report or a policy may show."""

from dataclasses import fields

from django.conf import settings

from positions.domain.orders import OrderState
from positions.domain.policies import Policy
from positions.domain.valuation import Doubt
from positions.domain.verdicts import Reason


def _guide(name: str) -> str:
    return (settings.BASE_DIR / "docs" / name).read_text(encoding="utf-8")


def test_every_reason_and_every_doubt_stands_in_the_guide_to_verdicts() -> None:
    text = _guide("verdicts.md")
    assert [code for code in (*Reason, *Doubt) if f"`{code}`" not in text] == []


def test_every_field_of_a_policy_stands_in_its_guide() -> None:
    text = _guide("policies.md")
    named = {item.name for item in fields(Policy)} - {"version"}
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []


def test_every_state_of_an_order_stands_in_the_guide_to_states() -> None:
    text = _guide("states.md").lower()
    words = {OrderState.SUBMITTING: "sending", OrderState.PARTIALLY_FILLED: "partly filled"}
    named = [words.get(state, state.value.lower()) for state in OrderState]
    assert [word for word in named if word not in text] == []
