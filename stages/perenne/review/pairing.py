"""What a change does on validation: its metrics beside those of the models that it has to beat.

Where both models were measured on the same rows, with the same folds, they are paired: fold by fold, and
slice by slice. The holdout is not read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perenne.common import locked, predicted
from perenne.common.block import Block, declared, labels_of, ordered
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import EVALUATION, FOLD, PREDICTIONS
from perenne.common.slicing import groups, slice_name
from perenne.documents.evaluation import OF_CLASS, Evaluation, MeasuredMetric
from perenne.documents.review import (
    PairedFold,
    PairedMetric,
    PairedSlice,
    ReviewedFigure,
    Rival,
    ValidationReview,
)
from perenne.review.sides import Side
from perenne.stats import paired
from perenne.stats.bootstrap import too_few
from perenne.stats.estimate import Estimate, Nearer
from perenne.stats.influence import INFLUENCE
from perenne.stats.sharing import coded

Array = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

ALPHA = 0.025  # of each bound: intervals of 95 %


class Compared(NamedTuple):
    """A metric of two models, how much better the first one's is, and why there is no interval, if so."""

    value: float
    theirs: float
    gain: Estimate | Nearer
    too_few: str


class Pair(NamedTuple):
    """The outcomes and the scores of two models on the same rows, and the block of each row.

    As `predicted` has them. `ordered` blocks follow each other in time. A target that has `classes` may have
    too few events to tell.
    """

    y: Array
    mine: Array
    theirs: Array
    codes: npt.NDArray[np.intp]
    blocks: int
    ordered: bool
    classes: bool

    def metric(self, name: str, places: Places | slice = slice(None)) -> PairedMetric:
        """Return a metric of both models on some of the rows, and how much better the first one's is."""
        value, theirs, gain, few = self.compared(name, places)
        low, high = (None, None) if few else gain.bounds(ALPHA)
        return PairedMetric(
            value=value, theirs=theirs, gain=ReviewedFigure(value=gain.value, low=low, high=high)
        )

    def compared(self, name: str, places: Places | slice = slice(None)) -> Compared:
        """Return what `metric` does, as an estimate whose bounds can be of any level."""
        new, old = (INFLUENCE[name](self.y[places], scores[places]) for scores in (self.mine, self.theirs))
        gain = paired.gain(name, new, old, self.codes[places], self.blocks, ordered=self.ordered)
        few = too_few(self.codes[places], self.y[places] if self.classes else None, metric=name) or gain.few
        return Compared(new.value, old.value, gain, few)

    def each_class(self, contract: Contract) -> dict[str, Pair]:
        """Return each of several classes against the rest, by its name; none if there are not several."""
        if not contract.task.class_metrics:
            return {}
        mine, theirs = (predicted.each_class(self.y, scores, contract) for scores in (self.mine, self.theirs))
        return {
            name: self._replace(y=came, mine=scores, theirs=theirs[name][1])
            for name, (came, scores) in mine.items()
        }


def validated(new: Side, rivals: Mapping[str, str], contract: Contract) -> ValidationReview | None:
    """Return the metrics on validation of a change, beside those of the models that it has to beat.

    Parameters
    ----------
    new
        The side of the change.
    rivals
        The commits of the other models, by name.
    contract
        That of the change.

    Returns
    -------
    ValidationReview or None
        None if the change has no evaluation, as in a pipeline without that stage.

    """
    report, mine = _report(new), _predictions(new, contract)
    if report is None or mine is None:
        return None
    return ValidationReview(
        loss=contract.task.metrics[0],
        metrics=_figures(report.validation.metrics),
        too_few=report.validation.too_few,
        dependence=report.dependence.line if report.dependence else "",
        folds=report.folds,
        warnings=report.warnings,
        rivals=tuple(_rival(name, Side(rev), mine, report, contract) for name, rev in rivals.items()),
        classes={name: _figures(part.metrics) for name, part in report.classes.items()},
    )


