"""How surprising is a weighted sum of squares? Quadratic forms in normal variables, without random numbers.

References
----------
Kuonen 1999, Saddlepoint approximations for quadratic forms in normal variables, Biometrika 86, 929-935.

"""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, stats

from perenne.stats.metrics import Array


def quadratic(difference: Array, covariance: Array, weights: Array, blocks: float) -> tuple[float, float]:
    """Return sum(weights * difference**2) over its expectation, and the chance of one as large.

    Parameters
    ----------
    difference
        The normal variables, shape (cells,), of mean 0 under the hypothesis.
    covariance
        Their covariance under the hypothesis, shape (cells, cells).
    weights
        The weight of each square, shape (cells,), not negative.
    blocks
        How many blocks the covariance is estimated from; infinite if it is known.

    Returns
    -------
    statistic : float
        The sum over its expectation, so about 1 under the hypothesis.
    pvalue : float
        The chance of a sum at least as large. Both are NaN if the expectation is not above 0.

    """
    root = np.sqrt(weights)
    spectrum = np.linalg.eigvalsh(root[:, None] * covariance * root)
    if not spectrum.sum() > 0:
        return math.nan, math.nan
    seen = float(np.sum(weights * difference**2))
    return seen / float(spectrum.sum()), _tail(seen, _calm(np.maximum(spectrum, 0), blocks))


def _calm(spectrum: Array, blocks: float) -> Array:
    """Draw eigenvalues towards their mean, until their squares no longer sum to too much.

    Those of a covariance estimated from few blocks lie too far apart, which would make the test of many
    cells blind. The bias is that of a Wishart matrix (Ledoit & Wolf 2004, J. Multivariate Anal. 88).
    """
    mean, squares = spectrum.mean(), float(np.sum(spectrum**2))
    spread = squares - len(spectrum) * mean**2
    true = (squares - float(spectrum.sum()) ** 2 / blocks) / (1 + 1 / blocks) - len(spectrum) * mean**2
    keep = math.sqrt(max(true, 0.0) / spread) if spread > 0 else 1.0
    calmed: Array = mean + keep * (spectrum - mean)
    return calmed


def _tail(x: float, spectrum: Array) -> float:
    """Return the chance that sum(spectrum * squares of standard normals) reaches x (Kuonen 1999).

    Two of weight 1 are exponential, exp(-4.5) = 0.0111; the approximation is right to a few per cent of p.

    >>> round(_tail(9.0, np.array([1.0, 1.0])), 4), round(_tail(9.0, np.array([0.001, 1.0, 1.0])), 4)
    (0.0111, 0.0114)
    """
    spectrum = spectrum[spectrum > 1e-9 * spectrum.max()]
    if np.ptp(spectrum) < 1e-6 * spectrum.max():
        return float(stats.chi2.sf(x / spectrum.mean(), len(spectrum)))
    if x <= 0:
        return 1.0
    a, q = spectrum / spectrum.max(), x / spectrum.max()

    def slope(s: float) -> float:
        return float(np.sum(a / (1 - 2 * s * a)) - q)

    low, high = -len(a) / q - 1, 0.5 - 0.25 / (q + len(a))
    s = float(optimize.brentq(slope, low, high, xtol=1e-12))
    exponent = s * q + 0.5 * float(np.sum(np.log1p(-2 * s * a)))
    w = math.copysign(math.sqrt(max(2 * exponent, 0)), s)
    v = s * math.sqrt(2 * float(np.sum((a / (1 - 2 * s * a)) ** 2)))
    if abs(w) < 1e-4:  # at the mean the formula is 0/0; its limit comes from the third cumulant
        return float(0.5 - np.sum(a**3) / (3 * math.sqrt(np.pi) * np.sum(a**2) ** 1.5))
    return float(stats.norm.sf(w + math.log(v / w) / w))
