"""Drift: whether the batches after `as_of` still match the model, in features and in outcomes.

Our statistics on all the rows decide; Evidently shows a sample of them. Feature drift alone leads to *look*:
the model may still be right. So do estimates without labels, where labels are late. Only errors on matured
labels lead to *retrain*.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from perenne.common import batches, disk, kept, model, model_file, params, predicted, project_code
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError, hint
from perenne.common.names import (
    CARD,
    CLEAN,
    DRIFT,
    DRIFT_PAGE,
    DRIFT_TIMELINE,
    IMPORTANCE,
    MODEL,
    PREDICTIONS,
)
from perenne.common.params import Drift, Params, Tolerance
from perenne.compute import engine
from perenne.documents.drift import DriftReport
from perenne.pages import drift as drift_page
from perenne.pages import evidently
from perenne.pipeline.drawn_rows import DrawnRows, drawn
from perenne.pipeline.drift_fold import DriftFold, DriftReference, ScoredBatch
from perenne.pipeline.follow import DriftFollower
from perenne.pipeline.scored_files import ScoredFiles
from perenne.watch.streams import STREAMS
from perenne.watch.validated import predictions


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
    known = DriftReference.of(reference, validated, spec, tolerance, contract)
    fold = DriftFold(known, importance, spec, contract)
    for batch in current:
        fold.update(batch)
    return fold.report()


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
    pipeline, _ = model_file.load()
    project_code.check_deps("drift")
    files = batches.listed(CLEAN, contract)
    history = ScoredFiles(
        files,
        partial(_read, files, contract),
        partial(_scores, pipeline, contract),
        Cut.of(p.split, contract),
        contract,
    )
    important = dict(pd.read_csv(IMPORTANCE)[["feature", "importance"]].itertuples(index=False, name=None))
    validated = predictions(contract)
    signatures = {period: kept.sha256(path) for period, path in history.files.items()}
    shelf = kept.Shelf("drift", made_of(p, history, important, signatures))
    some = DrawnRows(history, shelf, p.drift, signatures)
    # One BLAS thread: the eigenproblems are many and small, so threads only slow them down.
    with engine.opened() as workers, threadpool_limits(1, user_api="blas"):
        follower = DriftFollower(
            history,
            validated,
            important,
            p.drift,
            p.tolerance,
            beside=partial(drawn, p.drift),
            shelf=shelf,
            signature=signatures.__getitem__,
            title="drift",
            keep=some.add,
            workers=workers,
        )
        report = follower.run().report
    page = render(*some.sides(validated, report), report, p.drift, contract)
    report.write(DRIFT)
    print(f"drift: {report.advice.level}: {'; '.join(report.advice.reasons)}")
    if report.calendar:
        print(f"drift: {report.calendar}")
    with disk.replacing(DRIFT_TIMELINE) as temporary:
        timeline(report).to_csv(temporary, index=False, float_format="%.6g")
    with disk.replacing(DRIFT_PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _read(
    files: Mapping[pd.Period, Path], contract: Contract, period: pd.Period, names: Sequence[str] | None
) -> pd.DataFrame:
    return read(files[period], contract, names)


def _scores(pipeline: Pipeline, contract: Contract, rows: pd.DataFrame) -> predicted.Array:
    return model.predict(pipeline, rows, contract).round(9)


def made_of(
    p: Params,
    history: ScoredFiles,
    importance: Mapping[str, float],
    signatures: Mapping[pd.Period, str],
) -> str:
    """The key of all that the results of the stage depend on, the later batches left out."""
    return kept.key(
        kept.surroundings(),
        history.contract.model_dump(mode="json"),
        [each.model_dump(mode="json") for each in (p.drift, p.tolerance, p.split)],
        [kept.sha256(path) for path in (MODEL, CARD, PREDICTIONS)],
        list(importance.items()),
        [(str(period), signatures[period]) for period in history.window],
    )


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
