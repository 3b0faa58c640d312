"""How much rows with one label (an employee, a day) have in common, measured on residuals.

Bounds that take dependent rows for independent are too sure. How much too sure is the *design effect*: the
variance of the mean over what it would be if rows were independent. For blocks with the sums S of their
residuals it is the sum of S^2 over the sum of squared residuals, and what exceeds 1 comes from products of
two rows of one block. Under independence these have mean 0 and, given the size of each residual, a variance
that is known: neither unequal rows (weekends that vary more) nor rare events disturb the test.

Residuals are centred in each group (a period) first, because what whole periods share is another matter: a
batch cannot show it.

References
----------
Kish 1965, Survey Sampling, section 5.4 (design effect). Donner 1986, A review of inference procedures for the
intraclass correlation coefficient, Int. Statist. Rev. 54, 67-82. Moulton 1990, An illustration of a pitfall,
Rev. Econ. Statist. 72, 334-338.

"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from perenne.stats.metrics import Array

Codes: TypeAlias = npt.NDArray[np.intp]

FEWEST = 10  # blocks that can be measured


class Sharing(NamedTuple):
    """How much rows with one label share.

    `correlation` is that of two rows of one label (intraclass); `effect` the design effect, with its 90 %
    interval; `p` the chance of as large an effect if rows are independent. All are NaN with fewer than ten
    labels, or if no label has two rows.
    """

    blocks: int
    correlation: float
    effect: float
    low: float
    high: float
    p: float


def sharing(residuals: Array, labels: npt.ArrayLike, groups: npt.ArrayLike) -> Sharing:
    """Return how much rows with one label share.

    Parameters
    ----------
    residuals
        Shape (rows,), such as observed less predicted.
    labels
        The label of each row (an employee, a day), shape (rows,).
    groups
        Within which residuals are centred (periods), shape (rows,).

    Returns
    -------
    Sharing
        Beyond what the rows of a group share.

    Raises
    ------
    ValueError
        If the shapes differ, or a residual is not finite.

    Examples
    --------
    Of a hundred pairs each has one residual twice: two rows tell as much as one.

    >>> values = np.repeat(np.random.default_rng(1).normal(size=100), 2)
    >>> found = sharing(values, np.repeat(np.arange(100), 2), np.zeros(200))
    >>> round(found.correlation, 2), round(found.effect, 2), found.p < 0.001
    (1.01, 2.01, True)

    """
    codes, group = codes_of(residuals, labels), codes_of(residuals, groups)
    rows = centred(residuals, group)
    count = int(codes.max(initial=-1)) + 1
    sizes = np.bincount(codes, minlength=count)
    squares = np.bincount(codes, rows**2, minlength=count)
    total = float(squares.sum())
    variance = 2 * float(np.sum(squares**2 - np.bincount(codes, rows**4, minlength=count)))
    if count < FEWEST or not total or variance <= 1e-12 * total**2 / count:
        return Sharing(count, *[math.nan] * 5)
    products = float(np.sum(np.bincount(codes, rows, minlength=count) ** 2)) - total
    products += _centring(rows, codes, group)
    effect = 1 + products / total
    pairs = float(np.sum(sizes * (sizes - 1.0)))
    # A sum of squares of so many independent normal values has this mean and variance.
    degrees = 2 * total**2 / variance
    low, high = (effect * degrees / special.chdtri(degrees, tail) for tail in (0.05, 0.95))
    p = float(special.chdtrc(degrees, max(effect, 0) * degrees))
    return Sharing(count, products / pairs * len(rows) / total, effect, float(low), float(high), p)


def coded(labels: Iterable[Hashable], *, ordered: bool = False) -> tuple[Codes, int]:
    """Return the number of each row's block, counted from 0, and how many blocks there are.

    Parameters
    ----------
    labels
        The label of each row's block, shape (rows,).
    ordered
        Whether to number blocks in the order of their labels (days), instead of by first appearance.

    Returns
    -------
    codes : Codes
        Shape (rows,).
    count : int
        The number of different labels.

    Raises
    ------
    ValueError
        If a row has no block.

    Examples
    --------
    >>> coded(["monday", "tuesday", "monday"])
    (array([0, 1, 0]), 2)
    >>> coded([20210302, 20210301, 20210302], ordered=True)
    (array([1, 0, 1]), 2)

    """
    codes, found = pd.factorize(pd.Series(labels), sort=ordered)
    if (codes < 0).any():
        raise ValueError(f"every row needs a block, but row {int(np.argmin(codes))} has none")
    return codes, len(found)


def both(one: npt.ArrayLike, other: npt.ArrayLike) -> Codes:
    """Return a label for each pair of labels, shape (rows,).

    >>> both([0, 0, 1], [7, 8, 7])
    array([0, 1, 2])
    """
    first, _ = coded(np.asarray(one))
    second, count = coded(np.asarray(other))
    labels: Codes = first * count + second
    return labels


def different(one: npt.ArrayLike, other: npt.ArrayLike | None = None) -> int:
    """Return how many different labels there are, or pairs of labels.

    >>> different([0, 0, 1], [7, 8, 7]), different(["a", "b", "a"])
    (3, 2)
    """
    labels = np.asarray(one) if other is None else _paired(np.asarray(one), np.asarray(other))
    if labels.dtype.kind == "i" and len(labels):
        least = int(labels.min())
        span = int(labels.max()) - least + 1
        if span <= 8 * len(labels):  # a flag for each takes less memory than a table of those seen
            there = np.zeros(span, dtype=bool)
            there[labels - least] = True
            return int(there.sum())
    return coded(labels)[1]


def _paired(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> Codes:
    """Return a label for each pair; of whole numbers that lie close together, without a search."""
    if len(one) and one.dtype.kind == other.dtype.kind == "i":
        first, second = int(one.min()), int(other.min())
        width = int(other.max()) - second + 1
        if (int(one.max()) - first + 1) * width <= 8 * len(one):
            labels: Codes = (one - first) * width + (other - second)
            return labels
    return both(one, other)


def codes_of(residuals: Array, labels: npt.ArrayLike) -> Codes:
    """Return the number of each row's label, one for each residual; otherwise a ValueError says how many."""
    codes, _ = coded(np.asarray(labels))
    if codes.shape != np.shape(residuals):
        raise ValueError(f"expected a label for each of {len(residuals)} rows, received {len(codes)}")
    return codes


def centred(residuals: Array, group: Codes) -> Array:
    """Return residuals less the mean of their group; a ValueError names one that is not finite."""
    if not np.isfinite(residuals).all():
        raise ValueError(f"row {int(np.argmin(np.isfinite(residuals)))} has no residual")
    means = np.bincount(group, residuals) / np.maximum(np.bincount(group), 1)
    centred: Array = residuals - means[group]
    return centred


def _centring(rows: Array, codes: npt.NDArray[np.intp], group: Codes) -> float:
    """Return what centring has taken from the products of two rows of a label, if rows are independent."""
    sizes = np.bincount(group)
    variances = np.bincount(group, rows**2) / np.maximum(sizes - 1, 1)
    both, together = np.unique(codes * len(sizes) + group, return_counts=True)
    where = both % len(sizes)
    return float(np.sum(together * (together - 1) * variances[where] / sizes[where]))
