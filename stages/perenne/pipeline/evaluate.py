"""Evaluate: the metrics of validation with their intervals, by fold and by slice, and the plots.

The holdout is not read here. Whoever chooses among models does so by these figures, and the gate still has
rows that no choice depended on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import batches, disk, params, periods
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.names import EVALUATION, FOLD, METRICS, PLOTS, PREDICTIONS, TRAIN
from perenne.common.params import Evaluate
from perenne.common.slicing import groups
from perenne.documents.card import load_model
from perenne.documents.evaluation import (
    Evaluation,
    FoldMetric,
    MeasuredFigure,
    MeasuredFold,
    MeasuredHeadline,
    MeasuredMetric,
    MeasuredRows,
)
from perenne.pipeline import folds, headline, plots, skill
from perenne.pipeline.folds import Validation
from perenne.pipeline.importance import importance
from perenne.stats import bootstrap, metrics

Array = npt.NDArray[np.float64]

ALL_RESAMPLES = 30_000  # up to so many rows, as many resamples are drawn as params.yaml says
LEAST_RESAMPLES = 200
NO_VALUE = ""  # the slice of rows without a value, where only a text can stand: no category is empty


def evaluate(held: Validation, spec: Evaluate, contract: Contract) -> Evaluation:
    """Metrics on all rows of validation, by fold and by slice, each beside the dummy's.

    Parameters
    ----------
    held
        The rows with their predictions.
    spec, contract
        How to measure, and what the rows are.

    """
    rows, scores, dummies = held.rows, held.scores, held.dummies
    spec = spec.model_copy(update={"resamples": resamples(spec.resamples, len(rows))})

    def part(i: npt.NDArray[np.intp]) -> MeasuredRows:
        return measured(rows.iloc[i], scores[i], dummies[i], spec, contract)

    slices = {
        column: {
            NO_VALUE if value is None else str(value): part(i)
            for value, i in groups(rows[column], contract.columns[column].bins).items()
        }
        for column in contract.slices
    }
    return Evaluation(
        between=held.between,
        validation=measured(rows, scores, dummies, spec, contract),
        folds=tuple(by_fold(held, contract)),
        slices=slices,
        headline=measured_headline(rows, scores, spec, contract),
    )


def measured(
    rows: pd.DataFrame, scores: Array, dummies: Array, spec: Evaluate, contract: Contract
) -> MeasuredRows:
    """The metrics of some rows: value, interval by block bootstrap, and the dummy's value.

    Parameters
    ----------
    rows, scores, dummies
        Labelled rows of the contract, their predictions, and the dummy's, shape (rows,).
    spec, contract
        How to measure, and what the rows are.

    """
    y = rows[contract.target].to_numpy(dtype=np.float64)
    family = metrics.family(contract.task.metrics)
    prepared = {name: prepare(y, scores) for name, prepare in family.items()}
    events = y if contract.task.classes else None
    by_name = intervals(prepared, rows, spec, contract, events=events)
    dummy = {name: prepare(y, dummies)(np.ones(len(y))) for name, prepare in family.items()}
    report = {
        name: MeasuredMetric(**interval._asdict(), dummy=dummy[name]) for name, interval in by_name.items()
    }
    labels = blocks(rows, contract)
    few = bootstrap.too_few(labels, events)
    return MeasuredRows(rows=len(rows), blocks=len(set(labels)), metrics=report, too_few=few)


def by_fold(held: Validation, contract: Contract) -> Iterator[MeasuredFold]:
    """The metrics of each fold, without intervals: the folds beside each other show how they vary."""
    family = metrics.family(contract.task.metrics)
    unit = next((unit for unit in periods.FREQUENCY if unit == held.between), contract.period)
    period = periods.of(held.rows[contract.time], unit, contract.zone)
    for number, fitted in enumerate(held.models, start=1):
        i = np.flatnonzero(held.rows[FOLD] == number)
        y = held.rows[contract.target].to_numpy(dtype=np.float64)[i]
        one = np.ones(len(i))
        yield MeasuredFold(
            first=str(period.iloc[i].min()),
            last=str(period.iloc[i].max()),
            learned=int(fitted.fold.learned.sum()),
            rows=len(i),
            metrics={
                name: FoldMetric(
                    value=prepare(y, held.scores[i])(one), dummy=prepare(y, held.dummies[i])(one)
                )
                for name, prepare in family.items()
            },
        )


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


def resamples(most: int, rows: int) -> int:
    """How many resamples are drawn: on many rows fewer, so that their time hardly grows with the rows.

    With 200, bounds are within some 9 % of their distance from the value, with 1,000 within 4 %.

    >>> resamples(1000, 20_000), resamples(1000, 100_000), resamples(1000, 10**7), resamples(100, 10**7)
    (1000, 300, 200, 100)
    """
    return min(most, max(LEAST_RESAMPLES, most * ALL_RESAMPLES // rows))


def blocks(rows: pd.DataFrame, contract: Contract) -> npt.NDArray[Any]:
    """The block of each row, shape (rows,); each row is its own block if the contract names none."""
    return rows[contract.block].to_numpy() if contract.block else np.arange(len(rows))


def measured_headline(
    rows: pd.DataFrame, scores: Array, spec: Evaluate, contract: Contract
) -> MeasuredHeadline:
    """The headline figure over all of validation, observed and predicted, with block-bootstrap intervals.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,).
    spec, contract
        How to measure, and how the figure is defined.

    """
    by_name = intervals(headline.figures(rows, scores, contract), rows, spec, contract)
    observed, predicted = (MeasuredFigure(**by_name[name]._asdict()) for name in ("observed", "predicted"))
    figure = contract.headline.figure if contract.headline else f"mean_{contract.target}"
    return MeasuredHeadline(figure=figure, observed=observed, predicted=predicted)


def described(held: Validation, cut: Cut, spec: Evaluate, contract: Contract) -> Iterator[str]:
    """What people would not expect of the folds, a line each."""
    dealt = f"whole blocks ({contract.block})" if contract.block else "rows"
    if cut.recalibrate:
        yield f"the model is recalibrated: {dealt} of its {len(held.rows):,} latest rows are dealt into folds"
    elif held.between == "block":
        yield f"the window is too short for folds in time: {dealt} are dealt into {len(held.models)} folds"
    elif len(held.models) < spec.folds:
        yield f"the window is too short for {spec.folds} folds: it has {len(held.models)}"


def main() -> None:
    """Write metrics, predictions and plots."""
    p = params.load("evaluate")
    contract = read_contract(p.case)
    (pipeline, _), cut = load_model(), Cut.of(p.split, contract)
    rows = batches.read_parquet(TRAIN)
    held = folds.held(rows, cut, pipeline, p.train, contract, p.evaluate.folds)
    window = cut.parted(rows, contract)[bool(cut.recalibrate)]  # the rows that its folds are of
    for line in described(held, cut, p.evaluate, contract):
        print(f"evaluate: {line}")
    batches.write_parquet(PREDICTIONS, held.table(contract))
    wrong = skill.warnings(pipeline, window, held, blocks(held.rows, contract), p.evaluate, p.train, contract)
    report = evaluate(held, p.evaluate, contract).model_copy(update={"warnings": tuple(wrong)})
    for line in report.warnings:
        print(f"evaluate: WARNING: {line}")
    y = held.rows[contract.target].to_numpy(dtype=np.float64)
    tables = {
        "reliability": plots.reliability(y, held.scores, p.evaluate.bins),
        "curve": plots.CURVES[contract.task.curve](y, held.scores, p.evaluate.bins),
        "importance": importance(held, p.evaluate, contract),
        "slices": plots.by_slice(report),
        "timeline": headline.timeline(held.rows, held.scores, contract),
    }
    with disk.replacing(PLOTS) as folder:
        folder.mkdir()
        for name, frame in tables.items():
            frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    disk.write_json(METRICS, report.metrics())
    report.write(EVALUATION)
