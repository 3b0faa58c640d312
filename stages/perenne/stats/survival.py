"""The period age at retirement: when a cohort would leave that met, age by age, this period's hazards.

The mean age of those seen leaving misleads when behaviour changes: those who now wait are not among them,
so it first falls when people begin to leave later. The period age asks everybody still at work instead.
It is the expectation of a period life table in which leaving takes the place of death (Preston, Heuveline
& Guillot 2001, Demography: Measuring and Modeling Population Processes, ch. 3), and what French
statistics call the "âge conjoncturel de départ à la retraite" (DREES, Les retraités et les retraites,
yearly).
"""

import math

import numpy as np
import numpy.typing as npt

from perenne.stats.metrics import Array, Weighted

MOST_UNSEEN = 0.1  # years, about a month: what an age at which nobody is seen may change in the result


def period_age(
    ages: npt.ArrayLike,
    events: npt.ArrayLike,
    *,
    weights: npt.ArrayLike | None = None,
    first: float = 60.0,
    last: float = 70.0,
    step: float = 0.25,
) -> float:
    """Return the age, in years, at which a cohort on these hazards leaves on average.

    The hazard at an age is the weighted mean of ``events`` there. The cohort is at work at ``first`` and
    walks down the ages; whoever leaves is given the age of the row, whoever never does leaves at ``last``.

    Where no row has weight the hazard is unknown, not 0. The age is then computed twice, as if nobody and
    as if everybody left there, and the middle is returned; if the two are more than 0.1 year apart, NaN.
    An age that hardly anybody reaches may thus be empty, one on the way of many may not.

    Parameters
    ----------
    ages
        Age of each row, in years, shape (rows,): ``first``, ``first + step``, ..., ``last - step``.
    events
        Whether each row leaves before the next age, shape (rows,): seen (0 or 1), or predicted, a
        probability.
    weights
        Weight of each row, shape (rows,), not negative; 1 by default.
    first, last, step
        The ages of the cohort, in years; ``last`` is a whole number of steps after ``first``.

    Raises
    ------
    ValueError
        If an age is not one of the cohort's, there is not one event in [0, 1] for each age, or ``last`` is
        not a whole number of steps after ``first``.

    Examples
    --------
    Half leave at 60, half of the others at 60.5, the rest at 61.

    >>> period_age([60, 60, 60.5, 60.5], [1, 0, 0, 1], last=61, step=0.5)
    60.375

    """
    age = prepare(ages, events, first=first, last=last, step=step)
    return age(np.ones(np.shape(ages)) if weights is None else np.asarray(weights, dtype=np.float64))


def prepare(
    ages: npt.ArrayLike,
    events: npt.ArrayLike,
    *,
    first: float = 60.0,
    last: float = 70.0,
    step: float = 0.25,
) -> Weighted:
    """Return weights -> :func:`period_age`, for the bootstrap: what does not depend on weights is done once.

    Parameters
    ----------
    ages, events, first, last, step
        As for :func:`period_age`.

    Returns
    -------
    Weighted
        From weights, float64 of shape (rows,) and not negative, to the period age in years; NaN where
        :func:`period_age` is.

    Raises
    ------
    ValueError
        As :func:`period_age`.

    Examples
    --------
    >>> age = prepare([60, 60, 60.5], [1, 0, 1], last=61, step=0.5)
    >>> age(np.array([1.0, 1.0, 1.0])), age(np.array([1.0, 3.0, 1.0]))
    (60.25, 60.375)

    """
    count = round((last - first) / step)
    if not math.isclose(first + count * step, last):
        msg = f"expected {last} to be a whole number of steps of {step} after {first}"
        raise ValueError(msg)
    codes = _codes(np.asarray(ages, dtype=np.float64), first, step, count)
    events = np.asarray(events, dtype=np.float64)
    if events.shape != codes.shape or not ((events >= 0) & (events <= 1)).all():
        raise ValueError("expected one event in [0, 1] for each age")

    def age(weights: Array) -> float:
        present = np.bincount(codes, weights, minlength=count)
        leaving = np.bincount(codes, weights * events, minlength=count)
        seen = present > 0
        hazards = leaving / np.where(seen, present, 1)
        late, early = (_mean_age(np.where(seen, hazards, unknown), first, step) for unknown in (0, 1))
        return (early + late) / 2 if late - early <= MOST_UNSEEN else math.nan

    return age


def _mean_age(hazards: Array, first: float, step: float) -> float:
    """Return the mean age at leaving, as ``first`` plus the time the cohort spends at work.

    This is the sum over ages of age * (share who reach it) * hazard, plus last * (share who never leave).
    """
    return first + step * float(np.cumprod(1 - hazards).sum())


def _codes(ages: Array, first: float, step: float, count: int) -> npt.NDArray[np.intp]:
    """Return how many steps after the first each age is."""
    places = (ages - first) / step
    codes = np.clip(np.rint(places), 0, count - 1)
    wrong = ~(np.abs(places - codes) < 1e-6)  # so written, it holds for NaN
    if wrong.any():
        row = int(np.argmax(wrong))
        msg = f"expected {count} ages from {first} in steps of {step}, but row {row} is {ages[row]}"
        raise ValueError(msg)
    return codes.astype(np.intp)
