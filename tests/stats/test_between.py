"""What like periods show of each other is allowed for: chance among rows is not the only chance there is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from perenne.stats.between import allowing, between
from perenne.stats.two_sample import Test

ROWS = 300.0


def seen(z: float) -> Test:
    """Return the test of a difference of z standard errors, as rows alone know them."""
    square = z**2
    return Test("distribution", square, float(stats.chi2.sf(square, 1)), 0.2)


@pytest.mark.parametrize("shock", [0.0, 1.0, 5.0])
def test_size(shock: float) -> None:
    """Whatever periods share, at most some 5 % of new ones are below .05, and not none at all."""
    rng = np.random.default_rng(int(shock))
    odd = 0
    for _ in range(1_000):
        z = rng.normal(0, math.hypot(1, shock), 25)
        spread = between([seen(one) for one in z[1:]], [ROWS] * 24, 24.0)
        odd += allowing(seen(z[0]), spread, ROWS).pvalue <= 0.05
    assert 5 <= odd <= stats.binom.ppf(0.999, 1_000, 0.055)


def test_what_lies_beyond_all_periods_is_found() -> None:
    """Ten times as far away as like periods are from each other."""
    rng = np.random.default_rng(1)
    spread = between([seen(z) for z in rng.normal(0, 3, 24)], [ROWS] * 24, 24.0)
    found = allowing(seen(30.0), spread, ROWS)
    assert found.pvalue < 1e-4
    assert found.degrees == 24.0


def test_a_larger_batch_is_no_better_known() -> None:
    """A usual shock on ten times as many rows is surer among rows, and as usual among periods."""
    spread = between([seen(z) for z in np.random.default_rng(2).normal(0, 3, 24)], [ROWS] * 24, 24.0)
    usual = allowing(seen(3.0), spread, ROWS).pvalue
    assert allowing(seen(3.0 * math.sqrt(10)), spread, 10 * ROWS).pvalue == pytest.approx(usual)


def test_few_periods_count_only_if_they_are_odd() -> None:
    """Three calm periods tell no spread, and need none; three that lie far apart forbid an alarm."""
    calm, wild = ([seen(z) for z in zs] for zs in ((0.3, -1.0, 0.8), (9.0, -4.0, 12.0)))
    assert between(calm, [ROWS] * 3, 2.0) is None
    assert allowing(seen(12.0), between(wild, [ROWS] * 3, 2.0), ROWS).pvalue > 0.05


def test_what_cannot_be_told_changes_nothing() -> None:
    """Tests that could not be made, or are all alike, leave the test as it is."""
    none = Test("missing", math.nan, math.nan, math.nan)
    assert between([none] * 24, [ROWS] * 24, 24.0) is None
    same = between([seen(0.0)] * 24, [ROWS] * 24, 24.0)
    assert allowing(seen(9.0), same, ROWS) == seen(9.0)
    assert allowing(none, same, ROWS) is none
