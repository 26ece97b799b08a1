"""Keep below an exchange's limits: when may the next request leave?

Every limit is kept as a track: the moment at which all that was reserved has drained at our pace.
A request leaves once every limit that it concerns has room, so that all windows hold together.

Orders are evenly spaced within windows of up to a minute: window x 1.05 / (n x share), burst 1,
because an exchange counts in windows of its own: orders exactly 100 ms apart put eleven into one
second; hence the stretch of 5 %. Longer windows and request weight may use a quarter of our share
at once, the rest flows evenly: one reading of an account costs 180 of 6,000. In no window of any
length does that add up to more than the share.

What the exchange itself counts beyond our own requests is others' use (the team's bots). While
they use more than their part, our part is what they leave.

Moments and durations are whole microseconds; moments are on the clock of whoever keeps the tracks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

SECOND = 1_000_000  # microseconds
STRETCH = Decimal("1.05")
# Up to this window, seconds, orders are evenly spaced; a day's orders are a budget, not a pace.
LONGEST_SPACED = 60
# How fine it is remembered when our own requests left: as fine as the stretch.
_PARTS = 20


class Kind(StrEnum):
    """What a limit counts; the values are Binance's names for them."""

    ORDERS = "ORDERS"  # per API key
    WEIGHT = "REQUEST_WEIGHT"  # per address
    REQUESTS = "RAW_REQUESTS"  # per address


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A published limit: `allowed` units in `window` seconds."""

    allowed: int
    window: int  # seconds
    kind: Kind = Kind.ORDERS

    @property
    def name(self) -> str:
        """Return what its track is kept by, whatever is allowed today."""
        return f"{self.kind}/{self.window}"

    @property
    def window_us(self) -> int:
        """Return the window in microseconds."""
        return self.window * SECOND

    @property
    def is_spaced(self) -> bool:
        """Tell whether its units are evenly spaced: orders within a short window."""
        return self.kind is Kind.ORDERS and self.window <= LONGEST_SPACED

    def part(self, share: Decimal, *, others: int = 0) -> Decimal:
        """Return the units in one window that are ours: our share, or what others leave of it."""
        return min(self.allowed * share, Decimal(self.allowed - others))

    def room(self, share: Decimal, *, others: int = 0) -> "Room":
        """Return how our part of the limit may be used."""
        part = max(self.part(share, others=others), Decimal(1)) if others else self.part(share)
        steady = Decimal(self.window_us) * STRETCH / part
        stretched = part / STRETCH
        if self.is_spaced or stretched < 4:
            return Room(unit_us=_up(steady), burst=1)
        burst = int(stretched / 4)
        return Room(unit_us=_up(self.window_us / (stretched - burst)), burst=burst)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A pace: one unit drains in `unit_us`, and `burst` units may be undrained at once."""

    unit_us: int
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """What is remembered of one limit."""

    drained_at: int  # when all that was reserved has drained
    used: tuple[tuple[int, int], ...] = ()  # from when on, units; the oldest first
    others: int = 0  # units that others used in one window
    others_until: int = 0  # when that is forgotten
    is_lost: bool = False  # nobody has told yet what was used before

    def others_at(self, moment: int) -> int:
        """Return what others are known to use at a moment."""
        return self.others if moment < self.others_until else 0

    def moved(self, by: int) -> "Track":
        """Return the track on a clock that was set forward by so much (back if negative)."""
        return replace(
            self,
            drained_at=self.drained_at + by,
            used=tuple((start + by, units) for start, units in self.used),
            others_until=self.others_until + by,
        )


