"""Which of many tests are worth a look: Benjamini-Hochberg, an effect floor, and a second batch that agrees.

A test is *flagged* in a batch if its false discovery rate and its effect say so. It *persists* if the next
batch confirms it, among those flagged only: a second batch that had to stand against every test again would
lose half of the power, and none of the protection is needed twice (Bogomolov & Heller 2013).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import stats

from perenne.stats.metrics import Array
from perenne.stats.two_sample import Test

LEVEL = 0.05  # the false discovery rate
FLOOR = 0.05  # the least effect worth a look: with enough rows, anything is significant

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
    among: Collection[Key] | None = None,
    level: float = LEVEL,
    floor: float = FLOOR,
) -> dict[Key, float]:
    """Return the tests whose q-value is at most `level` and whose effect is over `floor`, with the q-value.

    Parameters
    ----------
    tests
        Every test of a batch, of all columns together; in the result they keep their order.
    among
        Count and judge these only. None: all of them.
    level, floor
        The false discovery rate in (0, 1), and the absolute effect that does not matter yet.

    Returns
    -------
    dict[Key, float]
        The key of each flagged test -> its q-value among those that are counted.

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
    judged = {key: test for key, test in tests.items() if among is None or key in among}
    qvalues = adjusted([test.pvalue for test in judged.values()])
    return {
        key: float(q)
        for (key, test), q in zip(judged.items(), qvalues, strict=True)
        if q <= level and abs(test.effect) > floor and not math.isnan(test.effect)
    }


def persistent(
    before: Mapping[Key, Test], now: Mapping[Key, Test], *, level: float = LEVEL, floor: float = FLOOR
) -> dict[Key, float]:
    """Return what was flagged among all tests of one batch and is confirmed by the next, with its q-value.

    A confirmation moves the same way: a share that was too high and is now too low is not twice the same.
    Without drift a look then needs two accidents in a row, the second at `level`; they share the reference,
    so they are not independent, but no false alarm survives that was not one already in the first batch.

    Parameters
    ----------
    before, now
        Every test of one batch and of the next, of all columns together.
    level, floor
        As for :func:`flagged`, in both batches.

    Returns
    -------
    dict[Key, float]
        The key of each persistent test -> its q-value in the second batch, among those flagged in the first.

    Raises
    ------
    ValueError
        If a p-value is outside [0, 1].

    References
    ----------
    Bogomolov & Heller 2013, Discovering findings that replicate from a primary study of high dimension to
    a follow-up study, JASA 108, 1480-1492.

    Examples
    --------
    >>> before = {"salary": Test("", 9, 1e-6, 0.2), "age": Test("", 9, 1e-6, 0.2)}
    >>> now = {"salary": Test("", 4, 0.01, 0.1), "age": Test("", 1, 0.6, 0.1)}
    >>> list(persistent(before, now))
    ['salary']

    """
    first = flagged(before, level=level, floor=floor)
    again = flagged(now, among=first, level=level, floor=floor)
    return {key: q for key, q in again.items() if before[key].effect * now[key].effect > 0}