def _figures(metrics: Mapping[str, MeasuredMetric]) -> dict[str, ReviewedFigure]:
    return {
        name: ReviewedFigure(value=metric.value, low=metric.low, high=metric.high)
        for name, metric in metrics.items()
    }


def _rival(name: str, side: Side, mine: pd.DataFrame, report: Evaluation, contract: Contract) -> Rival:
    """Another model's metrics: on the same rows, or only on its own."""
    theirs, their_report = _predictions(side, contract), _report(side)
    own = (
        {key: metric.value for key, metric in their_report.validation.metrics.items()} if their_report else {}
    )
    pair = pair_of(mine, theirs, contract, _block(report, contract)) if theirs is not None else None
    if pair is None:
        return Rival(name=name, own={metric: own.get(metric) for metric in report.validation.metrics})
    loss = contract.task.metrics[0]
    return Rival(
        name=name,
        own={metric: own.get(metric) for metric in report.validation.metrics},
        metrics={metric: pair.metric(metric) for metric in contract.task.metrics if metric in INFLUENCE},
        folds=tuple(
            PairedFold(first=fold.first, last=fold.last, loss=pair.metric(loss, _places(mine, number)))
            for number, fold in enumerate(report.folds, start=1)
        ),
        slices=tuple(
            PairedSlice(name=called, rows=len(places), loss=pair.metric(loss, places))
            for called, places in slices(mine, contract)
        ),
        classes={
            called: {metric: of_class.metric(metric) for metric in OF_CLASS}
            for called, of_class in pair.each_class(contract).items()
        },
    )


def pair_of(mine: pd.DataFrame, theirs: pd.DataFrame, contract: Contract, block: Block) -> Pair | None:
    """Return two models' predictions as a pair; None if they are not of the same rows and folds.

    Parameters
    ----------
    mine, theirs
        The rows of `predictions.parquet`.
    contract
        Names what says which row is which.
    block
        What makes rows one block.

    """
    keys = [contract.time, *contract.entity, contract.target, FOLD]
    if not {*keys} <= {*theirs} or not mine[keys].equals(theirs[keys]):
        return None
    in_order = ordered(contract, block)
    codes, count = coded(labels_of(mine, contract, block), ordered=in_order)
    y = predicted.outcomes(mine, contract)
    new, old = (predicted.scores(rows, contract) for rows in (mine, theirs))
    return Pair(y, new, old, codes, count, in_order, bool(contract.classes))


def _block(report: Evaluation, contract: Contract) -> Block:
    """What counts in the change's own evaluation; bounds measure by themselves how alike neighbours are."""
    return (report.block or declared(contract) or Block()).single


def slices(rows: pd.DataFrame, contract: Contract) -> Iterator[tuple[str, Places]]:
    """Yield the name of each slice and the positions of its rows."""
    for column in contract.slices:
        for value, places in groups(rows[column], contract.columns[column].bins).items():
            yield slice_name(column, value), places


def _places(rows: pd.DataFrame, fold: int) -> Places:
    return np.flatnonzero(rows[FOLD] == fold)


def _output(side: Side, path: Path) -> bytes:
    """An output that the side's lock names: a file that no stage of it made says nothing of it."""
    locked.load(side.rev).out(path)
    return side.read(path)


def _report(side: Side) -> Evaluation | None:
    """The evaluation of a side; None if it is unavailable, or of a version that measured the holdout."""
    try:
        return Evaluation.loads(_output(side, EVALUATION), str(EVALUATION))
    except (PerenneError, FileNotFoundError):
        return None


def _predictions(side: Side, contract: Contract) -> pd.DataFrame | None:
    """The predictions of a side; None if they are unavailable, or of a version that measured the holdout.

    None as well if they are of other classes than those of the contract.
    """
    try:
        rows: pd.DataFrame = pq.read_table(BytesIO(_output(side, PREDICTIONS))).to_pandas()
    except (PerenneError, FileNotFoundError, pa.ArrowException):
        return None
    return rows if {*predicted.columns(contract), FOLD} <= {*rows} else None
