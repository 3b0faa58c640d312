"""Intervals that hold when rows come in blocks (days, employees) whose rows resemble each other."""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.stats.metrics import Array, Weighted

MOST_UNDEFINED = 0.05  # of the resamples: beyond, those left are too select to speak for all


class Interval(NamedTuple):
    """A value and the bounds of its confidence interval, NaN where they are undefined."""

    value: float
    low: float
    high: float


def intervals(
    metrics: Mapping[str, Weighted],
    blocks: Iterable[Hashable],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> dict[str, Interval]:
    """Return every metric, all rows weighing 1, with the percentile interval of its block bootstrap.

    A resample draws as many blocks as there are, with replacement; a block drawn twice gives its rows
    weight 2. All metrics see the same resamples, so a difference of two models is one more metric:
    ``{"change": lambda weights: new(weights) - old(weights)}``. Resamples follow one another: memory
    grows with the rows only.

    Resamples that leave a metric undefined (NaN) are left out; if they are more than 5 %, the bounds are
    NaN. So are they for a single block, which says nothing of how blocks differ. Percentile intervals
    are too short when blocks are few: with 10, a nominal 95 % is nearer to 90 %.

    Parameters
    ----------
    metrics
        Name -> function from weights, float64 of shape (rows,), to a number: what
        :mod:`perenne.stats.metrics` prepares, or anything made of it.
    blocks
        The label of each row's block, shape (rows,), any hashable. Rows that resemble none but
        themselves are a block each.
    resamples
        How many; 1,000 put the bounds within some 4 % of their distance from the value.
    confidence
        The share of such intervals that should hold the truth.
    seed
        Decides the resamples. The same seed gives the same bounds, up to rounding in the last digits.

    Returns
    -------
    dict[str, Interval]
        Name -> the metric with all rows weighing 1, and its bounds, in the order of ``metrics``.

    Raises
    ------
    ValueError
        If a row has no block, or ``resamples`` or ``confidence`` is out of range.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 (percentile intervals).
    Davison & Hinkley 1997, Bootstrap Methods and their Application, section 3.8, and Field & Welsh 2007,
    Bootstrapping clustered data, JRSS B 69, 369-390 (resampling whole clusters).

    Examples
    --------
    Fifty days of four flights: on every other day all are late.

    >>> day, late = np.repeat(np.arange(50), 4), np.repeat(np.arange(50) % 2, 4)
    >>> share = {"late": lambda weights: weights @ late / weights.sum()}
    >>> [round(float(x), 2) for x in intervals(share, day, seed=0)["late"]]
    [0.5, 0.36, 0.64]

    """
    if resamples < 1 or not 0 < confidence < 1:
        msg = f"expected resamples >= 1 and 0 < confidence < 1, received {resamples} and {confidence}"
        raise ValueError(msg)
    codes, count = _codes(blocks)
    draws = np.full((resamples, len(metrics)), math.nan)
    if count > 1:
        for draw, weights in zip(draws, _weights(codes, count, seed), strict=False):
            draw[:] = [metric(weights) for metric in metrics.values()]
    unit = np.ones(len(codes))
    return {
        name: Interval(metric(unit), *_bounds(draw, confidence))
        for (name, metric), draw in zip(metrics.items(), draws.T, strict=True)
    }


def _codes(blocks: Iterable[Hashable], *, ordered: bool = False) -> tuple[npt.NDArray[np.intp], int]:
    """Return the number of each row's block, counted from 0, and how many blocks there are."""
    codes, labels = pd.factorize(pd.Series(blocks), sort=ordered)
    if (codes < 0).any():
        msg = f"every row needs a block, but row {int(np.argmin(codes))} has none"
        raise ValueError(msg)
    return codes, len(labels)


def _weights(codes: npt.NDArray[np.intp], count: int, seed: int) -> Iterator[Array]:
    """Yield the weights of the rows under one resample of the blocks after another, without end."""
    rng = np.random.default_rng(seed)
    while True:
        drawn = rng.integers(count, size=count)
        yield np.bincount(drawn, minlength=count).astype(np.float64)[codes]


def _bounds(draws: Array, confidence: float) -> tuple[float, float]:
    defined = draws[~np.isnan(draws)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(draws):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
