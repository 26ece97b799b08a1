"""Remember snapshots that were classified already: what a page shows again and again.

Why nothing here can be outdated: docs/decisions/0014-remembered-snapshots.md.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Lock

from positions.domain.balances import Holding
from positions.domain.policies import Policy
from positions.domain.routes import Circumstances
from positions.domain.what_if import WhatIf
from positions.models import DustPolicy, Position, Snapshot
from positions.models.snapshots import HOLDING_FIELDS, holding_of
from positions.selectors.snapshots import remembers

# About 4 kB each, their chart included: some 80 MB in a process at most.
MOST_HOLDINGS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Everything that a classified snapshot depends on: no more and no less."""

    snapshot: int
    taken_at: datetime  # a restored database may give a key a second time
    policy: Policy
    circumstances: Circumstances
    remembers: bool  # what counted before


def wanted(snapshot: Snapshot, *, row: DustPolicy, circumstances: Circumstances) -> Wanted:
    """Return what to ask for; a snapshot's positions never change once they are written."""
    return Wanted(
        snapshot=snapshot.pk,
        taken_at=snapshot.taken_at,
        policy=row.as_domain(),
        circumstances=circumstances,
        remembers=remembers(snapshot, row),
    )


@dataclass(slots=True)
class Memory:
    """The classified snapshots that were used last, with at most `most` holdings together."""

    most: int = MOST_HOLDINGS
    _kept: OrderedDict[Wanted, WhatIf] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, key: Wanted) -> WhatIf | None:
        """Return it if it is remembered."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: Wanted, value: WhatIf) -> None:
        """Remember it and forget what was used longest ago; the newest always stays."""
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            held = sum(kept.size for kept in self._kept.values())
            while held > self.most and len(self._kept) > 1:
                _, forgotten = self._kept.popitem(last=False)
                held -= forgotten.size


_MEMORY = Memory()


def what_ifs_of(keys: Sequence[Wanted]) -> Mapping[Wanted, WhatIf]:
    """Return the classified snapshots; those not remembered are read in one query together."""
    found = {key: known for key in keys if (known := _MEMORY.get(key)) is not None}
    missing = [key for key in keys if key not in found]
    if missing:
        holdings = _holdings_of([key.snapshot for key in missing])
        for key in missing:
            found[key] = WhatIf(
                as_counted(holdings[key.snapshot], remembered=key.remembers),
                policy=key.policy,
                cap=key.policy.position_cap,
                circumstances=key.circumstances,
            )
            _MEMORY.put(key, found[key])
    return found


def as_counted(holdings: Iterable[Holding], *, remembered: bool) -> list[Holding]:
    """Return holdings without what counted before, if the policy has forgotten it since."""
    if remembered:
        return list(holdings)
    return [replace(item, counted_at=None) for item in holdings]


def what_if_of(snapshot: Snapshot, *, row: DustPolicy, circumstances: Circumstances) -> WhatIf:
    """Return one classified snapshot."""
    key = wanted(snapshot, row=row, circumstances=circumstances)
    return what_ifs_of([key])[key]


def _holdings_of(snapshots: Sequence[int]) -> Mapping[int, list[Holding]]:
    found: dict[int, list[Holding]] = {pk: [] for pk in snapshots}
    rows = Position.objects.filter(snapshot__in=snapshots)
    # Tuples: two thousand model instances would take twice as long.
    for pk, *values in rows.values_list("snapshot_id", *HOLDING_FIELDS):
        found[pk].append(holding_of(dict(zip(HOLDING_FIELDS, values, strict=True))))
    return found
