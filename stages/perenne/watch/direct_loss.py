"""What errors to expect of a regression: learned from rows that were predicted without being seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor

from perenne.stats import deviation
from perenne.stats.density_ratio import without_empty
from perenne.stats.deviation import DesignEffect, Sums
from perenne.stats.metrics import Array

PARTS = 2  # each part's errors are expected by what the other has taught


class DirectLoss:
    """Models of a regression's errors, by features and prediction.

    Attributes
    ----------
    unknown, unknown_size
        Errors, and their sizes, less what models expected that had not seen them; shape (rows,).
    shock
        What whole periods add to the mean size.

    """

    def __init__(self, X: Array, error: Array, when: npt.NDArray[np.intp], effect: DesignEffect) -> None:
        """Learn from rows that were predicted without being seen.

        Parameters
        ----------
        X
            Features and prediction, shape (rows, features + 1).
        error, when
            Observed less predicted, and the number of each row's period, shape (rows,).
        effect
            By how much rows that are alike add to the variance of a period's mean.

        """
        targets = error, np.abs(error)
        self.learned = [_trees(X, target) for target in targets]
        unknown = [np.empty(len(error)) for _ in targets]
        part = np.arange(len(error)) % PARTS
        for k in range(PARTS):
            held = part == k
            for target, beyond in zip(targets, unknown, strict=True):
                beyond[held] = target[held] - _trees(X[~held], target[~held]).predict(X[held])
        self.unknown, self.unknown_size = unknown
        counts, totals = np.bincount(when), np.bincount(when, self.unknown_size)
        squares = np.bincount(when, (self.unknown_size - self.unknown_size.mean()) ** 2)
        # Rows have as much company in each period.
        self.shock = deviation.shocks(
            [
                Sums(float(total), float(count), float(square), pairs=effect.company * float(square))
                for total, count, square in zip(totals, counts, squares, strict=True)
            ],
            effect,
        )

    def expected(self, X: Array, weights: Array) -> tuple[Array, Array]:
        """The error and its size that each row lets one expect, in the target's unit, shape (rows,).

        They are corrected by what the models miss on validation where that is like the batch: so their mean
        is right if either the models or the weights are (doubly robust).
        """
        error, size = (
            np.asarray(trees.predict(X), dtype=np.float64) + float(np.average(missed, weights=weights))
            for trees, missed in zip(self.learned, (self.unknown, self.unknown_size), strict=True)
        )
        return error, size


def _trees(X: Array, target: Array) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        max_iter=40,
        max_leaf_nodes=8,
        min_samples_leaf=max(50, len(X) // 50),
        random_state=0,
        early_stopping=False,
    ).fit(without_empty(X), target)
