"""Has the mean of a stream risen above what it was on the reference? Looked at after every label.

Whoever looks again and again at a test of fixed size ends up with a false alarm. An e-detector may be looked
at as often as one likes: it is a bettor who, from every moment on, stakes a fraction of what he has on "the
mean is above the bound". Below the bound no such bet gains on average, so great wealth is evidence.

What is guaranteed, if given the past the mean of every increment is at most the reference's bound: the
expected number of increments until a false alarm is at least 1 / alpha, and the chance of one within n is at
most n * alpha. Detectors that run together share alpha by adding theirs. Increments need be neither
independent nor alike. But the condition must hold given the past *in the order they come*: sort a quarter's
employees by age and it fails, hence :func:`perenne.stats.calibration.in_order`. Where rows share a day's
weather, the increment is the day's mean (:func:`perenne.stats.calibration.block_means`). Bad days that bring
bad days break the condition still. Where 10 % were guaranteed, simulated days with AR(1) memory of .4, .6 and
.8 raise a false alarm in 5, 14 and 43 % of the runs, and in 3, 7 and 21 % if the reference's bound is taken
over whole months (`tests/bench_sequential.py`).

The bound is an upper confidence bound. For a share ``1 - confidence`` of the references it is too low, by a
little, and the guarantee does not extend to them: the chance of a false alarm within n is then at most
``n * alpha + 1 - confidence``. It is asymptotic: a nominal .95 is .95 for 20,000 labels, .93 for 500.

References
----------
Shin, Ramdas & Rinaldo 2023, E-detectors: a nonparametric framework for sequential change detection, New
England J. Stat. Data Sci. 2 (the guarantee; mixtures of Shiryaev-Roberts sums). Waudby-Smith & Ramdas 2024,
Estimating means of bounded random variables by betting, JRSS B 86 (the bets).

"""

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from perenne.stats.metrics import Array

FRACTIONS = (0.012, 0.06, 0.3)  # a factor of five apart: one of them has 5/9 of the best one's growth or more
REACH = 1.0  # standard deviations: how far increments without bounds of their own are followed; 3 is slower


class Reference(NamedTuple):
    """A stream on the reference: its mean, the upper confidence bound of that, and where it is clipped."""

    mean: float
    bound: float
    low: float
    high: float


class State(NamedTuple):
    """What a detector carries from batch to batch: whole numbers, floats and lists of them, as JSON has.

    ``seen`` increments so far. Per fraction: ``wealth``, log(1 + sum of the wealth of all bettors), ``rise``,
    the log wealth of the luckiest, and ``start``, the increment that he began with. ``alarm`` is the first
    increment at which the evidence sufficed and ``since`` the one it began at, counted from 0.
    """

    seen: int = 0
    wealth: Sequence[float] = ()
    rise: Sequence[float] = ()
    start: Sequence[int] = ()
    alarm: int | None = None
    since: int | None = None


def refer(
    values: npt.ArrayLike,
    blocks: Iterable[Hashable] | None = None,
    *,
    low: float | None = None,
    high: float | None = None,
    confidence: float = 0.95,
) -> Reference:
    """Return the mean of a stream on the reference and its bound, a one-sided t over block sums.

    Parameters
    ----------
    values
        Increments of the reference, shape (increments,), of the kind to be watched: losses of rows, or means
        of days. Those of rows the model was trained on are too low.
    blocks
        The label of each increment's block, shape (increments,), where they resemble each other (an
        employee's quarters); by default each is its own.
    low, high
        Beyond them increments are clipped, here and when watched. By default a standard deviation off the
        mean, but not beyond what was seen: narrow bounds allow high stakes, where few blocks must do.
    confidence
        The chance that the bound is not below the true mean of the (clipped) increments.

    Returns
    -------
    Reference
        The mean of the clipped increments, its bound and the two limits, all in the unit of the increments.

    Raises
    ------
    ValueError
        If a value is not finite, an increment has no block, there are fewer than two blocks, or the bound is
        not above ``low``.

    References
    ----------
    Liang & Zeger 1986, Longitudinal data analysis using generalized linear models, Biometrika 73, 13-22 (sums
    by block).

    Examples
    --------
    >>> errors = np.arange(20_000) % 5 == 0
    >>> [round(x, 4) for x in refer(errors, low=0, high=1)]
    [0.2, 0.2047, 0.0, 1.0]

    """
    values = _finite(values)
    codes = np.arange(len(values)) if blocks is None else pd.factorize(pd.Series(blocks))[0]
    count = int(codes.max(initial=-1)) + 1
    if count < 2 or len(codes) != len(values) or codes.min() < 0:
        raise ValueError(f"expected a block for each of {len(values)} increments and two of them or more")
    reach = REACH * values.std()
    low = max(values.min(), values.mean() - reach) if low is None else low
    high = min(values.max(), values.mean() + reach) if high is None else high
    values = values.clip(low, high)
    mean = float(values.mean())
    sums = np.bincount(codes, values - mean, minlength=count)
    error = math.sqrt(count / (count - 1) * float(np.sum(sums**2))) / len(values)
    bound = mean + float(stats.t.ppf(confidence, count - 1)) * error
    if not low < bound:
        raise ValueError(f"expected increments that reach above {low}, but their bound is {bound}")
    return Reference(mean, bound, float(low), float(high))


