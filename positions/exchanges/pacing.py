"""Share an exchange's limits among all workers: reservations in Redis, made atomically.

Order limits are kept per API key; request weight per exchange, base URL and egress address. Redis's
own clock decides, so that machines with different clocks agree. The arithmetic is pure and stands
in `positions.domain.pacing`.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal

import redis

from positions.domain.pacing import (
    SECOND,
    Kind,
    Limit,
    Track,
    Tracks,
    counted,
    delayed,
    lost_track,
    reserve,
    tolerance,
    used_track,
)
from positions.exchanges.pacing_memory import Memory, PacingMemory
from positions.exchanges.port import PacerUnavailable, RateLimited, SentWithin, Slot

ZERO = Decimal(0)
UNPACED = 1000  # orders, where an exchange has no limit to space them by
# Nobody waits longer than this for a request's turn; a page or a task says so instead.
LONGEST_WAIT = Decimal(20)

Charges = Sequence[tuple[Limit, int]]


@contextmanager
def _redis_answers() -> Iterator[None]:
    try:
        yield
    except redis.RedisError:
        raise PacerUnavailable(
            "Redis does not answer, so the shared rate limiter can't be asked. Nothing was sent."
        ) from None


class Pacer:
    """Say when the next request of one account may leave."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        place: str,
        key_fingerprint: str,
        share: Decimal,
        limits: Sequence[Limit],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep weights per `place` (exchange, base URL, egress address) and orders per key."""
        digest = hashlib.sha256(place.encode()).hexdigest()[:16]
        self._memory = PacingMemory(client, place=digest, key=key_fingerprint[:32])
        self.share = share
        self.limits = tuple(limits)
        self._sleep = sleep
        self._knows_counts = False

    @property
    def tolerance(self) -> Decimal | None:
        """Return how many seconds after its moment an order may still leave; None: any."""
        found = tolerance(self.limits)
        return None if found is None else Decimal(found) / SECOND

    def orders_within(self, seconds: Decimal) -> int:
        """Return how many orders may leave within so many seconds at the pace of spaced limits."""
        spaced = [item for item in self.limits if item.is_spaced]
        units = [item.room(self.share).unit_us for item in spaced]
        return int(seconds * SECOND / max(units)) if units else UNPACED

    def take_weight(
        self, weight: int, *, requests: int = 1, latest: Decimal = LONGEST_WAIT
    ) -> None:
        """Wait until requests of this weight may leave; raise `RateLimited` if that takes long."""
        charges = self._charges({Kind.WEIGHT: weight, Kind.REQUESTS: requests})
        slot = self._reserved(charges, lead=ZERO, latest=latest)
        if not slot.is_reserved:
            raise RateLimited(
                "The exchange's request limit is used up for the moment.", retry_after=slot.wait
            )
        if slot.wait > 0:
            self._sleep(float(slot.wait))  # a pause in seconds, not money

    def take_order(self, *, lead: Decimal, latest: Decimal, sent: SentWithin | None = None) -> Slot:
        """Reserve the next order's moment; its weight was taken with the look that it rests on.

        Nothing is reserved if that is more than `latest` seconds away. Where Redis lost the count
        of a window that nobody can wait for, `sent` says what our own records have.
        """
        charges = self._charges({Kind.ORDERS: 1})
        return self._reserved(charges, lead=lead, latest=latest, sent=sent)

    def delay(self, slot: Slot) -> bool:
        """Let an order leave now that missed its moment, and the next ones later; False if not."""
        with _redis_answers():
            while True:
                seen = self._memory.read()
                tracks = dict(seen.tracks)
                for limit in self.limits:
                    if not limit.is_spaced:
                        continue
                    track = tracks.get(limit.name)
                    moved = track and delayed(
                        limit,
                        track,
                        share=self.share,
                        now=seen.now,
                        reserved_since=seen.count - slot.number,
                    )
                    if moved is None or slot.number > seen.count:
                        return False  # too many come after it, or Redis has lost them
                    tracks[limit.name] = moved
                if self._memory.write(seen, tracks=tracks):
                    return True

    def give_back(self, slot: Slot) -> None:
        """Leave a reserved moment that is not used to the next order."""
        with _redis_answers():
            while True:
                seen = self._memory.read()
                if slot.at <= seen.now or slot.number > seen.count:
                    return
                free = sorted({*seen.free, (slot.at, slot.number)})
                if self._memory.write(seen, tracks=seen.tracks, free=free):
                    return

    def prime(self) -> None:
        """Start the count of a lost window now, so that it is over when an order comes."""
        short = [item for item in self._charges({Kind.ORDERS: 1}) if item[0].is_spaced]
        with _redis_answers():
            while True:
                seen = self._memory.read()
                tracks = self._remembered(short, seen, sent=None)
                if self._memory.write(seen, tracks=tracks):
                    return

    def window_of(self, counts: Mapping[str, int]) -> Decimal:
        """Return the longest order window, seconds, that these counts fill; else the shortest."""
        spaced = [limit for limit in self.limits if limit.is_spaced]
        full = [item.window for item in spaced if counts.get(item.name, 0) >= item.allowed]
        return Decimal(max(full, default=min((item.window for item in spaced), default=1)))

    def wait_until_open(self) -> None:
        """Wait while the exchange wants to be left alone; raise `RateLimited` if that is long."""
        while True:
            with _redis_answers():
                blocked = Decimal(self._memory.read().blocked) / SECOND
            if blocked == 0:
                return
            if blocked > LONGEST_WAIT:
                raise RateLimited("The exchange has asked for a pause.", retry_after=blocked)
            self._sleep(float(blocked))

    def block(self, seconds: Decimal, *, key_only: bool = False) -> None:
        """Let nobody send to this place, or nobody with this key: the exchange asked for it."""
        with _redis_answers():
            self._memory.block(max(1, int(seconds * 1000)), key_only=key_only)

    def note_counts(self, counts: Mapping[str, int], *, took: Decimal) -> None:
        """Believe the exchange's own counts, by limit, from a request that took so many seconds."""
        told = [
            limit
            for limit in self.limits
            if limit.name in counts
            # What others may have anyway changes nothing.
            and not (self._knows_counts and counts[limit.name] <= limit.allowed * (1 - self.share))
        ]
        if not told:
            return
        with _redis_answers():
            while True:
                seen = self._memory.read()
                tracks = dict(seen.tracks)
                for limit in told:
                    if (track := tracks.get(limit.name)) is not None:
                        tracks[limit.name] = counted(
                            limit,
                            track,
                            units=counts[limit.name],
                            share=self.share,
                            now=seen.now,
                            slack=int(took * SECOND),
                        )
                if self._memory.write(seen, tracks=tracks):
                    return

    def _charges(self, units: Mapping[Kind, int]) -> list[tuple[Limit, int]]:
        return [(limit, units[limit.kind]) for limit in self.limits if units.get(limit.kind)]

    def _reserved(
        self, charges: Charges, *, lead: Decimal, latest: Decimal, sent: SentWithin | None = None
    ) -> Slot:
        """Return the reserved moment, or the one that is too late to be reserved."""
        takes_order = any(limit.kind is Kind.ORDERS for limit, _ in charges)
        with _redis_answers():
            while True:
                seen = self._memory.read()
                if seen.blocked and Decimal(seen.blocked) / SECOND <= latest:
                    self._sleep(seen.blocked / SECOND)
                    continue
                tracks = self._remembered(charges, seen, sent=sent)
                self._knows_counts = not any(tracks[limit.name].is_lost for limit, _ in charges)
                earliest = seen.now + max(int(lead * SECOND), seen.blocked)
                free = [item for item in seen.free if item[0] >= earliest] if takes_order else []
                if free:
                    (at, number), after, count = free[0], tracks, seen.count
                else:
                    found = reserve(charges, tracks=tracks, share=self.share, earliest=earliest)
                    number = count = seen.count + takes_order
                    at, after = found.at, found.tracks
                if at > seen.now + int(latest * SECOND):
                    # Only that what was lost is counted from now on.
                    is_reserved, after, free, count = False, tracks, list(seen.free), seen.count
                else:
                    is_reserved, free = True, [item for item in seen.free if item[0] != at]
                if self._memory.write(seen, tracks=after, free=free, count=count):
                    wait = Decimal(at - seen.now) / SECOND
                    return Slot(at=at, number=number, wait=wait, is_reserved=is_reserved)

    def _remembered(self, charges: Charges, seen: Memory, *, sent: SentWithin | None) -> Tracks:
        """Return all tracks, those that were lost begun anew."""
        tracks: dict[str, Track] = dict(seen.tracks)
        for limit, _ in charges:
            if limit.name in tracks:
                continue
            if limit.kind is Kind.ORDERS and not limit.is_spaced and sent is not None:
                units = sent(limit.window)
                tracks[limit.name] = used_track(limit, units, share=self.share, now=seen.now)
            else:
                tracks[limit.name] = lost_track(limit, share=self.share, now=seen.now)
        return tracks
