"""Keep what the pacer remembers in Redis: read in one step, written only if nobody wrote since.

One text holds the tracks of an API key's orders and the moments that were given back, another the
tracks of a place's request weight. A text counts only within the run of the server that wrote it:
one that restarted may have woken up with an old text, or with none.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from positions.domain.pacing import SECOND, Kind, Track, Tracks

# What is remembered, with the clock that it is measured by. A block that lasts longer than it was
# set for is one whose clock was set back.
Free = Sequence[tuple[int, int]]  # moment, number

_READ = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
local now = redis.call('TIME')
local blocked = 0
for number = 3, #KEYS do
  local whole, left = redis.call('GET', KEYS[number]), redis.call('PTTL', KEYS[number])
  if whole and left > tonumber(whole) then
    redis.call('PEXPIRE', KEYS[number], whole)
    left = tonumber(whole)
  end
  blocked = math.max(blocked, left)
end
return {run, now[1], now[2], blocked, redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}
"""
_SWAP = """
for number, key in ipairs(KEYS) do
  if (redis.call('GET', key) or '') ~= ARGV[2 * number - 1] then return 0 end
end
for number, key in ipairs(KEYS) do redis.call('SET', key, ARGV[2 * number]) end
return 1
"""
_BLOCK = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[1])
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What was remembered at one moment; microseconds on the server's clock."""

    run: str
    now: int
    blocked: int  # how long nothing may leave
    tracks: Tracks  # without those that are lost
    free: Free  # what was given back, the soonest first
    count: int  # moments of orders that were reserved so far
    texts: tuple[str, str]  # orders, weight; as they were read


class PacingMemory:
    """The memory of one API key at one place."""

    def __init__(self, client: redis.Redis, *, place: str, key: str) -> None:
        """Name the keys; nothing is read yet."""
        self._keys = [f"dustadmin:pace:orders:{key}", f"dustadmin:pace:weight:{place}"]
        self._place_block = f"dustadmin:pace:block:{place}"
        self._key_block = f"dustadmin:pace:block:key:{key}"
        self._read = client.register_script(_READ)
        self._swap = client.register_script(_SWAP)
        self._block = client.register_script(_BLOCK)

    def read(self) -> Memory:
        """Return what is remembered now."""
        answer = self._read(keys=[*self._keys, self._place_block, self._key_block])
        run, seconds, microseconds, blocked, *texts = (
            item.decode() if isinstance(item, bytes) else item for item in answer
        )
        now = int(seconds) * SECOND + int(microseconds)
        orders, weight = (text or "" for text in texts)
        tracks, free, count = _unpacked(orders, run=run, now=now)
        return Memory(
            run=run,
            now=now,
            blocked=int(blocked) * (SECOND // 1000),
            tracks={**tracks, **_unpacked(weight, run=run, now=now)[0]},
            free=[item for item in free if item[0] > now],
            count=count,
            texts=(orders, weight),
        )

    def write(
        self,
        before: Memory,
        *,
        tracks: Tracks,
        free: Free | None = None,
        count: int | None = None,
    ) -> bool:
        """Remember this instead; return False, and change nothing, if somebody was faster."""
        free = before.free if free is None else free
        count = before.count if count is None else count
        orders = {name: item for name, item in tracks.items() if name.startswith(Kind.ORDERS)}
        weight = {name: item for name, item in tracks.items() if name not in orders}
        texts = (
            _packed(orders, free=free, count=count, run=before.run, now=before.now),
            _packed(weight, free=(), count=0, run=before.run, now=before.now),
        )
        keys: list[str] = []
        arguments: list[str] = []
        for number, part in enumerate((orders, weight)):
            changed = any(before.tracks.get(name) != track for name, track in part.items())
            if changed or (number == 0 and (list(free), count) != (before.free, before.count)):
                keys.append(self._keys[number])
                arguments += [before.texts[number], texts[number]]
        return not keys or bool(self._swap(keys=keys, args=arguments))

    def block(self, milliseconds: int, *, key_only: bool) -> None:
        """Let nothing leave for so long; a longer block stays."""
        self._block(keys=[self._key_block if key_only else self._place_block], args=[milliseconds])


def _packed(tracks: Tracks, *, free: Free, count: int, run: str, now: int) -> str:
    rows = {
        name: [item.drained_at, item.used, item.others, item.others_until, item.is_lost]
        for name, item in tracks.items()
    }
    content = {"run": run, "at": now, "free": list(free), "count": count, "tracks": rows}
    return json.dumps(content)


def _unpacked(text: str, *, run: str, now: int) -> tuple[dict[str, Track], Free, int]:
    if not text:
        return {}, [], 0
    content = json.loads(text)
    if content["run"] != run:
        return {}, [], 0
    # A clock that was set back takes the memory with it: nobody waits for the old time.
    back = min(0, now - content["at"])
    tracks = {
        name: Track(
            drained_at=drained_at,
            used=tuple((start, units) for start, units in used),
            others=others,
            others_until=others_until,
            is_lost=is_lost,
        ).moved(back)
        for name, (drained_at, used, others, others_until, is_lost) in content["tracks"].items()
    }
    free = [(moment + back, number) for moment, number in content["free"]]
    return tracks, free, content["count"]
