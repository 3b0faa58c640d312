"""Drift: whether the batches after `as_of` still match the model, in features and in outcomes.

Our statistics on all the rows decide; Evidently shows a sample of them. Feature drift alone leads to *look*:
the model may still be right. So do estimates without labels, where labels are late. Only errors on matured
labels lead to *retrain*.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from perenne.common import batches, disk, model, model_file, params, predicted, project_code
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError, hint
from perenne.common.names import CLEAN, DRIFT, DRIFT_PAGE, DRIFT_TIMELINE, IMPORTANCE
from perenne.common.params import Drift, Tolerance
from perenne.documents.drift import (
    CovariateTest,
    DriftAdvice,
    DriftBatch,
    DriftLevel,
    DriftReport,
    ReferenceSpan,
    StreamState,
)
from perenne.pages import drift as drift_page
from perenne.pages import evidently
from perenne.stats.counts import Volume
from perenne.stats.multiplicity import Looks, adjusted, flagged
from perenne.stats.tally import Tally
from perenne.watch import baseline, concept, covariates, labelfree, levels
from perenne.watch.covariates import Key, Tests
from perenne.watch.reference import ReferenceRows, few
from perenne.watch.streams import STREAMS
from perenne.watch.validated import predictions, shown


class ScoredBatch(NamedTuple):
    """A scored batch; `matured`: its labels are known by now.

    `in_reference`: its rows are part of the reference, as up to `as_of`, and only its labels are new.
    """

    period: pd.Period
    rows: pd.DataFrame
    matured: bool
    in_reference: bool = False


def drift(
    reference: Mapping[pd.Period, pd.DataFrame],
    validated: Mapping[pd.Period, pd.DataFrame],
    current: Iterable[ScoredBatch],
    importance: Mapping[str, float],
    spec: Drift,
    tolerance: Tolerance,
    contract: Contract,
) -> DriftReport:
    """Compare each batch, and all of them together, with the reference; advise none, look or retrain.

    Parameters
    ----------
    reference
        The rows of the periods that the model was trained on and measured on, with the predictions of those
        that measured it; they are missing for the others. Their labels are not looked at.
    validated
        The rows of the window that were predicted without being seen, by period, with labels and predictions:
        on these the model shows how right it is.
    current
        The batches after it, oldest first, all of them with scores.
    importance
        The permutation importance of each feature; it orders the reasons.
    spec, tolerance, contract
        What counts as drift, how wrong is still right, and what the rows are.

    Returns
    -------
    For each batch its tests, its streams and its advice; the tests of all batches together; and the advice of
    the whole.

    """
    # The streams first: what their measure takes of memory is free again before the reference is counted.
    watch = concept.watched(validated, contract, tolerance, periods=spec.periods_per_false_alarm)
    before = baseline.baseline(reference, contract, seed=spec.seed)
    detectors = concept.Detectors(watch, contract, before.seasons)
    # Where labels are never late, nothing is estimated: they are there.
    late = labelfree.LabelFree(validated, watch, contract, seed=spec.seed) if contract.label_delay else None
    reports: list[DriftBatch] = []
    looks = Looks[Key](level=spec.false_discovery_rate, floor=spec.min_effect)
    last: pd.DataFrame | None = None
    compared: list[pd.Period] = []
    sofar: dict[str, Tally] = {}
    for batch in current:
        tests: Tests = {}
        volumes: dict[Key, Volume] = {}
        if not batch.in_reference:
            tallies = baseline.tallied(batch.rows, before, contract)
            sofar = baseline.pooled(sofar, tallies)
            compared.append(batch.period)
            volumes = covariates.arrivals(before, batch.period, batch.rows, contract, matured=batch.matured)
            tests = covariates.columnwise(before, tallies, batch.period) | covariates.as_tests(volumes)
            tests |= covariates.together(before, batch.period, batch.rows, contract, seed=spec.seed)
        moved = looks.update(tests, covariates.in_common(before, last, batch.rows, contract))
        streams = detectors.update(batch.period, batch.rows) if batch.matured else ()
        estimated = late.estimate(batch.rows) if late else None
        if batch.matured:
            estimated = labelfree.realised(estimated, batch.rows, contract)
        supposed = estimated.says if estimated and not batch.matured else ()
        advised = advice(tests, moved, streams, importance, supposed)
        reports.append(
            DriftBatch(
                period=str(batch.period),
                rows=len(batch.rows),
                matured=int(batch.rows[contract.target].notna().sum()) if batch.matured else 0,
                level=advised.level,
                reasons=advised.reasons,
                covariates=listed(tests, moved, importance),
                concept=streams,
                estimated=estimated,
                predictions=levels.of(batch.rows, before, contract, matured=batch.matured),
                volume=counted(volumes),
            )
        )
        last = batch.rows
    pooled = covariates.columnwise(before, sofar, *compared) if sofar else {}
    apart = flagged(pooled, level=spec.false_discovery_rate, floor=spec.min_effect)
    return DriftReport(
        advice=overall(reports, max(reference)),
        reference=ReferenceSpan(
            first=str(min(reference)), last=str(max(reference)), rows=sum(before.rows.values())
        ),
        batches=tuple(reports),
        cumulative=listed(pooled, apart, importance),
        calendar=before.calendar,
    )


def counted(volumes: Mapping[Key, Volume]) -> dict[str, int | float | str | None]:
    """The figures of all volumes by name, such as `rows: expected`."""
    return {f"{name}: {k}": v for (name, _), each in volumes.items() for k, v in each._asdict().items()}


def advice(
    tests: Tests,
    moved: Mapping[Key, float],
    streams: Iterable[StreamState],
    importance: Mapping[str, float],
    supposed: Iterable[str] = (),
) -> DriftAdvice:
    """The level of one batch with its reasons: first the labels, or the estimates, then the features.

    Parameters
    ----------
    tests
        All tests of the batch.
    moved
        Those that raise an alarm.
    streams
        The streams on its labels; none while those have not matured.
    importance
        Of each feature to the model.
    supposed
        What is wrong by the estimates, while there are no labels.

    Returns
    -------
    `retrain` if a stream has raised the alarm, else `look` if a test has or an estimate, else `none`.

    """
    wrong = [f"{s.says}, since {s.since}" for s in streams if s.alarm]
    ranked = sorted(moved, key=lambda key: -importance.get(key[0], 0.0))
    changed = [covariates.sentence(key, tests[key].effect) for key in ranked]
    reasons = (*wrong, *supposed, *changed)
    level: DriftLevel = "retrain" if wrong else "look" if reasons else "none"
    return DriftAdvice(level=level, reasons=reasons)


def overall(reports: Sequence[DriftBatch], as_of: pd.Period) -> DriftAdvice:
    """The advice of the latest batch; but an alarm on labels stays until a retraining.

    Parameters
    ----------
    reports
        One per batch, oldest first.
    as_of
        The last period of the reference; only the reason without any batch names it.

    """
    if not reports:
        return DriftAdvice(level="none", reasons=(f"there is no batch after {as_of} yet",))
    alarmed = [report for report in reports if report.level == "retrain"]
    report = alarmed[-1] if alarmed else reports[-1]
    calm = (f"no drift detected through {report.period}",)
    return DriftAdvice(level=report.level, reasons=report.reasons or calm)


def listed(
    tests: Tests, moved: Mapping[Key, float], importance: Mapping[str, float]
) -> tuple[CovariateTest, ...]:
    """Every test that could be made, with those in `moved` as alarms; the most important feature first.

    Parameters
    ----------
    tests
        All tests of a batch; those with a p-value of NaN could not be made.
    moved
        The tests that raise an alarm.
    importance
        The permutation importance of each feature.

    Returns
    -------
    The tests with their effects, p-values and q-values (Benjamini-Hochberg over the tests that could be
    made).

    """
    made = {key: test for key, test in tests.items() if not math.isnan(test.pvalue)}
    qvalues = adjusted([test.pvalue for test in made.values()])
    lines = [
        CovariateTest(
            feature=name,
            importance=importance.get(name),
            test=kind,
            effect=test.effect,
            p=test.pvalue,
            q=float(q),
            alarm=(name, kind) in moved,
        )
        for ((name, kind), test), q in zip(made.items(), qvalues, strict=True)
    ]
    return tuple(sorted(lines, key=lambda test: -importance.get(test.feature, 0.0)))


def timeline(report: DriftReport) -> pd.DataFrame:
    """One row per batch with labels: each stream's evidence as a share of what raises the alarm.

    Of several classes, it is that of the one with the most.

    Returns
    -------
    Columns `period`, one for each stream of `streams.STREAMS` (NaN if it is not watched), and `alarm`, which
    is 1.

    """
    shares = [
        (batch.period, state.stream, max(state.log_e, 0.0) / state.threshold)
        for batch in report.batches
        for state in batch.concept
        if state.slice is None
    ]
    wide = pd.DataFrame(shares, columns=["period", "stream", "evidence"]).pivot_table(
        index="period", columns="stream", values="evidence", aggfunc="max"
    )
    return wide.reindex(columns=list(STREAMS)).assign(alarm=1.0).reset_index()


def main() -> None:
    """Write the report, the page, and the time line for the plot."""
    p = params.load("drift")
    contract = read_contract(p.case)
    cut = Cut.of(p.split, contract)
    pipeline, _ = model_file.load()
    project_code.check_deps("drift")
    files = batches.listed(CLEAN, contract)
    sample: list[pd.DataFrame] = []
    known = ScoredFiles({q: files[q] for q in cut.reference(files)}, pipeline, cut, contract)

    def current() -> Iterator[ScoredBatch]:
        for period in tqdm(later, desc="drift", unit="batch", disable=None):
            rows = read(files[period], contract)
            rows = predicted.assign(rows, model.predict(pipeline, rows, contract).round(9), contract)
            if period > cut.as_of:
                sample.append(evidently.sampled(rows, p.drift.report_rows, p.drift.seed))
            yield ScoredBatch(period, rows, period + contract.label_delay <= max(files), period <= cut.as_of)

    # Of the last periods up to `as_of` the rows were known, but not the labels: only those are new.
    later = cut.news(files)
    important = dict(pd.read_csv(IMPORTANCE)[["feature", "importance"]].itertuples(index=False, name=None))
    validated = predictions(contract)
    # One BLAS thread: the eigenproblems are many and small, so threads only slow them down.
    with threadpool_limits(1, user_api="blas"):
        report = drift(known.rows(), validated, current(), important, p.drift, p.tolerance, contract)
    measured = [evidently.sampled(rows, p.drift.report_rows, p.drift.seed) for rows in known.measured()]
    now = pd.concat([measured[0][:0], *sample])
    # The holdout is sealed: its rows are shown, and what became of them is not.
    sealed = pd.concat(measured).assign(**{contract.target: None})
    page = render(sealed, shown(validated, contract), now, report, p.drift, contract)
    report.write(DRIFT)
    print(f"drift: {report.advice.level}: {'; '.join(report.advice.reasons)}")
    if report.calendar:
        print(f"drift: {report.calendar}")
    with disk.replacing(DRIFT_TIMELINE) as temporary:
        timeline(report).to_csv(temporary, index=False, float_format="%.6g")
    with disk.replacing(DRIFT_PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")


class ScoredFiles:
    """The batches of the reference, with scores of the holdout, which are computed once."""

    def __init__(
        self, files: Mapping[pd.Period, Path], pipeline: Pipeline, cut: Cut, contract: Contract
    ) -> None:
        self.files, self.pipeline, self.cut, self.contract = files, pipeline, cut, contract
        self.scores: dict[pd.Period, predicted.Array] = {}

    def rows(self) -> ReferenceRows:
        """The rows of each period, with NaN for the scores of those that are not of the holdout."""
        return ReferenceRows(list(self.files), self.read, keep=few(self.files.values()))

    def measured(self) -> Iterator[pd.DataFrame]:
        """The rows of each period of the holdout."""
        return (self.read(period, None) for period in self.files if self.cut.part(period) == "holdout")

    def read(self, period: pd.Period, names: Sequence[str] | None) -> pd.DataFrame:
        """The rows of a period: all columns, or those that are named, and the predictions."""
        path, contract = self.files[period], self.contract
        if self.cut.part(period) != "holdout":
            return predicted.assign(read(path, contract, names), math.nan, contract)
        if period not in self.scores:
            whole = read(path, contract)
            self.scores[period] = model.predict(self.pipeline, whole, contract).round(9)
        return predicted.assign(read(path, contract, names), self.scores[period], contract)


def read(path: Path, contract: Contract, names: Sequence[str] | None = None) -> pd.DataFrame:
    """A batch with all of the contract's columns, and any others that its file has; or those that are named.

    Raises
    ------
    PerenneError
        If the file cannot be read, or a column is missing.

    """
    needed = [name for name in contract.columns if names is None or name in names]
    rows = batches.read_parquet(path, columns=None if names is None else needed)
    absent = [name for name in needed if name not in rows]
    if absent:
        raise PerenneError(f"{path}: no column {absent[0]!r}; {hint(absent[0], batches.read_parquet(path))}")
    return rows


def render(
    measured: pd.DataFrame,
    validated: pd.DataFrame,
    now: pd.DataFrame,
    report: DriftReport,
    spec: Drift,
    contract: Contract,
) -> str:
    """The page in HTML: our report on top, Evidently's view of a sample below it.

    Parameters
    ----------
    measured, now
        Scored rows of the reference and of later batches; of each, at most `spec.report_rows` are shown.
    validated
        As for `drift`: how right the model was.
    report
        Our statistics, which the page shows on top.
    spec, contract
        How many rows to show with which seed, and what the rows are.

    """
    top = drift_page.render(report)
    return evidently.page(
        measured, validated, now, contract, top, report, rows=spec.report_rows, seed=spec.seed
    )
