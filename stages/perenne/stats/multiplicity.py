"""Which of many tests are worth a look: an effect floor, a second batch that agrees, a rate of false ones.

A test is *flagged* if its false discovery rate among all tests and its effect say so. It asks for a *look* if
two batches in a row agree, and the rate of false looks is that over all batches.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from perenne.stats.metrics import Array
from perenne.stats.two_sample import Test

LEVEL = 0.05  # the false discovery rate
FLOOR = 0.05  # the least effect worth a look: with enough rows, anything is significant

YEAR = 12  # batches over which the level is spread almost evenly, before it thins out
NODES = 80  # of an integral over what two batches have in common
KNOWN = 150.0  # degrees of freedom from which on a scale counts as known

Key = TypeVar("Key", bound=Hashable)


def adjusted(pvalues: npt.ArrayLike) -> Array:
    """Return each test's q-value: the least false discovery rate at which it is significant.

    A test that could not be made (NaN) stays NaN and does not count as one. The guarantee holds for tests
    that are independent or positively dependent.

    Parameters
    ----------
    pvalues
        One for each test, shape (tests,), in [0, 1]; NaN if the test could not be made.

    Returns
    -------
    Array
        The q-values, float64 of shape (tests,).

    Raises
    ------
    ValueError
        If a p-value is outside [0, 1].

    References
    ----------
    Benjamini & Hochberg 1995, Controlling the false discovery rate, JRSS B 57, 289-300.
    Benjamini & Yekutieli 2001, Ann. Statist. 29, 1165-1188 (positive dependence).

    Examples
    --------
    >>> adjusted([0.01, float("nan"), 0.02, 0.9])
    array([0.03,  nan, 0.03, 0.9 ])

    """
    qvalues = np.array(pvalues, dtype=np.float64)
    made = ~np.isnan(qvalues)
    if made.any():
        qvalues[made] = stats.false_discovery_control(qvalues[made])
    return qvalues


def flagged(
    tests: Mapping[Key, Test],
    *,
    level: float = LEVEL,
    floor: float = FLOOR,
) -> dict[Key, float]:
    """Return the tests whose q-value is at most `level` and whose effect is over `floor`, with the q-value.

    Parameters
    ----------
    tests
        Every test of a batch, of all columns together; in the result they keep their order.
    level, floor
        The false discovery rate in (0, 1), and the absolute effect that does not matter yet.

    Returns
    -------
    dict[Key, float]
        The key of each flagged test -> its q-value.

    Raises
    ------
    ValueError
        If a p-value is outside [0, 1].

    Examples
    --------
    Salary has moved; age has too, but not so that it matters.

    >>> tests = {"salary": Test("", 9, 1e-6, 0.2), "age": Test("", 9, 1e-6, 0.01)}
    >>> list(flagged(tests))
    ['salary']

    """
    qvalues = adjusted([test.pvalue for test in tests.values()])
    return {
        key: float(q)
        for (key, test), q in zip(tests.items(), qvalues, strict=True)
        if q <= level and abs(test.effect) > floor and not math.isnan(test.effect)
    }


def repeated(first: Test, second: Test, shared: float) -> float:
    """Return the chance that a test is as odd in two batches in a row if both are like the reference.

    The larger p-value x decides. Two independent ones are both at most x with a chance of x squared; but both
    batches are compared with the same reference, whose luck they share, and where the scale of a test was
    estimated they share that estimate too. Given both, they are independent, and the chance is the mean over
    both of a square: two-sided for a normal difference, which is the worst case among quadratic forms.

    Parameters
    ----------
    first, second
        The same test of two consecutive batches.
    shared
        The correlation of the two differences if nothing has moved: n / (n + m) for batches of n rows and a
        reference of m, 1 if the batches have their blocks in common.

    Returns
    -------
    float
        The p-value; 1 if a share was too high and is now too low, NaN if a test could not be made.

    Examples
    --------
    >>> one = Test("distribution", 9, 0.01, 0.2)
    >>> [round(repeated(one, one, shared), 5) for shared in (0.0, 0.1, 0.5, 1.0)]
    [0.0001, 0.00013, 0.00099, 0.01]

    """
    if math.isnan(first.pvalue) or math.isnan(second.pvalue):
        return math.nan
    if first.effect * second.effect < 0:
        return 1.0
    x = max(first.pvalue, second.pvalue)
    if shared >= 1 or not 0 < x < 1:
        return x
    degrees = min(first.degrees, second.degrees)
    known = degrees > KNOWN
    scales, chances = _scales(math.inf if known else degrees)
    beyond = -float(special.ndtri(x / 2) if known else special.stdtrit(degrees, x / 2))
    luck, weights = _nodes()
    mine = math.sqrt(shared) * luck
    far = beyond * scales[:, None]
    own = math.sqrt(1 - shared)
    odd = special.ndtr((mine - far) / own) + special.ndtr((-far - mine) / own)
    return min(x, float(chances @ odd**2 @ weights) / math.sqrt(2 * math.pi))


@cache
def _nodes() -> tuple[Array, Array]:
    """Return nodes and weights over what both batches share."""
    luck, weights = special.roots_hermitenorm(NODES)
    return luck, weights


@cache
def _scales(degrees: float) -> tuple[Array, Array]:
    """Return nodes and weights over an estimated standard deviation, relative to the true one."""
    if math.isinf(degrees):
        return np.ones(1), np.ones(1)
    # Small scales are rare and count most, so the steps are even in their logarithm.
    low, high = special.gammaincinv(degrees / 2, [1e-30, 1 - 1e-15])
    nodes = np.exp(np.linspace(math.log(low), math.log(high), 4 * NODES))
    weights = np.exp(degrees / 2 * np.log(nodes) - nodes - special.gammaln(degrees / 2))
    return np.sqrt(2 * nodes / degrees), weights / weights.sum()


class Looks(Generic[Key]):
    """Which tests ask for a look, batch after batch: odd twice in a row, by an online false discovery rate.

    A test asks for a look in a batch if it is odd in this batch and the one before it, in the same direction,
    with an effect over `floor` in both. Of all looks, over all batches and tests, at most a share of `level`
    is expected to be false: to point to what was in both batches as in the reference. If nothing ever moves,
    that is the chance that any look is asked for, however many batches come.

    The i-th batch that has one before it gets the share w(i) = 1 / (i + 12)^2 / sum of these of `level`: 8 %
    in the first year of months together 51 %, half of the rest in the next two. Of its n tests those ask for
    a look whose p-value (:func:`repeated`) is at most level * w(i) * V / n, where V is the number of
    different tests that have asked for a look so far, these included. It is Benjamini-Hochberg within a batch
    and LOND over batches; a test that asks again and again counts once in V, so that a change which stays
    makes no room for false ones.

    The guarantee, by the lemma of Blanchard & Roquain: it holds if the p-values are valid, and those of all
    batches and tests are independent or positively dependent (PRDS): what makes one small makes no other
    large. That is so for columns that move together and for the luck of the common reference. It is for one
    reference: with a new model everything begins again. It does not hold if batches resemble their
    neighbours beyond what the blocks say, as a column does whose months wander slowly; such a column has
    really moved. Under any dependence it holds at `level` times 1 + 1/2 + ... + 1/n.

    Parameters
    ----------
    level, floor
        The false discovery rate in (0, 1), and the absolute effect that does not matter yet.

    References
    ----------
    Javanmard & Montanari 2018, Online rules for control of false discovery rate, Ann. Statist. 46 (LOND).
    Zrnic, Ramdas & Jordan 2021, Asynchronous online testing of multiple hypotheses, JMLR 22 (LOND, PRDS).
    Blanchard & Roquain 2008, Two simple sufficient conditions for FDR control, EJS 2, 963-992.

    Examples
    --------
    >>> looks = Looks[str]()
    >>> moved, calm = Test("", 9, 1e-4, 0.2), Test("", 1, 0.4, 0.1)
    >>> [list(looks.update({"age": age, "pay": calm}, shared=0.1)) for age in (moved, moved, calm, moved)]
    [[], ['age'], [], []]

    """

    def __init__(self, *, level: float = LEVEL, floor: float = FLOOR) -> None:
        self._level, self._floor = level, floor
        self._before: Mapping[Key, Test] = {}
        self._looked: set[Key] = set()
        self._batches = 0

    def update(self, tests: Mapping[Key, Test], shared: float) -> dict[Key, float]:
        """Return the tests of this batch that ask for a look, with the false discovery rate at which they do.

        Parameters
        ----------
        tests
            Every test of the batch, of all columns together; those missing in either batch are not judged.
        shared
            As for :func:`repeated`.

        Raises
        ------
        ValueError
            If a p-value is outside [0, 1].

        """
        if any(not 0 <= test.pvalue <= 1 for test in tests.values() if not math.isnan(test.pvalue)):
            raise ValueError("expected p-values in [0, 1]")
        pairs = {key: (self._before[key], test) for key, test in tests.items() if key in self._before}
        self._before = dict(tests)
        pvalues = {key: self._judged(*pair, shared) for key, pair in pairs.items()}
        pvalues = {key: p for key, p in pvalues.items() if not math.isnan(p)}
        if not pvalues:
            return {}
        self._batches += 1
        return self._discovered(pvalues)

    def _judged(self, first: Test, second: Test, shared: float) -> float:
        small = min(abs(first.effect), abs(second.effect)) <= self._floor
        pvalue = repeated(first, second, shared)
        return 1.0 if small and not math.isnan(pvalue) else pvalue

    def _discovered(self, pvalues: Mapping[Key, float]) -> dict[Key, float]:
        share = 1 / (self._batches + YEAR) ** 2 / float(special.polygamma(1, YEAR + 1))
        order = sorted(pvalues, key=lambda key: pvalues[key])
        for r in range(len(order), 0, -1):
            looked = self._looked.union(order[:r])
            rate = pvalues[order[r - 1]] * len(order) / share / len(looked)
            if rate <= self._level:
                self._looked = looked
                asked = set(order[:r])
                return {
                    key: min(p * len(order) / share / len(looked), rate)
                    for key, p in pvalues.items()
                    if key in asked
                }
        return {}
