"""Whether a model scores a row clearly slower than another: races until it is decided, on any machine.

A fixed number of races leaves a ratio near the limit to chance. Here the two take turns until the median
ratio of their times is proven on one side of the limit. The evidence for a side is a mixture over coins: how
much likelier the races so far are under a coin that favours the side, uniformly drawn, than under a fair one.
By Ville's inequality it ever reaches 1 / `ERROR` for the wrong side with a chance of at most `ERROR`,
whenever the races stop. Two models far from the limit need some 25 races.

References
----------
Ville 1939, Étude critique de la notion de collectif. Robbins 1970, Statistical methods related to the law of
the iterated logarithm, Annals of Mathematical Statistics 41, 1397-1409 (mixtures).

"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from scipy import special

ERROR = 1e-6  # of each side
MOST = 500  # races: who is that near the limit counts as above it
WARM_UP = 3

Runner = Callable[[], object]


class Race(NamedTuple):
    """The median ratio of the times, between the bounds that are proven."""

    ratio: float
    low: float
    high: float


def race(new: Runner, old: Runner, limit: float) -> Race:
    """Race two runners until the median of new / old is proven below a limit, or above it.

    The two take turns, so that other work of the machine slows both, and so does going first.

    Parameters
    ----------
    new, old
        Each call is a run.
    limit
        Of the ratio.

    Returns
    -------
    Race
        From 0 to the limit if the median is below it; otherwise, also if `MOST` races do not decide, from the
        limit to infinity.

    """
    for runner in (new, old) * WARM_UP:
        runner()
    ratios: list[float] = []
    above = 0
    while len(ratios) < MOST:
        ratios.append(_ratio(new, old, first_new=len(ratios) % 2 == 0))
        above += ratios[-1] > limit
        if evidence(len(ratios) - above, len(ratios)) >= 1 / ERROR:
            return Race(median(ratios), 0.0, limit)
        if evidence(above, len(ratios)) >= 1 / ERROR:
            break
    return Race(median(ratios), limit, math.inf)


def evidence(hits: int, tosses: int) -> float:
    """Return how much likelier some tosses are under coins that favour hits than under a fair one.

    Examples
    --------
    >>> round(evidence(10, 10)), round(evidence(5, 10), 1)
    (186, 0.4)

    """
    a, b = hits + 1, tosses - hits + 1
    log = (tosses + 1) * math.log(2) + float(special.betaln(a, b))
    return math.exp(log) * float(special.betaincc(a, b, 0.5))


def _ratio(new: Runner, old: Runner, *, first_new: bool) -> float:
    if first_new:
        first = _seconds(new)
        return first / _seconds(old)
    first = _seconds(old)
    return _seconds(new) / first


def _seconds(runner: Runner) -> float:
    start = time.perf_counter()
    runner()
    return time.perf_counter() - start
