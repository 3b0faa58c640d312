"""How far a sum is off what was expected, in standard deviations, where days are alike and months differ.

A *deviation* is a sum of rows' residuals over a sum of sizes: events above those expected, over the events
expected. If the model is right and rows are independent, its variance and its skewness are known from the
scores. Ordinary life adds two things, and both are measured on a reference:

- Rows of a day share their weather. The variance of a batch is then larger than that of its rows by a factor,
  the *design effect* (:func:`design_effect`). It grows with the rows of a day: what stays is how much two
  rows of a day share.
- Whole periods have shocks of their own: a cold month, a campaign. They add a variance that no number of rows
  makes smaller (:func:`shocks`).

:func:`score` puts a batch's deviation beside a bound, and returns it on the scale of a standard normal.

References
----------
Kish 1965, Survey Sampling, ch. 8 (the design effect). Moulton 1986, Random group effects and the precision of
regression estimates, J. Econometrics 32 (how it grows with the groups' sizes).
Paule & Mandel 1982, Consensus values and weighting factors, J. Res. Natl. Bur. Stand. 87 (the variance
between periods). Satterthwaite 1946, An approximate distribution of estimates of variance components,
Biometrics 2.

"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from perenne.stats.metrics import Array

FEWEST_PERIODS = 3  # that show shocks of whole periods
LONG = 16  # periods that show how long shocks last
MEMORY = 0.5  # of shocks from one period to the next, where fewer periods do not show it
MOST_SKEWED = 4.0
FARTHEST = 35.0  # standard deviations; beyond it a double holds no probability


class Sums(NamedTuple):
    """Rows of a batch, added up; those of several batches add up likewise.

    ``total`` residuals over ``size``: the deviation. ``variance`` and ``cube``: the second and third central
    moment of the total if the model is right and rows are independent. ``events``: how many of the rarer
    outcome are expected; fewer than some ten tell nothing. ``pairs``: over all pairs of two rows of a block,
    the product of their variances: what the variance grows by, in units of how much such rows share.
    """

    total: float = 0.0
    size: float = 0.0
    variance: float = 0.0
    cube: float = 0.0
    events: float = 0.0
    pairs: float = 0.0

    def plus(self, other: Self) -> Self:
        """The sums of both."""
        return type(self)(*(a + b for a, b in zip(self, other, strict=True)))

    @property
    def deviation(self) -> float:
        """The total over the size; NaN without rows."""
        return self.total / self.size if self.size else math.nan


class DesignEffect(NamedTuple):
    """By what factor the variance of a sum is larger than that of independent rows.

    ``freedom``: with how many degrees of freedom it is known. ``company``: what a row had of others in its
    block, which is the `pairs` of these sums over their variance.
    """

    factor: float = 1.0
    freedom: float = math.inf
    company: float = 0.0

    def of(self, sums: Sums) -> DesignEffect:
        """The effect on other sums, whose blocks may have more rows, or fewer: two rows share as much.

        >>> DesignEffect(3.0, company=4.0).of(Sums(variance=10.0, pairs=80.0))
        DesignEffect(factor=5.0, freedom=inf, company=8.0)
        """
        if self.factor <= 1 or not self.company or not sums.variance:
            return self
        company = sums.pairs / sums.variance
        grown = company / self.company
        factor = 1 + (self.factor - 1) * grown
        # The factor's own error grows as well, but not that of the 1.
        freedom = self.freedom * (factor / (self.factor * grown)) ** 2 if grown else math.inf
        return DesignEffect(factor, freedom, company)


class Shocks(NamedTuple):
    """What whole periods add: a variance of the deviation, known with so many degrees of freedom.

    ``memory`` is the correlation of one period's shock with the next one's, ``skewness`` that of the shocks.
    """

    variance: float = 0.0
    freedom: float = math.inf
    memory: float = 0.0
    skewness: float = 0.0


class BlockedRows(NamedTuple):
    """The rows of one period: residuals less their mean, variances if rows are independent, blocks.

    ``blocks`` are numbers from 0, not many more than there are; all of shape (rows,).
    """

    residuals: Array
    variances: Array
    blocks: npt.NDArray[np.intp]


def design_effect(groups: Iterable[BlockedRows]) -> DesignEffect:
    """Return by how much the variance of a sum is larger than that of independent rows; at least 1.

    Centring in a group costs one of its blocks: of a week it takes a seventh of what its days vary.

    Parameters
    ----------
    groups
        All rows; a block lies in one group.

    Examples
    --------
    >>> design_effect([BlockedRows(np.array([1.0, 1.0, -1.0, -1.0]), np.ones(4), np.array([0, 0, 1, 1]))])
    DesignEffect(factor=4.0, freedom=1.0, company=1.0)

    """
    expected = weighed = seen = company = variance = 0.0
    for residuals, variances, blocks in groups:
        each, whole = np.bincount(blocks, variances), float(np.sum(variances))
        squares = float(np.sum(each**2))
        if whole**2 <= squares * (1 + 1e-9):  # a single block
            continue
        left, known = whole - squares / whole, whole**2 / squares - 1  # and its degrees of freedom
        expected, weighed = expected + left, weighed + left**2 / known
        seen += float(np.sum(np.bincount(blocks, residuals) ** 2))
        company, variance = company + pairs(variances, blocks), variance + whole
    if not expected or seen <= expected:
        return DesignEffect()
    return DesignEffect(seen / expected, expected**2 / weighed, company / variance)


def pairs(variances: Array, blocks: npt.NDArray[np.intp]) -> float:
    """The products of the variances of all pairs of two rows of a block, as ``Sums.pairs`` has them.

    Parameters
    ----------
    variances, blocks
        Of each row, and the number of its block, shape (rows,).

    >>> pairs(np.array([1.0, 2.0, 3.0]), np.array([0, 0, 1]))
    4.0

    """
    return float(np.sum(np.bincount(blocks, variances) ** 2) - np.sum(variances**2))


def shocks(periods: Sequence[Sums], effect: DesignEffect) -> Shocks:
    """Return what whole periods add to the variance of a deviation, from those of the reference.

    It is the variance for which the deviations of the periods spread as far as they do (Paule & Mandel 1982).
    How well a few periods show it is said by the degrees of freedom.

    Parameters
    ----------
    periods
        The sums of each period of the reference, oldest first. Fewer than `FEWEST_PERIODS` show no shocks.
    effect
        The design effect within a period.

    """
    known = [each for each in periods if each.size and each.variance]
    count = len(known)
    if count < FEWEST_PERIODS:
        return Shocks()
    value = np.array([each.deviation for each in known])
    noise = np.array([effect.of(each).factor * each.variance / each.size**2 for each in known])
    enough = count - 1.0

    def spread(variance: float) -> float:
        weights = 1 / (noise + variance)
        mean = float(np.sum(weights * value) / np.sum(weights))
        return float(np.sum(weights * (value - mean) ** 2)) - enough

    if spread(0.0) <= 0:
        return Shocks()
    most = float(np.var(value)) * count / enough + 1e-300
    variance = float(optimize.brentq(spread, 0.0, most)) if spread(most) < 0 else most
    off = value - value.mean()
    whole = float(np.sum(off**2))
    memory, skewness = MEMORY, 0.0
    if count >= LONG and whole:
        share = variance / (variance + float(noise.mean()))
        seen = float(np.sum(off[1:] * off[:-1])) / whole
        memory = min(max(seen / share + 2 / count, 0.0), 0.9)
        skewness = float(np.clip(stats.skew(off, bias=False), -MOST_SKEWED, MOST_SKEWED))
    return Shocks(variance, count - 1.0, memory, skewness)


def spread(sums: Sums, effect: DesignEffect, shock: Shocks, *, lasting: bool = False) -> float:
    """Return the standard deviation of a batch's deviation.

    Parameters
    ----------
    sums
        The batch.
    effect, shock
        The design effect within a period, and the shocks of whole ones.
    lasting
        Of a deviation that is to be added up over periods: shocks that last add up faster.

    """
    longer = (1 + shock.memory) / (1 - shock.memory) if lasting else 1.0
    return math.sqrt(effect.of(sums).factor * sums.variance / sums.size**2 + longer * shock.variance)


def score(
    sums: Sums, bound: float, effect: DesignEffect, shock: Shocks, *, lasting: bool = False, step: float = 0.0
) -> float:
    """Return by how much a batch's deviation is above a bound, as a quantile of the standard normal.

    Parameters
    ----------
    sums
        The batch.
    bound
        The largest deviation that is still right.
    effect, shock, lasting
        As for :func:`spread`.
    step
        By how much the total moves from one value to the next, where it counts something.

    Returns
    -------
    float
        Standard normal or smaller if the true deviation is at most the bound; within +-`FARTHEST`.

    """
    sd = spread(sums, effect, shock, lasting=lasting)
    if not sd:
        return 0.0
    effect = effect.of(sums)
    above = (sums.deviation - bound - step / 2 / sums.size) / sd
    within = effect.factor * sums.variance / sums.size**2
    cube = effect.factor**1.5 * sums.cube / sums.size**3 + shock.skewness * shock.variance**1.5
    skewness = min(max(cube / (within + shock.variance) ** 1.5, -MOST_SKEWED), MOST_SKEWED)
    normal = normal_score(above, skewness)
    freedom = freedom_of_sum((within, effect.freedom), (shock.variance, shock.freedom))
    return normal if math.isinf(freedom) else _quantile(float(stats.t.logsf(normal, freedom)))


def margin(score_: float, sums: Sums, effect: DesignEffect, shock: Shocks) -> float:
    """Return by how much a batch's deviation is above a bound if it has this score, its skewness aside.

    Parameters
    ----------
    score_
        As :func:`score` returns it.
    sums, effect, shock
        As for :func:`score`.

    """
    own = effect.of(sums)
    within = own.factor * sums.variance / sums.size**2
    freedom = freedom_of_sum((within, own.freedom), (shock.variance, shock.freedom))
    return float(stats.t.isf(stats.norm.sf(score_), freedom)) * spread(sums, effect, shock)


def freedom_of_sum(*parts: tuple[float, float]) -> float:
    """Return the degrees of freedom of a sum of variances, each known with so many (Satterthwaite 1946).

    >>> freedom_of_sum((1.0, 10.0), (1.0, 10.0)), freedom_of_sum((1.0, 10.0), (1.0, math.inf))
    (20.0, 40.0)
    """
    unknown = sum(variance**2 / freedom for variance, freedom in parts)
    return sum(variance for variance, _ in parts) ** 2 / unknown if unknown else math.inf


def normal_score(above: float, skewness: float) -> float:
    """Return the quantile of the standard normal that a skewed sum's standard score stands for (Pearson III).

    >>> round(normal_score(3.0, 0.0), 3), round(normal_score(3.0, 0.5), 2)
    (3.0, 2.55)
    """
    if abs(skewness) < 1e-6:
        return max(-FARTHEST, min(above, FARTHEST))
    return _quantile(float(stats.pearson3.logsf(above, skewness)))


def _quantile(log_chance: float) -> float:
    """The value that a standard normal exceeds with a chance of which this is the log."""
    if log_chance == -math.inf:
        return FARTHEST
    return max(-FARTHEST, min(-float(special.ndtri_exp(log_chance)), FARTHEST))
