"""The last look before a conversion: it takes all that is free, so nothing may have grown."""

from dataclasses import dataclass
from decimal import Decimal

from positions.domain.checks import Denied, Ready, denied_as_no_dust, denied_by_choice
from positions.domain.conversions import Offer
from positions.domain.policies import Policy
from positions.domain.verdicts import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionLook:
    """What was read of one asset right before it is converted."""

    free: Decimal
    total: Decimal
    has_open_order: bool
    price_usd: Decimal | None
    offer: Offer | None
    target_price_usd: Decimal | None


def last_conversion_check(
    look: ConversionLook, *, asset: str, planned: Decimal, threshold: Decimal, policy: Policy
) -> Ready | Denied:
    """Return what would be converted of the asset now, or why it must be left out.

    `planned` is the planned quantity; `threshold` the plan's dust threshold, USD.
    """
    if (chosen := denied_by_choice(asset, policy)) is not None:
        return chosen
    if not policy.convert_enabled:
        return Denied(reason=Reason.ROUTE_OFF, message="Converting is switched off in the policy.")
    if look.has_open_order:
        return Denied(reason=Reason.OPEN_ORDER, message=f"An order is open on {asset}.")
    if look.total == 0:
        return Denied(reason=Reason.NOT_HELD, message=f"{asset} is no longer held.")
    if look.free < look.total:
        # What is locked may come free before the request arrives, and would be converted too.
        return Denied(reason=Reason.LOCKED, message=f"Some of {asset} is locked now.")
    offer = look.offer
    if max(look.free, offer.quantity if offer else look.free) > planned:
        return Denied(
            reason=Reason.DRIFTED,
            message=f"More {asset} is held than when it was planned: somebody buys it.",
        )
    if offer is None:
        return Denied(reason=Reason.NOT_CONVERTIBLE, message=f"{asset} is not convertible now.")
    if offer.net <= 0:
        return Denied(reason=Reason.UNECONOMIC, message="Converting it would pay nothing now.")
    if look.price_usd is None or look.target_price_usd is None:
        return Denied(reason=Reason.UNPRICED, message=f"{asset} has no trustworthy price now.")
    # The higher of the market's word and the conversion's, for the whole quantity.
    price = max(look.price_usd, offer.gross * look.target_price_usd / offer.quantity)
    value = look.total * price
    if (denied := denied_as_no_dust(value, threshold=threshold, policy=policy)) is not None:
        return denied
    return Ready(quantity=offer.quantity)
