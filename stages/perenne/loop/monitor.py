"""Monitor: do later batches still match the champion? Each run looks at the whole history.

Only the retrainings that were tried are remembered between two runs, so the same history gives the same
decision, byte for byte, on every machine.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from datetime import datetime
from typing import NamedTuple

import pandas as pd
from threadpoolctl import threadpool_limits

from perenne.common import kept, notes, predicted, sections
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.params import Params
from perenne.documents.decision import (
    Attempt,
    DecisionWindow,
    MonitorDecision,
    MonitoredVersion,
    OfferedCut,
    SliceSums,
)
from perenne.documents.drift import DriftBatch, DriftReport
from perenne.gate import contenders, judge
from perenne.loop import arrivals, champion, history, settings
from perenne.loop.arrivals import ArrivedBatches
from perenne.loop.candidates import Candidate, candidates
from perenne.loop.champion import Champion
from perenne.loop.decide import Decision, LastAttempt, decide
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.pipeline.follow import DriftFollower
from perenne.pipeline.scored_files import ScoredFiles
from perenne.registry import tags

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
        report = watched.report(p)
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


class BatchSums(NamedTuple):
    """What a batch with matured labels adds to `since` and `slices`; `blocks` are those with labels."""

    sums: dict[SliceClass, list[float]]
    blocks: Collection[Hashable]


class ChampionHistory:
    """The batches that have arrived, scored by the champion, one at a time; and its reference."""

    def __init__(self, current: Champion, arrived: ArrivedBatches) -> None:
        self.champion, self.arrived = current, arrived
        self.noted: dict[pd.Period, BatchSums] = {}

    def report(self, p: Params) -> DriftReport:
        """What drift says of the champion; the sums of batches with matured labels are kept for the rest.

        Parameters
        ----------
        p
            The sections `drift`, `tolerance` and `validate`.

        Raises
        ------
        PerenneError
            If the batches that have arrived end before the champion's `as_of`, or too many rows are bad.

        """
        current, history = self.champion, self.files()
        signatures = self._signatures()
        shelf = kept.Shelf("monitor", self._made_of(p, history, signatures))
        follower = DriftFollower(
            history,
            current.validated,
            current.importance,
            p.drift,
            p.tolerance,
            beside=self._noted,
            shelf=shelf,
            signature=signatures.__getitem__,
            title="monitor",
        )
        # One BLAS thread: the eigenproblems are many and small, so threads only slow them down.
        with threadpool_limits(1, user_api="blas"):
            report, self.noted = follower.run()
        return report

    def files(self) -> ScoredFiles:
        """The batches, with what cleans and scores them; errors as for `report`."""
        current, arrived = self.champion, self.arrived
        history = ScoredFiles(
            arrived.files,
            lambda period, _: arrived.clean(period),
            lambda rows: champion.scored(current, rows),
            current.cut,
            current.contract,
        )
        if not history.window or current.cut.as_of > history.through:  # `as_of` may be a period without rows
            raise PerenneError(
                f"{arrivals.WHERE}: the batches go from {min(arrived.files)} to {history.through}, but "
                f"{current.version.version} knows those up to {current.cut.as_of}"
            )
        return history

    def _signatures(self) -> dict[pd.Period, str]:
        """What each batch is: its file as it arrived, whether a label may be missing, and what is before it.

        The latter only where features look back.
        """
        found, before = dict[pd.Period, str](), ""
        delay = self.arrived.contract.label_delay
        for period, path in self.arrived.files.items():
            matured = bool(period + delay <= self.arrived.through)
            found[period] = kept.key(before, kept.sha256(path), matured)
            before = found[period] if self.arrived.contract.remembered else ""
        return found

    def _made_of(self, p: Params, history: ScoredFiles, signatures: Mapping[pd.Period, str]) -> str:
        """The key of all that the report depends on, the later batches left out."""
        current, contract = self.champion, self.arrived.contract
        return kept.key(
            kept.surroundings(),
            current.version.commit,
            current.loaded.sha256,
            [each.model_dump(mode="json") for each in (current.contract, contract)],
            [each.model_dump(mode="json") for each in (p.drift, p.tolerance, p.validation)],
            list(current.importance.items()),
            str(current.cut),
            [(str(period), signatures[period]) for period in history.window],
        )

    def _noted(self, batch: ScoredBatch) -> BatchSums | None:
        if not batch.matured:
            return None
        contract = self.champion.contract
        return BatchSums(_sums(batch.rows, contract), _blocks(batch.rows, contract))

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
        later = [each.blocks for period, each in self.noted.items() if period > known]
        come = len(set().union(*later)) if self.champion.contract.block else sum(map(len, later))
        return LastAttempt(as_of, history.lacks(attempt), come, holdout)

    def slices(self, since: pd.Period | None) -> tuple[SliceSums, ...]:
        """Observed and expected by slice (and class), from a period on; the largest difference first.

        Parameters
        ----------
        since
            The first period to count; None: no slices are returned.

        Returns
        -------
        Sums over the labelled rows of the batches of the report.

        """
        total: dict[SliceClass, list[float]] = {}
        for period, noted in self.noted.items():
            if since is not None and period >= since:
                for name, sums in noted.sums.items():
                    total[name] = [a + b for a, b in zip(total.get(name, [0.0] * 3), sums, strict=True)]
        ranked = sorted(total.items(), key=lambda item: (-abs(item[1][1] - item[1][2]), item[0]))
        return tuple(
            SliceSums(slice=name, of=of, rows=int(rows), observed=observed, expected=expected)
            for (name, of), (rows, observed, expected) in ranked
        )


def _blocks(rows: pd.DataFrame, contract: Contract) -> Collection[Hashable]:
    """The blocks of the labelled rows of a batch; without blocks so many rows, each unlike any other."""
    known = rows[rows[contract.target].notna()]
    return set(known[contract.block].tolist()) if contract.block else range(len(known))


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
