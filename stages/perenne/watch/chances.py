"""From scores to chances that are right on weighted rows: log odds with an intercept and a slope.

With these, neither the events nor the log loss of the weighted rows differ from what the chances promise.
With several classes each has an intercept and all have one slope: then as many rows of each class are
promised as came, the log loss is as promised, and there are hardly more numbers to learn than classes.

References
----------
Cox 1958, Two further applications of a model for binary regression, Biometrika 45 (intercept and slope). Van
Hoorde, Vergouwe, Timmerman, Van Huffel, Steyerberg & Van Calster 2014, Assessing calibration of multinomial
risk prediction models, Statistics in Medicine 33 (the same for several classes).

"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import linalg, special
from sklearn.linear_model import LogisticRegression

from perenne.stats.metrics import Array

WEAKEST = 1e6  # as good as no penalty, but a constant score has a solution
SUREST = 1e-6  # scores nearer to 0 or 1 count as this one: their log odds must be finite
MOST_STEPS = 100  # of Newton's method; it takes some ten
NEAR = 1e-10  # the last step of which, beside the weights' sum, is so small


def calibrated(score: Array, y: Array, weights: Array) -> Callable[[Array], Array]:
    """Return the function from scores to chances that is right on weighted rows.

    Parameters
    ----------
    score, y, weights
        Probabilities, outcomes (0 or 1, both present) and weights, shape (rows,). With several classes,
        probabilities have shape (rows, classes), and outcomes are 1 for the class that came, else 0.

    """
    if score.ndim == 2:
        return _of_classes(score, y, weights)
    fitted = LogisticRegression(C=WEAKEST, solver="newton-cholesky", tol=1e-10)
    fitted.fit(_log_odds(score), y, sample_weight=weights)
    return lambda other: np.asarray(fitted.predict_proba(_log_odds(other))[:, 1], dtype=np.float64)


def _of_classes(score: Array, y: Array, weights: Array) -> Callable[[Array], Array]:
    """The same for several classes, by Newton's method on the intercepts and the slope."""
    logs, classes = _logs(score), score.shape[1]
    penalty = 1 / WEAKEST

    def chances(learned: Array, logs: Array) -> Array:
        return np.asarray(special.softmax(learned[:-1] + learned[-1] * logs, axis=1), dtype=np.float64)

    def loss(learned: Array) -> float:
        given = special.log_softmax(learned[:-1] + learned[-1] * logs, axis=1)
        return float(penalty * np.sum(learned**2) / 2 - np.sum(weights * np.sum(y * given, axis=1)))

    learned = np.append(np.zeros(classes), 1.0)
    for _ in range(MOST_STEPS):
        chance = chances(learned, logs)
        mean = np.sum(chance * logs, axis=1, keepdims=True)
        off = weights[:, None] * (chance - y)
        slope = np.append(off.sum(axis=0), np.sum(off * logs)) + penalty * learned
        weighed = weights[:, None] * chance
        curve = np.empty((classes + 1, classes + 1))
        curve[:-1, :-1] = np.diag(weighed.sum(axis=0)) - weighed.T @ chance
        curve[-1, :-1] = curve[:-1, -1] = np.sum(weighed * (logs - mean), axis=0)
        curve[-1, -1] = np.sum(weighed * (logs - mean) * logs)
        step = linalg.solve(curve + penalty * np.eye(classes + 1), slope, assume_a="pos")
        size, before = 1.0, loss(learned)
        while loss(learned - size * step) > before and size > NEAR:
            size /= 2  # too far: the loss must fall
        learned = learned - size * step
        if float(slope @ step) <= NEAR * weights.sum():
            break
    return lambda other: chances(learned, _logs(other))


def _logs(score: Array) -> Array:
    """The logs of several classes' scores; their differences are log odds."""
    return np.asarray(np.log(score.clip(SUREST, 1.0)), dtype=np.float64)


def _log_odds(score: Array) -> Array:
    sure = score.clip(SUREST, 1 - SUREST)
    odds: Array = np.log(sure / (1 - sure)).reshape(-1, 1)
    return odds
