"""Play the script of a seed and judge what came of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.journeys.faults.house import open_house
from tests.journeys.soak.script import write_script
from tests.journeys.soak.stage import Entry, Stage
from tests.journeys.soak.verdict import Figures, figures_of, violations

SETTLED_WITHIN = 240.0  # seconds; longer than any lease and the longest pause between look-ups


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """What happened, and what is wrong with it."""

    seed: int
    entries: list[Entry]
    violations: list[str]
    figures: Figures

    def story(self) -> str:
        """Return the script with what was done when, and every violation."""
        lines = [f"seed {self.seed}", *map(str, self.entries), "", *self.violations]
        return "\n".join(lines)


def soak(*, seed: int, seconds: float, waits_for_leases: bool = True) -> Soak:
    """Run the script of the seed on the configured, empty database.

    Without waiting, what a killed worker held is free as soon as the script is over, as it would
    be after 45 seconds.
    """
    script = write_script(seed, seconds=seconds)
    with (
        tempfile.TemporaryDirectory(prefix="dustadmin-soak-") as folder,
        open_house(Path(folder)) as house,
        Stage(house) as stage,
    ):
        stage.play(script)
        played = stage.elapsed
        faults = stage.faults_fired()
        stage.make_whole()
        if not waits_for_leases:
            stage.leases_end()
        stage.settle(seconds=SETTLED_WITHIN)
        settled_after = stage.elapsed - played
        found = violations(stage)
        figures = figures_of(
            stage,
            seconds=played,
            settled_after=settled_after,
            faults=faults,
            violated=len(found),
        )
        return Soak(seed=seed, entries=stage.entries, violations=found, figures=figures)
