"""What each row contributes to a metric, to first order: standard errors without a resample.

An *influence function* ``f(y, prediction) -> Influence`` returns the metric of :mod:`perenne.stats.metrics`
with all rows weighing 1, and the influence of each row: the derivative of the metric by the row's share of
the weight. On other rows of the same kind the metric is off its expectation by about the mean of their
influences. So where rows come in B independent blocks, its variance is

    B / (B - 1) * sum over blocks of (sum of the block's influences)^2 / rows^2,

and that of a difference of two models is the same of the differences, row by row
(:mod:`perenne.stats.paired`). One pass over the rows takes the place of a thousand resamples.

``average_precision`` has none here, and :data:`INFLUENCE` lacks it: the block bootstrap is the way to its
interval. Arguments are those of the metrics, and bad rows raise a ValueError that names them, as there. A
metric that is undefined (one class only, no rows) is NaN, and so is the influence of every row.

References
----------
Hampel 1974, The influence curve and its role in robust estimation, JASA 69, 383-393. Efron 1982, The
Jackknife, the Bootstrap and Other Resampling Plans, ch. 6 (the infinitesimal jackknife). Liang & Zeger 1986,
Longitudinal data analysis using generalized linear models, Biometrika 73, 13-22 (sums by block).

Examples
--------
>>> influence = mae([1, 2, 3], [1, 2, 6])
>>> influence.value, influence.rows
(1.0, array([-1., -1.,  2.]))

"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from perenne.stats.metrics import (
    Array,
    _binary,
    _finite,
    _probabilities,
    brier_losses,
    distributions,
    hits,
    log_losses,
)


class Influence(NamedTuple):
    """A metric, and the influence of each row on it, shape (rows,) and mean 0; NaN where undefined."""

    value: float
    rows: Array


Influenced: TypeAlias = Callable[[npt.ArrayLike, npt.ArrayLike], Influence]
"""From what was observed and what was predicted, both of shape (rows,), to the metric and the influences."""


def log_loss(y: npt.ArrayLike, probability: npt.ArrayLike) -> Influence:
    """Return the mean of -log(probability given to what happened), in nats, capped as the metric is.

    >>> round(log_loss([1, 0], [0.5, 0.5]).value, 6)
    0.693147
    """
    return _mean(log_losses(y, probability))


def brier(y: npt.ArrayLike, probability: npt.ArrayLike) -> Influence:
    """Return the mean squared difference of probability and outcome.

    >>> brier([1, 0], [0.5, 0.0])
    Influence(value=0.125, rows=array([ 0.125, -0.125]))
    """
    return _mean(brier_losses(y, probability))


def accuracy(y: npt.ArrayLike, probability: npt.ArrayLike) -> Influence:
    """Return the share of rows whose most probable class came.

    >>> accuracy([0, 1], [[0.5, 0.5], [1.0, 0.0]])
    Influence(value=0.5, rows=array([ 0.5, -0.5]))
    """
    return _mean(hits(y, probability))


def observed_expected(y: npt.ArrayLike, probability: npt.ArrayLike) -> Influence:
    """Return events observed / events expected. NaN where none is expected.

    >>> observed_expected([1, 0], [0.5, 0.5])
    Influence(value=1.0, rows=array([ 1., -1.]))
    """
    y, probability = _probabilities(y, probability)
    expected = float(probability.sum())
    if not expected:
        return _undefined(len(y))
    value = float(y.sum()) / expected
    return Influence(value, (y - value * probability) * (len(y) / expected))


def roc_auc(y: npt.ArrayLike, score: npt.ArrayLike) -> Influence:
    """Return the chance that a positive outranks a negative, ties counting half. NaN with one class only.

    A row's *placement* is the share of the other class that it is ranked rightly against. Its influence is
    how far that is off the mean placement, over the share of its own class. One sort: O(rows log rows).

    References
    ----------
    DeLong, DeLong & Clarke-Pearson 1988, Comparing the areas under two or more correlated ROC curves,
    Biometrics 44, 837-845 (placements). Obuchowski 1997, Nonparametric analysis of clustered ROC curve data,
    Biometrics 53, 567-578 (their sums by block).

    Examples
    --------
    >>> roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.9])
    Influence(value=0.875, rows=array([ 0.25, -0.25, -0.25,  0.25]))

    """
    if np.ndim(score) == 2:
        return _each_against_the_rest(roc_auc, *distributions(y, score))
    y, score = _binary(y, score)
    positives = float(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return _undefined(len(y))
    distinct, place = np.unique(score, return_inverse=True)
    hits = np.bincount(place, y, minlength=len(distinct))
    misses = np.bincount(place, minlength=len(distinct)) - hits
    # A score's rows are tied with each other: half of them count as lower.
    outranked = (np.cumsum(misses) - misses / 2) / negatives
    outranking = 1 - (np.cumsum(hits) - hits / 2) / positives
    value = float(np.sum(hits * outranked)) / positives
    positive = (outranked - value) * (len(y) / positives)
    negative = (outranking - value) * (len(y) / negatives)
    return Influence(value, np.where(y == 1, positive[place], negative[place]))


def mae(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Influence:
    """Return the mean absolute error, in the unit of y.

    >>> mae([1, 2], [2, 4]).value
    1.5
    """
    y, prediction = _finite(y, prediction)
    return _mean(np.abs(prediction - y))


def mse(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Influence:
    """Return the mean squared error, in the squared unit of y.

    >>> mse([1, 2], [2, 9]).value
    25.0
    """
    y, prediction = _finite(y, prediction)
    return _mean((prediction - y) ** 2)


def rmse(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Influence:
    """Return the root of the mean squared error, in the unit of y. Without any error no row has influence.

    >>> rmse([1, 2], [2, 9])
    Influence(value=5.0, rows=array([-2.4,  2.4]))
    """
    mean = mse(y, prediction)
    root = math.sqrt(mean.value)
    return Influence(root, mean.rows / (2 * root) if root else mean.rows)


def bias(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Influence:
    """Return the mean of predicted minus observed, in the unit of y.

    >>> bias([1, 2], [2, 4])
    Influence(value=1.5, rows=array([-0.5,  0.5]))
    """
    y, prediction = _finite(y, prediction)
    return _mean(prediction - y)


def r2(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Influence:
    """Return the share of the variance of y that is explained. NaN where y does not vary.

    >>> r2([1, 2, 3], [1, 2, 2])
    Influence(value=0.5, rows=array([ 0.75,  0.  , -0.75]))
    """
    y, prediction = _finite(y, prediction)
    # Measured from a row, a constant y varies by exactly 0, not by a rounding error.
    centred = y - y[0] if len(y) else y
    squares = (centred - _mean(centred).value) ** 2
    total = float(squares.sum())
    if not total:
        return _undefined(len(y))
    errors = (prediction - y) ** 2
    unexplained = float(errors.sum()) / total
    return Influence(1 - unexplained, (unexplained * squares - errors) * (len(y) / total))


INFLUENCE: Mapping[str, Influenced] = {
    "log_loss": log_loss,
    "brier": brier,
    "roc_auc": roc_auc,
    "accuracy": accuracy,
    "observed_expected": observed_expected,
    "mae": mae,
    "mse": mse,
    "rmse": rmse,
    "bias": bias,
    "r2": r2,
}


def _each_against_the_rest(metric: Influenced, place: npt.NDArray[np.intp], of_classes: Array) -> Influence:
    """Return the mean over the classes that occur."""
    each = [metric((place == k).astype(np.float64), of_classes[:, k]) for k in np.unique(place).tolist()]
    found = [one for one in each if not math.isnan(one.value)]
    if not found:
        return _undefined(len(place))
    return Influence(
        sum(one.value for one in found) / len(found), np.mean([one.rows for one in found], axis=0)
    )


def _mean(values: Array) -> Influence:
    value = float(values.mean()) if len(values) else math.nan
    return Influence(value, values - value)


def _undefined(rows: int) -> Influence:
    return Influence(math.nan, np.full(rows, math.nan))
