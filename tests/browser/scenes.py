"""Bring a running system into every state that a page shows, each under a name.

Pictures and page checks share these scenes, so that a state that is looked at is checked as well.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from playwright.sync_api import Browser, BrowserContext, Page

from tests.journeys.processes import ROOT, Up, clean_environment

ORDER = "/api/v3/order"
DUST = {
    "SOL": "0.15",
    "BNB": "0.02",
    "DOGE": "5",
    "XRP": "0.25",
    "ADA": "0.5",
    "ONE": "10",
    "SHIB": "5000",
    "PEPE": "5000",
    "USDT": "184.20",
}

# Several commands in one process, which starts once: their environments and arguments on stdin.
SEVERAL = """
import json, os, sys
import django
from django.core.management import call_command
django.setup()
for variables, arguments in json.load(sys.stdin):
    os.environ.update(variables)
    call_command(*arguments)
"""

# What a bot does on the account that stdin names, with the token of the bot grid-7.
HOLDING = """
import sys
import django
django.setup()
from django.utils import timezone
from positions.models import BotToken, ExchangeAccount
from positions.services import leases
from positions.services.actors import Actor
from tests.bots import claim, lease, let_trade
now, account = timezone.now(), ExchangeAccount.objects.get(slug=sys.stdin.read())
bot = Actor.bot(BotToken.objects.get(bot="grid-7"))
let_trade(account, "LINK", "FTT", "AVAX")
lease(account, "LINK", bot=bot, now=now, ttl=3600)
claim(account, "FTT", bot=bot, now=now)
ended = lease(account, "AVAX", bot=bot, now=now, ttl=3600)
leases.release(ended, opened=None, actor=bot, now=now)
"""


def password_of(up: Up) -> str:
    """Return the first administrator's password from the ready message."""
    found = re.search(r"with the password (\S+)", up.said())
    assert found, up.said()
    return found.group(1)


def sign_in(context: BrowserContext, up: Up) -> Page:
    """Return a page on which the first administrator is signed in."""
    context.set_default_timeout(60_000)  # the machine may be busy
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{up.port}/auth/login/")
    page.fill("[name=login]", "admin")
    page.fill("[name=password]", password_of(up))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"http://127.0.0.1:{up.port}/")
    return page


