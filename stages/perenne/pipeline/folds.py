"""Walk-forward folds: parts of the training window, each predicted by a model of what was known before it.

The holdout is sealed: whoever chooses among models by what they see of it has no proof left. So models are
measured on *validation*: the window is cut into consecutive parts in time, and a model with the same params
that is fitted on what was known when a part began predicts that part.

References
----------
Tashman 2000, Out-of-sample tests of forecasting accuracy: an analysis and review, International Journal of
Forecasting 16, 437-450 (rolling origins). Roberts et al. 2017, Cross-validation strategies for data with
temporal, spatial, hierarchical, or phylogenetic structure, Ecography 40, 913-929 (whole blocks).

"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.pipeline import Pipeline

from perenne.common import batches, model, periods, predicted
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import FOLD, TRAIN
from perenne.common.params import Train
from perenne.common.periods import Unit
from perenne.common.predicted import Mean
from perenne.compute.engine import Workers
from perenne.compute.local import HERE
from perenne.pipeline import recalibration, train

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Steps = npt.NDArray[np.int64]

# Where a window has too few periods, it is cut between these.
BELOW: dict[Unit, Unit] = {"year": "day", "quarter": "day", "month": "day", "week": "day", "day": "hour"}
FEWEST = 2  # folds: one part alone says nothing of how parts differ
NEVER = np.iinfo(np.int64).max  # later than any step
PLACES = 9  # decimals of a score: more than the rows can resolve, fewer than vary between CPUs


class Fold(NamedTuple):
    """The rows that a model learns from, and those that it predicts: masks of shape (rows,)."""

    learned: Mask
    predicted: Mask


class Cuts(NamedTuple):
    """The folds of a window, and what they are cut between: a unit of time, or `block`."""

    between: str
    folds: tuple[Fold, ...]


class FoldModel(NamedTuple):
    """A fold's model, and the dummy that predicts the mean of the rows it learned from (`predicted.mean`)."""

    fold: Fold
    pipeline: Pipeline
    mean: Mean


class Validation(NamedTuple):
    """The rows of a window that a model predicted which had not seen them.

    `rows` have the columns of the contract, those of the predictions, and `fold`, counted from 1. `dummies`
    are what the dummies of the folds predict for them, shape (rows,), or (rows, classes) with several.
    """

    rows: pd.DataFrame
    dummies: Array
    between: str
    models: tuple[FoldModel, ...]

    def table(self, contract: Contract) -> pa.Table:
        """The rows as `predictions.parquet` has them: the contract's columns, the predictions and `fold`."""
        like = batches.schema(contract)
        for name in predicted.columns(contract):
            like = like.append(pa.field(name, pa.float64()))
        return batches.to_table(self.rows, like.append(pa.field(FOLD, pa.int64())))


def held(
    rows: pd.DataFrame,
    cut: Cut,
    pipeline: Pipeline,
    spec: Train,
    contract: Contract,
    count: int,
    workers: Workers = HERE,
    title: str = "",
) -> Validation:
    """The validation of a model: of its window, or where it is recalibrated, of the rows that correct it.

    Parameters
    ----------
    rows
        All rows of the part `train`.
    cut, pipeline
        Which of them the model is recalibrated by, and the model.
    spec, contract, count, workers, title
        As for `validation`.

    """
    learned, recent = cut.parted(rows, contract)
    if cut.recalibrate:
        return corrected(pipeline["model"].pipeline, recent, contract, count)
    return validation(learned, spec, contract, count, workers, title)


def validation(
    rows: pd.DataFrame,
    spec: Train,
    contract: Contract,
    count: int,
    workers: Workers = HERE,
    title: str = "",
) -> Validation:
    """Predict the rows of a window by models that did not see them.

    Parameters
    ----------
    rows
        The labelled rows of the window, in any order.
    spec, contract
        How a model is fitted, and what the rows are.
    count
        How many folds; see `cuts`.
    workers
        What fits the models of the folds; where they are several, `rows` must be those of the file `TRAIN`.
    title
        What the progress bar says; without it there is none.

    Returns
    -------
    Validation
        The rows of all folds in the given order; those of the first part, from which models only learn, are
        left out. Scores are rounded to `PLACES`.

    Raises
    ------
    PerenneError
        If the window is too short for folds, or the model of a fold cannot be fitted; it names the fold.

    """
    cut = cuts(rows, contract, count)
    window = WindowFits(spec, contract, count, (rows, cut) if workers.here else None)
    places = range(1, len(cut.folds) + 1)
    return _predicted(rows, cut, workers.map(window, places, title=title, unit="fold"), contract)


