"""Intervals that hold when rows come in blocks (days, employees) whose rows resemble each other."""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from perenne.stats.metrics import EACH_CLASS_ALIKE, Array, Weighted
from perenne.stats.sharing import FEWEST, Codes, coded

UNKNOWN = math.nan, math.nan
MOST_UNDEFINED = 0.05  # of the resamples: beyond, those left are too select to speak for all


class Interval(NamedTuple):
    """A value and the bounds of its confidence interval, NaN where undefined or too few to tell."""

    value: float
    low: float
    high: float


def intervals(
    metrics: Mapping[str, Weighted],
    blocks: Iterable[Hashable],
    *,
    events: npt.ArrayLike | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int,
) -> dict[str, Interval]:
    """Return every metric, all rows weighing 1, with the expanded percentile interval of its block bootstrap.

    A resample draws as many blocks as there are, with replacement; a block drawn twice gives its rows
    weight 2. All metrics see the same resamples, so a difference of two models is one more metric:
    ``{"change": lambda weights: new(weights) - old(weights)}``. Resamples follow one another: memory
    grows with the rows only.

    Resamples that leave a metric undefined (NaN) are left out; if they are more than 5 %, the bounds are
    NaN. So are they where :func:`too_few` says so. Percentiles of few blocks are too near: they are moved out
    as Student's quantile is from the normal one, by the number of blocks, or of blocks with an event. Of
    several classes the most frequent one stands against all others; but where each class counts alike, as in
    a ranking (:data:`perenne.stats.metrics.EACH_CLASS_ALIKE`), the rarest one decides.

    Parameters
    ----------
    metrics
        Name -> function from weights, float64 of shape (rows,), to a number: what
        :mod:`perenne.stats.metrics` prepares, or anything made of it.
    blocks
        The label of each row's block, shape (rows,), any hashable. Rows that resemble none but
        themselves are a block each.
    events
        What a rare class is told from, shape (rows,): 0 or 1, or the place of one of several classes; None if
        there are no classes.
    resamples
        How many; 1,000 put the bounds within some 4 % of their distance from the value.
    confidence
        The share of such intervals that should hold the truth.
    seed
        Decides the resamples. The same seed gives the same bounds, up to rounding in the last digits.

    Returns
    -------
    dict[str, Interval]
        Name -> the metric with all rows weighing 1, and its bounds, in the order of ``metrics``.

    Raises
    ------
    ValueError
        If a row has no block, or ``resamples`` or ``confidence`` is out of range.

    References
    ----------
    Efron & Tibshirani 1993, An Introduction to the Bootstrap, ch. 13 (percentile intervals). Hesterberg 2015,
    What teachers should know about the bootstrap, The American Statistician 69, 371-386 (expanded ones).
    Davison & Hinkley 1997, Bootstrap Methods and their Application, section 3.8, and Field & Welsh 2007,
    Bootstrapping clustered data, JRSS B 69, 369-390 (resampling whole clusters).

    Examples
    --------
    Fifty days of four flights: on every other day all are late.

    >>> day, late = np.repeat(np.arange(50), 4), np.repeat(np.arange(50) % 2, 4)
    >>> share = {"late": lambda weights: weights @ late / weights.sum()}
    >>> [round(float(x), 2) for x in intervals(share, day, seed=0)["late"]]
    [0.5, 0.36, 0.64]

    """
    if resamples < 1 or not 0 < confidence < 1:
        msg = f"expected resamples >= 1 and 0 < confidence < 1, received {resamples} and {confidence}"
        raise ValueError(msg)
    codes, count = coded(blocks)
    told = [_telling(codes, events, name)[0] for name in metrics]
    draws = np.full((resamples, len(metrics)), math.nan)
    if max(told, default=0) >= FEWEST:
        for draw, weights in zip(draws, _weights(codes, count, seed), strict=False):
            draw[:] = [metric(weights) for metric in metrics.values()]
    unit = np.ones(len(codes))
    return {
        name: Interval(
            metric(unit), *(_bounds(draw, _tail(confidence, count)) if count >= FEWEST else UNKNOWN)
        )
        for (name, metric), draw, count in zip(metrics.items(), draws.T, told, strict=True)
    }


def too_few(blocks: Iterable[Hashable], events: npt.ArrayLike | None = None, *, metric: str = "") -> str:
    """Return why these rows cannot have an interval, for people; empty if they can.

    Below ten blocks, or ten blocks that hold the rarer class, a nominal 95 % interval holds the truth in
    60 to 90 of 100 cases.

    Of several classes, a rare one hardly moves a mean over rows: it is the blocks that hold the most frequent
    class, and those that hold any other, of which there must be ten. A mean over classes is as uncertain as
    that of the rarest: there must be ten blocks with each class that occurs.

    Parameters
    ----------
    blocks, events
        As for :func:`intervals`.
    metric
        Of which metric the interval would be, such as one of
        :data:`perenne.stats.metrics.EACH_CLASS_ALIKE`.

    Returns
    -------
    str
        One clause, such as "7 blocks are too few to tell".

    Raises
    ------
    ValueError
        If a row has no block.

    Examples
    --------
    >>> too_few(["monday", "tuesday"]), too_few(range(30), [1] * 3 + [0] * 27), too_few(range(30))
    ('2 blocks are too few to tell', '3 blocks with an event are too few to tell', '')

    """
    codes, count = coded(blocks)
    if count < FEWEST:
        return f"{count} {'block is' if count == 1 else 'blocks are'} too few to tell"
    found, kind = _telling(codes, events, metric)
    if found >= FEWEST:
        return ""
    noun, verb = ("block", "is") if found == 1 else ("blocks", "are")
    return f"{found} {noun} with {kind} {verb} too few to tell"


def _telling(codes: Codes, events: npt.ArrayLike | None, metric: str) -> tuple[int, str]:
    """Return how many blocks there are, or hold the class that fewer hold; and what that one is called."""
    if events is None:
        return len(np.unique(codes)), "a row"
    place = np.asarray(events).astype(np.intp)
    rows = np.bincount(place, minlength=2)
    if len(rows) == 2:
        return _least(codes, place, range(2)), "an event" if rows[0] > rows[1] else "a row without one"
    if metric in EACH_CLASS_ALIKE:
        return _least(codes, place, np.flatnonzero(rows)), "the rarest class"
    return _least(codes, place == np.argmax(rows), range(2)), "any but the most frequent class"


def _least(codes: Codes, labels: npt.NDArray[np.generic], among: Iterable[int]) -> int:
    """Return the number of blocks that hold the label which fewest hold; none if there is but one label."""
    held = [len(np.unique(codes[labels == label])) for label in among]
    return min(held) if len(held) > 1 else 0


def _tail(confidence: float, count: int) -> float:
    """Return the share of the resamples beyond each bound."""
    if count < FEWEST:
        return (1 - confidence) / 2
    reach = float(special.stdtrit(count - 1, (1 + confidence) / 2)) * math.sqrt(count / (count - 1))
    return float(special.ndtr(-reach))


def _weights(codes: Codes, count: int, seed: int) -> Iterator[Array]:
    """Yield the weights of the rows under one resample of the blocks after another, without end."""
    rng = np.random.default_rng(seed)
    while True:
        drawn = rng.integers(count, size=count)
        yield np.bincount(drawn, minlength=count).astype(np.float64)[codes]


def _bounds(draws: Array, tail: float) -> tuple[float, float]:
    defined = draws[~np.isnan(draws)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(draws):
        return math.nan, math.nan
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)
