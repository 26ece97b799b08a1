"""Tell whether orders at an account's exchange are verified, or accepted as they are."""

from positions.exchanges.profiles import profile_of
from positions.models import ExchangeAccount


def waits_for_acceptance(account: ExchangeAccount) -> bool:
    """Tell whether a person has to accept that orders are not verified at this exchange."""
    verified = profile_of(account.exchange).orders_verified
    return not verified and account.unverified_accepted_at is None
