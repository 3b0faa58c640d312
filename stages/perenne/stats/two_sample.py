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
from scipy import special, stats

from perenne.stats.crossed import LEFT_OUT, Crossed, crossed, spread
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
    before, after = aligned([reference, current])
    often = None if before.labels is None else _spreads(before, after)
    tests = [_distribution(before, after, often), _missing(before, after)]
    if often is not None:
        tests.append(unseen(*often))
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


def _distribution(before: Tally, after: Tally, often: tuple[Array, Array] | None) -> Test:
    """Test the distribution; `often` is in how many blocks each category occurs, None of an order."""
    if not (before.counts[1:].any() and after.counts[1:].any()):
        return Test("distribution", math.nan, math.nan, math.nan)
    ordered = often is None
    places = np.arange(len(before.counts) - 1) if often is None else _pool(*often)
    table = _Table(before, after, np.append(LEFT_OUT, places))
    difference, covariance, share, blocks = table.difference()
    if len(share) == 2 and not ordered:
        statistic, pvalue = _two_cells(table)
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


def _missing(before: Tally, after: Tally) -> Test:
    n, m = before.counts.sum(), after.counts.sum()
    if not (n and m):
        return Test("missing", math.nan, math.nan, math.nan)
    effect = float(after.counts[0] / m - before.counts[0] / n)
    if not (before.counts[0] or after.counts[0]):
        return Test("missing", math.nan, math.nan, effect)
    # Present, missing: the only two cells.
    places = np.append(1, np.zeros(len(before.counts) - 1, np.intp))
    return Test("missing", *_two_cells(_Table(before, after, places)), effect)


def _two_cells(table: _Table) -> tuple[float, float]:
    """Return statistic and p-value of a 2 x 2 table, by the exact binomial if its rarer cell is rare."""
    rare = int(np.argmin(table.spread.sum(axis=0)))
    if not (total := int(table.spread[:, rare].sum())):
        return math.nan, math.nan
    n, m = table.counts.sum(axis=1)
    share = m / (n + m)
    if total * min(share, 1 - share) >= EXPECTED:
        difference, covariance, p, blocks = table.difference()
        return quadratic(difference, covariance, 1 / p, blocks)
    count = int(table.spread[1, rare])
    return count / (total * share), float(stats.binomtest(count, total, share).pvalue)


class _Table:
    """The counts of two sides in the cells of a test.

    `counts` has shape (2, cells), `spread` is in how many blocks each occurs; independent rows are blocks of
    their own. `to` is the new place of each cell of the tallies, or `LEFT_OUT`.
    """

    def __init__(self, before: Tally, after: Tally, to: npt.NDArray[np.intp]) -> None:
        cells = int(to.max(initial=-1)) + 1
        kept = to != LEFT_OUT
        self.counts = np.zeros((2, cells), np.int64)
        for side, each in zip(self.counts, (before, after), strict=True):
            np.add.at(side, to[kept], each.counts[kept])
        self.crossed: Crossed | None = None
        self.spread = self.counts.astype(np.float64)
        if before.members is not None and after.members is not None:
            self.crossed = crossed(before.members, after.members, to, cells)
            self.spread = self.crossed.spread

    def difference(self) -> tuple[Array, Array, Array, float]:
        """Return the difference of shares, its covariance under no drift, the shares of both together.

        Cells that are empty on both sides are left out: shapes (cells,), (cells, cells), (cells,). Last comes
        the number of blocks that the covariance is estimated from, infinite where it is known.
        """
        used = self.counts.any(axis=0)
        rows = self.counts[:, used].astype(np.float64)
        n, m = rows.sum(axis=1)
        difference, share = rows[1] / m - rows[0] / n, rows.sum(axis=0) / (n + m)
        if self.crossed is None:
            factor = (1 / n + 1 / m) * (n + m) / max(n + m - 1, 1)
            return difference, factor * (np.diag(share) - np.outer(share, share)), share, math.inf
        # A block adds (its shares - the common ones) * its weight. Centred on what both sides have in common,
        # as without drift; a column that is constant on either side then still has a variance.
        blocks = self.crossed.blocks(n, m)
        centre = np.eye(len(share)) - share
        own = self.crossed.difference(int(n), int(m))[np.ix_(used, used)]
        return difference, centre.T @ own @ centre * blocks / max(blocks - 1, 1), share, blocks


def _pool(before: Array, after: Array) -> npt.NDArray[np.intp]:
    """Return the cell of each category, shape (categories,): rare ones share the last one."""
    total = before + after
    smaller = min(before.sum(), after.sum()) / total.sum()
    order = np.lexsort((_hashes(len(total)), -total))
    often = max(int(np.sum(total[order[:CELLS]] * smaller >= EXPECTED)), 1)
    rest = total[order[often:]].sum()
    if 0 < rest * smaller < EXPECTED and often > 1:
        often -= 1
    cell = np.full(len(total), often, np.intp)
    cell[order[:often]] = np.arange(often)
    cells = often + bool(rest or often < np.count_nonzero(total))
    return np.minimum(cell, cells - 1)


def _hashes(count: int) -> npt.NDArray[np.uint64]:
    """Return numbers that look random, to break ties: not in favour of what the reference saw first."""
    return pd.util.hash_array(np.arange(count))


def _spreads(before: Tally, after: Tally) -> tuple[Array, Array]:
    """Return in how many blocks each category occurs on either side; an independent row is one."""
    if before.members is None or after.members is None:
        return before.counts[1:].astype(np.float64), after.counts[1:].astype(np.float64)
    cells = len(before.counts)
    return spread(before.members, cells)[1:], spread(after.members, cells)[1:]
