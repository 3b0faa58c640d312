"""What the drift stage would have said of a champion, batch after batch, on the labels of the day."""

from __future__ import annotations

import pandas as pd

from perenne.common import predicted
from perenne.common.cut import Cut
from perenne.common.params import Drift
from perenne.documents.drift import DriftWindow
from perenne.pipeline import drift_advice
from perenne.replay.world import World
from perenne.watch import concept
from perenne.watch.validated import by_period


class Watch:
    """A champion under watch. Moved columns never retrain anything, so they are not replayed."""

    def __init__(self, world: World, champion: Cut, spec: Drift) -> None:
        """Its reference is its validation, as in the stage."""
        self.world, self.champion = world, champion
        measured = by_period(world.validated(champion), world.contract)
        tolerance = world.plan.params.tolerance
        watched = concept.watched(measured, world.contract, tolerance, periods=spec.periods_per_false_alarm)
        self.detectors = concept.Detectors(watched, world.contract)
        self.next = champion.first_news
        self.seen: dict[pd.Period, DriftWindow] = {}

    def windows(self, now: pd.Period) -> list[DriftWindow]:
        """The windows that had labels by `now`, as `drift.json` lists them.

        Returns
        -------
        Oldest first, with the streams on labels; tests of features are not made.

        """
        while self.next + self.champion.label_delay <= now:
            if self.next in self.world.files:
                self.seen[self.next] = self._window(self.next)
            self.next += 1
        known = now - self.champion.label_delay  # another walk may have seen more
        return [window for period, window in self.seen.items() if period <= known]

    def _window(self, period: pd.Period) -> DriftWindow:
        rows = self._scored(period)
        streams = self.detectors.update(period, rows)
        advice = drift_advice.advice({}, {}, streams, {})
        return DriftWindow(
            period=str(period),
            matured=len(rows),
            level=advice.level,
            reasons=advice.reasons,
            concept=streams,
        )

    def _scored(self, period: pd.Period) -> pd.DataFrame:
        used = self.world.released(self.champion)
        scores = self.world.scores(used, period)
        return predicted.assign(self.world.rows(period), scores, self.world.contract)
