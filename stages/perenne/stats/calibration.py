"""What to watch on matured labels: the loss, observed against expected, and the ranking.

A loss alone can fall while the model is wrong, because fewer events happen. Rows are put in order
(:func:`in_order`) and turned into bounded increments, whose mean the e-detector of
:mod:`perenne.stats.sequential` compares with the reference. Where rows of a day resemble each other, the
increment is their mean (:func:`block_means`). Outcomes, probabilities and scores are those of
:mod:`perenne.stats.metrics`, and bad rows raise a ValueError that names them, as there.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.stats.metrics import Array, _binary, _finite, _probabilities

LOG_LOSS_CAP = math.log(100)  # nats: what happened was given 1 % or less


class Groups(NamedTuple):
    """Increments, and the row that completes each, both of shape (groups,)."""

    values: Array
    ends: npt.NDArray[np.intp]


def log_losses(y: npt.ArrayLike, probability: npt.ArrayLike) -> Array:
    """Return each row's -log(probability of what happened), in nats, at most log(100), shape (rows,).

    >>> log_losses([1, 0, 1], [0.5, 0.5, 0.0]).round(3)
    array([0.693, 0.693, 4.605])
    """
    y, probability = _probabilities(y, probability)
    given = np.where(y == 1, probability, 1 - probability)
    return -np.log(np.maximum(given, math.exp(-LOG_LOSS_CAP)))


def squared_errors(y: npt.ArrayLike, probability: npt.ArrayLike) -> Array:
    """Return each row's squared difference of probability and outcome, in [0, 1], shape (rows,).

    >>> squared_errors([1, 0], [0.5, 0.0])
    array([0.25, 0.  ])
    """
    y, probability = _probabilities(y, probability)
    return (probability - y) ** 2


def squared_residuals(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Array:
    """Return each row's squared difference of prediction and value, in the squared unit of y, shape (rows,).

    >>> squared_residuals([1, 0], [3, 0.5])
    array([4.  , 0.25])
    """
    y, prediction = _finite(y, prediction)
    return (y - prediction) ** 2


class Loss(NamedTuple):
    """The losses of rows from outcomes and scores, and the bounds that no loss exceeds, if there are any."""

    rows: Callable[[npt.ArrayLike, npt.ArrayLike], Array]
    bounds: tuple[float, float] | None


LOSSES: Mapping[str, Loss] = {
    "log_loss": Loss(log_losses, (0.0, LOG_LOSS_CAP)),
    "mse": Loss(squared_residuals, None),
}
"""By the name of the metric that is their mean, but for the cap of the log loss."""


def excess(y: npt.ArrayLike, probability: npt.ArrayLike) -> Array:
    """Return each row's event observed less that expected, in [-1, 1], shape (rows,).

    More events than expected raise its mean, fewer that of its opposite: two detectors. What they presume is
    the calibration in the large (Cox 1958, Biometrika 45), over all rows, not at every probability.

    >>> excess([1, 0], [0.75, 0.25])
    array([ 0.25, -0.25])
    """
    y, probability = _probabilities(y, probability)
    return y - probability


def discordance(y: npt.ArrayLike, score: npt.ArrayLike) -> Groups:
    """Return the share of pairs ranked wrongly, ties half, in one group of rows after another.

    A group is the shortest run of rows with both classes: rows of one class, then the first of the other.
    Labels alone decide where it ends, so its share has mean 1 - AUC exactly, whatever the base rate, if rows
    are exchangeable. Rows that complete no group at the end of a batch are left out.

    Parameters
    ----------
    y
        Outcomes, 0 or 1, shape (rows,), in the order of :func:`in_order`.
    score
        Any finite number, higher where a 1 is more likely, shape (rows,).

    Returns
    -------
    Groups
        The shares, in [0, 1], and the index of the row that completes each group.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite or an outcome is not 0 or 1.

    Examples
    --------
    >>> discordance([0, 0, 1, 1, 0, 0], [0.1, 0.9, 0.5, 0.7, 0.8, 0.2])
    Groups(values=array([0.5, 1. ]), ends=array([2, 4]))

    """
    y, score = _binary(y, score)
    ends = np.array(_ends(y), dtype=np.intp)
    sizes = np.diff(ends, prepend=-1)
    rows = int(sizes.sum())
    last = np.repeat(ends, sizes)
    # Above 0 where a negative scores higher than a positive. The last row against itself adds half a tie.
    wrong = np.sign(score[:rows] - score[last]) * np.where(y[last] == 1, 1, -1)
    group = np.repeat(np.arange(len(ends)), sizes)
    pairs = np.bincount(group, (wrong + 1) / 2, minlength=len(ends)) - 0.5
    return Groups(pairs / (sizes - 1), ends)


def block_means(values: npt.ArrayLike, blocks: Iterable[Hashable]) -> Array:
    """Return the mean of each block's values, blocks in the order of their first row.

    Parameters
    ----------
    values
        Numbers, shape (rows,).
    blocks
        The label of each row's block, shape (rows,).

    Returns
    -------
    Array
        One mean per block, float64 of shape (blocks,), in the unit of the values.

    Raises
    ------
    ValueError
        If a row has no block, or there is not one label for each value.

    Examples
    --------
    >>> block_means([1, 2, 6], ["monday", "tuesday", "tuesday"])
    array([1., 4.])

    """
    codes = pd.factorize(pd.Series(blocks))[0]
    return np.bincount(codes, np.asarray(values, dtype=np.float64)) / np.bincount(codes)


def in_order(blocks: Iterable[Hashable], *, seed: int) -> npt.NDArray[np.intp]:
    """Return the rows' places, blocks in the order of their first row, the rows of each shuffled.

    Within a block (a day, a quarter) time does not order the rows, and whatever does (age, name of airline)
    may tell the good from the bad.

    Parameters
    ----------
    blocks
        The label of each row's block, shape (rows,).
    seed
        Decides the order within each block.

    Returns
    -------
    NDArray[np.intp]
        Indices that put the rows in this order, shape (rows,).

    Examples
    --------
    >>> in_order(["2020Q4"] * 3 + ["2021Q1"] * 2, seed=1)
    array([2, 0, 1, 4, 3])

    """
    codes = pd.factorize(pd.Series(blocks))[0]
    return np.lexsort((np.random.default_rng(seed).random(len(codes)), codes))


def _ends(y: Array) -> list[int]:
    """Return where each group ends: at the first row unlike the group's first."""
    changes = np.append(np.flatnonzero(np.diff(y)) + 1, len(y))
    # The first change at or after each row: a change is where a row differs from the one before it.
    following = changes[np.searchsorted(changes, np.arange(1, len(y) + 1))].tolist() if len(y) else []
    ends, row = list[int](), 0
    while row < len(y) and following[row] < len(y):
        ends.append(following[row])
        row = ends[-1] + 1
    return ends
