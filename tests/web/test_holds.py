"""Pages say whose an asset is, and take the leased slots off the free ones."""

from datetime import datetime
from decimal import Decimal

from django.test import Client

from positions.models import ExchangeAccount
from positions.selectors.accounts import account_reading
from positions.views.staircase import Staircase
from tests.bots import claim, hire_bot, lease


def test_pages_say_whose_an_asset_is_and_take_leased_slots_off(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    bot = hire_bot(desk, name="<grid> 7", now=now)
    claim(desk, "PEPE", bot=bot, now=now)
    lease(desk, "SHIB", bot=bot, now=now)
    lease(desk, "NEW", bot=bot, now=now)
    page = web.get(f"/accounts/{desk.slug}/").text
    assert "Claimed by &lt;grid&gt; 7 until" in page
    assert "Leased by &lt;grid&gt; 7, which may open a trade on it." in page
    assert "4 <small>of 8 free</small>" in page
    assert "4 used, 2 leased by bots" in page
    assert page.count('class="slot slot--leased"') >= 2
    assert "4 of 8 free" in web.get("/").text


def test_the_staircase_has_the_leased_slots_in_it_at_every_threshold(
    desk: ExchangeAccount, now: datetime
) -> None:
    bot = hire_bot(desk, now=now)
    for asset in ("NEW", "SOL", "XRP"):
        lease(desk, asset, bot=bot, now=now)
    found = account_reading(desk.slug, now=now).analysis
    assert found is not None
    stairs = Staircase(found.what_if)
    for riser in stairs.risers:
        value = riser.step.value_usd
        at, above = found.what_if.at(value), found.what_if.at(value + Decimal("0.0001"))
        assert riser.before == stairs.cap - at.counted - at.leased
        assert riser.after == stairs.cap - above.counted - above.leased
    assert (stairs.start, stairs.end) == (-1, 5)


def test_a_what_if_takes_leased_slots_off_as_well(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    lease(desk, "NEW", bot=hire_bot(desk, now=now), now=now)
    address = f"/accounts/{desk.slug}/what-if/?threshold=0.50"
    text = web.get(address, headers={"HX-Request": "true"}).text
    assert 'data-slots-text="3 of 8 free"' in text
