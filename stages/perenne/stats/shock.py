"""What whole periods add to the error of a value: a cold month, a campaign, a strike.

Days of one month share it, so bounds over days do not see it; and a holdout of three months cannot show how
months differ. Earlier months can: what both models said of rows of validation. There a value has two
variances, over periods and over the blocks within them, and what the first has more is added.

Of two models that see the same row alike, both gain or lose by a cold month, and little of it is left in
their difference. So it is measured on the value itself, such as a gain, and not on the errors of one model.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from perenne.stats.deviation import freedom_of_sum
from perenne.stats.estimate import Estimate


class Shock(NamedTuple):
    """What a whole period adds to the variance of a value, known with so many degrees of freedom."""

    variance: float
    freedom: float


def shock(by_period: Estimate, by_block: Estimate) -> Shock:
    """Return what whole periods add to the variance of a value, beyond what their blocks do.

    The same value of the same rows has two variances: over periods, and over blocks that lie within them.
    What the first has more is what whole periods share. Shocks that last are in it as if they were larger.

    Parameters
    ----------
    by_period, by_block
        From :func:`perenne.stats.paired.estimate`, with both labels.

    Returns
    -------
    Shock
        That of a value that rests on a single period. 0 where periods differ by no more than their blocks
        explain.

    References
    ----------
    Cameron, Gelbach & Miller 2011, Robust inference with multiway clustering, J. Bus. Econ. Statist. 29,
    238-249 (variances of two clusterings, less that of both).

    Examples
    --------
    >>> [round(each, 4) for each in shock(Estimate(0.1, 0.05, blocks=16), Estimate(0.1, 0.03, blocks=480))]
    [0.0256, 15.0]

    """
    count = by_period.blocks * by_period.evenness
    more = max(by_period.error**2 - by_block.error**2, 0.0)
    return Shock(more * count, max(count / by_period.effect - 1, 1.0))


def crossed(one: Estimate, other: Estimate, cells: Estimate) -> Estimate:
    """Return an estimate of rows that share two things, such as a person and a day.

    Its variance is that over persons, and what days add beyond what rows of one person and day share; it is
    not less than either alone.

    Parameters
    ----------
    one, other
        The same value over both labels.
    cells
        The same over rows that share both.

    References
    ----------
    Cameron, Gelbach & Miller 2011, as for :func:`shock`.

    Examples
    --------
    >>> found = crossed(Estimate(0, 0.03, 50), Estimate(0, 0.04, 40), Estimate(0, 0.01, 2_000))
    >>> round(found.error**2, 4), found.blocks
    (0.0024, 50)

    """
    squares = [each.error**2 for each in (one, other, cells)]
    added = max(squares[1] - min(squares[0], squares[2]), 0.0)
    freedom = max(other.blocks * other.evenness / other.effect - 1, 1.0)
    # As many more blocks as it takes to have enough of the others.
    fewest = one.blocks * other.fewest / other.blocks if other.few and other.blocks else 0.0
    return shocked(one, Shock(added, freedom), 1)._replace(fewest=max(one.fewest, fewest))


def shocked(found: Estimate, by: Shock, periods: float) -> Estimate:
    """Return an estimate whose error has what whole periods add, which its blocks cannot show.

    Parameters
    ----------
    found
        Over blocks, such as days.
    by
        From :func:`shock`, of other periods.
    periods
        How many the estimate rests on; of unequal size, as many as they count for.

    Returns
    -------
    Estimate
        With the degrees of freedom of both (Satterthwaite 1946) as its evenness.

    """
    added = by.variance / periods
    if not added or math.isnan(found.error):
        return found
    before = max(found.blocks * found.evenness / found.effect - 1, 1.0)
    freedom = freedom_of_sum((found.error**2, before), (added, by.freedom))
    error = math.hypot(found.error, math.sqrt(added))
    return found._replace(
        error=error,
        skewness=found.skewness * (found.error / error) ** 3,
        evenness=min((freedom + 1) * found.effect / found.blocks, 1.0),
    )
