"""Weighted metrics, made to be evaluated under thousands of weightings of the same rows.

A metric is a function ``prepare(y, prediction) -> (weights -> float)``. What does not depend on the
weights (losses, the sort by score, ties) is done once, in ``prepare``; what it returns is cheap, so that
a bootstrap can call it again and again. A row of weight 0 counts exactly as if it were not there, a row of
weight 2 as if it were there twice. A metric that the weights leave undefined is NaN. ``prepare`` raises
ValueError, naming the row, for what is not a number, not 0 or 1, or not a probability where it must be.

``y`` and what is predicted have shape (rows,). With a ``probability`` or a ``score``, ``y`` is 0 or 1: a
probability is that of a 1; a score is any number that is higher where a 1 is more likely. With a
``prediction``, both are numbers in one unit. Weights have shape (rows,) too: another number of them raises
ValueError.

With several classes ``y`` is the place of a class, from 0, and probabilities have shape (rows, classes): one
for each class, that sum to 1 in each row. ``log_loss``, ``brier`` and ``roc_auc`` take these as well.

>>> auc = roc_auc([0, 0, 1, 1], [0.1, 0.4, 0.4, 0.9])
>>> auc(np.array([1.0, 1.0, 1.0, 1.0])), auc(np.array([1.0, 1.0, 0.0, 0.0]))
(0.875, nan)
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Weighted: TypeAlias = Callable[[Array], float]
"""From weights, float64 of shape (rows,) and not negative, to the metric."""
Prepare: TypeAlias = Callable[[npt.ArrayLike, npt.ArrayLike], Weighted]
"""From what was observed and what was predicted, both of shape (rows,), to the metric of any weights."""
SUM = 1e-6  # by which the probabilities of a row may miss 1


def log_loss(y: npt.ArrayLike, probability: npt.ArrayLike) -> Weighted:
    """Return the mean of -log(probability given to what happened), in nats.

    Probabilities are kept one float64 epsilon away from 0 and 1, as scikit-learn does: a single wrong
    certainty costs 36 nats, not infinity.

    >>> round(log_loss([1, 0], [0.5, 0.5])(np.ones(2)), 6)
    0.693147
    """
    return _mean(log_losses(y, probability))


def log_losses(y: npt.ArrayLike, probability: npt.ArrayLike) -> Array:
    """Return the log loss of each row, shape (rows,).

    >>> log_losses([2, 0], [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]]).round(6)
    array([0.693147, 0.      ])
    """
    epsilon = np.finfo(np.float64).eps
    if np.ndim(probability) == 2:
        place, of_classes = distributions(y, probability)
        given = of_classes[np.arange(len(place)), place]
        return np.asarray(-np.log(np.clip(given, epsilon, 1 - epsilon)))
    y, probability = _probabilities(y, probability)
    probability = np.clip(probability, epsilon, 1 - epsilon)
    return np.asarray(-np.where(y == 1, np.log(probability), np.log1p(-probability)))


def brier(y: npt.ArrayLike, probability: npt.ArrayLike) -> Weighted:
    """Return the mean squared difference of probability and outcome (Brier 1950, Mon. Weather Rev. 78).

    With several classes, the differences of a row are summed over all of them, as Brier did.

    >>> brier([1, 0], [0.5, 0.0])(np.ones(2))
    0.125
    >>> brier([2], [[0.25, 0.25, 0.5]])(np.ones(1))
    0.375
    """
    return _mean(brier_losses(y, probability))


def brier_losses(y: npt.ArrayLike, probability: npt.ArrayLike) -> Array:
    """Return the squared difference of each row, shape (rows,)."""
    if np.ndim(probability) == 2:
        place, of_classes = distributions(y, probability)
        missed = of_classes - one_hot(place, of_classes.shape[1])
        return np.asarray(np.sum(missed**2, axis=1))
    y, probability = _probabilities(y, probability)
    return np.asarray((probability - y) ** 2)


def accuracy(y: npt.ArrayLike, probability: npt.ArrayLike) -> Weighted:
    """Return the share of rows whose most probable class came; of equal ones the first counts.

    >>> accuracy([2, 0], [[0.25, 0.25, 0.5], [0.4, 0.5, 0.1]])(np.ones(2))
    0.5
    """
    return _mean(hits(y, probability))


def hits(y: npt.ArrayLike, probability: npt.ArrayLike) -> Array:
    """Return 1 for each row whose most probable class came, else 0; shape (rows,)."""
    place, of_classes = distributions(y, probability)
    return np.asarray(np.argmax(of_classes, axis=1) == place, dtype=np.float64)


def observed_expected(y: npt.ArrayLike, probability: npt.ArrayLike) -> Weighted:
    """Return events observed / events expected, the calibration in the large (Debray et al. 2017, BMJ 356).

    Below 1 the model expects too many. NaN where it expects none at all.

    >>> observed_expected([1, 0, 0], [0.5, 0.25, 0.25])(np.ones(3))
    1.0
    """
    y, probability = _probabilities(y, probability)
    return lambda weights: _ratio(_dot(weights, y), _dot(weights, probability))


def roc_auc(y: npt.ArrayLike, score: npt.ArrayLike) -> Weighted:
    """Return the chance that a positive outranks a negative, ties counting half.

    This Mann-Whitney form is the area under the ROC curve (Hanley & McNeil 1982, Radiology 143, 29-36).
    NaN where one of the two classes has no weight.

    With several classes it is the mean over those that have weight, each against the rest (macro average,
    one versus rest: Provost & Domingos 2000, NYU CeDER working paper IS-00-04).

    >>> roc_auc([0, 0, 1], [0.1, 0.9, 0.5])(np.ones(3))
    0.5
    >>> roc_auc([0, 1, 2], np.eye(3))(np.ones(3))
    1.0
    """
    if np.ndim(score) == 2:
        return _each_against_the_rest(roc_auc, *distributions(y, score))
    strata = _strata(*_binary(y, score))

    def area(weights: Array) -> float:
        higher, tied, hits = strata(weights)
        negatives = higher + tied
        outranked = negatives.sum() - np.cumsum(negatives) + tied / 2
        return _ratio(_dot(hits, outranked), hits.sum() * negatives.sum())

    return area


def average_precision(y: npt.ArrayLike, score: npt.ArrayLike) -> Weighted:
    """Return the mean, over the positives, of the precision among the rows that score at least as high.

    The sum over steps of the precision-recall curve, without interpolation: scikit-learn's definition
    (Manning, Raghavan & Schütze 2008, Introduction to Information Retrieval, ch. 8). NaN where no positive
    has weight.

    >>> average_precision([1, 0, 1], [0.9, 0.5, 0.5])(np.ones(3))  # (1/1 + 2/3) / 2
    0.8333333333333333
    """
    strata = _strata(*_binary(y, score))

    def mean_precision(weights: Array) -> float:
        higher, tied, hits = strata(weights)
        hit, false_alarms = np.cumsum(hits), np.cumsum(higher + tied)
        # 0 / 0 belongs to a stratum whose positives have no weight: its precision does not matter.
        precision = hit / np.maximum(hit + false_alarms, np.finfo(np.float64).tiny)
        return _ratio(_dot(hits, precision), hits.sum())

    return mean_precision


def mae(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Weighted:
    """Return the mean absolute error, in the unit of y.

    >>> mae([1, 2], [2, 4])(np.ones(2))
    1.5
    """
    y, prediction = _finite(y, prediction)
    return _mean(np.abs(prediction - y))


def mse(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Weighted:
    """Return the mean squared error, in the squared unit of y.

    >>> mse([1, 2], [2, 9])(np.ones(2))
    25.0
    """
    y, prediction = _finite(y, prediction)
    return _mean((prediction - y) ** 2)


def rmse(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Weighted:
    """Return the root of the mean squared error, in the unit of y.

    >>> rmse([1, 2], [2, 9])(np.ones(2))
    5.0
    """
    mean = mse(y, prediction)
    return lambda weights: math.sqrt(mean(weights))


def bias(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Weighted:
    """Return the mean of predicted minus observed, in the unit of y: above 0 the model says too much.

    >>> bias([1, 2], [2, 4])(np.ones(2))
    1.5
    """
    y, prediction = _finite(y, prediction)
    return _mean(prediction - y)


def r2(y: npt.ArrayLike, prediction: npt.ArrayLike) -> Weighted:
    """Return the share of the variance of y that is explained, below 0 if the mean would do better.

    NaN where y does not vary among the rows that have weight.

    >>> r2([1, 2, 3], [1, 2, 2])(np.ones(3))
    0.5
    """
    y, prediction = _finite(y, prediction)
    squared = (prediction - y) ** 2

    def explained(weights: Array) -> float:
        total = weights.sum()
        if not total:
            return math.nan
        # Measured from a row that has weight, a constant y varies by exactly 0, not by a rounding error.
        centred = y - y[np.argmax(weights)]
        centred -= _dot(weights, centred) / total
        return 1 - _ratio(_dot(weights, squared), _dot(weights, centred**2))

    return explained


class Goal(NamedTuple):
    """Which values of a metric are better: the lower, the higher, or those near the best."""

    better: Literal["lower", "higher", "towards"]
    best: float

    def shortfall(self, value: float) -> float:
        """Return how far a value is from the best one: less is better, whichever the metric.

        >>> round(Goal("higher", 1).shortfall(0.8), 6), round(Goal("towards", 1).shortfall(1.2), 6)
        (0.2, 0.2)
        """
        return abs(value - self.best)


class Metric(NamedTuple):
    """How a metric is computed, and which of its values are better."""

    prepare: Prepare
    goal: Goal


METRICS: Mapping[str, Metric] = {
    "log_loss": Metric(log_loss, Goal("lower", 0)),
    "brier": Metric(brier, Goal("lower", 0)),
    "roc_auc": Metric(roc_auc, Goal("higher", 1)),
    "accuracy": Metric(accuracy, Goal("higher", 1)),
    "average_precision": Metric(average_precision, Goal("higher", 1)),
    "observed_expected": Metric(observed_expected, Goal("towards", 1)),
    "mae": Metric(mae, Goal("lower", 0)),
    "mse": Metric(mse, Goal("lower", 0)),
    "rmse": Metric(rmse, Goal("lower", 0)),
    "bias": Metric(bias, Goal("towards", 0)),
    "r2": Metric(r2, Goal("higher", 1)),
}


EACH_CLASS_ALIKE = frozenset({"roc_auc"})
"""Metrics that are, of several classes, a mean over classes: each counts alike, however few rows it has."""


def family(names: Iterable[str]) -> dict[str, Prepare]:
    """Return how to compute some metrics, such as those of a task, in the given order.

    Parameters
    ----------
    names
        Keys of :data:`METRICS`.

    Raises
    ------
    KeyError
        If a name is not one of them.

    """
    return {name: METRICS[name].prepare for name in names}


def distributions(y: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[npt.NDArray[np.intp], Array]:
    """Return the places of classes, shape (rows,), and probabilities, shape (rows, classes), both checked.

    Raises
    ------
    ValueError
        If the shapes differ, a place is none of the classes, or a row's probabilities are none or do not sum
        to 1 (within 1e-6: they may have been rounded).

    """
    place, of_classes = np.asarray(y, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    if place.ndim != 1 or of_classes.ndim != 2 or len(place) != len(of_classes):
        msg = (
            f"expected a class and probabilities for each row, received {place.shape} and {of_classes.shape}"
        )
        raise ValueError(msg)
    _refuse(place, ~np.isin(place, np.arange(of_classes.shape[1])), "y must be the place of a class")
    wrong = np.asarray(~((of_classes >= 0) & (of_classes <= 1)).all(axis=1))
    _refuse(of_classes, wrong, "a probability must be in [0, 1]")
    missed = np.asarray(np.abs(of_classes.sum(axis=1) - 1))
    _refuse(of_classes, missed > SUM, "probabilities must sum to 1")
    return place.astype(np.intp), of_classes


def one_hot(place: npt.NDArray[np.intp], classes: int) -> Array:
    """Return 1 at the place of each row's class, else 0; shape (rows, classes)."""
    return np.eye(classes)[place]


