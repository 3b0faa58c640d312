"""How much neighbouring days (hours, ...) resemble each other: their memory, and what it does to a mean.

Days are compared by the sums of their rows. A day's sum is taken to be what days remember, which fades by a
constant factor from day to day, and the day's own: an ARMA(1,1) series, AR(1) if days have nothing of their
own. Its autocorrelation at lag k is that of the first lag times decay^(k - 1).

Series are centred (a period, a holdout), which makes neighbours seem less alike than they are: from 30 days
with an autocorrelation of .5 one sees .42. What is returned is that of an AR(1) process whose expectation is
what was seen.

References
----------
Marriott & Pope 1954, Bias in the estimation of autocorrelations, Biometrika 41, 390-402. Andrews & Monahan
1992, An improved heteroskedasticity and autocorrelation consistent covariance matrix estimator, Econometrica
60, 953-966 (a model of the memory first). Zwiers & von Storch 1995, Taking serial correlation into account in
tests of the mean, J. Climate 8, 336-351 (blocks that count).

"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from perenne.stats.metrics import Array
from perenne.stats.sharing import FEWEST, centred, codes_of

Whole: TypeAlias = npt.NDArray[np.int64]

ROOTS = np.linspace(-0.98, 0.98, 197)  # autocorrelations that are told apart
PLAIN = 1.645  # standard errors of a first autocorrelation that lets the second one say how it decays
LONGEST = 0.9  # decay that a few days can tell from a trend
LEAST = 2.5  # blocks that must remain, in effect


class Neighbours(NamedTuple):
    """How much the sums of neighbouring days resemble each other.

    `days` is how many there are. `autocorrelation` is that of the first lag, with its standard error;
    `decay` the factor from one lag to the next; and `p` the chance of as large a first one if days are
    independent. All are NaN with fewer than ten pairs.
    """

    days: int
    autocorrelation: float
    decay: float
    error: float
    p: float

    @property
    def effect(self) -> float:
        """Return the variance of a long mean over what it would be if days were independent."""
        return 1 + 2 * self.autocorrelation / (1 - self.decay)


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
    >>> round(found.autocorrelation, 1), found.p < 0.001
    (0.5, True)

    """
    codes, group = codes_of(residuals, days), codes_of(residuals, groups)
    number, first = np.unique(np.asarray(days, dtype=np.int64), return_index=True)
    # By first appearance and by number are two orders.
    sums: Array = np.bincount(codes, centred(residuals, group)).astype(np.float64)[codes[first]]
    return _neighbours(sums, number, group[first])


def effect_on_mean(sums: Array) -> float:
    """Return the variance of the mean of a series over what it would be if its values were independent.

    Parameters
    ----------
    sums
        In order of time, shape (blocks,), of mean 0.

    Returns
    -------
    float
        At least 1, also where neighbours differ more than chance would have it: too few blocks tell that
        reliably. 1 with fewer than eleven blocks.

    Examples
    --------
    >>> from scipy import signal
    >>> series = signal.lfilter([1], [1, -0.5], np.random.default_rng(1).normal(size=4_000))
    >>> round(effect_on_mean(series - series.mean()))
    3

    """
    count = len(sums)
    found = _neighbours(sums, np.arange(count), np.zeros(count, dtype=np.intp))
    if not found.autocorrelation > 0:
        return 1.0
    lags = np.arange(1, count)
    faded = found.autocorrelation * found.decay ** (lags - 1.0)
    return min(1 + 2 * float(np.sum((1 - lags / count) * faded)), count / LEAST)


def _neighbours(sums: Array, number: Whole, group: npt.NDArray[np.intp]) -> Neighbours:
    """Return what :func:`neighbours` does, from the days' centred sums, in order of their numbers."""
    count = len(sums)
    products = _products(sums, number, group, 1)
    square = float(np.sum(sums**2)) / max(count, 1)
    spread = math.sqrt(float(np.sum(products**2)))
    if len(products) < FEWEST or not spread:
        return Neighbours(count, *[math.nan] * 4)
    curve = _curve(*zip(*np.unique(np.bincount(group), return_counts=True), strict=True))
    first = float(np.interp(float(products.mean()) / square, curve, ROOTS))
    chance = float(np.interp(0, ROOTS, curve)) * len(products) * square
    error = math.sqrt((1 - first**2) / len(products))
    decay = first
    if first > PLAIN / math.sqrt(len(products)):
        twice = _products(sums, number, group, 2)
        # Centring takes from every lag about what it takes from the first.
        second = float(twice.mean()) / square + first - float(products.mean()) / square
        decay = min(max(second / first, first), max(first, LONGEST))
    surprise = (float(products.sum()) - chance) / spread
    return Neighbours(count, first, decay, error, float(special.ndtr(-surprise)))


def _products(sums: Array, number: Whole, group: npt.NDArray[np.intp], lag: int) -> Array:
    """Return the products of the sums of two days that are so far apart, of one group."""
    apart = (number[lag:] - number[:-lag] == lag) & (group[lag:] == group[:-lag])
    products: Array = (sums[lag:] * sums[:-lag])[apart]
    return products


@lru_cache(maxsize=64)
def _curve(*lengths: tuple[int, int]) -> Array:
    """Return the mean product of neighbours over the mean square that centred AR(1) series are to show.

    For each of `ROOTS`; series of so many days, so many times, each centred by itself.
    """
    products, squares = np.zeros(len(ROOTS)), np.zeros(len(ROOTS))
    for length, count in lengths:
        powers = ROOTS[:, None] ** np.arange(length)
        edge = powers.mean(axis=1)  # covariance of the mean and its first value
        weights = 1 - np.arange(length) / length
        variance = ((powers * weights).sum(axis=1) * 2 - 1) / length  # of the mean
        products += count * ((length - 1) * ROOTS - (length + 1) * variance + 2 * edge)
        squares += count * length * (1 - variance)
    days = sum(length * count for length, count in lengths)
    pairs = sum((length - 1) * count for length, count in lengths)
    return (products / max(pairs, 1)) / (squares / days)
