"""Did as many rows arrive as expected, and are as many labels missing? Batch by batch."""

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from perenne.stats.metrics import Array


class Volume(NamedTuple):
    """A count against the expected one, and how surprising it is, two-sided.

    ``law`` says which variance was taken: "Poisson" equals the mean, "overdispersed" is ``dispersion`` times
    the mean. "unknown", and a p-value of NaN, if the reference cannot tell.
    """

    observed: int
    expected: float
    p_value: float
    law: Literal["Poisson", "overdispersed", "unknown"]
    dispersion: float
    degrees: float  # of freedom that tell the dispersion; infinite for a Poisson count


def volume(
    count: int,
    reference: npt.ArrayLike,
    *,
    exposure: float = 1.0,
    exposures: npt.ArrayLike | None = None,
    spread: tuple[float, float] | None = None,
) -> Volume:
    """Return the test of a batch's count against those of the reference.

    The reference's own variance decides: not above the mean, and counts are taken for Poisson, compared by
    the exact conditional (binomial) test; above it, by a t prediction with the variance they showed. Both
    know how little a short reference says. Seasons and trends are no part of it: compare like with like, and
    give the spread of like with like. At a nominal 5 %, 2 to 4 % of Poisson batches seem odd and 3 to 6 % of
    negative binomial ones, with 8 reference batches or 20.

    To see labels that fail to arrive, count the missing ones, with the rows as exposure: what nearly always
    arrives varies far less than a Poisson count.

    Parameters
    ----------
    count
        Of the batch, a whole number.
    reference
        Counts of the reference's batches, shape (batches,).
    exposure, exposures
        What a count is expected to be proportional to (days of the month, rows), for the batch and, shape
        (batches,), for the reference; 1 by default.
    spread
        The dispersion and its degrees of freedom, where more than these batches tell it: the mean of
        :func:`scatter` over all batches that have others like them. None: the reference's own.

    Returns
    -------
    Volume
        The count, the count to expect at its exposure, the two-sided p-value, the law, and the dispersion
        (Pearson's chi-squared of the reference over its degrees of freedom). With fewer than two reference
        batches and no spread the law is "unknown", and p-value and dispersion are NaN; with none, so is
        expected.

    Raises
    ------
    ValueError
        If a count is not a whole number from 0 on, an exposure is not above 0, or a count has no exposure.

    References
    ----------
    Przyborowski & Wilenski 1940, Biometrika 31 (conditional test of two Poisson counts); McCullagh & Nelder
    1989, Generalized Linear Models, section 6.2.3 (dispersion from Pearson's chi-squared).

    Examples
    --------
    >>> [volume(count, [940, 905, 870, 917, 893, 901]).law for count in (850, 700)]
    ['Poisson', 'Poisson']
    >>> [round(volume(count, [940, 905, 870, 917, 893, 901]).p_value, 3) for count in (900, 850, 700)]
    [0.914, 0.093, 0.0]
    >>> volume(900, [1200, 640, 905, 1010]).law
    'overdispersed'

    """
    counts = np.asarray(reference, dtype=np.float64)
    sizes = np.ones(len(counts)) if exposures is None else np.asarray(exposures, dtype=np.float64)
    _check(np.append(counts, count), np.append(sizes, exposure))
    total, whole = counts.sum(), sizes.sum()
    expected = float(exposure * total / whole) if len(counts) else math.nan
    if len(counts) < (2 if spread is None else 1):
        return Volume(count, expected, math.nan, "unknown", math.nan, math.nan)
    means = sizes * total / whole
    dispersion, degrees = spread or (
        float(np.sum((counts - means) ** 2 / np.where(total, means, 1)) / (len(counts) - 1)),
        len(counts) - 1,
    )
    if dispersion <= 1:
        p_value = stats.binomtest(count, count + int(total), exposure / (exposure + whole)).pvalue
        return Volume(count, expected, float(p_value), "Poisson", dispersion, math.inf)
    error = math.sqrt(dispersion * expected * (1 + exposure / whole))
    p_value = 2 * stats.t.sf(abs(count - expected) / error, degrees)
    return Volume(count, expected, float(p_value), "overdispersed", dispersion, degrees)


def scatter(count: int, reference: npt.ArrayLike, *, exposure: float, exposures: npt.ArrayLike) -> float:
    """Return the squared distance of a batch's count from that to expect, over its Poisson variance.

    The mean over the batches of a reference, each against the others, is nearly its dispersion; and over the
    batches that have others like them, that within seasons.

    Parameters
    ----------
    count, reference, exposure, exposures
        As for :func:`volume`.

    """
    counts = np.asarray(reference, dtype=np.float64)
    whole = float(np.sum(exposures))
    expected = exposure * counts.sum() / whole
    return float((count - expected) ** 2 / (expected * (1 + exposure / whole) if expected else 1.0))


def _check(counts: Array, sizes: Array) -> None:
    if counts.shape != sizes.shape or not (sizes > 0).all():
        raise ValueError("expected an exposure above 0 for each count")
    if not ((counts >= 0) & (counts == np.floor(counts)) & np.isfinite(counts)).all():
        raise ValueError("expected counts to be whole numbers from 0 on")
