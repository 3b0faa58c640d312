"""Rows with what came and what was predicted, as arrays: the one place that knows how frames hold them.

What came is a number: the value of a quantity, 1 for an event, the place of a class among the contract's. A
prediction is a number too; but where there are several classes it is a probability for each, and a frame has
a column for each of them.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common.contract import Contract
from perenne.common.names import OF_CLASS, PREDICTION

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Mean: TypeAlias = float | tuple[float, ...]
"""What a dummy predicts: one number, or one for each of several classes."""


def several(contract: Contract) -> tuple[str, ...]:
    """The names of several classes, in the order of a model's probabilities; else none."""
    return tuple(map(str, contract.classes)) if contract.task.outcome == "class" else ()


def columns(contract: Contract) -> list[str]:
    """The columns that hold predictions: one, or one for each of several classes."""
    return [f"{OF_CLASS}{name}" for name in several(contract)] or [PREDICTION]


def assign(rows: pd.DataFrame, scores: Array | float, contract: Contract) -> pd.DataFrame:
    """A copy of rows with their predictions.

    Parameters
    ----------
    rows
        Of the contract.
    scores
        Shape (rows,), or (rows, classes) where there are several; a number stands for all of them.
    contract
        Says what is predicted.

    """
    names = columns(contract)
    table = np.broadcast_to(scores, (len(rows),) if np.ndim(scores) == 1 else (len(rows), len(names)))
    parts = [table] if table.ndim == 1 else list(table.T)
    return rows.assign(**dict(zip(names, parts, strict=True)))


def unknown(rows: int, contract: Contract) -> Array:
    """No predictions yet: NaN for so many rows, shape (rows,) or (rows, classes)."""
    names = columns(contract)
    return np.full((rows,) if len(names) == 1 else (rows, len(names)), np.nan)


def scores(rows: pd.DataFrame, contract: Contract) -> Array:
    """The predictions of rows: shape (rows,), or (rows, classes) where there are several."""
    names = columns(contract)
    if len(names) == 1:
        return rows[names[0]].to_numpy(dtype=np.float64)
    return np.column_stack([rows[name].to_numpy(dtype=np.float64) for name in names])


def scored(rows: pd.DataFrame, contract: Contract) -> Mask:
    """Which rows have a prediction, shape (rows,)."""
    return rows[columns(contract)[0]].notna().to_numpy()


def outcomes(rows: pd.DataFrame, contract: Contract) -> Array:
    """What came, shape (rows,): values, or places among the contract's classes; NaN where it is not known."""
    values = rows[contract.target]
    if contract.task.outcome != "class":
        return values.to_numpy(dtype=np.float64)
    places = pd.Index(contract.classes).get_indexer(pd.Index(values))
    return np.where(places < 0, np.nan, places).astype(np.float64)


def values(outcomes: Array, contract: Contract) -> npt.NDArray[np.generic]:
    """The target's values of known outcomes, shape (rows,): what `outcomes` was made of."""
    if contract.task.outcome != "class":
        return outcomes
    return np.array(contract.classes, dtype=object)[outcomes.astype(np.intp)]


def mean(outcomes: Array, contract: Contract) -> Mean:
    """What a dummy predicts: the mean outcome, or the share of each of several classes."""
    if contract.task.outcome != "class":
        return float(outcomes.mean())
    counts = np.bincount(outcomes.astype(np.intp), minlength=len(contract.classes))
    return tuple((counts / len(outcomes)).tolist())


def repeated(mean: Mean, rows: int) -> Array:
    """A dummy's predictions of so many rows, shape (rows,) or (rows, classes)."""
    return np.full((rows, *np.shape(mean)), mean)


def each_class(y: Array, scores: Array, contract: Contract) -> dict[str, tuple[Array, Array]]:
    """Each of several classes against the rest: whether it came, and its probability; else all as it is.

    Parameters
    ----------
    y, scores
        From `outcomes` and `scores`.
    contract
        Names the classes.

    Returns
    -------
    By class, or by "" where there are none or two.

    """
    names = several(contract)
    return {name: one_class(y, scores, place) for place, name in enumerate(names)} or {"": (y, scores)}


def one_class(y: Array, scores: Array, place: int) -> tuple[Array, Array]:
    """A class by its place, against the rest: whether it came, and its probability, each of shape (rows,)."""
    return (y == place).astype(np.float64), scores[:, place]
