"""Bounds are the more careful of Student's and Hall's, and say how many blocks would decide."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from perenne.stats.estimate import ALONE, BEYOND, LEAST, Estimate, Nearer

ALPHA = 0.05


@given(
    st.floats(1e-6, 0.4),
    st.integers(10, 10_000),
    st.floats(-1, 1).map(lambda share: share * 0.999),
    st.floats(1, 3),
)
def test_bounds_are_halls_or_students(alpha: float, count: int, share: float, effect: float) -> None:
    """The wider of the two: where it is not Student's, Hall's cubic of it is Student's quantile."""
    skewness, independent = share * math.sqrt(count), count / effect
    hidden = BEYOND * max(stats.norm.isf(alpha) - ALONE, 0) * math.sqrt(6 / (count + 3))
    t = stats.t.isf(alpha, max(independent - 1, LEAST))
    bounds = Estimate(0, 1, count, skewness, effect).bounds(alpha)
    for bound, tail in zip(bounds, (skewness - hidden, -skewness - hidden), strict=True):
        u, shift = abs(bound), tail / (6 * math.sqrt(independent))
        cubic = u + 2 * shift * u**2 + (2 * shift) ** 2 * u**3 / 3 + shift
        assert u >= t * (1 - 1e-12)
        assert u == pytest.approx(t) or cubic == pytest.approx(t, rel=1e-5)
        assert cubic > t * (1 - 1e-5)


def test_small_levels_allow_for_skewness_that_is_not_seen() -> None:
    """At .003 thirty blocks without any skewness have bounds that allow for some."""
    low, high = Estimate(0, 1, 30).bounds(0.003)
    assert low == -high < -1.1 * stats.t.isf(0.003, 29)
    assert Estimate(0, 1, 30).bounds(0.07) == pytest.approx((-stats.t.isf(0.07, 29), stats.t.isf(0.07, 29)))


def test_blocks_that_resemble_each_other_count_for_fewer() -> None:
    """At three blocks for one, thirty have the quantile of ten; the error is that of the value as it is."""
    low, high = Estimate(0.5, 1, 30, effect=3).bounds(0.07)
    assert (low, high) == pytest.approx((0.5 - stats.t.isf(0.07, 9), 0.5 + stats.t.isf(0.07, 9)))
    assert Estimate(0.5, 1, 30, effect=12).bounds(0.07)[0] < low - 1


def test_blocks_of_unequal_size_count_for_fewer() -> None:
    """Thirty of which two thirds count have the quantile of twenty."""
    low, high = Estimate(0.5, 1, 30, evenness=2 / 3).bounds(0.07)
    assert (low, high) == pytest.approx((0.5 - stats.t.isf(0.07, 19), 0.5 + stats.t.isf(0.07, 19)))


@pytest.mark.parametrize(
    "few",
    [
        Estimate(5, 0.1, 9),
        Estimate(5, 0, 9),
        Estimate(5, 0.1, 10, fewest=11),
        Estimate(5, 0.1, 30, evenness=0.25, fewest=40),
        Nearer(*[Estimate(5, 0.1, 9)] * 2),
    ],
)
def test_too_few_blocks_tell_nothing_however_far_the_value(few: Estimate | Nearer) -> None:
    """Bounds are infinite, a sentence says why, and as many as there must be would decide."""
    assert few.bounds(ALPHA) == (-math.inf, math.inf)
    uneven = ", of which a few have most of the rows," if few.blocks == 30 else ""
    assert few.few == f"{few.blocks} blocks are{uneven} too few to tell"
    assert few.blocks_to_decide(0, ALPHA) == few.fewest
    assert few.blocks_to_decide(10, ALPHA) == few.fewest


def test_enough_blocks_are_not_called_few() -> None:
    """Ten are enough, and so are eleven where eleven must be."""
    for found in (Estimate(5, 0.1, 10), Estimate(5, 0.1, 11, fewest=11)):
        assert not found.few
        assert found.bounds(ALPHA)[0] > 0


@given(*[st.floats(-3, 3)] * 2, *[st.floats(0, 1)] * 2, *[st.floats(-1, 1)] * 2)
def test_nearer_covers_all_that_its_parts_allow(
    apart: float, both: float, error: float, other: float, here: float, there: float
) -> None:
    """|o| - |n| of any o - n and o + n between their bounds is between its bounds."""
    found = Nearer(Estimate(apart, error, 50), Estimate(both, other, 50))
    (low, high), (least, largest) = (part.bounds(ALPHA / 2) for part in found)
    difference = (low + high) / 2 + here * (high - low) / 2
    total = (least + largest) / 2 + there * (largest - least) / 2
    o, n = (total + difference) / 2, (total - difference) / 2
    lower, upper = found.bounds(ALPHA)
    assert lower - 1e-9 <= abs(o) - abs(n) <= upper + 1e-9


@pytest.mark.parametrize(
    "found", [Estimate(1, 0.5, 9), Estimate(1, 0, 9), Nearer(*[Estimate(1, 0.5, 9)] * 2)]
)
def test_without_alpha_nothing_is_told(found: Estimate | Nearer) -> None:
    """A look that has nothing left to spend has infinite bounds, and no number of blocks changes that."""
    assert found.bounds(0) == (-math.inf, math.inf)
    assert found.blocks_to_decide(0, 0) == math.inf


@pytest.mark.parametrize("alpha", [-0.1, 0.5, 5, math.nan])
def test_senseless_alphas_are_refused(alpha: float) -> None:
    """Alpha in per cent, for one."""
    with pytest.raises(ValueError, match=r"expected alpha in \[0, 0\.5\)"):
        Estimate(1, 1, 9).bounds(alpha)


@pytest.mark.parametrize(
    "found",
    [
        Estimate(0.3, 1, 30),
        Estimate(0.3, 1, 30, -2),
        Estimate(0.3, 1, 30, 2),
        Nearer(Estimate(0.3, 1, 30), Estimate(0.5, 0.1, 30)),
    ],
)
@pytest.mark.parametrize("threshold", [0.0, -0.1, 0.4])
def test_the_blocks_foretold_decide(found: Estimate | Nearer, threshold: float) -> None:
    """With so many the bound is at the threshold, the lower one if the value is above it."""
    count = found.blocks_to_decide(threshold, ALPHA)
    low, high = found.foreseen(ALPHA, count)
    assert (low if found.value > threshold else high) == pytest.approx(threshold, abs=1e-9)
    assert found.foreseen(ALPHA, found.blocks) == found.bounds(ALPHA)


def test_some_things_are_never_decided_and_some_at_once() -> None:
    """A value at the threshold, and one without any spread."""
    assert Estimate(0.2, 0.1, 30).blocks_to_decide(0.2, ALPHA) == math.inf
    assert Estimate(0.2, 0, 30).blocks_to_decide(0, ALPHA) == 10


def test_bounds_are_plain_floats() -> None:
    """So that JSON can hold them."""
    found = Nearer(Estimate(0.3, 0.1, 30), Estimate(0.5, 0.1, 30))
    assert {type(bound) for bound in found.bounds(ALPHA) + found.apart.bounds(ALPHA)} == {float}
    assert type(found.blocks_to_decide(0, ALPHA)) is float