@dataclass
class Stage:
    """One running system, and what people and bots do to it."""

    up: Up
    browser: Browser
    addresses: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)  # API keys by account

    def set(self) -> Mapping[str, str]:
        """Bring it into every state; return the address of each by the scene's name."""
        context = self.browser.new_context(base_url=f"http://127.0.0.1:{self.up.port}")
        sign_in(context, self.up)
        self._desks("desk-two", "desk-three", "desk-four", "desk-five")
        for scene in (
            self._reference,
            self._closed,
            self._unknown,
            self._paused,
            self._halted,
            self._converted,
            self._unreachable,
            self._crowded,
            self._bots,
            self._fixed_pages,
        ):
            # A page of its own: the one before may be about to load itself anew.
            page = context.new_page()
            scene(page)
            page.close()
        context.close()
        return self.addresses

    # --- What the scenes are made of --------------------------------------------------------

    def control(self, action: str, data: Any, *, key: str = "", demo: str = "demo") -> Any:
        """Do something to a sandbox exchange of the demo."""
        ports = json.loads((self.up.state / "sandbox" / "ports.json").read_text())
        reply = requests.post(
            f"http://127.0.0.1:{ports[demo]}/_control/{action}",
            json=data,
            params={"key": key} if key else {},
            timeout=30,
        )
        assert reply.ok, reply.text
        return reply.json()

    def _desks(self, *slugs: str) -> None:
        """Connect more accounts with the reference case's balances and read them."""
        ports = json.loads((self.up.state / "sandbox" / "ports.json").read_text())
        steps: list[tuple[dict[str, str], list[str]]] = []
        for slug in slugs:
            keys = self.control("accounts", {"name": slug, "balances": DUST})
            self.keys[slug] = keys["api_key"]
            credentials = {
                "DUSTADMIN_API_KEY": keys["api_key"],
                "DUSTADMIN_API_SECRET": keys["api_secret"],
            }
            steps.append((credentials, ["add_account", slug, "--exchange=binance"]))
            steps.append(({}, ["take_snapshot", slug]))
        self._run(
            [sys.executable, "-c", SEVERAL],
            told=json.dumps(steps),
            DJANGO_SETTINGS_MODULE="dustadmin.settings",
            DUSTADMIN_EXCHANGE_BASE_URLS=json.dumps(
                {"binance": f"http://127.0.0.1:{ports['demo']}"}
            ),
        )

    def manage(self, *arguments: str, exits: tuple[int, ...] = (0,)) -> int:
        """Run one of the product's commands on the running system and return how it ended."""
        return self._run([sys.executable, str(ROOT / "manage.py"), *arguments], exits=exits)

    def _run(
        self,
        command: list[str],
        *,
        told: str = "",
        exits: tuple[int, ...] = (0,),
        **names: str,
    ) -> int:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=clean_environment(DUSTADMIN_STATE_DIR=str(self.up.state), **names),
            input=told,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in exits, done.stdout + done.stderr
        return done.returncode

    def draft(self, page: Page, slug: str, threshold: str = "") -> str:
        """Draft a plan on the account's page; return the plan's address."""
        page.goto(f"/accounts/{slug}/" + (f"?threshold={threshold}" if threshold else ""))
        page.locator("#draft").click()
        page.wait_for_url(re.compile(r"/plans/\d+/"))
        return page.url.removeprefix(f"http://127.0.0.1:{self.up.port}").split("?")[0]

    def start(self, page: Page) -> None:
        """Start the plan that the page shows."""
        page.get_by_role("link", name=re.compile("^Start ")).click()
        page.get_by_role("button", name=re.compile("^Start ")).click()

    # --- The scenes -------------------------------------------------------------------------

    def _reference(self, page: Page) -> None:
        self.control(
            "open-order",
            {"symbol": "PEPEUSDT", "side": "SELL", "quantity": "5000", "price": "0.00002"},
        )
        self.manage("take_snapshot", "demo")
        self.addresses["account"] = "/accounts/demo/"
        self.addresses["account-refused-threshold"] = "/accounts/demo/?threshold=5000"
        self.addresses["plan-preview"] = self.draft(page, "demo")

    def _closed(self, page: Page) -> None:
        expired = self.draft(page, "desk-two", "0.50")
        plan = self.draft(page, "desk-two")
        self.start(page)
        page.get_by_text("6 of 6 positions closed").wait_for(timeout=60_000)
        page.get_by_text("Waiting for the closing snapshot").wait_for(
            state="detached", timeout=60_000
        )
        self.addresses |= {"plan-expired": expired, "plan-result": plan}
        self.addresses["order-filled"] = self._order_page(page, plan, "DOGE")

    def _unknown(self, page: Page) -> None:
        key = self.keys["desk-three"]
        plan = self.draft(page, "desk-three")
        of_xrp = {"method": "POST", "path": ORDER, "api_key": key, "match": {"symbol": "XRPUSDT"}}
        asked = {"method": "GET", "path": ORDER, "api_key": key, "match": {"symbol": "XRPUSDT"}}
        self.control("faults", {"kind": "drop_after", **of_xrp})
        self.control("faults", {"kind": "status_before", "status": 503, "times": None, **asked})
        self.start(page)
        page.get_by_text("Unknown", exact=True).first.wait_for(timeout=60_000)
        self.addresses["plan-unknown"] = plan
        self.addresses["order-unknown"] = self._order_page(page, plan, "XRP")

    def _paused(self, page: Page) -> None:
        self.control("latency", {"seconds": "0.5"})
        plan = self.draft(page, "desk-four")
        self.start(page)
        page.get_by_role("button", name=re.compile("Pause")).first.click()
        page.get_by_text("Paused", exact=True).first.wait_for()
        self.control("latency", {"seconds": "0"})
        self.addresses["plan-paused"] = plan

    def _halted(self, page: Page) -> None:
        self.manage("halt", "desk-five")
        self.addresses["account-stopped"] = "/accounts/desk-five/"

    def _converted(self, page: Page) -> None:
        preview = self.draft(page, "demo-minimums", "0.50")
        plan = self.draft(page, "demo-minimums")
        self.start(page)
        page.get_by_text("23 of 23 positions closed").wait_for(timeout=60_000)
        page.get_by_text("Waiting for the closing snapshot").wait_for(
            state="detached", timeout=60_000
        )
        self.addresses |= {
            "conversion-preview": preview,
            "conversion-result": plan,
            "conversion-order": self._order_page(page, plan, "XRP"),
            "account-reason": "/accounts/demo/?reason=LOCKED",
            "history-conversion": "/admin/positions/conversion/1/change/",
        }

    def _unreachable(self, page: Page) -> None:
        fault = {"kind": "status_before", "status": 503, "times": None}
        self.control("faults", fault, demo="demo-minimums")
        self.manage("set_policy", "demo-minimums", "snapshot_max_age=1")
        # For five seconds a reading from before the fault will do.
        while self.manage("take_snapshot", "demo-minimums", exits=(0, 1)) == 0:
            pass
        self.addresses["account-stale"] = "/accounts/demo-minimums/"

    def _crowded(self, page: Page) -> None:
        self.addresses["account-crowded"] = "/accounts/demo-crowded/"
        plan = self.draft(page, "demo-crowded")
        self.control("latency", {"seconds": "0.4"}, demo="demo-crowded")
        self.start(page)
        self.addresses["plan-running"] = plan

    def _bots(self, page: Page) -> None:
        self.addresses["account-without-bots"] = "/accounts/desk-four/"
        for name in ("grid-7", "trend-1"):
            page.goto("/bots/")
            page.get_by_label("Bot", exact=True).fill(name)
            page.get_by_label("desk-two").check()
            page.get_by_label("Reserve slots").check()
            page.get_by_label("Claim assets").check()
            page.get_by_role("button", name="Issue the token").click()
            page.get_by_text("It is shown this once.").wait_for()
        self._run(
            [sys.executable, "-c", HOLDING],
            told="desk-two",
            DJANGO_SETTINGS_MODULE="dustadmin.settings",
        )
        page.goto("/accounts/desk-two/#bots")
        for words in ("End it: LINK of grid-7", "Give it back: FTT of grid-7"):
            page.get_by_label(words).wait_for()
        page.goto("/bots/")
        revoke = page.get_by_role("link", name="of grid-7").get_attribute("href")
        page.get_by_role("link", name="of trend-1").click()
        page.get_by_role("button", name=re.compile("^Revoke ")).click()
        page.wait_for_url("**/bots/")
        self.addresses |= {
            "bots": "/bots/",
            "bots-revoke": str(revoke),
            "account-bots": "/accounts/desk-two/",
            "history-token": "/admin/positions/bottoken/1/change/",
            "history-lease": "/admin/positions/lease/1/change/",
        }

    def _order_page(self, page: Page, plan: str, asset: str) -> str:
        other = page.context.new_page()  # the plan's own may be about to load itself anew
        other.goto(plan)
        link = other.locator("tr", has_text=asset).locator("a[href^='/orders/']").first
        address = str(link.get_attribute("href"))
        other.close()
        return address

    def _fixed_pages(self, page: Page) -> None:
        self.addresses |= {
            "accounts": "/",
            "policy": "/accounts/demo-minimums/policy/",
            "policy-side-by-side": "/accounts/demo-minimums/policy/?left=1&right=2",
            "connect": "/accounts/connect/",
            "re-key": "/accounts/demo/key/",
            "disable": "/accounts/demo/disable/",
            "stop-all": "/stop/",
            "history": "/admin/",
            "history-events": "/admin/positions/auditevent/",
            "history-order": "/admin/positions/closeorder/1/change/",
            "not-found": "/plans/999999/",
        }
