"""How many labels until a rise would be seen.

Two steps. What increments would look like after the rise: of all distributions on the values seen with the
risen mean, the one nearest to the reference (the exponential tilt; for error indicators it is the error rate
itself that rises). Then how long the wealth of the best of the detector's bettors takes to reach the alarm.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from perenne.stats.metrics import Array
from perenne.stats.sequential import FRACTIONS, Reference, gains


def increments_until_seen(
    values: npt.ArrayLike,
    rise: float,
    reference: Reference,
    *,
    alpha: float,
    fractions: Sequence[float] = FRACTIONS,
) -> float:
    """Return about how many increments pass from a rise of the mean to the alarm.

    Infinity if the rise stays below the reference's bound, or so near that no fraction staked grows, or if no
    mix of the values seen has that mean. For a detector at its start; after a long calm it is a little less.

    Simulated medians are 0.7 to 1.4 times this (`tests/bench_sequential.py`).

    Parameters
    ----------
    values
        Increments of the reference, shape (increments,), as given to :func:`perenne.stats.sequential.refer`.
    rise
        Of their mean, in their unit, above 0.
    reference, alpha, fractions
        Those of the detector.

    Raises
    ------
    ValueError
        If the rise is not above 0 or alpha not between 0 and 1.

    References
    ----------
    Pollak & Siegmund 1985, A diffusion process and its applications to detecting a change in the drift of
    Brownian motion, Biometrika 72, 267-280 (the Shiryaev-Roberts delay, here from a start at 0); Efron 1981,
    Nonparametric standard errors and confidence intervals, Canad. J. Statist. 9 (the tilt).

    Examples
    --------
    >>> from perenne.stats.sequential import refer
    >>> errors = np.arange(20_000) % 5 == 0
    >>> reference = refer(errors, low=0, high=1)
    >>> [round(increments_until_seen(errors, rise, reference, alpha=1e-4), -1) for rise in (0.05, 0.1, 0.2)]
    [600.0, 240.0, 70.0]

    """
    if not (rise > 0 and 0 < alpha < 1):
        raise ValueError(f"expected a rise above 0 and alpha in (0, 1), received {rise} and {alpha}")
    values = np.asarray(values, dtype=np.float64).clip(reference.low, reference.high)
    weights = tilt(values, values.mean() + rise)
    if weights is None:
        return math.inf
    won = gains(values, reference)
    growth = max(float(np.sum(weights * np.log1p(fraction * won))) for fraction in fractions)
    if growth <= 0:
        return math.inf
    # In units of 1 / growth, the sum R of all bettors' wealth moves as dR = (1 + 2R) dt + sqrt(2) R dW and
    # gets from 0 to A after exp(1 / A) * E1(1 / A): that is hyperu(1, 1, 1 / A), nearly log(A) - 0.58.
    # The best fraction holds only its share of the capital; what the others win makes up for it.
    return float(special.hyperu(1, 1, alpha / growth)) / growth


def tilt(values: Array, mean: float) -> Array | None:
    """Return the weights, summing to 1 and proportional to exp(c * value), that give the values this mean.

    None if the mean is not between the least and the greatest value.

    Parameters
    ----------
    values
        Numbers, shape (values,), at least one.
    mean
        The mean to reach, in the unit of the values.

    Returns
    -------
    Array or None
        Weights of shape (values,).

    References
    ----------
    Efron 1981, Nonparametric standard errors and confidence intervals, Canad. J. Statist. 9.

    Examples
    --------
    >>> tilt(np.array([0.0, 0.0, 0.0, 1.0]), 0.7).round(2)
    array([0.1, 0.1, 0.1, 0.7])

    """
    if not values.min() < mean < values.max():
        return None
    scaled = (values - mean) / np.ptp(values)

    def weights(c: float) -> Array:
        powers = np.exp(c * scaled - np.max(c * scaled))
        normed: Array = powers / powers.sum()
        return normed

    reach = 1.0
    while not np.sum(weights(-reach) * scaled) <= 0 <= np.sum(weights(reach) * scaled):
        reach *= 2
    return weights(optimize.brentq(lambda c: float(np.sum(weights(c) * scaled)), -reach, reach))
