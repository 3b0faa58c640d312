"""A value with its standard error over blocks, and bounds that heed how skewed the blocks are.

Student's t is too sure where losses are rare and large: with 30 blocks of skewness -2 a lower bound at a
nominal .05 is too high in .10 of all cases. A bound is therefore the more careful of Student's and of Hall's,
whose cubic takes the skewness out of t. Hall's alone would trust a skewness that 30 blocks show badly, and
err more often than Student's where tails are long to both sides, as those of real days are. At small levels
samples err that have not seen the tail at all: there Hall's takes more skewness than is seen.

How often the lower bound is above the truth, as a multiple of the nominal level, by Student's t -> by ours
(`tests/bench_gate.py`; real: of six differences in log loss between models of flights, the worst):

    blocks  level   normal           skewed days      skewness -2      real days
        30   .05    1.0 -> 1.0       1.7 -> 1.2       2.0 -> 1.2       1.4 -> 1.3
        30   .025   1.0 -> 0.9       2.1 -> 1.3       2.6 -> 1.2       1.7 -> 1.5
        30   .005   1.1 -> 0.6       4.0 -> 1.3       5.5 -> 0.7       2.3 -> 1.9
       100   .05    1.0 -> 1.0       1.3 -> 1.0       1.5 -> 1.1       1.2 -> 1.1
       100   .025   1.0 -> 0.9       1.5 -> 1.0       1.8 -> 1.1       1.3 -> 1.1
       100   .005   1.1 -> 0.8       2.4 -> 1.1       3.2 -> 1.1       1.7 -> 1.3
     1,000   .05    1.0 -> 1.0       1.1 -> 1.0       1.2 -> 1.0
     1,000   .025   1.0 -> 1.0       1.2 -> 1.0       1.3 -> 1.1
     1,000   .005   0.9 -> 0.9       1.2 -> 0.8       1.3 -> 0.9

The price: at the level .05 a true gain of three standard errors is seen in .89 instead of .90 of all cases
with 30 normal blocks, in .78 instead of .86 with 30 skewed days or 30 of the worst real ones, in .86 instead
of .89 with 100 of these. Smaller levels cost more: at .003 four and a half standard errors are seen in .82
instead of .90 of all cases with 30 normal blocks, in .21 instead of .45 with 30 of skewness -2.

Where blocks follow each other in time, neighbours may resemble each other, and `effect` says how many blocks
then tell as much as one (:mod:`perenne.stats.memory`). At .0335 equal models pass in .03 to .04 of all cases
with 30 or 100 days whose autocorrelation is .3, .5 or .7, where .08 to .22 would if days were taken for
independent; with as much noise of each day's own in .04 to .07. Measuring it costs 7 % of the power with 30
independent normal blocks, 15 % with 30 of skewness -2, 3 to 5 % with 100 (`tests/bench_dependence.py`).

Too few blocks tell nothing. Of seven days, or ten, with an autocorrelation of .7 nobody can see it, and equal
models pass in .14 to .16 of all cases at .025. So there is no bound with fewer than ten blocks, or eleven of
which neighbours may resemble each other. Blocks of unequal size count for fewer (Kish): one that has half of
the rows decides almost alone.

References
----------
Student 1908, The probable error of a mean, Biometrika 6, 1-25. Johnson 1978, Modified t tests and confidence
intervals for asymmetrical populations, JASA 73, 536-544. Hall 1992, On the removal of skewness by
transformation, JRSS B 54, 221-228. Kish 1965, Survey Sampling, section 11.7 (unequal weights). Carter,
Schnepel & Steigerwald 2017, Asymptotic behavior of a t-test robust to cluster heterogeneity, Rev. Econ.
Statist. 99, 698-709 (how many clusters count).

"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy import optimize, special

from perenne.stats.sharing import FEWEST

LEAST = 0.5  # degrees of freedom: where blocks count for fewer than one
ALONE, BEYOND = 1.645, 1.2  # down to the level .05 the skewness that is seen is enough; then more by so much
MOST_BLOCKS = 1e12  # if that many do not decide, the value is at the threshold, up to rounding

Bounds: TypeAlias = tuple[float, float]


class Estimate(NamedTuple):
    """A value, its standard error over blocks, how many there are, and how skewed their sums are.

    `effect` is the variance of the value over what it would be if neighbouring blocks were independent: so
    many blocks tell as much as one. The error heeds it. `evenness` is the share of the blocks that as many
    rows would make if all were of one size. `fewest` is how many blocks of this kind there must be: with
    fewer, bounds are infinite. With fewer than two blocks the error is NaN, and so are the bounds.
    """

    value: float
    error: float
    blocks: int
    skewness: float = 0.0
    effect: float = 1.0
    evenness: float = 1.0
    fewest: float = FEWEST

    @property
    def few(self) -> str:
        """Return for people that the blocks are too few to tell, if so; else nothing."""
        return _few(self)

    def bounds(self, alpha: float) -> Bounds:
        """Return the lower and the upper bound: each has the true value beyond it with a chance of alpha.

        Without any alpha they are infinite, and so they are with fewer than `fewest` blocks.

        Parameters
        ----------
        alpha
            The error of each bound, one-sided.

        Returns
        -------
        Bounds
            Lower and upper bound, in the unit of the value.

        Raises
        ------
        ValueError
            If alpha is not in [0, 0.5).

        Examples
        --------
        >>> [round(bound, 4) for bound in Estimate(0.02, 0.01, blocks=30).bounds(0.05)]
        [0.003, 0.037]
        >>> [round(bound, 4) for bound in Estimate(0.02, 0.01, blocks=30, skewness=-1).bounds(0.05)]
        [0.0005, 0.037]
        >>> [round(bound, 4) for bound in Estimate(0.02, 0.01, blocks=30, effect=3).bounds(0.05)]
        [0.0017, 0.0383]

        """
        return self.foreseen(alpha, self.blocks)

    def foreseen(self, alpha: float, blocks: float) -> Bounds:
        """Return the bounds that so many blocks of the same kind would give.

        Parameters
        ----------
        alpha
            The error of each bound, one-sided.
        blocks
            How many blocks in all, above 1; it need not be whole.

        Returns
        -------
        Bounds
            Lower and upper bound, in the unit of the value: NaN without an error, infinite if alpha is 0 or
            blocks are fewer than `fewest`.

        Raises
        ------
        ValueError
            If alpha is not in [0, 0.5).

        """
        if not 0 <= alpha < 0.5:
            raise ValueError(f"expected alpha in [0, 0.5), received {alpha}")
        if math.isnan(self.error):
            return math.nan, math.nan
        if not alpha or blocks < self.fewest:
            return -math.inf, math.inf
        error = self.error * math.sqrt(self.blocks / blocks)
        independent = blocks * self.evenness / self.effect
        t = -float(special.stdtrit(max(independent - 1, LEAST), alpha))
        low, high = (_reach(t, tail / math.sqrt(independent)) for tail in self._tails(alpha, blocks))
        return self.value - error * low, self.value + error * high

    def _tails(self, alpha: float, blocks: float) -> Bounds:
        """Return the skewness towards the lower and the upper bound, as much as so many blocks may hide.

        At a small level a bound depends on blocks that few samples have seen. So it allows for more skewness
        than is seen, by 1.2 of its standard errors for each one that the level is beyond .05.
        """
        hidden = BEYOND * max(-float(special.ndtri(alpha)) - ALONE, 0) * math.sqrt(6 / (blocks + 3))
        return self.skewness - hidden, -self.skewness - hidden

    def blocks_to_decide(self, threshold: float, alpha: float) -> float:
        """Return about how many blocks in all would put a bound past the threshold, going by those seen.

        With so many, the chance that it gets there is about one half. Infinite if the value is at the
        threshold or there is no alpha, `fewest` with a single block, else NaN without an error.

        Parameters
        ----------
        threshold
            In the unit of the value. If the value is above it, the lower bound must pass it, else the upper.
        alpha
            The error of each bound, one-sided.

        Returns
        -------
        float
            At least `fewest`. It need not be whole.

        Raises
        ------
        ValueError
            If alpha is not in [0, 0.5).

        Examples
        --------
        >>> round(Estimate(0.02, 0.02, blocks=100).blocks_to_decide(0, alpha=0.05))
        272

        """
        return _blocks_to_decide(self, threshold, alpha)


class Nearer(NamedTuple):
    """How much nearer to the best value one model is than another, where both may miss it to either side.

    With the deviations o of the old model and n of the new, |o| - |n| is the smaller of |o - n| and |o + n|,
    above 0 if o - n and o + n have one sign. Chance moves both models together: two that miss by as much to
    opposite sides then seem to miss to the same side, one of them by less, and that difference seems certain.
    At the signs that are seen, a nominal 5 % can be 40 %. So the bounds go over all that those of ``apart``,
    o - n, and ``both``, o + n, allow, each at half of alpha, for a model that does not miss may seem to miss
    to either side.
    """

    apart: Estimate
    both: Estimate

    @property
    def value(self) -> float:
        """Return |o| - |n|."""
        return _nearer(self.apart.value, self.both.value)

    @property
    def error(self) -> float:
        """Return the standard error, given the sides that the models are seen to miss to."""
        return min(self, key=lambda each: abs(each.value)).error

    @property
    def blocks(self) -> int:
        """Return how many there are."""
        return self.apart.blocks

    @property
    def fewest(self) -> float:
        """Return how many there must be."""
        return self.apart.fewest

    @property
    def few(self) -> str:
        """Return for people that the blocks are too few to tell, if so; else nothing."""
        return _few(self)

    def bounds(self, alpha: float) -> Bounds:
        """Return the lower and the upper bound, as :meth:`Estimate.bounds`.

        Parameters
        ----------
        alpha
            The error of each bound, one-sided; each of the two estimates gets half of it.

        Returns
        -------
        Bounds
            Lower and upper bound of |o| - |n|: NaN if an estimate has no error, else infinite if alpha is 0.

        Raises
        ------
        ValueError
            If alpha is not in [0, 1).

        Examples
        --------
        Two models expect too few events, by 10 and 8 in 100; then the same, but chance may have done it.

        >>> apart = Estimate(0.02, 0.005, blocks=100)
        >>> [round(bound, 3) for bound in Nearer(apart, Estimate(0.18, 0.02, 100)).bounds(0.05)]
        [0.01, 0.03]
        >>> [round(bound, 3) for bound in Nearer(apart, Estimate(0.18, 0.2, 100)).bounds(0.05)]
        [-0.03, 0.03]

        """
        return self.foreseen(alpha, self.blocks)

    def foreseen(self, alpha: float, blocks: float) -> Bounds:
        """Return the bounds that so many blocks of the same kind would give.

        Parameters
        ----------
        alpha
            As for :meth:`bounds`.
        blocks
            How many blocks in all, above 1; it need not be whole.

        Returns
        -------
        Bounds
            As those of :meth:`bounds`.

        Raises
        ------
        ValueError
            If alpha is not in [0, 1).

        """
        # Between the signs |o| - |n| rises or falls with each of the two: its extremes lie in the corners.
        corners = [
            _nearer(apart, both)
            for apart in self.apart.foreseen(alpha / 2, blocks)
            for both in self.both.foreseen(alpha / 2, blocks)
        ]
        return float(np.min(corners)), float(np.max(corners))

    def blocks_to_decide(self, threshold: float, alpha: float) -> float:
        """Return about how many blocks in all would put a bound past the threshold.

        Parameters
        ----------
        threshold
            In the unit of the value. If the value is above it, the lower bound must pass it, else the upper.
        alpha
            As for :meth:`bounds`.

        Returns
        -------
        float
            As that of :meth:`Estimate.blocks_to_decide`.

        Raises
        ------
        ValueError
            If alpha is not in [0, 1).

        """
        return _blocks_to_decide(self, threshold, alpha)


def _nearer(apart: float, both: float) -> float:
    """Return |o| - |n| from o - n and o + n."""
    return float(np.sign(apart) * np.sign(both)) * min(abs(apart), abs(both))


def _reach(t: float, skewness: float) -> float:
    """Return how many standard errors below the value its bound lies, if the mean's skewness is this.

    Hall's transformation of t is 3 * y / (c^2 + c + 1), c the cube root of 1 + skewness * y and y = t -
    skewness / 6. It is used only where it is the more careful one.
    """
    centred = t - skewness / 6
    root = math.cbrt(1 + skewness * centred)
    return max(t, 3 * centred / (root**2 + root + 1))


def _blocks_to_decide(gained: Estimate | Nearer, threshold: float, alpha: float) -> float:
    above = gained.value > threshold

    def past(log_blocks: float) -> float:
        low, high = gained.foreseen(alpha, math.exp(log_blocks))
        return low - threshold if above else threshold - high

    if gained.blocks == 1 and not math.isnan(gained.value):
        return gained.fewest
    # A rounding error below the fewest, there would be no bound.
    fewest, most = math.log(gained.fewest) + 1e-9, math.log(MOST_BLOCKS)
    if math.isnan(past(most)):
        return math.nan
    if past(most) <= 0:
        return math.inf
    return gained.fewest if past(fewest) > 0 else math.exp(optimize.brentq(past, fewest, most))


def _few(gained: Estimate | Nearer) -> str:
    if gained.blocks >= gained.fewest:
        return ""
    called = "1 block is" if gained.blocks == 1 else f"{gained.blocks:,} blocks are"
    if gained.blocks <= FEWEST:
        return f"{called} too few to tell"
    one = gained if isinstance(gained, Estimate) else gained.apart
    uneven = one.blocks * one.evenness <= FEWEST + 1
    why = "a few have most of the rows" if uneven else "hardly any has an event"
    return f"{called}, of which {why}, too few to tell"
