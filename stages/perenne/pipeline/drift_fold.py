"""Drift as a fold: what is known of the reference, then one batch after another.

A batch is examined by itself, which is most of the work; what it adds to those before it is little. The state
after a batch can be kept, and gone on from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from perenne.common.contract import Contract
from perenne.common.params import Drift, Tolerance
from perenne.documents.drift import (
    DriftBatch,
    DriftReport,
    EstimatedPerformance,
    ReferenceSpan,
)
from perenne.pipeline.drift_advice import advice, counted, listed, overall
from perenne.stats.counts import Volume
from perenne.stats.deviation import Sums
from perenne.stats.multiplicity import Looks, flagged
from perenne.stats.tally import BlockRegistry, Tally
from perenne.watch import baseline, concept, covariates, labelfree, levels
from perenne.watch.baseline import Baseline, Spreads
from perenne.watch.concept import DetectorStates, WatchedStreams
from perenne.watch.covariates import Key, Tests
from perenne.watch.labelfree import LabelFree


class ScoredBatch(NamedTuple):
    """A scored batch; `matured`: its labels are known by now.

    `in_reference`: its rows are part of the reference, as up to `as_of`, and only its labels are new.
    """

    period: pd.Period
    rows: pd.DataFrame
    matured: bool
    in_reference: bool = False


class DriftReference(NamedTuple):
    """What batches are compared with, counted once: no rows but a sample.

    `late` is None where labels are never late: nothing is estimated then, they are there.
    """

    watch: WatchedStreams
    before: Baseline
    late: LabelFree | None
    span: ReferenceSpan

    @classmethod
    def of(
        cls,
        reference: Mapping[pd.Period, pd.DataFrame],
        validated: Mapping[pd.Period, pd.DataFrame],
        spec: Drift,
        tolerance: Tolerance,
        contract: Contract,
    ) -> DriftReference:
        """Count a reference; parameters as for `drift`."""
        # The streams first: what their measure takes of memory is free again before the reference is counted.
        watch = concept.watched(validated, contract, tolerance, periods=spec.periods_per_false_alarm)
        before = baseline.baseline(reference, contract, seed=spec.seed)
        late = LabelFree(validated, watch, contract, seed=spec.seed) if contract.label_delay else None
        first, last, rows = min(reference), max(reference), sum(before.rows.values())
        return cls(watch, before, late, ReferenceSpan(first=str(first), last=str(last), rows=rows))


class ExaminedBatch(NamedTuple):
    """All that a batch by itself says; of one whose rows are part of the reference, none of the tests.

    `labels` is how many have matured, and `sums` are what they add to each stream. `shared` has a line for
    each row, with its block if there are blocks.
    """

    period: pd.Period
    rows: int
    labels: int
    matured: bool
    tallies: dict[str, Tally] | None
    columns: Tests
    volumes: dict[Key, Volume]
    joint: Tests
    estimated: EstimatedPerformance | None
    predictions: dict[str, float | None]
    shared: pd.DataFrame
    sums: tuple[Sums, ...]


class BatchExaminer(NamedTuple):
    """Examines batches by themselves.

    `before` is the reference's, where its blocks are numbered as they come: then each batch must be examined
    once, and in order.
    """

    known: DriftReference
    before: Baseline
    spec: Drift
    contract: Contract

    @property
    def in_order(self) -> bool:
        """Whether batches must be examined in their order."""
        return self.before.registry is not None

    def examine(self, batch: ScoredBatch) -> ExaminedBatch:
        """What a batch says by itself."""
        before, rows, contract = self.before, batch.rows, self.contract
        tallies, columns, joint = None, Tests(), Tests()
        volumes: dict[Key, Volume] = {}
        if not batch.in_reference:
            tallies = baseline.tallied(rows, before, contract)
            volumes = covariates.arrivals(before, batch.period, rows, contract, matured=batch.matured)
            columns = covariates.columnwise(before, tallies, batch.period)
            joint = covariates.together(before, batch.period, rows, contract, seed=self.spec.seed)
        estimated = self.known.late.estimate(rows) if self.known.late else None
        if batch.matured:
            estimated = labelfree.realised(estimated, rows, contract)
        return ExaminedBatch(
            batch.period,
            len(rows),
            int(rows[contract.target].notna().sum()) if batch.matured else 0,
            batch.matured,
            tallies,
            columns,
            volumes,
            joint,
            estimated,
            levels.of(rows, before, contract, matured=batch.matured),
            rows[[contract.block or contract.time]],
            concept.sums_of(rows, self.known.watch, contract) if batch.matured else (),
        )


class FoldState(NamedTuple):
    """What batches add up to, up to one of them."""

    detectors: DetectorStates
    looks: Looks[Key]
    sofar: dict[str, Tally]
    compared: list[pd.Period]
    last: pd.DataFrame | None
    reports: list[DriftBatch]
    spreads: Spreads
    registry: BlockRegistry | None


class DriftFold:
    """The batches after a reference, oldest first.

    Parameters
    ----------
    known
        What they are compared with.
    importance
        The permutation importance of each feature; it orders the reasons.
    spec, contract
        What counts as drift, and what the rows are.
    state
        Where to go on; None: at the beginning.

    """

    def __init__(
        self,
        known: DriftReference,
        importance: Mapping[str, float],
        spec: Drift,
        contract: Contract,
        state: FoldState | None = None,
    ) -> None:
        self.known, self.importance, self.spec, self.contract = known, importance, spec, contract
        self.before = known.before
        self.detectors = concept.Detectors(known.watch, contract, self.before.seasons)
        self.looks = Looks[Key](level=spec.false_discovery_rate, floor=spec.min_effect)
        self.sofar: dict[str, Tally] = {}
        self.compared: list[pd.Period] = []
        self.last: pd.DataFrame | None = None
        self.reports: list[DriftBatch] = []
        if state:
            self.before = replace(self.before, registry=state.registry, spreads=state.spreads)
            self.detectors.restore(state.detectors)
            _, self.looks, self.sofar, self.compared, self.last, self.reports, *_ = state

    def state(self) -> FoldState:
        """Where it stands now; it is part of the fold, and changes with it."""
        return FoldState(
            self.detectors.state(),
            self.looks,
            self.sofar,
            self.compared,
            self.last,
            self.reports,
            self.before.spreads,
            self.before.registry,
        )

    def update(self, batch: ScoredBatch) -> ExaminedBatch:
        """Add the next batch; return what it says by itself."""
        examined = self.examiner.examine(batch)
        self.add(examined)
        return examined

    @property
    def examiner(self) -> BatchExaminer:
        """What examines batches."""
        return BatchExaminer(self.known, self.before, self.spec, self.contract)

    def add(self, batch: ExaminedBatch) -> None:
        """Add the next batch."""
        streams = self.detectors.add(batch.period, batch.sums) if batch.matured else ()
        if batch.tallies is not None:
            self.sofar = baseline.pooled(self.sofar, batch.tallies)
            self.compared.append(batch.period)
        tests = batch.columns | covariates.as_tests(batch.volumes) | batch.joint
        shared = covariates.in_common(self.before, self.last, batch.shared, self.contract)
        moved = self.looks.update(tests, shared)
        supposed = batch.estimated.says if batch.estimated and not batch.matured else ()
        advised = advice(tests, moved, streams, self.importance, supposed)
        self.reports.append(
            DriftBatch(
                period=str(batch.period),
                rows=batch.rows,
                matured=batch.labels,
                level=advised.level,
                reasons=advised.reasons,
                covariates=listed(tests, moved, self.importance),
                concept=streams,
                estimated=batch.estimated,
                predictions=batch.predictions,
                volume=counted(batch.volumes),
            )
        )
        self.last = batch.shared

    def report(self) -> DriftReport:
        """For each batch its tests, its streams and its advice; the tests of all; the advice of the whole."""
        spec = self.spec
        pooled = covariates.columnwise(self.before, self.sofar, *self.compared) if self.sofar else {}
        apart = flagged(pooled, level=spec.false_discovery_rate, floor=spec.min_effect)
        return DriftReport(
            advice=overall(self.reports, self.known.span.last),
            reference=self.known.span,
            batches=tuple(self.reports),
            cumulative=listed(pooled, apart, self.importance),
            calendar=self.before.calendar,
        )
