"""How far do like periods of the reference lie apart? What chance among rows alone does not explain.

Rows of a period share its weather, its prices, its staff. A test that takes rows (or blocks) for independent
then calls every new period odd, and the more surely the more rows there are. The reference itself shows how
odd its periods are to each other: each is compared with those like it, by the same test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from perenne.stats.metrics import Array
from perenne.stats.two_sample import Test

ODD = 0.05  # the reference's periods are called odd to each other if Simes' p-value is not above this
ENOUGH = 5.0  # degrees of freedom from which on their spread is always allowed for, odd or not


class Between(NamedTuple):
    """The statistic of a test among like periods: mean and deviation on a scale on which it is normal.

    `degrees` of freedom tell the deviation; `rows` is the effective size of a comparison, 1 / (1/n + 1/m).
    """

    mean: float
    deviation: float
    degrees: float
    rows: float


def between(tests: Sequence[Test], rows: Sequence[float], degrees: float) -> Between | None:
    """Return the spread of the tests among like periods; None if it need not, or cannot, be allowed for.

    Parameters
    ----------
    tests
        Of each period of the reference against the others like it, shape (periods,); all of one kind.
    rows
        The effective size 1 / (1/n + 1/m) of each, shape (periods,).
    degrees
        How many independent differences they make.

    Returns
    -------
    Between or None
        None if fewer than two tests could be made, or if `degrees` are under 5 and the tests are no odder
        than chance among rows explains (Simes' p-value above .05).

    References
    ----------
    Simes 1986, Biometrika 73, 751-754.

    """
    made = [(test, size) for test, size in zip(tests, rows, strict=True) if not math.isnan(_scaled(test))]
    if len(made) < 2:
        return None
    pvalues = np.sort([1.0 if math.isnan(test.pvalue) else test.pvalue for test, _ in made])
    simes = float(np.min(pvalues * len(pvalues) / np.arange(1, len(pvalues) + 1)))
    degrees *= len(made) / len(tests)
    if degrees < ENOUGH and simes > ODD:
        return None
    values: Array = np.array([_scaled(test) for test, _ in made])
    degrees = max(degrees, 1.0)
    deviation = float(np.std(values, ddof=1)) * math.sqrt(1 + 1 / len(made))
    return Between(float(values.mean()), deviation, degrees, float(np.median([size for _, size in made])))


def allowing(test: Test, spread: Between | None, rows: float) -> Test:
    """Return the test with a p-value that allows for how far like periods lie apart.

    The larger of two p-values: the test's own, by chance among rows; and the chance of a statistic as large
    given those of the reference's periods, by a t prediction. Statistics are quadratic forms, whose cube root
    is nearly normal whatever their degrees of freedom (Wilson & Hilferty 1931). A batch that is larger than
    those periods is no better known by it, so its statistic counts as that of their size.

    Parameters
    ----------
    test
        Of a batch against the reference.
    spread
        Of the same test among like periods; None: the test remains what it is.
    rows
        The effective size of the comparison, 1 / (1/n + 1/m).

    Returns
    -------
    Test
        With the larger p-value and the degrees of freedom that it rests on.

    """
    if spread is None or math.isnan(_scaled(test)) or not spread.deviation > 0:
        return test
    fair = (
        test
        if test.name == "joint"
        else test._replace(statistic=test.statistic * min(1.0, spread.rows / rows))
    )
    pvalue = float(stats.t.sf((_scaled(fair) - spread.mean) / spread.deviation, spread.degrees))
    return test._replace(pvalue=max(test.pvalue, pvalue), degrees=spread.degrees)


def _scaled(test: Test) -> float:
    """Return the statistic on a scale on which it is about normal, as the area of a joint test is already."""
    if test.name == "joint":
        return test.statistic
    return math.copysign(abs(test.statistic) ** (1 / 3), test.statistic)
