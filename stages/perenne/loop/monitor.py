"""Monitor: do later batches still match the champion? Each run looks at the whole history.

Only the retrainings that were tried are remembered between two runs, so the same history gives the same
decision, byte for byte, on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterator
from datetime import datetime

import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from perenne.common import notes, predicted, sections
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.documents.decision import (
    Attempt,
    DecisionWindow,
    MonitorDecision,
    MonitoredVersion,
    OfferedCut,
    SliceSums,
)
from perenne.documents.drift import DriftBatch
from perenne.gate import contenders, judge
from perenne.loop import arrivals, champion, history, settings
from perenne.loop.arrivals import ArrivedBatches
from perenne.loop.candidates import Candidate, candidates
from perenne.loop.champion import Champion
from perenne.loop.decide import Decision, LastAttempt, decide
from perenne.pipeline.drift import ScoredBatch, drift
from perenne.registry import tags
from perenne.watch.reference import ReferenceRows, few

SliceClass = tuple[str, str]
"""A slice, and one of several classes; "" if there is one prediction a row."""


def monitor(now: datetime, through: str | None = None, *, offline: bool = False) -> MonitorDecision:
    """Read the batches that have arrived and decide about the champion; the project is not changed.

    Parameters
    ----------
    now
        The time by which a period must have ended to count.
    through
        The last period to read, for sources that do not know themselves which periods have arrived.
    offline
        Do not ask the remote for tags and notes.

    Raises
    ------
    PerenneError
        If no version is in prod, or its model or its data cannot be fetched.

    """
    p = sections.params()
    contract = sections.contract_of(p.case)
    rule = settings.load()
    if not offline:
        tags.fetch()
        notes.fetch()
    current = champion.current(p.case)
    contenders.must_have_features(current.loaded, contract)
    with arrivals.arrived(p, contract, arrivals.newest(p, contract, through, now)) as arrived:
        watched = ChampionHistory(current, arrived)
        # One BLAS thread: the eigenproblems are many and small, so threads only slow them down.
        with threadpool_limits(1, user_api="blas"):
            report = drift(
                watched.reference(),
                current.validated,
                watched.current(),
                current.importance,
                p.drift,
                p.tolerance,
                current.contract,
            )
    before = history.last(p.case, current.version.version, contract.period, arrived.through)
    cut = Cut.rule(p.split, contract)._replace(as_of=arrived.through)
    decision = decide(report.batches, rule, arrived.through, watched.since(before, cut.holdout))
    offered, wait_for = _offered(decision, cut, current.cut, arrived.files)
    return MonitorDecision(
        case=p.case,
        champion=MonitoredVersion(
            version=current.version.version,
            commit=current.version.commit,
            sha256=current.loaded.sha256,
            as_of=str(current.cut.as_of),
        ),
        through=str(arrived.through),
        rule=rule.model_dump(mode="json"),
        drift=p.drift,
        retrained=before[1].as_of if before else None,
        answer=decision.answer,
        reasons=decision.reasons,
        since=None if decision.since is None else str(decision.since),
        candidates=offered,
        wait_for=wait_for,
        reference=report.reference,
        windows=tuple(map(_window, report.batches)),
        slices=watched.slices(decision.since),
    )


class ChampionHistory:
    """The batches that have arrived, scored by the champion, one at a time; and its reference."""

    def __init__(self, current: Champion, arrived: ArrivedBatches) -> None:
        self.champion, self.arrived = current, arrived
        self.sums: dict[pd.Period, dict[SliceClass, list[float]]] = {}
        self.blocks: dict[pd.Period, set[Hashable]] = {}
        self._scores: dict[pd.Period, predicted.Array] = {}

    def reference(self) -> ReferenceRows:
        """The rows that the champion was trained on, and those that measured it.

        Returns
        -------
        The rows by period, with the predictions of the holdout, and NaN for those of other periods.

        Raises
        ------
        PerenneError
            If the batches that have arrived end before the champion's `as_of`, or too many rows are bad.

        """
        cut, files = self.champion.cut, self.arrived.files
        window = cut.reference(files)
        if not window or cut.as_of > max(files):  # `as_of` may be a period without rows
            raise PerenneError(
                f"{arrivals.WHERE}: the batches go from {min(files)} to {max(files)}, but "
                f"{self.champion.version.version} knows those up to {cut.as_of}"
            )
        return ReferenceRows(
            window, lambda period, _: self._reference(period), keep=few(files[period] for period in window)
        )

    def _reference(self, period: pd.Period) -> pd.DataFrame:
        """The rows of a period of the reference, with the scores of those of the holdout."""
        rows, contract = self.arrived.clean(period), self.champion.contract
        if self.champion.cut.part(period) != "holdout":
            return predicted.assign(rows, math.nan, contract)
        if period not in self._scores:
            self._scores[period] = champion.scored(self.champion, rows)
        return predicted.assign(rows, self._scores[period], contract)

    def current(self) -> Iterator[ScoredBatch]:
        """The later batches, and those of the champion's last periods, whose labels it could not know.

        Yields
        ------
        Scored batches, oldest first. The sums for `slices` are kept for each one with matured labels.

        """
        cut, files = self.champion.cut, self.arrived.files
        for period in tqdm(cut.news(files), desc="monitor", unit="batch", disable=None):
            rows = self.arrived.clean(period)
            scores = champion.scored(self.champion, rows)
            rows = predicted.assign(rows, scores, self.champion.contract)
            matured = period + cut.label_delay <= self.arrived.through
            if matured:
                self.sums[period] = _sums(rows, self.champion.contract)
                self.blocks[period] = _blocks(rows, self.champion.contract)
            yield ScoredBatch(period, rows, matured, period <= cut.as_of)

    def since(self, tried: tuple[pd.Period, Attempt] | None, holdout: int) -> LastAttempt | None:
        """The last retraining, with the blocks that have got labels since then.

        Parameters
        ----------
        tried
            From `history.last`.
        holdout
            How many periods a holdout has at most.

        """
        if tried is None:
            return None
        as_of, attempt = tried
        known = as_of - self.champion.cut.label_delay
        come = {block for period, blocks in self.blocks.items() if period > known for block in blocks}
        return LastAttempt(as_of, history.lacks(attempt), len(come), holdout)

    def slices(self, since: pd.Period | None) -> tuple[SliceSums, ...]:
        """Observed and expected by slice (and class), from a period on; the largest difference first.

        Parameters
        ----------
        since
            The first period to count; None: no slices are returned.

        Returns
        -------
        Sums over the labelled rows of the batches that `current` has yielded.

        """
        total: dict[SliceClass, list[float]] = {}
        for period, by_slice in self.sums.items():
            if since is not None and period >= since:
                for name, sums in by_slice.items():
                    total[name] = [a + b for a, b in zip(total.get(name, [0.0] * 3), sums, strict=True)]
        ranked = sorted(total.items(), key=lambda item: (-abs(item[1][1] - item[1][2]), item[0]))
        return tuple(
            SliceSums(slice=name, of=of, rows=int(rows), observed=observed, expected=expected)
            for (name, of), (rows, observed, expected) in ranked
        )


def _blocks(rows: pd.DataFrame, contract: Contract) -> set[Hashable]:
    """The blocks of the labelled rows of a batch; a row is its own, unlike any of another batch."""
    known = rows[rows[contract.target].notna()]
    if contract.block:
        return set(known[contract.block].tolist())
    return {(time, place) for place, time in enumerate(known[contract.time].tolist())}


def _sums(rows: pd.DataFrame, contract: Contract) -> dict[SliceClass, list[float]]:
    """For the labelled rows of each slice: their number, the sum of outcomes, the sum of scores.

    Of several classes each has its own sums: how often it came, and how often it was expected.
    """
    known = rows[rows[contract.target].notna()]
    y, scores = predicted.outcomes(known, contract), predicted.scores(known, contract)
    views = predicted.each_class(y, scores, contract)
    return {
        (name, of): [float(len(places)), float(came[places].sum()), float(expected[places].sum())]
        for name, places in judge.slices(known, contract).items()
        if len(places)
        for of, (came, expected) in views.items()
    }


def _offered(
    decision: Decision, cut: Cut, champion: Cut, history: Collection[pd.Period]
) -> tuple[tuple[OfferedCut, ...], str | None]:
    """The candidates that a retraining would train now; if it is too early for any, the first `as_of`."""
    if decision.answer != "retrain":
        return (), None
    offered = candidates(cut, decision.since, champion, history)
    if offered or decision.since is None:
        return tuple(map(_candidate, offered)), None
    return (), str(max(cut.first_as_of(decision.since), cut.as_of + 1))


def _candidate(candidate: Candidate) -> OfferedCut:
    rule, since = candidate.rule, candidate.since
    return OfferedCut(
        name=candidate.name,
        as_of=str(rule.as_of),
        window=rule.window,
        holdout=rule.holdout,
        since=None if since is None else str(since),
        recalibrated=candidate.recalibrated,
    )


def _window(batch: DriftBatch) -> DecisionWindow:
    """A batch as the decision is based on it: without the tests that raised no alarm."""
    return DecisionWindow(
        period=batch.period,
        rows=batch.rows,
        matured=batch.matured,
        level=batch.level,
        reasons=batch.reasons,
        predictions=batch.predictions,
        moved=tuple(test for test in batch.covariates if test.alarm),
        concept=batch.concept,
        estimated=batch.estimated,
    )