def corrected(pipeline: Pipeline, rows: pd.DataFrame, contract: Contract, count: int) -> Validation:
    """Predict the rows that a model is recalibrated by: those of each fold with the correction of the others.

    Parameters
    ----------
    pipeline
        The model that is corrected; it has seen none of the rows.
    rows
        Labelled rows, in any order.
    contract
        Names target and block.
    count
        How many folds; whole blocks are dealt into them.

    Returns
    -------
    Validation
        All rows, as `validation` returns them.

    Raises
    ------
    PerenneError
        If the rows are too few for folds with rows of every class.

    """
    dealt = tuple(_dealt(rows, contract, count))
    if not dealt:
        raise PerenneError(
            f"params.yaml: split.recalibrated: {len(rows):,} rows with labels do not give {FEWEST} folds "
            "with rows of every class; more periods would do"
        )

    def fitted(place: int) -> FoldScores:
        fold = dealt[place - 1]
        learned = rows[fold.learned]
        try:
            model_of_fold = recalibration.recalibrated(pipeline, learned, contract, least=1)
        except PerenneError as error:
            raise PerenneError(f"evaluate: fold {place}: {error}") from error
        return FoldScores.of(model_of_fold, learned, rows[fold.predicted], contract, place)

    return _predicted(rows, Cuts("block", dealt), map(fitted, range(1, len(dealt) + 1)), contract)


class FoldScores(NamedTuple):
    """A fold's model, what the dummy of the rows it learned from predicts, and its scores (rows, ...)."""

    pipeline: Pipeline
    mean: Mean
    scores: Array

    @classmethod
    def of(
        cls, pipeline: Pipeline, learned: pd.DataFrame, rows: pd.DataFrame, contract: Contract, place: int
    ) -> FoldScores:
        """Predict the rows of a fold by its model."""
        return cls(pipeline, _mean(learned, contract), _scores(rows, pipeline, contract, place))


@dataclass(frozen=True)
class WindowFits:
    """Fits the models of a window's folds: of the rows that are known, or in another process of the file."""

    spec: Train
    contract: Contract
    folds: int
    known: tuple[pd.DataFrame, Cuts] | None

    def __call__(self, place: int) -> FoldScores:
        """What the model of a fold says of its rows; folds are counted from 1."""
        contract = self.contract
        rows, cut = self.known or self._read()
        fold = cut.folds[place - 1]
        learned = rows.loc[fold.learned, train.learned_columns(contract)]
        try:
            pipeline = train.train(learned, self.spec, contract)
        except PerenneError as error:
            raise PerenneError(
                f"evaluate: fold {place}, {len(learned):,} rows to learn from: {error}"
            ) from error
        return FoldScores.of(pipeline, learned, rows[fold.predicted], contract, place)

    def _read(self) -> tuple[pd.DataFrame, Cuts]:
        rows = batches.read_parquet(TRAIN)
        return rows, cuts(rows, self.contract, self.folds)


def _predicted(rows: pd.DataFrame, cut: Cuts, fitted: Iterable[FoldScores], contract: Contract) -> Validation:
    """The rows of all folds, each predicted by the model of its fold."""
    number = np.zeros(len(rows), dtype=np.int64)
    scores, dummies = (predicted.unknown(len(rows), contract) for _ in range(2))
    models = []
    for place, (fold, found) in enumerate(zip(cut.folds, fitted, strict=True), start=1):
        number[fold.predicted], dummies[fold.predicted] = place, found.mean
        scores[fold.predicted] = found.scores
        models.append(FoldModel(fold, found.pipeline, found.mean))
    kept = number > 0
    told = predicted.assign(rows[kept], scores[kept], contract).assign(**{FOLD: number[kept]})
    return Validation(told.reset_index(drop=True), dummies[kept], cut.between, tuple(models))


def _mean(learned: pd.DataFrame, contract: Contract) -> Mean:
    return predicted.mean(predicted.outcomes(learned, contract), contract)


def _scores(rows: pd.DataFrame, pipeline: Pipeline, contract: Contract, place: int) -> Array:
    try:
        return model.predict(pipeline, rows, contract).round(PLACES)
    except ValueError as error:  # such as more neighbours than the fold has rows
        reason = " ".join(str(error).split())
        raise PerenneError(f"evaluate: fold {place}: its model cannot predict: {reason}") from error