def gains(values: npt.ArrayLike, reference: Reference) -> Array:
    """Return what a unit stake wins at each increment: at least -1, on average at most 0 without a change.

    Parameters
    ----------
    values
        Increments to be watched, shape (increments,), of the kind that the reference was made of.
    reference
        What :func:`refer` returned. Increments are clipped to its limits.

    Returns
    -------
    Array
        Shape (increments,), in units of the stake.

    Raises
    ------
    ValueError
        If a value is not finite.

    Examples
    --------
    >>> gains([0, 1], Reference(mean=0.2, bound=0.25, low=0, high=1))
    array([-1.,  3.])

    """
    clipped = _finite(values).clip(reference.low, reference.high)
    return (clipped - reference.bound) / (reference.bound - reference.low)


def update(
    state: State, gains: npt.ArrayLike, *, alpha: float, fractions: Sequence[float] = FRACTIONS
) -> State:
    """Return the state after a batch, with the first alarm and what it dates the change to.

    The same increments in two batches or in one come to the same, up to rounding. After an alarm the evidence
    goes on and the alarm stays; a retrained model gets a new state.

    Parameters
    ----------
    state
        That of the batch before, ``State()`` at first, or ``State(**json)``.
    gains
        Shape (increments,), in their order, from :func:`gains`. There may be none.
    alpha
        False alarms per increment, at most.
    fractions
        Of the wealth, staked each time, in (0, 1); small ones find small rises. The same for every batch.

    Returns
    -------
    State
        The state to pass with the next batch; the same one if there are no gains.

    Raises
    ------
    ValueError
        If a gain is not a number of at least -1, or alpha or a fraction is not in (0, 1).

    Examples
    --------
    The error rate goes from .20 to .30 at 3,000:

    >>> rng = np.random.default_rng(12)
    >>> errors = rng.random(6_000) < np.repeat([0.2, 0.3], 3_000)
    >>> reference = refer(rng.random(20_000) < 0.2, low=0, high=1)
    >>> state = State()
    >>> for batch in np.split(errors, 6):
    ...     state = update(state, gains(batch, reference), alpha=1 / 20_000)
    >>> print(f"Change detected at increment {state.alarm}, begun at {state.since}")
    Change detected at increment 3154, begun at 2752

    """
    gains = _finite(gains)
    if not (all(0 < f < 1 for f in (alpha, *fractions)) and fractions and (gains >= -1).all()):
        raise ValueError("expected gains of at least -1, and alpha and fractions between 0 and 1")
    if not len(gains):
        return state
    carried = State(0, *([0.0] * len(fractions),) * 2, [0] * len(fractions)) if not state.seen else state
    paths = np.cumsum(np.log1p(np.outer(fractions, gains)), axis=1)  # log wealth of who begins with the batch
    wealth = _shiryaev_roberts(paths, carried.wealth)
    enough = np.logaddexp.reduce(wealth, axis=0) >= math.log(len(fractions) / alpha)
    alarm, since = state.alarm, state.since
    if alarm is None and enough.any():
        row = int(np.argmax(enough))
        best = int(np.argmax(wealth[:, row]))
        alarm, since = state.seen + row, _luckiest(paths[best, : row + 1], carried, best)[1]
    luckiest = [_luckiest(path, carried, which) for which, path in enumerate(paths)]
    return State(
        state.seen + len(gains),
        np.logaddexp(0, wealth[:, -1]).tolist(),
        [rise for rise, _ in luckiest],
        [start for _, start in luckiest],
        alarm,
        since,
    )


def _shiryaev_roberts(paths: Array, carried: Sequence[float]) -> Array:
    """Return log R of R_t = (1 + R_{t-1}) * L_t, one row a fraction.

    Unrolled, R_t is L_1..L_t times 1 + R_0 + the sum over j < t of 1 / L_1..L_j.
    """
    stakes = np.column_stack([carried, -paths[:, :-1]])
    return paths + np.logaddexp.accumulate(stakes, axis=1)


def _luckiest(path: Array, carried: State, which: int) -> tuple[float, int]:
    """Return the log wealth of the bettor who has most (the CUSUM), and the increment he began with."""
    begins = np.concatenate([[-carried.rise[which], 0.0], path[:-1]])
    first = int(np.argmin(begins))
    start = carried.seen + first - 1 if first else carried.start[which]
    return float(path[-1] - begins[first]), start


def _finite(values: npt.ArrayLike) -> Array:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("expected a column of finite numbers")
    return values
