"""A verdict speaks in sentences; refusals are codes."""

from positions.domain.verdicts import Category, Reason, Route, Verdict, keep


def test_a_kept_position_has_a_reason_and_no_route() -> None:
    verdict = keep(Reason.LOCKED, "Locked in an open order.", "Cancel that order to free it.")
    assert verdict.reason is Reason.LOCKED
    assert verdict.route is None
    assert verdict.quantity is None
    assert verdict.expected_net_usd is None


def test_the_sentence_is_the_message_with_what_would_change_it() -> None:
    assert keep(Reason.LOCKED, "Locked.", "Cancel it.").sentence == "Locked. Cancel it."
    assert Verdict(route=Route.SELL, message="Market order.").sentence == "Market order."


def test_codes_are_their_own_names() -> None:
    for code in (*Category, *Route, *Reason):
        assert code == code.name