def cuts(rows: pd.DataFrame, contract: Contract, count: int) -> Cuts:
    """Where the window is cut.

    It is cut between periods if they are enough for all folds, else between days (hours, if a period is a
    day), else into fewer folds. Where time does not allow two, as in a window of one quarter whose rows all
    have the same date, the blocks of the contract are dealt into folds, and the model of each learns from the
    other blocks of all the window.

    Parameters
    ----------
    rows
        The labelled rows of the window, in any order.
    contract
        Names period, time, target and block, and how late labels are.
    count
        How many folds, where the window allows it.

    Raises
    ------
    PerenneError
        If the window is too short for two folds; it says what would do.

    Examples
    --------
    >>> from perenne.common.column import Column
    >>> roles = {"t": ("datetime", "time"), "x": ("number", "feature"), "y": ("number", "target")}
    >>> columns = {name: Column(type=type, role=(role,)) for name, (type, role) in roles.items()}
    >>> contract = Contract(row="a", task="regression", period="month", label_delay=1, columns=columns)
    >>> rows = pd.DataFrame({"t": pd.date_range("2021-01-15", periods=10, freq="MS"), "y": 0.0})
    >>> for fold in cuts(rows, contract, 4).folds:
    ...     print(np.flatnonzero(fold.learned), np.flatnonzero(fold.predicted))
    [0] [2 3]
    [0 1 2] [4 5]
    [0 1 2 3 4] [6 7]
    [0 1 2 3 4 5 6] [8 9]

    """
    walks = []
    for unit in (contract.period, BELOW.get(contract.period)):
        walk = tuple(_walk(rows, contract, unit, count)) if unit else ()
        if unit and len(walk) == count:
            return Cuts(unit, walk)
        walks.append(Cuts(unit or "", walk))
    most = max(walks, key=lambda cut: len(cut.folds))
    if len(most.folds) >= FEWEST:
        return most
    dealt = tuple(_dealt(rows, contract, count))
    if dealt:
        return Cuts("block", dealt)
    least = 2 * contract.label_delay + FEWEST + 1
    raise PerenneError(
        f"params.yaml: split.window: too short to evaluate: its {len(rows):,} rows with labels do not give "
        f"{FEWEST} folds, each with rows of every class to learn from; {least} {contract.period}s would do"
    )


def _walk(rows: pd.DataFrame, contract: Contract, unit: Unit, count: int) -> Iterator[Fold]:
    """At most so many folds, consecutive in time and as long as each other; none if there is no room.

    What comes before the first fold is as long as a fold. So little costs hardly anything: from a fifth of
    what could be known, the model of the retirement case gains 3 % less over the dummy, that of the flights
    case no less.
    """
    step, known = _steps(rows, contract, unit)
    begins = np.unique(step)
    y = predicted.outcomes(rows, contract)
    # A model can be fitted once it knows a row of every class.
    needed = [y == place for place in range(len(contract.classes))] or [np.full(len(y), fill_value=True)]
    opening = max(known[of_class].min(initial=NEVER) for of_class in needed)
    first = max(int(np.searchsorted(begins, opening, "right")), round(len(begins) / (count + 1)))
    count = min(count, len(begins) - first)
    edges = [first + part * (len(begins) - first) // count for part in range(count + 1)] if count > 0 else []
    for low, high in pairwise(edges):
        yield Fold(known < begins[low], (begins[low] <= step) & (step <= begins[high - 1]))


def _steps(rows: pd.DataFrame, contract: Contract, unit: Unit) -> tuple[Steps, Steps]:
    """The unit of time that each row is of, and the one in which its label is known; both as ordinals.

    A label is known with the end of the period that comes `label_delay` after its own. Within a period, as
    between two days of a month, it is known as much later.
    """
    times = rows[contract.time]
    step = pd.PeriodIndex(periods.of(times, unit, contract.zone))
    period = pd.PeriodIndex(periods.of(times, contract.period, contract.zone))
    later = (period + contract.label_delay).to_timestamp() - period.to_timestamp()
    known = (step.to_timestamp() + later).to_period(periods.FREQUENCY[unit])
    return step.asi8, known.asi8


def _dealt(rows: pd.DataFrame, contract: Contract, count: int) -> Iterator[Fold]:
    """Folds of whole blocks, dealt like cards; none if a fold would have no rows, or no class to learn."""
    block = rows[contract.block] if contract.block else pd.Series(range(len(rows)))
    codes, labels = pd.factorize(block)
    y = predicted.outcomes(rows, contract)
    folds = [Fold(codes % count != part, codes % count == part) for part in range(min(count, len(labels)))]
    if len(folds) >= FEWEST and all(
        set(range(len(contract.classes))) <= set(y[f.learned].tolist()) for f in folds
    ):
        yield from folds
