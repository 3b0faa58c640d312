"""Has one column changed? Two-sample tests that hold for rows in blocks, on counts that can be added up.

Batches are counted cell by cell (:mod:`perenne.stats.tally`), counts of several batches add up, and
:func:`compare` sees nothing but two of them: a map over batches and a small reduce.

>>> from perenne.stats.tally import cut, tally
>>> reference = [1, 2, 3, 4] * 100
>>> edges = cut(reference)
>>> before, after = tally(reference, edges), tally([3, 4, None] * 100, edges)
>>> for test in compare(before, after):
...     print(test.name, round(test.effect, 2), test.pvalue < 0.001)
distribution 0.5 True
missing 0.33 True
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse, special, stats

from perenne.stats.metrics import Array
from perenne.stats.quadratic import quadratic
from perenne.stats.tally import CELLS, Tally, aligned

EXPECTED = 5  # rows (or blocks) a cell needs on the smaller side before chi-squared may be believed (Cochran)


class Test(NamedTuple):
    """One test of one column; NaN where there is nothing to compare.

    `statistic` is what was seen over what is expected without drift, so about 1 without. `effect` is the
    Kolmogorov-Smirnov distance (ordered), the total variation (categories) or a difference of shares.
    `degrees` of freedom tell the scale of the p-value; infinite if the test's own law gives it.
    """

    name: str
    statistic: float
    pvalue: float
    effect: float
    degrees: float = math.inf


Test.__test__ = False  # type: ignore[attr-defined]  # its name is no invitation to pytest


def compare(reference: Tally, current: Tally) -> tuple[Test, ...]:
    """Test a column's distribution, its missing values and, if it has categories, the unseen ones.

    `distribution`, missing values left aside: the Anderson-Darling statistic of the two samples if the
    column is ordered, Pearson's chi-squared of the 2 x cells table otherwise. Categories with fewer than 5
    expected rows on the smaller side, or beyond the 100 commonest, are one cell; which ones depends on both
    sides together, never on the reference alone, whose commonest categories are there by luck too.
    `missing`: the 2 x 2 table of missing values. `unseen`: see :func:`unseen`.

    Both statistics are quadratic forms in the difference of two distributions, so under no drift both are
    sums of squared normals. If rows are independent their weights follow from the multinomial, otherwise
    from what the blocks contribute: a block counts once, on one side or on both. The p-value is
    Pearson's where the weights are equal, a saddlepoint approximation elsewhere. A table of two cells of
    which one is rare is tested as a binomial instead.

    Simulated at a nominal 5 %: 3 to 6 % for 59 days against 31 whose rows share 30 or 90 % of their variance,
    and for 3,000 blocks of 3 rows of which none, 80 % or all are on both sides; 5 % for 5 days against 5.
    Where rows of a day share half of their variance, 59 days against 31 show a shift of half a standard
    deviation in 88 %, of a whole one always. Few blocks bound the evidence: 5 against 5 can prove little.

    Anderson-Darling and not Kolmogorov-Smirnov, whose distance is the effect, because it sees more: with one
    of 20 columns moved by 0.3 standard deviations, 500 rows a side, 96 % are detected, not 83 %.

    Parameters
    ----------
    reference, current
        The tallies of both sides, counted by the same edges.

    Returns
    -------
    tuple[Test, ...]
        `distribution` and `missing`, then `unseen` if the column has categories.

    Raises
    ------
    ValueError
        If the tallies were not counted alike: by the same edges, and either both by block or neither.

    References
    ----------
    Scholz & Stephens 1987, K-sample Anderson-Darling tests, JASA 82, 918-924.
    Rao & Scott 1981, The analysis of categorical data from complex sample surveys, JASA 76, 221-230.
    Kuonen 1999, Saddlepoint approximations for quadratic forms in normal variables, Biometrika 86, 929-935.

    """
    before, after, blocks, labels = aligned(reference, current)
    clustered = blocks is not None
    tests = [
        _distribution(before[:, 1:], after[:, 1:], clustered=clustered, ordered=labels is None),
        _missing(before, after, clustered=clustered),
    ]
    if labels is not None:
        tests.append(unseen(*(_spread(side[:, 1:], clustered=clustered) for side in (before, after))))
    return tuple(tests)


def unseen(reference: npt.ArrayLike, current: npt.ArrayLike) -> Test:
    """Test whether the current rows hold more of what the reference never shows than chance would bring.

    New data always hold something new. If the sides are exchangeable, a category that occurs k times on
    both together is by chance never in the reference with a hypergeometric probability, and then all its k
    rows are unseen: that gives mean and variance of the unseen rows (Good & Toulmin's reasoning, exact for
    given totals). Their number is taken for a scaled Poisson of this mean and variance, one-sided.

    Where rows come in blocks, blocks take the place of rows: in how many each category occurs. Blocks that
    bring many categories nobody else has make the test too ready; such a column is a name, not a category.

    Parameters
    ----------
    reference, current
        Rows (or blocks) of each category, both of shape (categories,).

    Returns
    -------
    Test
        Observed over expected, p-value, and unseen minus expected as a share of the current side; NaN if a
        side is empty.

    References
    ----------
    Good & Toulmin 1956, The number of new species, Biometrika 43, 45-63.

    Examples
    --------
    >>> unseen([40, 40, 1, 0], [40, 40, 0, 1]).pvalue > 0.2, unseen([40, 40, 0], [40, 30, 10]).pvalue < 0.01
    (True, True)

    """
    before, after = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    n, m = float(before.sum()), float(after.sum())
    if not n or not m:
        return Test("unseen", math.nan, math.nan, math.nan)
    seen = float(after[before == 0].sum())
    size, categories = np.unique(before + after, return_counts=True)
    size, categories = size[size <= m], categories[size <= m]
    never = np.exp(
        special.gammaln(m + 1)
        - special.gammaln(m - size + 1)
        - special.gammaln(n + m + 1)
        + special.gammaln(n + m - size + 1)
    )
    mean = float(categories @ (size * never))
    variance = float(categories @ (size**2 * never * (1 - never)))
    scale = variance / mean if mean else 1.0
    pvalue = float(special.gammainc(seen / scale, mean / scale)) if seen else 1.0
    return Test("unseen", seen / mean if mean else math.nan, pvalue, (seen - mean) / m)


def _distribution(
    before: sparse.csr_array, after: sparse.csr_array, *, clustered: bool, ordered: bool
) -> Test:
    if not (before.nnz and after.nnz):
        return Test("distribution", math.nan, math.nan, math.nan)
    if not ordered:
        pool = _pool(*(_spread(side, clustered=clustered) for side in (before, after)))
        before, after = before @ pool, after @ pool
    difference, covariance, share, blocks = _difference(before, after, clustered=clustered)
    if len(share) == 2 and not ordered:
        statistic, pvalue = _two_cells(before, after, clustered=clustered)
        return Test("distribution", statistic, pvalue, float(abs(difference[1])))
    if not ordered:
        statistic, pvalue = quadratic(difference, covariance, 1 / share, blocks)
        return Test("distribution", statistic, pvalue, float(np.abs(difference).sum() / 2))
    difference = np.cumsum(difference)[:-1]
    covariance = np.cumsum(np.cumsum(covariance, axis=0), axis=1)[:-1, :-1]
    below = np.cumsum(share)[:-1]
    weights = (share[:-1] + share[1:]) / 2 / (below * (1 - below))
    statistic, pvalue = quadratic(difference, covariance, weights, blocks)
    return Test("distribution", statistic, pvalue, float(np.abs(difference).max(initial=0.0)))


def _missing(before: sparse.csr_array, after: sparse.csr_array, *, clustered: bool) -> Test:
    if not (before.nnz and after.nnz):
        return Test("missing", math.nan, math.nan, math.nan)
    # Present, missing: the only two cells.
    pool = sparse.csr_array(np.eye(2, dtype=np.int64)[[1] + [0] * (before.shape[1] - 1)])
    before, after = before @ pool, after @ pool
    effect = float(after.sum(axis=0)[1] / after.sum() - before.sum(axis=0)[1] / before.sum())
    return Test("missing", *_two_cells(before, after, clustered=clustered), effect)


def _two_cells(before: sparse.csr_array, after: sparse.csr_array, *, clustered: bool) -> tuple[float, float]:
    """Return statistic and p-value of a 2 x 2 table, by the exact binomial if its rarer cell is rare."""
    spread = np.array([_spread(side, clustered=clustered) for side in (before, after)])
    rare = int(np.argmin(spread.sum(axis=0)))
    if not (total := int(spread[:, rare].sum())):
        return math.nan, math.nan
    share = after.sum() / (before.sum() + after.sum())
    if total * min(share, 1 - share) >= EXPECTED:
        difference, covariance, p, blocks = _difference(before, after, clustered=clustered)
        return quadratic(difference, covariance, 1 / p, blocks)
    count = int(spread[1, rare])
    return count / (total * share), float(stats.binomtest(count, total, share).pvalue)


def _difference(
    before: sparse.csr_array, after: sparse.csr_array, *, clustered: bool
) -> tuple[Array, Array, Array, float]:
    """Return the difference of shares, its covariance under no drift, the shares of both together.

    Cells that are empty on both sides are left out: shapes (cells,), (cells, cells), (cells,). Last comes
    the number of blocks that the covariance is estimated from, infinite where it is known.
    """
    rows = np.array([before.sum(axis=0), after.sum(axis=0)], dtype=np.float64)
    used = rows.sum(axis=0) > 0
    rows = rows[:, used]
    n, m = rows.sum(axis=1)
    difference, share = rows[1] / m - rows[0] / n, rows.sum(axis=0) / (n + m)
    if not clustered:
        factor = (1 / n + 1 / m) * (n + m) / max(n + m - 1, 1)
        return difference, factor * (np.diag(share) - np.outer(share, share)), share, math.inf
    # A block adds (its shares - the common ones) * its weight. Centred on what both sides have in common,
    # as without drift; a column that is constant on either side then still has a variance.
    parts = (after[:, used] / m - before[:, used] / n).tocsr()
    weight = after.sum(axis=1) / m - before.sum(axis=1) / n
    own = sparse.hstack([parts, sparse.csr_array(weight[:, None])]).tocsr()
    centre = np.vstack([np.eye(len(share)), -share])
    size = (before.sum(axis=1) / n) ** 2 + (after.sum(axis=1) / m) ** 2
    blocks = float(size.sum() ** 2 / np.sum(size**2))  # of equal size that would tell as much
    covariance = centre.T @ (own.T @ own).toarray() @ centre * blocks / max(blocks - 1, 1)
    return difference, covariance, share, blocks


def _pool(before: Array, after: Array) -> sparse.csr_array:
    """Return what pools rare categories, shape (categories, cells); the rest is the last cell."""
    total = before + after
    smaller = min(before.sum(), after.sum()) / total.sum()
    order = np.lexsort((_hashes(len(total)), -total))
    often = max(int(np.sum(total[order[:CELLS]] * smaller >= EXPECTED)), 1)
    rest = total[order[often:]].sum()
    if 0 < rest * smaller < EXPECTED and often > 1:
        often -= 1
    cell = np.full(len(total), often)
    cell[order[:often]] = np.arange(often)
    ones = np.ones(len(total), np.int64)
    cells = often + bool(rest or often < np.count_nonzero(total))
    return sparse.coo_array((ones, (np.arange(len(total)), np.minimum(cell, cells - 1)))).tocsr()


def _hashes(count: int) -> npt.NDArray[np.uint64]:
    """Return numbers that look random, to break ties: not in favour of what the reference saw first."""
    return pd.util.hash_array(np.arange(count))


def _spread(counts: sparse.csr_array, *, clustered: bool) -> Array:
    """Return in how many blocks each cell occurs; independent rows are blocks of their own."""
    spread = (counts > 0).sum(axis=0) if clustered else counts.sum(axis=0)
    return np.asarray(spread, dtype=np.float64)
