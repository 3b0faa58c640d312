"""Evaluate: the metrics of validation with their intervals, by fold and by slice, and the plots.

The holdout is not read here. Whoever chooses among models does so by these figures, and the gate still has
rows that no choice depended on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import batches, disk, params, periods, predicted, project_code
from perenne.common.block import Block, declared, labels_of
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.names import EVALUATION, FOLD, METRICS, PLOTS, PREDICTIONS, TRAIN
from perenne.common.params import Evaluate
from perenne.common.slicing import groups
from perenne.compute import engine
from perenne.documents.card import load_model
from perenne.documents.evaluation import (
    Evaluation,
    FoldMetric,
    MeasuredDependence,
    MeasuredFigure,
    MeasuredFold,
    MeasuredHeadline,
    MeasuredMetric,
    MeasuredNeighbours,
    MeasuredRows,
    MeasuredSharing,
)
from perenne.pipeline import copies, folds, headline, plots, skill
from perenne.pipeline.folds import Validation
from perenne.pipeline.importance import importance
from perenne.stats import bootstrap, metrics
from perenne.stats.blocks import Alike

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

ALL_RESAMPLES = 30_000  # up to so many rows, as many resamples are drawn as params.yaml says
LEAST_RESAMPLES = 200
NO_VALUE = ""  # the slice of rows without a value, where only a text can stand: no category is empty


def evaluate(held: Validation, spec: Evaluate, contract: Contract) -> Evaluation:
    """Metrics on all rows of validation, by fold, by slice and by class, each beside the dummy's.

    Parameters
    ----------
    held
        The rows with their predictions.
    spec, contract
        How to measure, and what the rows are.

    """
    rows, dummies = held.rows, held.dummies
    y, scores = predicted.outcomes(rows, contract), predicted.scores(rows, contract)
    spec = spec.model_copy(update={"resamples": resamples(spec.resamples, scores.size)})
    depend = dependence(rows, contract)
    blocks = labels_of(rows, contract, depend.block)

    def part(i: npt.NDArray[np.intp] | slice) -> MeasuredRows:
        return measured(y[i], scores[i], dummies[i], blocks[i], spec, contract, contract.task.metrics)

    slices = {
        column: {
            NO_VALUE if value is None else str(value): part(i)
            for value, i in groups(rows[column], contract.columns[column].bins).items()
        }
        for column in contract.slices
    }
    return Evaluation(
        between=held.between,
        validation=part(slice(None)),
        folds=tuple(by_fold(held, contract)),
        slices=slices,
        headline=measured_headline(rows, scores, blocks, spec, contract),
        dependence=depend,
        classes=by_class(y, scores, dummies, blocks, spec, contract),
    )


def by_class(
    y: Array, scores: Array, dummies: Array, blocks: Labels, spec: Evaluate, contract: Contract
) -> dict[str, MeasuredRows]:
    """Each of several classes against the rest, by its name; none where there are not several.

    Parameters
    ----------
    y, scores, dummies
        Outcomes, their predictions and the dummy's, as `predicted` has them.
    blocks
        The label of each row's block, shape (rows,).
    spec, contract
        How to measure, and what the rows are.

    """
    names = contract.task.class_metrics
    if not names:
        return {}
    of_dummy = predicted.each_class(y, dummies, contract)
    return {
        name: measured(came, scored, of_dummy[name][1], blocks, spec, contract, names)
        for name, (came, scored) in predicted.each_class(y, scores, contract).items()
    }


def dependence(rows: pd.DataFrame, contract: Contract) -> MeasuredDependence:
    """What makes rows one block: the contract's answer, or what their residuals ask for.

    With several classes, each class has its residuals. That block counts whose rows share most, and the level
    of each question is divided by the number of classes.

    Parameters
    ----------
    rows
        Of `predictions.parquet`, or of other models that were not trained on them.
    contract
        What the rows are.

    """
    y, scores = predicted.outcomes(rows, contract), predicted.scores(rows, contract)
    alike, classes = Alike(rows, contract), predicted.each_class(y, scores, contract)
    counted = {
        name: alike.counted(came - scored, among=len(classes)) for name, (came, scored) in classes.items()
    }
    name, found = max(counted.items(), key=lambda item: item[1].choice.effect if item[1].choice else 1.0)
    shared = found.choice.sharing if found.choice else {}
    beside = found.choice.neighbours if found.choice else None
    return MeasuredDependence(
        source="contract" if declared(contract) else "measured",
        block=found.block,
        sharing={name: MeasuredSharing(**each._asdict()) for name, each in shared.items()},
        neighbours=MeasuredNeighbours(**beside._asdict()) if beside else None,
        line=f"{found.line} (measured on {name})" if found.line and name else found.line,
    )


def measured(
    y: Array,
    scores: Array,
    dummies: Array,
    blocks: Labels,
    spec: Evaluate,
    contract: Contract,
    names: Sequence[str],
) -> MeasuredRows:
    """The metrics of some rows: value, interval by block bootstrap, and the dummy's value.

    Parameters
    ----------
    y, scores, dummies
        Outcomes, their predictions and the dummy's, as `predicted` has them.
    blocks
        The label of each row's block, shape (rows,).
    spec, contract
        How to measure, and whether there are classes.
    names
        The metrics.

    """
    family = metrics.family(names)
    prepared = {name: prepare(y, scores) for name, prepare in family.items()}
    events = y if contract.classes else None
    by_name = intervals(prepared, blocks, spec, events=events)
    dummy = {name: prepare(y, dummies)(np.ones(len(y))) for name, prepare in family.items()}
    report = {
        name: MeasuredMetric(**interval._asdict(), dummy=dummy[name]) for name, interval in by_name.items()
    }
    few = bootstrap.too_few(blocks, events)
    return MeasuredRows(rows=len(y), blocks=len(np.unique(blocks)), metrics=report, too_few=few)


def by_fold(held: Validation, contract: Contract) -> Iterator[MeasuredFold]:
    """The metrics of each fold, without intervals: the folds beside each other show how they vary."""
    family = metrics.family(contract.task.metrics)
    outcomes, scores = predicted.outcomes(held.rows, contract), predicted.scores(held.rows, contract)
    unit = next((unit for unit in periods.FREQUENCY if unit == held.between), contract.period)
    period = periods.of(held.rows[contract.time], unit, contract.zone)
    for number, fitted in enumerate(held.models, start=1):
        i = np.flatnonzero(held.rows[FOLD] == number)
        y, one = outcomes[i], np.ones(len(i))
        yield MeasuredFold(
            first=str(period.iloc[i].min()),
            last=str(period.iloc[i].max()),
            learned=int(fitted.fold.learned.sum()),
            rows=len(i),
            metrics={
                name: FoldMetric(value=prepare(y, scores[i])(one), dummy=prepare(y, held.dummies[i])(one))
                for name, prepare in family.items()
            },
        )


def intervals(
    figures: Mapping[str, Callable[[Array], float]],
    blocks: Labels,
    spec: Evaluate,
    *,
    events: Array | None = None,
) -> dict[str, bootstrap.Interval]:
    """The block-bootstrap interval of each figure, with the settings of `evaluate` in params.yaml.

    Parameters
    ----------
    figures
        By name, a function from the weights of the rows, shape (rows,), to a number.
    blocks
        The label of each row's block, shape (rows,); blocks are drawn.
    spec
        Resamples, confidence and seed.
    events
        What a rare class is told from, shape (rows,): 0 or 1, or places of several; None without classes.

    """
    return bootstrap.intervals(
        figures,
        blocks,
        events=events,
        resamples=spec.resamples,
        confidence=spec.confidence,
        seed=spec.seed,
    )


def resamples(most: int, rows: int) -> int:
    """How many resamples are drawn: on many rows fewer, so that their time hardly grows with the rows.

    A row with a probability for each of several classes counts as so many rows.

    With 200, bounds are within some 9 % of their distance from the value, with 1,000 within 4 %.

    >>> resamples(1000, 20_000), resamples(1000, 100_000), resamples(1000, 10**7), resamples(100, 10**7)
    (1000, 300, 200, 100)
    """
    return min(most, max(LEAST_RESAMPLES, most * ALL_RESAMPLES // rows))


def measured_headline(
    rows: pd.DataFrame, scores: Array, blocks: Labels, spec: Evaluate, contract: Contract
) -> MeasuredHeadline:
    """The headline figure over all of validation, observed and predicted, with block-bootstrap intervals.

    Parameters
    ----------
    rows, scores, blocks
        Labelled rows of the contract, their predictions, and the labels of their blocks, shape (rows,).
    spec, contract
        How to measure, and how the figure is defined.

    """
    by_name = intervals(headline.figures(rows, scores, contract), blocks, spec)
    came, said = (MeasuredFigure(**by_name[name]._asdict()) for name in ("observed", "predicted"))
    return MeasuredHeadline(figure=headline.name(contract), observed=came, predicted=said)


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
    with engine.opened() as workers:
        held = folds.held(rows, cut, pipeline, p.train, contract, p.evaluate.folds, workers, "evaluate")
    project_code.check_deps("evaluate")
    window = cut.parted(rows, contract)[bool(cut.recalibrate)]  # the rows that its folds are of
    for line in described(held, cut, p.evaluate, contract):
        print(f"evaluate: {line}")
    batches.write_parquet(PREDICTIONS, held.table(contract))
    report = evaluate(held, p.evaluate, contract)
    blocks = labels_of(held.rows, contract, report.block or Block())
    wrong = skill.warnings(pipeline, window, held, blocks, p.evaluate, p.train, contract)
    report = report.model_copy(update={"warnings": (*wrong, *copies.warnings(held.rows, contract))})
    if report.dependence and report.dependence.line:
        print(f"evaluate: {report.dependence.line}")
    for line in report.warnings:
        print(f"evaluate: WARNING: {line}")
    y, scores = predicted.outcomes(held.rows, contract), predicted.scores(held.rows, contract)
    tables = {
        "reliability": plots.reliability_by_class(y, scores, p.evaluate.bins, contract),
        "curve": plots.CURVES[contract.task.curve](y, scores, p.evaluate.bins),
        "confusion": plots.confusion(y, scores, contract),
        "importance": importance(held, p.evaluate, contract),
        "slices": plots.by_slice(report),
        "timeline": headline.timeline(held.rows, scores, contract),
    }
    with disk.replacing(PLOTS) as folder:
        folder.mkdir()
        for name, frame in tables.items():
            frame.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    disk.write_json(METRICS, report.metrics())
    report.write(EVALUATION)
