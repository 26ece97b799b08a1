"""Read a threshold that a person typed; raise a sentence for one that can't be used."""

from decimal import Decimal

from positions.domain.amounts import BadAmount, typed
from positions.domain.policies import Policy, check_threshold


def asked_threshold(text: str, *, policy: Policy) -> Decimal:
    """Return the dust threshold, USD, that somebody asks for.

    Raise `BadAmount` unless it is a plain number above zero, `GuardBroken` above the guard.
    """
    threshold = typed(text, name="the threshold")
    if threshold <= 0:
        raise BadAmount("The threshold must be above zero.")
    check_threshold(threshold, policy)
    return threshold
