"""How much better one model is than another on the same rows, and how sure that is.

Both models meet the same rows, so what makes a row hard for both cancels in the difference of their
influences (:mod:`perenne.stats.influence`). Rows of a block (a day, an employee) resemble each other, so
the sums of blocks vary independently: a thousand flights of one bad day are one piece of evidence. Days that
follow a bad day may be bad too: blocks in order of time count for as many as they tell
(:mod:`perenne.stats.memory`). A block with many of the rows pulls the value towards itself, and then seems
nearer to it than it is: blocks count as far off as they are from the value without them.
"""

from __future__ import annotations

import math

import numpy as np

from perenne.stats.estimate import Estimate as Estimate
from perenne.stats.estimate import Nearer as Nearer
from perenne.stats.influence import Influence
from perenne.stats.memory import effect_on_mean
from perenne.stats.metrics import METRICS, Array
from perenne.stats.sharing import FEWEST, Codes


def estimate(influence: Influence, codes: Codes, count: int, *, ordered: bool = False) -> Estimate:
    """Return a metric with its standard error over blocks.

    Where blocks follow each other in time, neighbours may resemble each other, and then fewer blocks count:
    how much they do is measured on the blocks' sums (:func:`perenne.stats.memory.effect_on_mean`).

    Parameters
    ----------
    influence
        Of the rows that are judged: all of them, or a slice by itself.
    codes
        The block of each of these rows, shape (rows,), numbered from 0 to ``count`` - 1. Blocks that do not
        occur do not count.
    count
        How many blocks there are in all.
    ordered
        Whether blocks are numbered in order of time. An entity's have no order.

    Returns
    -------
    Estimate
        The metric in its own unit, and as ``blocks`` how many of them occur. The error is NaN if fewer than
        two do. The skewness is 0 if fewer than three do, or if the sums of all are 0. With fewer than ten
        blocks, or eleven that are ordered, or so many that count for fewer than ten because of unequal
        sizes, bounds are infinite.

    Raises
    ------
    ValueError
        If not every row has a block.

    References
    ----------
    Liang & Zeger 1986, Longitudinal data analysis using generalized linear models, Biometrika 73, 13-22 (sums
    by block). Bell & McCaffrey 2002, Bias reduction in standard errors for linear regression with multi-stage
    samples, Survey Methodology 28, 169-181, and MacKinnon, Nielsen & Webb 2023, Cluster-robust inference: a
    guide to empirical practice, J. Econometrics 232, 272-299 (their CV3, the jackknife over blocks: exact for
    blocks of one size, else on the safe side; CV2 is not where rows of a block share much). Imbens & Kolesar
    2016, Robust standard errors in small samples, Rev. Econ. Statist. 98, 701-712 (degrees of freedom by how
    unequal blocks are). Joanes & Gill 1998, Comparing measures of sample skewness and kurtosis, The
    Statistician 47, 183-189 (their G1).

    Examples
    --------
    >>> from perenne.stats.influence import mae
    >>> estimate(mae([1, 2, 3, 4], [1, 2, 5, 6]), np.array([0, 0, 1, 1]), count=3)[:3]
    (1.0, 1.0, 2)

    """
    if codes.shape != influence.rows.shape:
        raise ValueError(f"expected a block for each of {len(influence.rows)} rows, received {len(codes)}")
    sizes = np.bincount(codes, minlength=count)
    occurs = sizes > 0
    present = int(np.count_nonzero(occurs))
    if present < 2:
        return Estimate(influence.value, math.nan, present)
    sizes, rows = sizes[occurs], len(codes)
    sums: Array = np.bincount(codes, influence.rows, minlength=count).astype(np.float64)[occurs]
    evenness = rows**2 / (present * int(np.sum(sizes**2)))
    fewest = max(FEWEST + ordered, FEWEST / evenness)
    # Not `sums @ sums`: BLAS may use threads, whose number then shows in the last digits.
    deviation = math.sqrt(float(np.sum(sums**2)) / (present - 1))
    skewed = present > 2 and deviation > 0
    effect = effect_on_mean(sums) if ordered and skewed else 1.0
    # As far off as each block is from the value without it; as they are if all are of one size.
    squares = float(np.sum((sums * (1 - 1 / present) / (1 - sizes / rows)) ** 2))
    # About their own mean, blocks that resemble each other vary less than they do.
    error = math.sqrt(present * squares / (present - effect) * effect) / rows
    cubes = float(np.sum((sums / deviation) ** 3)) if skewed else 0.0
    skewness = cubes * present / ((present - 1) * (present - 2)) if skewed else 0.0
    return Estimate(influence.value, error, present, skewness, effect, evenness, fewest)


def gain(
    metric: str, new: Influence, old: Influence, codes: Codes, count: int, *, ordered: bool = False
) -> Estimate | Nearer:
    """Return how much nearer to the best value the new model is than the old one, above 0 if it is.

    Parameters
    ----------
    metric
        One of :data:`perenne.stats.metrics.METRICS`; whether less or more is better is written there.
    new, old
        The influences of both models on the same rows.
    codes, count, ordered
        As for :func:`estimate`.

    Returns
    -------
    Estimate or Nearer
        In the unit of the metric: :class:`Nearer` for a metric whose values can miss the best one to either
        side (``observed_expected``, ``bias``), otherwise an :class:`Estimate`.

    Raises
    ------
    KeyError
        If the metric is not known.
    ValueError
        If not every row has a block.

    Examples
    --------
    Four days of two flights: the new model errs by an hour less on every second day.

    >>> from perenne.stats.influence import mae
    >>> from perenne.stats.sharing import coded
    >>> day, count = coded([1, 1, 2, 2, 3, 3, 4, 4])
    >>> y, old, new = np.zeros(8), np.full(8, 2.0), np.array([1, 1, 2, 2, 1, 1, 2, 2])
    >>> gain("mae", mae(y, new), mae(y, old), day, count)[:3]  # doctest: +ELLIPSIS
    (0.5, 0.288..., 4)

    """
    better, best = METRICS[metric].goal
    if better == "towards":
        both = Influence(old.value + new.value - 2 * best, old.rows + new.rows)
        apart = _less(old, new)
        return Nearer(*(estimate(each, codes, count, ordered=ordered) for each in (apart, both)))
    less = _less(old, new) if better == "lower" else _less(new, old)
    return estimate(less, codes, count, ordered=ordered)


def _less(one: Influence, other: Influence) -> Influence:
    return Influence(one.value - other.value, one.rows - other.rows)
