"""From rows to scores: the features as a model takes them, and what it says of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from perenne.common import project_code, sklearn_trees
from perenne.common.column import Column
from perenne.common.contract import Contract
from perenne.common.forest import Forest
from perenne.common.recalibrated import Recalibrated

SECONDS_A_DAY = 24 * 60 * 60
ROWS_AT_ONCE = 50_000  # that are scored by tables


def inputs(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The features as estimators take them, shape (n, features).

    Numbers are float64, categories objects, missing values NaN. A date becomes the number of days from it to
    the row's own time: unlike a date, that number does not grow for ever.

    Parameters
    ----------
    frame
        Typed rows with the contract's features, and with its time if a feature is a date.
    contract
        Names the features and their types.

    Returns
    -------
    DataFrame
        One column for each feature, in the contract's order, with the index of `frame`.

    """
    return pd.DataFrame(
        {name: feature(frame, name, contract) for name in contract.features}, index=frame.index
    )


def feature(frame: pd.DataFrame, name: str, contract: Contract) -> pd.Series:
    """One feature as estimators take it, shape (n,): see `inputs`."""
    column: Column = contract.columns[name]
    if column.type == "category":
        return frame[name].astype(object).where(frame[name].notna(), np.nan)
    if column.type == "datetime":
        return (frame[contract.time] - frame[name]).dt.total_seconds() / SECONDS_A_DAY
    number: pd.Series = frame[name].astype("float64")
    return number


def predict(pipeline: Pipeline, frame: pd.DataFrame, contract: Contract) -> npt.NDArray[np.float64]:
    """Score rows: the probability of the target, or its value, shape (n,), as the contract's task says.

    With several classes, the probability of each, shape (n, classes).

    Parameters
    ----------
    pipeline
        The fitted model.
    frame
        As for `inputs`.
    contract
        That of the model.

    Returns
    -------
    NDArray[np.float64]
        In [0, 1] for a probability, otherwise in the unit of the target.

    """
    estimator = pipeline[-1]
    if isinstance(estimator, Recalibrated):
        scores = predict(estimator.pipeline, frame, contract)
        slices = {name: feature(frame, name, contract) for name in estimator.offsets or ()}
        return _numbers(estimator.corrected(scores, pd.DataFrame(slices)), len(frame), contract)
    forest = sklearn_trees.tables(pipeline, len(frame))
    if forest:
        return by_tables(forest, frame, contract)
    return _by_pipeline(pipeline, inputs(frame, contract), contract)


def score(pipeline: Pipeline, X: pd.DataFrame, contract: Contract) -> npt.NDArray[np.float64]:
    """Score what `inputs` made: see `predict`.

    Raises
    ------
    CodeError
        If code of the project fails, or the model does not give a number for each row.

    """
    forest = sklearn_trees.tables(pipeline, len(X))
    return forest.score(forest.places(X)) if forest else _by_pipeline(pipeline, X, contract)


def by_tables(forest: Forest, frame: pd.DataFrame, contract: Contract) -> npt.NDArray[np.float64]:
    """Score rows by the tables of trees, some at a time: what is made of them takes more than they do.

    Parameters
    ----------
    forest
        The tables.
    frame, contract
        As for `predict`; at least one row.

    """
    parts = []
    for start in range(0, len(frame), ROWS_AT_ONCE):
        part = frame.iloc[start : start + ROWS_AT_ONCE]
        # The tables take categories of any dtype.
        made = {
            name: part[name] if contract.columns[name].type == "category" else feature(part, name, contract)
            for name in (each.name for each in forest.features)
        }
        parts.append(forest.score(forest.places(made)))
    return np.concatenate(parts)


def _by_pipeline(pipeline: Pipeline, X: pd.DataFrame, contract: Contract) -> npt.NDArray[np.float64]:
    method = contract.task.method
    try:
        raw = np.asarray(getattr(pipeline, method)(X), dtype=np.float64)
    except project_code.FAILURES as error:
        if project_code.is_of_project(error):
            raise project_code.failed(error, "the model") from error
        raise
    numbers = _numbers(raw, len(X), contract)
    return numbers[:, 1] if contract.task.outcome == "event" else numbers


def _numbers(scores: npt.NDArray[np.float64], rows: int, contract: Contract) -> npt.NDArray[np.float64]:
    """The scores as they are, if there is a number for each row."""
    if len(scores) != rows or not np.isfinite(scores).all():
        text = f"the model: {contract.task.method} does not give a number for each row"
        raise project_code.CodeError(text, text)
    return scores
