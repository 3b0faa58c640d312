"""How much more often rows like these occur in a batch than in a reference, estimated by a classifier.

A classifier that tells the rows of the batch from those of the reference has odds in proportion to the ratio
of their densities. Weighted by it, the reference has the features of the batch, and its own labels.

References
----------
Bickel, Brueckner & Scheffer 2009, Discriminative learning under covariate shift, J. Mach. Learn. Res. 10
(odds of a classifier). Sugiyama, Suzuki & Kanamori 2012, Density ratio estimation in machine learning, ch. 4.
Ionides 2008, Truncated importance sampling, J. Comput. Graph. Stat. 17 (why large weights are cut).

"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier

from perenne.stats.metrics import Array

MOST_ROWS = 10_000  # of each side, to learn from: more change little and take longer
FARTHEST = 20.0  # times as frequent as in the reference, and no more: a single row must not decide
PARTS = 2  # each part is weighted by a classifier that did not see it
TREES, RATE = 20, 0.15
FEWEST_IN_LEAF = 100  # rows; half of the rows if there are few


class DensityRatio(NamedTuple):
    """Weights of the reference's rows, 1 on average, shape (rows,); and how much of the batch is beyond it.

    ``outside`` is the share of the batch's rows that are at least `FARTHEST` times as frequent there.
    """

    weights: Array
    outside: float


def density_ratio(reference: Array, batch: Array, *, seed: int) -> DensityRatio:
    """Weight the rows of a reference so that their features are distributed as those of a batch.

    Parameters
    ----------
    reference, batch
        Features as numbers, NaN where they are missing, shapes (rows, features) and (others, features).
    seed
        Decides which rows are learned from.

    Returns
    -------
    DensityRatio
        The weights are cut at 1 / `FARTHEST` and `FARTHEST` before they are divided by their mean.

    """
    rng = np.random.default_rng(seed)
    sides = reference, batch
    # Every row has a part; those that are learned from are the first few of each part.
    order = [rng.permutation(len(side)) for side in sides]
    odds = [np.ones(len(side)) for side in sides]
    for part in range(PARTS):
        learned = [_other_parts(places, part) for places in order]
        X = np.concatenate([side[places] for side, places in zip(sides, learned, strict=True)])
        is_batch = np.repeat([0.0, 1.0], [len(places) for places in learned])
        trees = HistGradientBoostingClassifier(
            max_iter=TREES,
            learning_rate=RATE,
            max_leaf_nodes=8,
            min_samples_leaf=min(FEWEST_IN_LEAF, max(len(X) // 4, 1)),
            early_stopping=False,
            random_state=0,
        ).fit(without_empty(X), is_batch)
        prior = len(learned[0]) / max(len(learned[1]), 1)
        for side, places, found in zip(sides, order, odds, strict=True):
            held = places[part::PARTS]
            found[held] = prior * np.exp(trees.decision_function(side[held]))
    weights = odds[0].clip(1 / FARTHEST, FARTHEST)
    return DensityRatio(weights / weights.mean(), float(np.mean(odds[1] >= FARTHEST)))


def without_empty(X: Array) -> Array:
    """Fill columns that hold no value at all, of which no histogram can be made: then no tree uses them."""
    return np.where(np.isnan(X).all(axis=0), 0.0, X)


def _other_parts(places: npt.NDArray[np.intp], part: int) -> npt.NDArray[np.intp]:
    """The positions to learn from: rows of all parts but one."""
    others = np.concatenate([places[k::PARTS] for k in range(PARTS) if k != part])
    return others[: MOST_ROWS // PARTS]
