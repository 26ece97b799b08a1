"""Counting requests and orders in sliding windows, and bans for those who go on.

Request weight is counted by address, orders by account. Binance counts in fixed windows; a
sliding window of the same length is never more generous, so whoever respects this exchange's
limits respects the real one's. Binance also forgets orders that traded; here all orders count.
Time is an argument, in microseconds of the unskewed clock.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox import refusals
from sandbox.limits import Limit, Limits
from sandbox.refusals import Refusal

SECOND = 1_000_000
LONGEST_BAN_SECONDS = 3 * 86400


@dataclass(slots=True)
class Window:
    """What happened within one limit's interval, oldest first."""

    limit: Limit
    events: deque[tuple[int, int]] = field(default_factory=deque)
    total: int = 0

    def used(self, now_us: int) -> int:
        """Return the sum within the interval that ends now."""
        start = now_us - self.limit.interval_seconds * SECOND
        while self.events and self.events[0][0] <= start:
            self.total -= self.events.popleft()[1]
        return self.total

    def add(self, now_us: int, amount: int) -> None:
        """Count an event."""
        self.events.append((now_us, amount))
        self.total += amount

    def free_at(self, now_us: int, amount: int) -> int:
        """Return the moment from which `amount` fits."""
        excess = self.used(now_us) + amount - self.limit.limit
        for at_us, weight in self.events:
            if excess <= 0:
                break
            excess -= weight
            now_us = at_us + self.limit.interval_seconds * SECOND
        return now_us


class Address:
    """What one client address has used, and what it was told."""

    def __init__(self, limits: Limits) -> None:
        self.weight = Window(limits.weight)
        self.sapi_weight = Window(limits.sapi_weight)
        self.raw = Window(limits.raw)
        self.wait_until_us = 0
        self.defied = 0
        self.banned_until_us = 0
        self.bans = 0


class Owner:
    """What one account has ordered, and what it was told."""

    def __init__(self, limits: Limits) -> None:
        self.windows = [Window(limit) for limit in limits.orders]
        self.wait_until_us = 0
        self.defied = 0


# kind, observed, limit, address, key
Report = Callable[[str, int, Limit, str, str | None], None]


class Gate:
    """Count requests and orders; raise Refusal for those beyond a limit."""

    def __init__(self, limits: Limits, report: Report) -> None:
        self.limits = limits
        self._report = report
        self._addresses: dict[str, Address] = {}
        self._owners: dict[str, Owner] = {}

    def address(self, name: str) -> Address:
        """Return what an address has used."""
        if name not in self._addresses:
            self._addresses[name] = Address(self.limits)
        return self._addresses[name]

    def owner(self, api_key: str) -> Owner:
        """Return what an account has ordered."""
        if api_key not in self._owners:
            self._owners[api_key] = Owner(self.limits)
        return self._owners[api_key]

    # Memory over a restart
    def remember(
        self, at_us: int, weight: int, *, address: str, is_sapi: bool, orders_of: str | None
    ) -> None:
        """Count a request from before a restart."""
        place = self.address(address)
        place.raw.add(at_us, 1)
        (place.sapi_weight if is_sapi else place.weight).add(at_us, weight)
        if orders_of is not None:
            for window in self.owner(orders_of).windows:
                window.add(at_us, 1)

    def bans(self) -> str:
        """Return all bans as text that `remember_bans` reads."""
        return json.dumps(
            {
                name: [place.banned_until_us, place.bans]
                for name, place in self._addresses.items()
                if place.bans
            }
        )

    def remember_bans(self, text: str) -> None:
        """Take over the bans from before a restart."""
        for name, (until_us, count) in json.loads(text).items():
            place = self.address(name)
            place.banned_until_us, place.bans = until_us, count

    # Requests
    def admit_request(self, address: str, weight: int, *, is_sapi: bool, now_us: int) -> None:
        """Count a request of the address, or raise 429 or 418."""
        place = self.address(address)
        if now_us < place.banned_until_us:
            self._report("banned", 1, self.limits.weight, address, None)
            raise _banned(place, now_us)
        window = place.sapi_weight if is_sapi else place.weight
        over = [
            (each, amount)
            for each, amount in ((window, weight), (place.raw, 1))
            if each.used(now_us) + amount > each.limit.limit
        ]
        if now_us < place.wait_until_us or over:
            self._refuse_request(address, over or [(window, weight)], now_us)
        place.defied = 0
        window.add(now_us, weight)
        place.raw.add(now_us, 1)

    def _refuse_request(self, address: str, over: list[tuple[Window, int]], now_us: int) -> None:
        place = self.address(address)
        window, amount = over[0]
        kind = "raw_requests" if window is place.raw else "weight"
        self._report(kind, window.used(now_us) + amount, window.limit, address, None)
        if now_us < place.wait_until_us:
            self._count_defiance(place, place, now_us)
        free_at = max(each.free_at(now_us, weight) for each, weight in over)
        place.wait_until_us = max(place.wait_until_us, free_at)
        raise refusals.too_many_requests(
            window.limit.limit, window.limit.words, _seconds(place.wait_until_us - now_us)
        )

    # Orders
    def admit_order(self, api_key: str, *, address: str, now_us: int) -> None:
        """Count an order of the account, or raise 429; going on brings its address a ban."""
        owner = self.owner(api_key)
        for window in owner.windows:
            observed = window.used(now_us) + 1
            if observed > window.limit.limit:
                self._report("orders", observed, window.limit, address, api_key)
                if now_us < owner.wait_until_us:
                    self._count_defiance(owner, self.address(address), now_us)
                owner.wait_until_us = max(owner.wait_until_us, window.free_at(now_us, 1))
                raise refusals.too_many_orders(window.limit.limit, window.limit.words)
        owner.defied = 0
        for window in owner.windows:
            window.add(now_us, 1)

    def _count_defiance(self, who: Address | Owner, place: Address, now_us: int) -> None:
        """Count that a 429 was ignored; ban the address when that was once too often."""
        who.defied += 1
        if who.defied < self.limits.ban_after:
            return
        who.defied = 0
        # From two minutes up to three days for those who do it again.
        length = min(self.limits.ban_seconds * 2**place.bans, LONGEST_BAN_SECONDS)
        place.bans += 1
        place.banned_until_us = now_us + length * SECOND
        raise _banned(place, now_us)


def _banned(place: Address, now_us: int) -> Refusal:
    left = place.banned_until_us - now_us
    return refusals.banned(place.banned_until_us // 1000, _seconds(left))


def _seconds(microseconds: int) -> int:
    return max(1, -(-microseconds // SECOND))