def _each_against_the_rest(metric: Prepare, place: npt.NDArray[np.intp], of_classes: Array) -> Weighted:
    each = [metric((place == k).astype(np.float64), of_classes[:, k]) for k in range(of_classes.shape[1])]

    def mean(weights: Array) -> float:
        found = [value for one in each if not math.isnan(value := one(weights))]
        return sum(found) / len(found) if found else math.nan

    return mean


def _strata(y: Array, score: Array) -> Callable[[Array], Array]:
    """Cut the rows at every score a positive has, from the highest down, and return weights -> their sums.

    The sums have shape (3, strata). Per stratum: the negatives that score higher than its positives (and
    lower than those of the stratum above), the negatives tied with its positives, its positives. The last
    stratum is what scores lower than any positive. Both ranking metrics need no more, and one sum by stratum
    costs half of what it takes to gather the weights by score and cumulate them row by row.
    """
    cuts = np.unique(-score[y == 1])
    stratum = np.searchsorted(cuts, -score, side="left")
    tied = stratum < np.searchsorted(cuts, -score, side="right")
    shape = 3, len(cuts) + 1
    cells = np.ravel_multi_index((np.where(y == 1, 2, tied), stratum), shape)

    def sums(weights: Array) -> Array:
        flat = np.bincount(cells, weights, minlength=math.prod(shape))
        return flat.astype(np.float64, copy=False).reshape(shape)

    return sums


