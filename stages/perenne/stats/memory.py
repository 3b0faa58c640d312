"""How much neighbouring days (hours, ...) resemble each other: their memory, measured on residuals.

Days are compared by the sums of their rows. These are centred in each group (a period, a holdout) first,
which makes neighbours seem less alike than they are: the autocorrelation returned is that of an AR(1) process
whose expectation is what was seen.

References
----------
Marriott & Pope 1954, Bias in the estimation of autocorrelations, Biometrika 41, 390-402.

"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from perenne.stats.metrics import Array
from perenne.stats.sharing import FEWEST, centred, codes_of

Whole: TypeAlias = npt.NDArray[np.int64]

STEEPEST = 0.98  # autocorrelation that is told apart from a trend


class Neighbours(NamedTuple):
    """How much the sums of neighbouring days resemble each other.

    `days` is how many there are. `autocorrelation` is that of the first lag, with its standard error, and
    `p` the chance of one as large if days are independent. All are NaN with fewer than ten pairs.
    """

    days: int
    autocorrelation: float
    error: float
    p: float

    @property
    def effect(self) -> float:
        """Return the variance of a long mean over what it would be if days were independent."""
        return (1 + self.autocorrelation) / (1 - self.autocorrelation)


def neighbours(residuals: Array, days: Whole, groups: npt.ArrayLike) -> Neighbours:
    """Return how much the sums of neighbouring days resemble each other.

    Parameters
    ----------
    residuals
        Shape (rows,), such as observed less predicted.
    days
        The number of each row's day (or hour, ...), shape (rows,): those of neighbours differ by 1.
    groups
        Within which residuals are centred (periods), shape (rows,); a day belongs to one.

    Returns
    -------
    Neighbours
        By pairs of neighbouring days of one group.

    Raises
    ------
    ValueError
        If the shapes differ, or a residual is not finite.

    Examples
    --------
    >>> shocks, days = np.random.default_rng(1).normal(size=4_000), np.arange(4_000)
    >>> smooth = shocks + np.append(0, shocks[:-1])
    >>> found = neighbours(smooth, days, np.zeros(4_000))
    >>> round(found.autocorrelation, 1), round(found.effect), found.p < 0.001
    (0.5, 3, True)

    """
    codes, group = codes_of(residuals, days), codes_of(residuals, groups)
    rows = centred(residuals, group)
    number, first = np.unique(np.asarray(days, dtype=np.int64), return_index=True)
    # By first appearance and by number are two orders.
    sums = np.bincount(codes, rows)[codes[first]]
    follows = (np.diff(number) == 1) & (group[first][1:] == group[first][:-1])
    products = (sums[1:] * sums[:-1])[follows]
    total, spread = float(np.sum(sums**2)), math.sqrt(float(np.sum(products**2)))
    if len(products) < FEWEST or not total or not spread:
        return Neighbours(len(number), *[math.nan] * 3)
    lengths = np.bincount(group[first])
    square = total / len(number)
    root = _autocorrelation(float(products.mean()) / square, lengths)
    surprise = (float(products.sum()) - _expected(0, lengths) * len(products) * square) / spread
    error = math.sqrt((1 - root**2) / len(products))
    return Neighbours(len(number), root, error, float(special.ndtr(-surprise)))


def _expected(root: float, lengths: npt.NDArray[np.intp]) -> float:
    """Return the mean product of neighbours over the mean square that centred AR(1) series would show.

    `lengths` are those of the series, each centred by itself.
    """
    products = squares = 0.0
    for length, count in zip(*np.unique(lengths, return_counts=True), strict=True):
        powers = root ** np.arange(length)
        edge = float(powers.mean())  # covariance of the mean and its first value
        variance = float(np.sum(powers * (1 - np.arange(length) / length)) * 2 - 1) / length  # of the mean
        products += count * ((length - 1) * root - (length + 1) * variance + 2 * edge)
        squares += count * length * (1 - variance)
    return products / max(int(np.sum(lengths - 1)), 1) / (squares / int(np.sum(lengths)))


def _autocorrelation(seen: float, lengths: npt.NDArray[np.intp]) -> float:
    """Return the autocorrelation of an AR(1) process that is expected to show what was seen."""

    def apart(root: float) -> float:
        return _expected(root, lengths) - seen

    if apart(-STEEPEST) >= 0:
        return -STEEPEST
    return STEEPEST if apart(STEEPEST) <= 0 else float(optimize.brentq(apart, -STEEPEST, STEEPEST))
