"""Have columns changed together, though none of them alone? A classifier that tries to tell the sides apart.

If it orders rows it has not seen better than chance, the two samples differ somewhere, be it only in a
correlation. What it finds in single columns it finds too: read it after :mod:`perenne.stats.two_sample`.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from perenne.stats.metrics import Array
from perenne.stats.tally import numbers
from perenne.stats.two_sample import Test

ROWS = 4_000  # of each side, at most
FOLDS = 2
BINS = 64  # of an ordered column
MOST_CATEGORIES = 60  # of a column, as the estimator takes no more than it has bins; rarer ones are one


class _Half(NamedTuple):
    """What one half tells: pairs compared, area under the curve, its variance, blocks worth."""

    pairs: float
    area: float
    variance: float
    blocks: float


def joint(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    blocks: tuple[Iterable[Hashable], Iterable[Hashable]] | None = None,
    *,
    seed: int,
    rows: int = ROWS,
) -> Test:
    """Test whether gradient boosting can tell current rows from reference rows it has not seen.

    Each half of the blocks is scored by a classifier of the other, and the area under its ROC curve is
    compared with 1/2, one-sided. Its variance is that of the blocks' contributions, so rows of a block may
    resemble each other, and a block may be on both sides: it then contributes once, in one half. What the
    halves have in common by luck, either classifier finds in the other half, so that both err together;
    their standard errors are added, not their variances, which would raise two false alarms for one.

    Parameters
    ----------
    reference, current
        The features, shapes (rows, columns), columns of the same names. Numbers, booleans and dates are
        ordered, anything else is a category; missing values are allowed, and are a difference too.
    blocks
        The labels of the rows' blocks, shapes (rows,), of both sides; None if rows are independent.
    seed
        Decides the sample, the folds and the classifier.
    rows
        How many of each side are looked at: a sample if there are more.

    Returns
    -------
    Test
        The area as statistic, its p-value, and as effect 2 * area - 1: near 0 if the classifiers cannot
        separate the sides, 1 if they always can. All are NaN if a side has too few rows, or blocks, to be in
        every fold; the p-value alone is NaN if the variance is 0.

    Raises
    ------
    ValueError
        If the columns differ, or a row has no block.

    References
    ----------
    Lopez-Paz & Oquab 2017, Revisiting classifier two-sample tests, ICLR.
    Obuchowski 1997, Nonparametric analysis of clustered ROC curve data, Biometrics 53, 567-578.

    """
    if list(reference.columns) != list(current.columns):
        raise ValueError(f"expected columns {list(reference.columns)}, received {list(current.columns)}")
    rng = np.random.default_rng(seed)
    sides = [_sample(len(side), rows, rng) for side in (reference, current)]
    frame = pd.concat([reference.iloc[sides[0]], current.iloc[sides[1]]], ignore_index=True)
    is_current = np.repeat([False, True], [len(side) for side in sides])
    labels = np.arange(len(frame)) if blocks is None else _labels(blocks, sides)
    fold = rng.permutation(labels.max(initial=0) + 1)[labels] % FOLDS
    if any(len(np.unique(fold[is_current == side])) < FOLDS for side in (False, True)):
        return Test("joint", math.nan, math.nan, math.nan)
    X, categories = _matrix(frame)
    # One thread: trees so many and so small are built sooner by one, and the bits are the same.
    with threadpool_limits(1, user_api="openmp"):
        parts = [_fold(X, is_current, labels, fold == k, categories, seed) for k in range(FOLDS)]
    return _combined(parts)


def _fold(
    X: Array,
    is_current: npt.NDArray[np.bool_],
    labels: npt.NDArray[np.intp],
    held: npt.NDArray[np.bool_],
    categories: list[bool],
    seed: int,
) -> _Half:
    """Score the held blocks by a classifier of the others."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # takes a second to import

    X = np.where(np.isnan(X[~held]).all(axis=0), 0.0, X)  # the estimator cannot bin what is never there
    X = np.column_stack(
        [
            values if category else _binned(values, ~held, is_current)
            for values, category in zip(X.T, categories, strict=True)
        ]
    )
    model = HistGradientBoostingClassifier(
        max_iter=30,  # a quick look, not a good model: half a second for 2 x 2,000 rows of 20 columns
        learning_rate=0.2,
        max_leaf_nodes=8,  # a tree then sees up to three columns together
        max_bins=BINS,
        early_stopping=False,
        categorical_features=categories,
        class_weight="balanced",
        random_state=seed,
    ).fit(X[~held], is_current[~held])
    score = model.decision_function(X[held])
    return _area(score, is_current[held], labels[held])


