"""A model whose scores are corrected: the cheapest repair of one that is wrong in its level or its spread.

The logit of a probability, or the value of a regression, becomes ``intercept + slope * score`` and the
offsets of the slices that a row is of; or any rising function of it (isotonic). How it is fitted is in
`perenne.pipeline.recalibration`.

With several classes it is the logarithms of their probabilities that get one slope and an intercept each:
``exp(intercept[k] + slope * log(p[k]))``, divided by the sum over classes. The intercepts alone say how much
more or less frequent each class has become; the slope alone is a temperature.

References
----------
Cox 1958, Two further applications of a model for binary regression, Biometrika 45, 562-565. Steyerberg,
Borsboom, van Houwelingen, Eijkemans & Habbema 2004, Validation and updating of predictive logistic regression
models, Statistics in Medicine 23, 2567-2586 (the ladder from the intercept to the slope to more). Van Hoorde,
Vergouwe, Timmerman, Van Huffel, Steyerberg & Van Calster 2014, Simple dichotomous updating methods improved
the validity of polytomous prediction models, J. Clinical Epidemiology 66, 1158-1165, and Guo, Pleiss, Sun &
Weinberger 2017, On calibration of modern neural networks, ICML (several classes).

"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, expm1, logit, xlogy
from sklearn.base import BaseEstimator, is_classifier
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline

Array = npt.NDArray[np.float64]

NEAREST = 1e-9  # to 0 and 1 that a probability may be: its logit must be a number


class Recalibrated(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A fitted pipeline and the correction of its scores. It is made fitted.

    Parameters
    ----------
    pipeline
        The model that is corrected.
    form
        A name in `perenne.pipeline.recalibration.FORMS`.
    intercept, slope
        In logits, or in the unit of the target. With several classes the intercept has a number for each.
    offsets
        By column: what is added in each slice, by its value, or by its bin of a number with `edges`. A value
        that is not named, or is missing, adds nothing.
    edges
        By column: the limits of the slices of a number, each including its lower one.
    isotonic
        If not None, a rising function from scores to corrected ones; nothing else is used then.

    """

    def __init__(
        self,
        pipeline: Pipeline,
        form: str,
        intercept: float | Sequence[float] = 0.0,
        slope: float = 1.0,
        offsets: Mapping[str, Mapping[str, float]] | None = None,
        edges: Mapping[str, list[float]] | None = None,
        isotonic: IsotonicRegression | None = None,
    ) -> None:
        self.pipeline, self.form = pipeline, form
        self.intercept, self.slope = intercept, slope
        self.offsets, self.edges = offsets, edges
        self.isotonic = isotonic

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: pd.DataFrame, y: Array) -> Self:  # noqa: ARG002 -- scikit-learn asks for one
        """Nothing: it is made fitted."""
        return self

    def predict_proba(self, X: pd.DataFrame) -> Array:
        """The corrected probabilities of all classes, shape (n, classes)."""
        if np.ndim(self.intercept):
            return self.corrected(self.pipeline.predict_proba(X), X)
        score = self.corrected(self.pipeline.predict_proba(X)[:, 1], X)
        return np.column_stack([1 - score, score])

    def predict(self, X: pd.DataFrame) -> Array:
        """The corrected values, shape (n,)."""
        return self.corrected(self.pipeline.predict(X), X)

    def corrected(self, scores: Array, X: pd.DataFrame) -> Array:
        """Scores of the pipeline, corrected.

        Parameters
        ----------
        scores
            Probabilities of class 1, or values, shape (n,); or of several classes, shape (n, classes).
        X
            The rows, at least their columns in `offsets`.

        """
        if self.isotonic is not None:
            return np.asarray(self.isotonic.predict(scores), dtype=np.float64)
        if np.ndim(scores) == 2:
            return shares(np.asarray(self.intercept) + self.slope * logarithms(scores))
        probabilities = is_classifier(self.pipeline)
        score = linked(scores) if probabilities else np.asarray(scores, dtype=np.float64)
        changed = np.asarray(self.intercept) + self.slope * score
        for column, by in (self.offsets or {}).items():
            changed = changed + offset(X[column], by, (self.edges or {}).get(column))
        return np.asarray(expit(changed) if probabilities else changed)


def linked(scores: Array) -> Array:
    """The logits of probabilities, shape (n,). scipy's: NumPy's logarithm depends on the CPU's vectors."""
    return np.asarray(logit(np.clip(scores, NEAREST, 1 - NEAREST)))


def logarithms(scores: Array) -> Array:
    """The logarithms of the probabilities of several classes, shape (n, classes)."""
    return np.asarray(xlogy(1.0, np.clip(scores, NEAREST, 1)))


def shares(logarithms: Array) -> Array:
    """Probabilities that sum to 1 in each row, in proportion to what the logarithms say, shape (n, classes).

    >>> shares(np.log([[2.0, 1.0, 1.0]])).round(6)
    array([[0.5 , 0.25, 0.25]])
    """
    # In one order of memory: a row alone must be summed as it is among others.
    below = np.ascontiguousarray(logarithms - logarithms.max(axis=1, keepdims=True))
    parts = 1 + np.asarray(expm1(below))  # scipy's, as for logits
    return np.asarray(parts / parts.sum(axis=1, keepdims=True))


def offset(values: pd.Series, by: Mapping[str, float], edges: list[float] | None) -> Array:
    """What is added to each row for the slices of one column, shape (n,).

    >>> offset(pd.Series(["a", "b", None]), {"a": 0.5}, None).tolist()
    [0.5, 0.0, 0.0]
    >>> by = {"[60, 62)": 0.5, "[62, 70)": -1.0}
    >>> offset(pd.Series([60.0, 61.9, 62.0, 70.0, np.nan]), by, [60, 62, 70]).tolist()
    [0.5, 0.5, -1.0, 0.0, 0.0]
    """
    keys = named(values, edges)
    known, places = np.unique(keys, return_inverse=True)
    return np.array([by.get(key, 0.0) for key in known.tolist()], dtype=np.float64)[places]


def named(values: pd.Series, edges: list[float] | None) -> npt.NDArray[np.str_]:
    """The key of each row in `offsets`, shape (n,); empty where the value is missing or outside the bins."""
    if edges is not None:
        number = values.to_numpy(dtype=np.float64)
        place = np.searchsorted(edges, number, side="right") - 1
        inside = (place >= 0) & (place < len(edges) - 1) & ~np.isnan(number)
        bins = np.array([f"[{low:g}, {high:g})" for low, high in pairwise(edges)])
        return np.where(inside, bins[np.where(inside, place, 0)], "")
    known = values.notna().to_numpy()
    texts = values.map(lambda value: f"{value:g}" if isinstance(value, float) else str(value))
    return np.where(known, texts.to_numpy(dtype=str), "")