Tracks = Mapping[str, Track]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The moment a request may leave, and what is remembered after it."""

    at: int
    tracks: Tracks


def lost_track(limit: Limit, *, share: Decimal, now: int) -> Track:
    """Return the track of a limit whose reservations were lost: the whole window counts as used."""
    room = limit.room(share)
    wait = limit.window_us if room.burst == 1 else room.burst * room.unit_us
    return Track(drained_at=now + wait, is_lost=True)


def used_track(limit: Limit, units: int, *, share: Decimal, now: int) -> Track:
    """Return a lost track of which is known how many units the last window saw.

    However they were spread, no more than the burst can be undrained of them.
    """
    room = limit.room(share)
    undrained = min(units, room.burst)
    return Track(drained_at=now + undrained * room.unit_us, used=((now, units),) if units else ())


def reserve(
    charges: Sequence[tuple[Limit, int]], *, tracks: Tracks, share: Decimal, earliest: int
) -> Reservation:
    """Return the first moment from `earliest` on at which every limit has room, and reserve it.

    `charges` says how many units of which limit the request takes; each limit needs its track.
    """
    at = earliest
    for limit, units in charges:
        at = max(at, _room_from(limit, units, tracks[limit.name], share=share, moment=at))
    after = dict(tracks)
    for limit, units in charges:
        track = tracks[limit.name]
        room = limit.room(share, others=track.others_at(at))
        after[limit.name] = replace(
            track,
            drained_at=max(track.drained_at, at) + units * room.unit_us,
            used=_added(track.used, at=at, units=units, limit=limit, now=earliest),
        )
    return Reservation(at=at, tracks=after)


def _room_from(limit: Limit, units: int, track: Track, *, share: Decimal, moment: int) -> int:
    """Return from when on a limit has room for so many units."""

    def free(room: Room) -> int:
        return track.drained_at - (room.burst - units) * room.unit_us

    ours, others = free(limit.room(share)), track.others_at(moment)
    if others == 0:
        return ours
    nothing_left = limit.part(share, others=others) < 1
    left = track.others_until if nothing_left else free(limit.room(share, others=others))
    return max(ours, min(left, track.others_until))


def _added(
    used: tuple[tuple[int, int], ...], *, at: int, units: int, limit: Limit, now: int
) -> tuple[tuple[int, int], ...]:
    """Return the use with more units at a moment, without what no window can see any more."""
    part = limit.window_us // _PARTS
    kept = {start: count for start, count in used if start > now - 2 * limit.window_us}
    start = max((start for start in kept if start <= at < start + part), default=at)
    return tuple(sorted((kept | {start: kept.get(start, 0) + units}).items()))


def delayed(
    limit: Limit, track: Track, *, share: Decimal, now: int, reserved_since: int
) -> Track | None:
    """Return the track after an order leaves now, later than its moment; None if it may not.

    Those that are not reserved yet move by as much as it takes. `reserved_since` is how many
    moments after its own are given away already: the first that must not share a window with it may
    not be among them.
    """
    others = track.others_at(now)
    room, most = limit.room(share, others=others), int(limit.part(share, others=others)) or 1
    if reserved_since >= most:
        return None
    half_stretched = int(limit.window_us * (1 + STRETCH) / 2)
    soonest = now + half_stretched - (most - reserved_since - 1) * room.unit_us
    return replace(
        track,
        drained_at=max(track.drained_at, soonest),
        # For the exchange it counts from now on.
        used=_added(track.used, at=now, units=1, limit=limit, now=now),
    )


def own_use(limit: Limit, track: Track, *, now: int, slack: int) -> int:
    """Return how many of our units the exchange may count now; rather too many than too few.

    `slack` is how much longer than its window a request may be counted: it arrived late.
    """
    part = limit.window_us // _PARTS
    oldest = now - limit.window_us - part - slack
    return sum(units for start, units in track.used if oldest < start <= now)


def counted(
    limit: Limit, track: Track, *, units: int, share: Decimal, now: int, slack: int
) -> Track:
    """Return the track after the exchange said how many units it counts in the limit's window."""
    if track.is_lost and limit.room(share).burst > 1:
        # Whose they are nobody knows: they count as others' for one window.
        track = replace(used_track(limit, units, share=share, now=now), used=())
    # As exact as the stretch: what is counted is on its way there and back.
    unsure = max(1, limit.allowed // _PARTS)
    others = max(0, units - own_use(limit, track, now=now, slack=slack) - unsure)
    if others < track.others_at(now):
        return track  # what was seen a moment ago stays for its window
    return replace(track, others=others, others_until=now + limit.window_us if others else 0)


def in_force(published: Iterable[Limit], known: Iterable[Limit]) -> tuple[Limit, ...]:
    """Return the limits in force: what the exchange publishes, else what is known of it.

    Where both name the same window the stricter wins.
    """
    told, facts = list(published), {limit.name: limit for limit in known}
    kinds = {limit.kind for limit in told}
    found = {name: limit for name, limit in facts.items() if limit.kind not in kinds}
    for limit in told:
        rivals = [item for item in (limit, facts.get(limit.name), found.get(limit.name)) if item]
        found[limit.name] = min(rivals, key=lambda item: item.allowed)
    return tuple(found.values())


def tolerance(limits: Iterable[Limit]) -> int | None:
    """Return how late a request may leave after its moment; None if nothing is spaced.

    Half of what the stretch leaves of the shortest window; the way to the exchange has the rest.
    """
    spaced = [limit.window_us for limit in limits if limit.is_spaced]
    return int(min(spaced) * (STRETCH - 1) / 2) if spaced else None


def _up(amount: Decimal) -> int:
    return int(amount.to_integral_value(rounding=ROUND_CEILING))