def _binned(values: Array, learned: npt.NDArray[np.bool_], is_current: npt.NDArray[np.bool_]) -> Array:
    """The bins of a column, shape (n,), NaN where there is no value; as it is if it has few distinct values.

    They are the bins that the estimator itself would make of the weighted rows. It sorts a column anew for
    each of them, which took four fifths of the test; and its sums of weights are rounded, these are not.

    Parameters
    ----------
    values
        The column, shape (n,).
    learned
        The rows that the classifier learns from, which the bins are made of.
    is_current
        The side of each row.

    """
    sides = [np.sort(values[learned & (is_current == side)]) for side in (False, True)]
    edges = quantiles(sides[0], sides[1])
    if edges is None:
        return values
    return np.where(np.isnan(values), np.nan, np.searchsorted(edges, values, side="left"))


def quantiles(one: Array, other: Array, bins: int = BINS) -> Array | None:
    """The quantiles of two samples of which each weighs as much as the other, at k / bins.

    Parameters
    ----------
    one, other
        Sorted, with NaN at the end.
    bins
        How many intervals to cut into.

    Returns
    -------
    Array or None
        Increasing; fewer than `bins` - 1 where values repeat. Where a quantile falls between two values it
        is their mean: Hyndman & Fan 1996, Sample quantiles in statistical packages, definition 2. None if
        there are no more than `bins` distinct values.

    """
    sides = [side[: np.searchsorted(side, np.nan)] for side in (one, other)]
    values = np.unique(np.concatenate(sides))
    if len(values) <= bins:
        return None
    # Missing values have their weight too. All are whole numbers: sums and comparisons are exact.
    below = [np.searchsorted(side, values, side="right") for side in sides]
    weight = below[0] * max(len(other), 1) + below[1] * max(len(one), 1)
    wanted = np.arange(1, bins) * int(weight[-1])
    at = np.searchsorted(bins * weight, wanted)
    between = bins * weight[at] == wanted
    return np.unique(np.where(between, (values[at] + values[at + between]) / 2, values[at]))


def _area(score: Array, positive: npt.NDArray[np.bool_], labels: npt.NDArray[np.intp]) -> _Half:
    """Return the chance that a positive outranks a negative, with its variance over blocks."""
    ours, theirs = np.sort(score[positive]), np.sort(score[~positive])
    n, m = len(theirs), len(ours)
    own = np.where(positive, _rank(theirs, score) / n, 1 - _rank(ours, score) / m)
    area = float(own[positive].mean())
    each = (own - area) / np.where(positive, m, n)
    codes = np.unique(labels, return_inverse=True)[1]
    total = np.bincount(codes, each)
    size = np.bincount(codes, positive) ** 2 / m**2 + np.bincount(codes, ~positive) ** 2 / n**2
    blocks = float(size.sum() ** 2 / np.sum(size**2))  # of equal size that would tell as much
    return _Half(n * m, area, float(np.sum(total**2)) * blocks / max(blocks - 1, 1), blocks)


def _rank(among: Array, score: Array) -> Array:
    """Return how many of the sorted values each score beats, ties counting half."""
    return (np.searchsorted(among, score, "left") + np.searchsorted(among, score, "right")) / 2


def _combined(halves: list[_Half]) -> Test:
    pairs, areas, variances, blocks = np.array(halves).T
    share = pairs / pairs.sum()
    area, error = float(share @ areas), float(share @ np.sqrt(variances))
    # Student's t, as few blocks tell their own variance badly; each side spends a degree of freedom.
    degrees = max(float(blocks.min()) - 2, 1)
    pvalue = float(stats.t.sf((area - 0.5) / error, degrees)) if error else math.nan
    return Test("joint", area, pvalue, 2 * area - 1)


def _sample(count: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))


def _labels(
    blocks: tuple[Iterable[Hashable], Iterable[Hashable]], sides: list[npt.NDArray[np.intp]]
) -> npt.NDArray[np.intp]:
    both = [pd.Series(labels).iloc[side] for labels, side in zip(blocks, sides, strict=True)]
    codes = pd.factorize(pd.concat(both, ignore_index=True))[0]
    if (codes < 0).any():
        raise ValueError("every row needs a block")
    return codes


def _matrix(frame: pd.DataFrame) -> tuple[Array, list[bool]]:
    """Return the features as float64, and which are categories: these by rank of frequency on both sides."""
    columns, categories = list[Array](), list[bool]()
    for name in frame.columns:
        column = frame[name]
        ordered = pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column)
        columns.append(numbers(column) if ordered else _codes(column))
        categories.append(not ordered)
    return np.column_stack(columns), categories


def _codes(column: pd.Series) -> Array:
    order = column.value_counts().index[:MOST_CATEGORIES]
    codes = order.get_indexer(pd.Index(column)).astype(np.float64)
    codes[codes < 0] = MOST_CATEGORIES
    return np.where(column.isna(), np.nan, codes)
