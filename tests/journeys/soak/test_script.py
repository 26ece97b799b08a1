"""A script follows from its seed, and everything that can happen does happen."""

from __future__ import annotations

from collections import Counter

from sandbox.faults import KINDS, parse_fault
from tests.journeys.faults.points import Action, Point
from tests.journeys.soak.script import ENDS, ORDER, PUBLIC, READS, Kind, Step, write_script

MANY = range(40)


def steps(kind: Kind) -> list[Step]:
    """Return what happens of one kind over many seeds."""
    return [step for seed in MANY for step in write_script(seed, seconds=120) if step.kind is kind]


def test_the_same_seed_gives_the_same_script() -> None:
    assert write_script(7, seconds=60) == write_script(7, seconds=60)
    assert write_script(7, seconds=60) != write_script(8, seconds=60)


def test_everything_happens_in_order_and_within_the_time() -> None:
    for seed in MANY:
        times = [step.at for step in write_script(seed, seconds=30)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= 30


def test_every_kind_occurs_over_seeds() -> None:
    assert all(steps(kind) for kind in Kind)


def test_every_fault_that_the_exchange_knows_occurs_over_seeds_and_is_one_it_takes() -> None:
    faults = [step.what for step in steps(Kind.FAULT)]
    for fault in faults:
        parse_fault(fault)
    # A change goes wrong for nobody by itself; prices, keys and the clock are steps of their own.
    assert {fault["kind"] for fault in faults} == set(KINDS) - {"change"}
    assert {(fault["method"], fault["path"]) for fault in faults} == {ORDER, *READS}
    assert set(PUBLIC) < {path for _, path in READS}


def test_every_action_occurs_at_every_point_over_seeds() -> None:
    found = {(step.what["point"], step.what["action"]) for step in steps(Kind.POINT)}
    assert found == {(point, action) for point in Point for action in Action}


def test_whatever_is_taken_away_is_given_back() -> None:
    for seed in MANY:
        script = write_script(seed, seconds=120)
        counted = Counter(step.kind for step in script)
        for kind, (ending, *_) in ENDS.items():
            if kind is not ending:
                assert counted[kind] == counted[ending], kind
        clocks = [step.what["skew_ms"] for step in script if step.kind is Kind.CLOCK]
        assert len(clocks) == 2 * clocks.count(0)
