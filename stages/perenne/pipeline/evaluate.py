"""Evaluate: the model's metrics on the holdout with their intervals, by slice, and its feature importance."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_curve
from sklearn.pipeline import Pipeline

from perenne.common import batches, disk, model, params, periods
from perenne.common.contract import Contract, read_contract
from perenne.common.names import EVALUATION, HOLDOUT, METRICS, PLOTS, PREDICTION, PREDICTIONS
from perenne.common.params import Evaluate
from perenne.common.task import Curve
from perenne.documents.card import load_model
from perenne.documents.evaluation import (
    Evaluation,
    MeasuredFigure,
    MeasuredHeadline,
    MeasuredMetric,
    MeasuredRows,
)
from perenne.stats import bootstrap, metrics, survival

Array = npt.NDArray[np.float64]

MOST_SLICES = 20  # of one column, the largest; nobody reads a report on thousands of destinations
CURVE_POINTS = 200  # of the ROC curve: more than a plot can show
NO_VALUE = ""  # the slice of rows without a value, where only a text can stand: no category is empty
PLACES = 9  # decimals of a score: more than the holdout can resolve, fewer than vary between CPUs


def evaluate(
    rows: pd.DataFrame, scores: Array, mean: float, spec: Evaluate, contract: Contract
) -> Evaluation:
    """Metrics with intervals on all rows and by slice, each beside the dummy that always predicts `mean`.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,).
    mean
        The mean of the target in training.
    spec, contract
        How to measure, and what the rows are.

    Returns
    -------
    The metrics of the holdout and of each slice, and the headline figure.

    """
    slices = {
        column: {
            NO_VALUE if value is None else str(value): measured(rows.iloc[i], scores[i], mean, spec, contract)
            for value, i in groups(rows[column], contract.columns[column].bins).items()
        }
        for column in contract.slices
    }
    return Evaluation(
        holdout=measured(rows, scores, mean, spec, contract),
        slices=slices,
        headline=headline(rows, scores, spec, contract),
    )


def measured(
    rows: pd.DataFrame, scores: Array, mean: float, spec: Evaluate, contract: Contract
) -> MeasuredRows:
    """The metrics of some rows: value, interval by block bootstrap, and the dummy's value.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,).
    mean
        What the dummy predicts for every row.
    spec, contract
        How to measure, and what the rows are.

    """
    y = rows[contract.target].to_numpy(dtype=np.float64)
    family = metrics.family(contract.task.metrics)
    prepared = {name: prepare(y, scores) for name, prepare in family.items()}
    events = y if contract.task.classes else None
    by_name = intervals(prepared, rows, spec, contract, events=events)
    dummy = {name: prepare(y, np.full(len(y), mean))(np.ones(len(y))) for name, prepare in family.items()}
    report = {
        name: MeasuredMetric(**interval._asdict(), dummy=dummy[name]) for name, interval in by_name.items()
    }
    labels = blocks(rows, contract)
    few = bootstrap.too_few(labels, events)
    return MeasuredRows(rows=len(rows), blocks=len(set(labels)), metrics=report, too_few=few)


def intervals(
    figures: Mapping[str, Callable[[Array], float]],
    rows: pd.DataFrame,
    spec: Evaluate,
    contract: Contract,
    *,
    events: Array | None = None,
) -> dict[str, bootstrap.Interval]:
    """The block-bootstrap interval of each figure, with the settings of `evaluate` in params.yaml.

    Parameters
    ----------
    figures
        By name, a function from the weights of the rows, shape (rows,), to a number.
    rows
        The rows that the weights belong to; their blocks are drawn.
    spec, contract
        Resamples, confidence and seed; and which column is the block.
    events
        What a rare class is told from, shape (rows,); None if there are no classes.

    Raises
    ------
    ValueError
        If a row has no block.

    """
    return bootstrap.intervals(
        figures,
        blocks(rows, contract),
        events=events,
        resamples=spec.resamples,
        confidence=spec.confidence,
        seed=spec.seed,
    )


def blocks(rows: pd.DataFrame, contract: Contract) -> npt.NDArray[Any]:
    """The block of each row, shape (rows,); each row is its own block if the contract names none."""
    return rows[contract.block].to_numpy() if contract.block else np.arange(len(rows))


def groups(values: pd.Series, bins: tuple[float, ...] | None) -> dict[Any, npt.NDArray[np.intp]]:
    """The positions of the rows in each slice of a column, by its value.

    Rows whose value is missing or outside the bins form the slice None, so they are not lost unnoticed. It is
    not a word: a category may have any.

    Parameters
    ----------
    values
        The column, shape (rows,).
    bins
        The limits of the slices, each including its lower one; None: each value is a slice.

    Returns
    -------
    At most `MOST_SLICES` slices, the largest.

    """
    # Where one is missing, pandas has read integers as floats.
    whole = values.astype("Int64") if pd.api.types.is_float_dtype(values) and not bins else values
    by = pd.cut(values, intervals_of(bins)) if bins else whole
    places = dict(by.groupby(by, observed=True).indices)
    if by.isna().any():
        places[None] = np.flatnonzero(by.isna())
    largest = sorted(places, key=lambda value: -len(places[value]))[:MOST_SLICES]
    return {value: np.asarray(places[value]) for value in places if value in largest}


def intervals_of(bins: tuple[float, ...]) -> pd.IntervalIndex:
    """The slices of a number, each including its lower limit. `pd.cut` would round the limits."""
    return pd.IntervalIndex.from_breaks(list(bins), closed="left")


def slice_name(column: str, value: object) -> str:
    """The name of a slice, never that of another one; None: the rows without a value.

    >>> slice_name("colour", "none"), slice_name("colour", None), slice_name("a=b", "c")
    ('colour=none', 'colour (none)', '"a=b"=c')
    """
    plain = json.dumps(column, ensure_ascii=False) if "=" in column or column.startswith('"') else column
    return f"{plain} (none)" if value is None else f"{plain}={value}"


def headline(rows: pd.DataFrame, scores: Array, spec: Evaluate, contract: Contract) -> MeasuredHeadline:
    """The headline figure over the whole holdout, observed and predicted, with block-bootstrap intervals.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,).
    spec, contract
        How to measure, and how the figure is defined.

    """
    by_name = intervals(headline_figures(rows, scores, contract), rows, spec, contract)
    observed, predicted = (MeasuredFigure(**by_name[name]._asdict()) for name in ("observed", "predicted"))
    figure = contract.headline.figure if contract.headline else f"mean_{contract.target}"
    return MeasuredHeadline(figure=figure, observed=observed, predicted=predicted)


def headline_figures(
    rows: pd.DataFrame, scores: Array, contract: Contract
) -> dict[str, Callable[[Array], float]]:
    """The headline figure, from the labels and from the predictions, as functions of the rows' weights.

    It is the contract's figure, or else the mean of the target.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,).
    contract
        May define the figure.

    Returns
    -------
    `observed` and `predicted`: functions from weights, shape (rows,), to a number.

    """
    events = {"observed": rows[contract.target].to_numpy(dtype=np.float64), "predicted": scores}
    if not contract.headline:
        return {name: weighted_mean(event) for name, event in events.items()}
    along = rows[contract.headline.along].to_numpy()
    ages = {"first": contract.headline.first, "last": contract.headline.last, "step": contract.headline.step}
    return {name: survival.prepare(along, event, **ages) for name, event in events.items()}


def weighted_mean(values: Array) -> Callable[[Array], float]:
    """A function from weights, shape (rows,), to the weighted mean of the values, shape (rows,)."""
    # Not `weights @ values`: BLAS may use threads, which cost time here and change the last digits.
    return lambda weights: float((weights * values).sum() / weights.sum())


def timeline(rows: pd.DataFrame, scores: Array, contract: Contract) -> pd.DataFrame:
    """The headline figure by period, observed and predicted.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,).
    contract
        Its period is the length of a step.

    Returns
    -------
    Columns `period`, `observed` and `predicted`.

    """
    lines = []
    for period, i in rows.groupby(
        periods.of(rows[contract.time], contract.period, contract.zone)
    ).indices.items():
        figures = headline_figures(rows.iloc[i], scores[i], contract)
        lines.append(
            {"period": str(period)} | {name: figure(np.ones(len(i))) for name, figure in figures.items()}
        )
    return pd.DataFrame(lines)


def reliability(y: Array, scores: Array, bins: int) -> pd.DataFrame:
    """Mean prediction and mean outcome in equally large groups of rows, ordered by prediction.

    Rows with equal predictions are always in the same group: their order says nothing about the model.

    Parameters
    ----------
    y, scores
        Outcomes and predictions, shape (rows,).
    bins
        The number of groups; ties can leave fewer.

    Returns
    -------
    One row per group: columns `predicted`, `observed`, and `perfect`, which equals `predicted`.

    """
    rank = pd.Series(scores).rank().to_numpy() - 0.5
    group = rank * bins // len(scores)
    frame = pd.DataFrame({"predicted": scores, "observed": y}).groupby(group).mean()
    return frame.assign(perfect=frame["predicted"])


def roc(y: Array, scores: Array, bins: int) -> pd.DataFrame:  # noqa: ARG001 -- it has no bins
    """The ROC curve, and the diagonal of a model without skill.

    Parameters
    ----------
    y, scores
        Outcomes (0 or 1) and predictions, shape (rows,).
    bins
        Not used.

    Returns
    -------
    `CURVE_POINTS` rows: `x` (false positive rate), `model` (true positive rate), and `reference`, which
    equals `x`.

    """
    at = np.linspace(0, 1, CURVE_POINTS)
    return pd.DataFrame({"x": at, "model": true_positive_rate(y, scores, at), "reference": at})


def residuals(y: Array, scores: Array, bins: int) -> pd.DataFrame:
    """The mean residual by prediction, and the zero line of a perfect model.

    Parameters
    ----------
    y, scores
        Outcomes and predictions, shape (rows,).
    bins
        The number of groups, as for `reliability`.

    Returns
    -------
    Columns `x` (mean prediction), `model` (mean of outcome minus prediction), and `reference`, which is 0.

    """
    frame = reliability(y, scores, bins)
    residual = frame["observed"] - frame["predicted"]
    return pd.DataFrame({"x": frame["predicted"], "model": residual, "reference": 0.0})


CURVES: Mapping[Curve, Callable[[Array, Array, int], pd.DataFrame]] = {"roc": roc, "residuals": residuals}


def true_positive_rate(y: Array, scores: Array, at: Array) -> Array:
    """The true positive rate at each false positive rate, interpolated; NaN if `y` has only one class.

    Parameters
    ----------
    y, scores
        Outcomes (0 or 1) and predictions, shape (rows,).
    at
        False positive rates in [0, 1], shape (n,).

    Returns
    -------
    Shape (n,).

    """
    if not 0 < y.mean() < 1:
        return np.full(len(at), np.nan)
    false_positive, true_positive, _ = roc_curve(y, scores)
    rate: Array = np.interp(at, false_positive, true_positive)
    return rate


def importance(pipeline: Pipeline, rows: pd.DataFrame, spec: Evaluate, contract: Contract) -> pd.DataFrame:
    """The rise of the loss when a feature is shuffled (Breiman 2001), the most important feature first.

    Parameters
    ----------
    pipeline
        The fitted model.
    rows
        Labelled rows of the contract; at most `spec.importance_rows` random ones are used.
    spec, contract
        How often each feature is shuffled, with which seed; and what the rows are.

    Returns
    -------
    One row per feature: columns `feature`, `importance` (the mean rise) and `sd` over the repeats.

    """
    loss = metrics.METRICS[contract.task.loss].prepare

    def gain(fitted: Pipeline, X: pd.DataFrame, y: Array) -> float:
        return -loss(y, model.score(fitted, X, contract))(np.ones(len(y)))

    sample = rows.sample(min(len(rows), spec.importance_rows), random_state=spec.seed)
    y = sample[contract.target].to_numpy(dtype=np.float64)
    gains = permutation_importance(
        pipeline,
        model.inputs(sample, contract),
        y,
        scoring=gain,
        n_repeats=spec.importance_repeats,
        random_state=spec.seed,
    )
    frame = pd.DataFrame(
        {"feature": contract.features, "importance": gains.importances_mean, "sd": gains.importances_std}
    )
    return frame.round(PLACES).sort_values(["importance", "feature"], ascending=[False, True])


def by_slice(report: Evaluation) -> pd.DataFrame:
    """One row per slice: its number of rows, and its loss, which is the first of its metrics.

    Returns
    -------
    Columns `slice` (as `slice_name` writes it), `rows` and `loss`.

    """
    lines = [
        (slice_name(column, value or None), part.rows, next(iter(part.metrics.values())).value)
        for column, parts in report.slices.items()
        for value, part in parts.items()
    ]
    return pd.DataFrame(lines, columns=["slice", "rows", "loss"])


def main() -> None:
    """Write metrics, predictions and plots."""
    p = params.load("evaluate")
    contract = read_contract(p.case)
    pipeline, card = load_model()
    rows = batches.read_parquet(HOLDOUT)
    scores = model.predict(pipeline, rows, contract).round(PLACES)
    y = rows[contract.target].to_numpy(dtype=np.float64)
    report = evaluate(rows, scores, card.mean_target, p.evaluate, contract)
    plots = {
        "reliability": reliability(y, scores, p.evaluate.bins),
        "curve": CURVES[contract.task.curve](y, scores, p.evaluate.bins),
        "importance": importance(pipeline, rows, p.evaluate, contract),
        "slices": by_slice(report),
        "timeline": timeline(rows, scores, contract),
    }
    with disk.replacing(PLOTS) as folder:
        folder.mkdir()
        for name, frame in plots.items():
            frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    kept = dict.fromkeys(
        [contract.time, *contract.entity, *filter(None, [contract.block]), *contract.slices, contract.target]
    )
    batches.write_parquet(PREDICTIONS, batches.to_table(rows[list(kept)].assign(**{PREDICTION: scores})))
    disk.write_json(METRICS, report.metrics())
    report.write(EVALUATION)
