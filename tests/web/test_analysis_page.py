"""The account's page: what a threshold would do, bad input, and what is shown without knowledge."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from positions.models import DustPolicy, ExchangeAccount
from positions.selectors.accounts import account_reading
from positions.views.chart import charts
from tests.web import builders

HTMX = {"HX-Request": "true"}

BAD = [
    ("", "Enter a number"),
    ("abc", "plain number"),
    ("-1", "above zero"),
    ("0", "above zero"),
    ("0.000", "above zero"),
    ("nan", "plain number"),
    ("NaN", "plain number"),
    ("inf", "plain number"),
    ("-Infinity", "plain number"),
    ("1e999", "plain number"),
    ("1e-3", "plain number"),
    ("1,5", "without commas"),
    ("1.000,00", "without commas"),
    ("0." + "1" * 31, "fewer digits"),
    ("1" * 31, "fewer digits"),
    ("١", "plain number"),
    ("10.01", "max_threshold is 10; this asks for 10.01"),
    ("<script>", "plain number"),
]


def _what_if(slug: str) -> str:
    return reverse("positions:what_if", args=[slug])


@pytest.mark.parametrize(
    ("threshold", "free"), [("0.001", 0), ("0.01", 0), ("0.05", 1), ("0.50", 4), ("1.00", 6)]
)
def test_what_a_threshold_would_free(
    desk: ExchangeAccount, web: Client, threshold: str, free: int
) -> None:
    response = web.get(_what_if(desk.slug), {"threshold": threshold}, headers=HTMX)
    assert response.status_code == 200
    assert f'data-slots-text="{free} of 8 free"' in response.text
    assert response["HX-Replace-Url"] == f"/accounts/{desk.slug}/?threshold={threshold}"


def test_the_fragment_brings_the_chart_and_the_button_out_of_band(
    desk: ExchangeAccount, web: Client
) -> None:
    text = web.get(_what_if(desk.slug), {"threshold": "0.50"}, headers=HTMX).text
    assert text.lstrip().startswith('<section class="panel try-result" id="what-if"')
    assert '<figure id="chart" hx-swap-oob="true">' in text
    assert 'id="phone-draft"' in text
    assert 'name="threshold" value="0.5"' in text
    assert "<html" not in text
    assert 'id="threshold-input"' not in text


def test_without_htmx_the_same_address_is_a_whole_page(desk: ExchangeAccount, web: Client) -> None:
    response = web.get(_what_if(desk.slug), {"threshold": "0.50"})
    assert response.status_code == 200
    assert "<html" in response.text
    assert "4 of 8 free" in response.text


@pytest.mark.parametrize(("text", "sentence"), BAD)
@pytest.mark.parametrize("headers", [HTMX, {}], ids=["htmx", "plain"])
@pytest.mark.parametrize("name", ["what_if", "account_detail"])
def test_a_bad_threshold_is_refused_with_one_sentence(
    desk: ExchangeAccount,
    web: Client,
    text: str,
    sentence: str,
    headers: dict[str, str],
    name: str,
) -> None:
    address = reverse(f"positions:{name}", args=[desk.slug])
    response = web.get(address, {"threshold": text}, headers=headers)
    assert response.status_code == 400
    assert sentence in response.text
    assert "HX-Replace-Url" not in response
    assert response.text.count("field-error") == 1
    assert "<script>" not in response.text.split("</head>")[-1]


@pytest.mark.parametrize("name", ["set_threshold", "draft_plan"])
@pytest.mark.parametrize("text", [text for text, _ in BAD if text])
def test_a_bad_threshold_changes_nothing(
    desk: ExchangeAccount, web: Client, name: str, text: str
) -> None:
    response = web.post(reverse(f"positions:{name}", args=[desk.slug]), {"threshold": text})
    assert response.status_code == 400
    assert "Nothing was changed" in response.text
    assert DustPolicy.objects.filter(account=desk).count() == 1
    assert not desk.plans.exists()


def test_the_guard_itself_is_allowed(desk: ExchangeAccount, web: Client) -> None:
    assert web.get(_what_if(desk.slug), {"threshold": "10"}, headers=HTMX).status_code == 200


def test_making_it_the_threshold_writes_a_policy_version(
    desk: ExchangeAccount, web: Client
) -> None:
    response = web.post(
        reverse("positions:set_threshold", args=[desk.slug]), {"threshold": "0.50"}, follow=True
    )
    newest = desk.policies.order_by("-version")[0]
    assert (newest.version, newest.dust_threshold) == (2, Decimal("0.50"))
    assert newest.created_by_name == "operator"
    assert "Policy v2 is in force" in response.text


@pytest.mark.parametrize(
    ("name", "field"), [("protect_asset", "protected_assets"), ("ignore_asset", "ignored_assets")]
)
def test_an_asset_is_listed_with_a_reason_only(
    desk: ExchangeAccount, web: Client, name: str, field: str
) -> None:
    address = reverse(f"positions:{name}", args=[desk.slug])
    assert web.post(address, {"asset": "DOGE", "reason": "  "}).status_code == 400
    assert web.post(address, {"asset": "", "reason": "x"}).status_code == 400
    assert web.post(address, {"asset": "a b", "reason": "x"}).status_code == 400
    assert web.post(address, {"asset": "DOGE", "reason": "a gift"}).status_code == 302
    newest = desk.policies.order_by("-version")[0]
    assert newest.version == 2
    assert getattr(newest, field) == ["DOGE"]
    assert newest.note == "a gift"


def test_the_table_is_cut_at_the_threshold(desk: ExchangeAccount, web: Client) -> None:
    text = web.get(f"/accounts/{desk.slug}/").text
    table = text[text.index('id="positions"') :]
    assert table.index(">BNB<") < table.index("Below the dust threshold of $1.00")
    assert table.index("Below the dust threshold of $1.00") < table.index(">DOGE<")


def test_filters_and_sort_answer_with_the_table_alone(desk: ExchangeAccount, web: Client) -> None:
    headers = HTMX | {"HX-Target": "positions"}
    text = web.get(
        f"/accounts/{desk.slug}/", {"category": "DUST", "sort": "asset"}, headers=headers
    ).text
    assert text.lstrip().startswith('<section class="panel" id="positions"')
    assert ">SOL<" not in text
    assert text.index(">ADA<") < text.index(">XRP<")
    assert 'aria-sort="ascending"' in text
    assert "<span>8</span>" in text
    found = web.get(f"/accounts/{desk.slug}/", {"find": "do"}, headers=headers).text
    assert ">DOGE<" in found
    assert ">ADA<" not in found
    nothing = web.get(f"/accounts/{desk.slug}/", {"find": "zzz"}, headers=headers).text
    assert "No position matches" in nothing


def test_nonsense_filters_show_everything(desk: ExchangeAccount, web: Client) -> None:
    query = {"category": "x", "route": "'", "sort": "-__class__", "find": ""}
    text = web.get(f"/accounts/{desk.slug}/", query).text
    assert text.count("<tr data-row>") == 8


def test_a_stale_snapshot_states_no_slots_and_offers_no_draft(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account("vega", now=now)
    builders.snapshot(account, at=now - timedelta(hours=3, minutes=12))
    builders.failed_snapshot(account, at=now - timedelta(seconds=30))
    response = web.get("/accounts/vega/")
    assert response.status_code == 200
    assert "3 h 12 min old" in response.text
    assert "The exchange does not answer within 10 s." in response.text
    assert "Unknown" in response.text
    assert 'id="what-if"' not in response.text
    assert "of 8 free</small>" not in response.text
    fragment = web.get(_what_if("vega"), {"threshold": "1"}, headers=HTMX)
    assert fragment.status_code == 409
    assert "younger than 5 min" in fragment.text
    refused = web.post(reverse("positions:draft_plan", args=["vega"]))
    assert refused.status_code == 409
    assert "snapshot_max_age" in refused.text


def test_a_failure_after_a_fresh_snapshot_keeps_the_slots(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    builders.failed_snapshot(desk, at=now + timedelta(seconds=1))
    text = web.get(f"/accounts/{desk.slug}/").text
    assert "could not be read" in text
    assert 'id="what-if"' in text


def test_an_account_that_was_never_read_says_so(web: Client, db: None, now: datetime) -> None:
    builders.account("fresh", now=now)
    text = web.get("/accounts/fresh/").text
    assert "Not read yet" in text
    assert "Take the first snapshot" in text
    assert web.get(_what_if("fresh"), headers=HTMX).status_code == 404


def test_an_unpriced_asset_counts_and_is_never_zero(web: Client, db: None, now: datetime) -> None:
    account = builders.account("odd", now=now)
    builders.snapshot(
        account, at=now, holdings=[builders.holding("GIFT", "3", None), *builders.reference()]
    )
    text = web.get("/accounts/odd/").text
    assert "5 <small>of 8 free" in text
    row = text[text.index(">GIFT<") :]
    assert "unknown" in row[:300]
    assert "$0.00" not in row[:300]


def test_residue_is_listed_apart(web: Client, db: None, now: datetime) -> None:
    account = builders.account("rest", now=now)
    crumb = builders.holding("LTC", "0.000001", "80")
    builders.snapshot(account, at=now, holdings=[crumb, *builders.reference()])
    text = web.get("/accounts/rest/").text
    assert "Residue: 1 asset" in text
    assert "6 of 8 positions" in text


def test_without_redis_a_snapshot_is_noted_and_the_page_says_so(
    desk: ExchangeAccount, web: Client
) -> None:
    response = web.post(reverse("positions:take_snapshot", args=[desk.slug]))
    assert response.status_code == 503
    assert "Redis" in response.text
    desk.refresh_from_db()
    assert desk.snapshot_due_at is not None
    page = web.get(f"/accounts/{desk.slug}/").text
    assert 'id="snapshot-status"' in page


def test_the_updating_note_ends_with_the_newer_snapshot(
    desk: ExchangeAccount, web: Client, now: datetime
) -> None:
    ExchangeAccount.objects.filter(pk=desk.pk).update(snapshot_due_at=now)
    seen = desk.snapshots.first()
    assert seen is not None
    address = reverse("positions:snapshot_status", args=[desk.slug])
    waiting = web.get(address, {"since": seen.pk}, headers=HTMX)
    assert "updating" in waiting.text
    assert "HX-Refresh" not in waiting
    builders.snapshot(desk, at=now + timedelta(seconds=5))
    assert web.get(address, {"since": seen.pk}, headers=HTMX)["HX-Refresh"] == "true"


def test_the_chart_puts_values_where_they_belong(desk: ExchangeAccount, now: datetime) -> None:
    analysis = account_reading(desk.slug, now=now).analysis
    assert analysis is not None
    for chart in charts(analysis):
        frame, stairs, plot = chart.frame, chart.stairs, chart.drawing.plot
        marks = chart.drawing.marks.at(chart.below)
        assert (stairs.lo, stairs.hi) == (-2, 2)
        middle = (frame.left + frame.plot_right) / 2
        assert chart.threshold_x == pytest.approx(middle)
        assert plot.x(stairs.share(Decimal("0.00000001"))) == frame.left
        assert chart.handle == 200
        assert plot.y(0) == frame.floor
        assert len(marks) == 8
        assert all(mark.label for mark in marks)
        assert chart.drawing.marks.are_named
        assert chart.free == 6


def test_the_chart_of_a_crowded_account_shows_what_is_over_the_cap(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account("crowded", now=now)
    holdings = [builders.holding(f"A{number}", "1", f"{number + 1}") for number in range(41)]
    builders.snapshot(account, at=now, holdings=[*holdings, builders.holding("X", "1", None)])
    text = web.get("/accounts/crowded/").text
    assert "over the cap by" in text
    assert 'class="over"' in text
    assert "no price," in text
    assert "point--labelled" not in text
    assert "Over cap by" in text


def test_an_empty_account_draws_without_a_fault(web: Client, db: None, now: datetime) -> None:
    account = builders.account("bare", now=now)
    builders.snapshot(account, at=now, holdings=[])
    response = web.get("/accounts/bare/")
    assert response.status_code == 200
    assert "This account holds no positions." in response.text
    assert "8 <small>of 8 free" in response.text


def test_a_stale_page_tells_how_the_slots_became_unknown(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account("vega", now=now)
    builders.snapshot(account, at=now - timedelta(hours=3))
    builders.failed_snapshot(account, at=now - timedelta(hours=2))
    builders.failed_snapshot(account, at=now - timedelta(seconds=30))
    text = web.get("/accounts/vega/").text
    told = text[text.index("What happened") :]
    sentences = (
        "Try 2: The exchange does not answer within 10 s.",
        "First try that failed",
        "From here on the slots are unknown",
        "Last good snapshot, 8 positions",
    )
    # Slots were unknown five minutes after the snapshot, which was before the first failed try.
    places = [told.index(sentence) for sentence in sentences]
    assert places == sorted(places)


def test_only_an_answer_is_announced_and_not_the_page_itself(
    desk: ExchangeAccount, web: Client
) -> None:
    assert "data-announce" not in web.get(f"/accounts/{desk.slug}/").text
    text = web.get(_what_if(desk.slug), {"threshold": "0.50"}, headers=HTMX).text
    assert "At $0.50: 4 of 8 free, 4 can be closed." in text


def test_the_exact_line_counts_residue_as_the_slots_do(
    web: Client, db: None, now: datetime
) -> None:
    account = builders.account("rest", now=now)
    crumb = builders.holding("LTC", "0.000001", "80000")
    builders.snapshot(account, at=now, holdings=[crumb, *builders.reference()])
    analysis = account_reading("rest", now=now).analysis
    assert analysis is not None
    assert [item.asset for item in analysis.classified.residue] == ["LTC"]
    chart = charts(analysis)[0]
    assert chart.free == 6
    assert chart.paths[0].endswith(f"H{chart.line_at}")
    assert chart.stairs.risers[chart.below - 1].after == chart.free
    assert len(chart.marks) == 8  # residue is no position
