"""Is a stream of batches still within its bound? Looked at after every batch, for as long as one likes.

Whoever looks again and again at a test of fixed size ends up with a false alarm. An e-detector may be looked
at as often as one likes: it is a bettor who, from every batch on, stakes on "the deviation is above the
bound". At or below the bound no such bet gains on average, so great wealth is evidence.

Most of the capital bets on single batches: it is lost unless a batch by itself is so far above the bound that
chance would do that in a share ``SINGLE * alpha`` of them; then it alone raises the alarm. So a sudden change
is seen in the batch that has it. The rest is staked on every batch from some one on, in fractions for large
and for small changes, and finds what no batch shows by itself.

What is guaranteed, if the scores (:func:`perenne.stats.deviation.score`) of batches at the bound are standard
normal or smaller given the past: the expected number of batches until a false alarm is at least 1 / alpha,
and the chance of one within n is at most n * alpha. Detectors that run together share alpha, in parts that
sum to 1. Where several have evidence at once each needs less (:func:`alarms`): of the streams that an alarm
names, at most a share alpha is named wrongly on average.

References
----------
Shin, Ramdas & Rinaldo 2023, E-detectors: a nonparametric framework for sequential change detection, New
England J. Stat. Data Sci. 2 (the guarantee; mixtures of Shiryaev-Roberts sums). Wang & Ramdas 2022, False
discovery rate control with e-values, JRSS B 84 (several streams). Shewhart 1931, Economic Control of Quality
of Manufactured Product (single batches). Hinkley 1970, Inference about the change-point in a sequence of
random variables, Biometrika 57 (the date).

"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

SINGLE = 0.75  # of the capital bets on single batches: most changes are sudden
TILTS = (0.5, 1.0, 2.0)  # standard deviations above the bound, at which each bettor wins most

NOTHING = -30.0  # the log of evidence that is none; minus infinity is no number in JSON


class Wealth(NamedTuple):
    """What a detector carries from batch to batch.

    ``log_r``: per tilt, the log of the sum of the wealth of all who bet on lasting changes. ``single``: the
    log of the wealth of who bet on the last batch alone.
    """

    log_r: tuple[float, ...] = (-math.inf,) * len(TILTS)
    single: float = -math.inf

    @property
    def log_e(self) -> float:
        """The log of the evidence; it raises the alarm when it reaches log(1 / alpha)."""
        lasting = float(np.logaddexp.reduce(self.log_r)) - math.log(len(self.log_r))
        return max(
            float(np.logaddexp(math.log(1 - SINGLE) + lasting, math.log(SINGLE) + self.single)), NOTHING
        )


def update(wealth: Wealth, score: float, lasting: float, *, alpha: float) -> Wealth:
    """Return the wealth after a batch.

    Parameters
    ----------
    wealth
        That after the batch before; ``Wealth()`` at first.
    score, lasting
        By how much the batch is above the bound, on the scale of a standard normal: by itself, and as a part
        of a sum over batches, where shocks that last count for more.
    alpha
        False alarms per batch, at most; this detector's share of them.

    Examples
    --------
    >>> calm = update(Wealth(), 0.0, 0.0, alpha=1e-3)
    >>> round(update(calm, 3.5, 3.5, alpha=1e-3).log_e - math.log(1e3), 1)
    0.0
    >>> update(calm, 3.0, 3.0, alpha=1e-3).log_e < math.log(1e3)
    True

    """
    log_r = tuple(
        float(np.logaddexp(0.0, before)) + tilt * lasting - tilt**2 / 2
        for before, tilt in zip(wealth.log_r, TILTS, strict=True)
    )
    rare = score >= limit(alpha)
    return Wealth(log_r, -math.log(SINGLE * alpha) if rare else -math.inf)


def limit(alpha: float) -> float:
    """The score from which a batch by itself raises the alarm.

    >>> round(limit(1 / 160 / 4), 2)
    3.04
    """
    return -float(special.ndtri(SINGLE * alpha))


def began(scores: Sequence[float]) -> int:
    """Return the place of the batch with which a change most probably began: 0 is the first.

    It is the start from which on the scores have the greatest likelihood ratio against no change: the largest
    (sum)^2 / number, of positive sums.

    >>> began([0.1, -0.4, 3.1, 2.8])
    2
    """
    sums = np.cumsum(np.asarray(scores, dtype=np.float64)[::-1]).clip(0)
    ratio = sums**2 / np.arange(1, len(sums) + 1)
    return len(sums) - 1 - int(np.argmax(ratio))


def alarms(log_e: Sequence[float], shares: Sequence[float], alpha: float) -> list[bool]:
    """Return which detectors raise the alarm: the e-Benjamini-Hochberg procedure, weighted.

    Parameters
    ----------
    log_e
        The log of each detector's evidence.
    shares
        Of alpha, one for each; they sum to 1 at most.
    alpha
        False alarms per batch, of all together.

    Examples
    --------
    Each of two equal detectors needs log(2 / 0.1) = 3.0; where both have evidence, 2.3 is enough.

    >>> alarms([2.9, 0.0], [0.5, 0.5], 0.1), alarms([2.9, 2.4], [0.5, 0.5], 0.1)
    ([False, False], [True, True])

    """
    weighed = np.asarray(log_e, dtype=np.float64) + np.log(shares)
    ordered = np.sort(weighed)[::-1]
    enough = ordered >= -math.log(alpha) - np.log(np.arange(1, len(ordered) + 1))
    if not enough.any():
        return [False] * len(weighed)
    least = ordered[np.flatnonzero(enough)[-1]]
    return [bool(value >= least) for value in weighed]