def _mean(values: Array) -> Weighted:
    return lambda weights: _ratio(_dot(weights, values), weights.sum())


def _dot(weights: Array, values: Array) -> float:
    if weights.shape != values.shape:  # a single weight would silently stand for all rows
        msg = f"expected a weight for each of {len(values)} rows, received {len(weights)}"
        raise ValueError(msg)
    # Not `weights @ values`: BLAS may use threads, whose number then shows in the last digits, and which took
    # ten times as long on busy cores. NumPy's own sum adds in one order on every machine.
    return float(np.sum(weights * values))


def _ratio(above: float, below: float) -> float:
    return float(above) / float(below) if below else math.nan


def _finite(y: npt.ArrayLike, prediction: npt.ArrayLike) -> tuple[Array, Array]:
    y, prediction = np.asarray(y, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if y.ndim != 1 or y.shape != prediction.shape:
        msg = f"expected two columns of one length, received shapes {y.shape} and {prediction.shape}"
        raise ValueError(msg)
    for name, values in (("y", y), ("prediction", prediction)):
        _refuse(values, ~np.isfinite(values), f"{name} must be finite")
    return y, prediction


def _binary(y: npt.ArrayLike, score: npt.ArrayLike) -> tuple[Array, Array]:
    y, score = _finite(y, score)
    _refuse(y, (y != 0) & (y != 1), "y must be 0 or 1")
    return y, score


def _probabilities(y: npt.ArrayLike, probability: npt.ArrayLike) -> tuple[Array, Array]:
    y, probability = _binary(y, probability)
    _refuse(probability, (probability < 0) | (probability > 1), "a probability must be in [0, 1]")
    return y, probability


def _refuse(values: Array, wrong: npt.NDArray[np.bool_], rule: str) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        msg = f"{rule}, but row {row} holds {values[row]}"
        raise ValueError(msg)
