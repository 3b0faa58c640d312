"""Monitor: is the champion still right about what has come since? Asked of the whole history each time.

Nothing is remembered between two runs but the retrainings that were tried, so that the same history gives the
same decision, byte for byte, wherever it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from perenne.common import batches, notes, sections
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import PREDICTION
from perenne.gate import judge
from perenne.loop import arrivals, champion, history, settings
from perenne.loop.arrivals import Arrived
from perenne.loop.candidates import Candidate, candidates, first_as_of
from perenne.loop.champion import Champion
from perenne.loop.decide import Decision, decide
from perenne.pipeline.drift import Batch, drift
from perenne.registry import tags

Monitored = dict[str, Any]
"""In JSON's own types: what `decision.json` holds."""

SCHEMA = 1
STATUS = {"nothing": 0, "look": 10, "retrain": 11}


def monitor(now: datetime, through: str | None = None, *, offline: bool = False) -> Monitored:
    """Bring in what has come and decide about the champion; nothing in the project is changed.

    Parameters
    ----------
    now
        The time by which a period must have ended to count.
    through
        The last period to bring in, for sources that do not say themselves what has come.
    offline
        Do not ask the remote for tags and notes.

    Raises
    ------
    PerenneError
        If nothing is in prod, or what the champion was made of cannot be had.

    """
    p = sections.params()
    contract = sections.contract_of(p.case)
    rule = settings.load()
    if not offline:
        tags.fetch()
        notes.fetch()
    current = champion.current(p.case)
    with arrivals.arrived(p, contract, arrivals.newest(p, contract, through, now)) as come:
        watched = Watched(current, come)
        # One BLAS thread: small eigenproblems by the hundred, which threads only slow down.
        with threadpool_limits(1, user_api="blas"):
            report = drift(
                watched.reference(), watched.current(), current.importance, p.drift, current.loaded.contract
            )
    before = history.last(p.case, current.version.version, contract.period, come.through)
    decision = decide(report["batches"], rule, come.through, before)
    cut = Cut.of(p.split, contract)._replace(as_of=come.through)
    found: Monitored = batches.canonical(
        {
            "schema": SCHEMA,
            "case": p.case,
            "champion": {
                "version": current.version.version,
                "commit": current.version.commit,
                "sha256": current.loaded.sha256,
                "as_of": str(current.cut.as_of),
            },
            "through": str(come.through),
            "rule": rule.model_dump(mode="json"),
            "drift": p.drift.model_dump(mode="json"),
            "retrained": None if before is None else str(before),
            "answer": decision.answer,
            "reasons": list(decision.reasons),
            "since": None if decision.since is None else str(decision.since),
            **_offered(decision, cut, current.cut),
            "reference": report["reference"],
            "windows": [_window(batch) for batch in report["batches"]],
            "slices": watched.slices(decision.since),
        }
    )
    return found


class Watched:
    """The batches as the champion is asked about them: one at a time, beside what it learned from."""

    def __init__(self, current: Champion, come: Arrived) -> None:
        self.champion, self.come = current, come
        self.sums: dict[pd.Period, dict[str, list[float]]] = {}

    def reference(self) -> dict[pd.Period, pd.DataFrame]:
        """What the champion learned from, and, scored, what measured it."""
        cut, files = self.champion.cut, self.come.files
        window = cut.reference(files)
        if not window or cut.as_of not in files:
            raise PerenneError(
                f"{arrivals.WHERE}: the batches go from {min(files)} to {max(files)}, but "
                f"{self.champion.version.version} knows those up to {cut.as_of}"
            )
        return {period: self._rows(period, scored=cut.part(period) == "holdout") for period in window}

    def current(self) -> Iterator[Batch]:
        """What has come since: also the labels of its last periods, which it could not know."""
        cut, files = self.champion.cut, self.come.files
        for period in tqdm(cut.news(files), desc="monitor", unit="batch", disable=None):
            rows = self._rows(period, scored=True)
            matured = period + cut.label_delay <= self.come.through
            if matured:
                self.sums[period] = _sums(rows, self.champion.contract)
            yield Batch(period, rows, matured, period <= cut.as_of)

    def slices(self, since: pd.Period | None) -> list[dict[str, Any]]:
        """Observed and expected by slice, from a period on; what is furthest off comes first."""
        total: dict[str, list[float]] = {}
        for period, found in self.sums.items():
            if since is not None and period >= since:
                for name, sums in found.items():
                    total[name] = [a + b for a, b in zip(total.get(name, [0.0] * 3), sums, strict=True)]
        told = [
            {"slice": name, "rows": int(rows), "observed": observed, "expected": expected}
            for name, (rows, observed, expected) in total.items()
        ]
        return sorted(told, key=lambda s: (-abs(s["observed"] - s["expected"]), s["slice"]))

    def _rows(self, period: pd.Period, *, scored: bool) -> pd.DataFrame:
        rows = self.come.clean(period)
        scores = champion.scored(self.champion, rows) if scored else math.nan
        return rows.assign(**{PREDICTION: scores})


def _sums(rows: pd.DataFrame, contract: Contract) -> dict[str, list[float]]:
    """Of the labelled rows of each slice: how many, and the sums of outcomes and of scores."""
    known = rows[rows[contract.target].notna()]
    y, score = known[contract.target].to_numpy(dtype="float64"), known[PREDICTION].to_numpy(dtype="float64")
    return {
        name: [float(len(places)), float(y[places].sum()), float(score[places].sum())]
        for name, places in judge.slices(known, contract).items()
        if len(places)
    }


def _offered(decision: Decision, cut: Cut, champion: Cut) -> dict[str, Any]:
    """What a retraining would offer to the gate now; where it is too early for that, from when on."""
    if decision.answer != "retrain":
        return {"candidates": [], "wait_for": None}
    found = candidates(cut, decision.since, champion.first)
    early = None if found or decision.since is None else str(first_as_of(cut, decision.since))
    return {"candidates": [_candidate(each) for each in found], "wait_for": early}


def _candidate(found: Candidate) -> dict[str, Any]:
    cut = found.cut
    return {"name": found.name, "as_of": str(cut.as_of), "window": cut.window, "holdout": cut.holdout}


def _window(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch as the decision rests on it: without the tests that found nothing."""
    kept = {key: batch[key] for key in ("period", "rows", "matured", "level", "reasons", "predictions")}
    moved = [test for test in batch["covariates"] if test["alarm"]]
    return kept | {"moved": moved, "concept": batch["concept"]}
