"""Deviations: rows of a day, shocks of whole periods, and few events, on one scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from perenne.stats.deviation import (
    FARTHEST,
    BlockedRows,
    DesignEffect,
    Shocks,
    Sums,
    design_effect,
    margin,
    normal_score,
    pairs,
    score,
    shocks,
)

ALONE = Shocks()


def drawn(rng: np.random.Generator, shock: float, *, rows: int = 2000, rate: float = 0.2) -> Sums:
    """A period's events and what was expected of them."""
    true = rate * math.exp(rng.normal(0, shock)) if shock else rate
    variance = rows * rate * (1 - rate)
    return Sums(
        rng.binomial(rows, min(true, 1)) - rows * rate,
        rows * rate,
        variance,
        variance * (1 - 2 * rate),
        rows * rate,
    )


def test_sums_add_up() -> None:
    """Two halves of a batch are the batch."""
    one, other = Sums(1.0, 10.0, 4.0, 2.0, 10.0), Sums(-3.0, 30.0, 9.0, 1.0, 30.0)
    assert one.plus(other) == Sums(-2.0, 40.0, 13.0, 3.0, 40.0)
    assert one.plus(other).deviation == -0.05
    assert math.isnan(Sums().deviation)


def test_days_that_share_something() -> None:
    """The variance of a sum over many days is that of independent rows times the design effect."""
    rng = np.random.default_rng(1)
    days, rows, shared = 2000, 20, 0.3
    residuals = rng.normal(size=(days, rows)) + rng.normal(0, shared, (days, 1))
    true = (1 + rows * shared**2) / (1 + shared**2)
    variances, blocks = np.full(days * rows, 1 + shared**2), np.repeat(np.arange(days), rows)
    factor, freedom, _ = design_effect([BlockedRows(residuals.ravel(), variances, blocks)])
    assert factor == pytest.approx(true, rel=0.2)
    assert freedom == pytest.approx(days - 1)


def test_independent_rows_have_no_effect() -> None:
    """It is never below 1: that days balance each other is luck."""
    rng = np.random.default_rng(2)
    found = [
        design_effect([BlockedRows(rng.normal(size=900), np.ones(900), np.repeat(np.arange(30), 30))]).factor
        for _ in range(50)
    ]
    assert min(found) == 1.0
    assert np.mean(found) < 1.2


def test_shocks_of_periods_are_measured() -> None:
    """Where months differ by .08 for no reason, a dozen of them show it; else nothing."""
    rng = np.random.default_rng(3)
    found = [
        shocks([drawn(rng, 0.08, rows=10_000) for _ in range(12)], DesignEffect()).variance
        for _ in range(100)
    ]
    assert math.sqrt(np.mean(found)) == pytest.approx(0.08, rel=0.15)
    none = [shocks([drawn(rng, 0.0) for _ in range(12)], DesignEffect()).variance for _ in range(100)]
    assert math.sqrt(np.median(none)) < 0.02
    assert shocks([drawn(rng, 0.08) for _ in range(2)], DesignEffect()) == Shocks()


@pytest.mark.parametrize(("shock", "periods"), [(0.0, 12), (0.05, 12), (0.1, 12), (0.1, 8)])
def test_score_is_standard_normal(shock: float, periods: int) -> None:
    """A right model's batch exceeds the quantile of .01 in a hundredth of the cases, shocks or not."""
    rng = np.random.default_rng([4, periods, int(100 * shock)])
    tries, beyond = 1500, 0
    for _ in range(tries):
        reference = [drawn(rng, shock) for _ in range(periods)]
        beyond += score(
            drawn(rng, shock), 0.0, DesignEffect(), shocks(reference, DesignEffect())
        ) > -stats.norm.ppf(0.01)
    # With shocks their number is estimated: up to twice the nominal share is what so few periods allow.
    assert stats.binomtest(beyond, tries, 0.02 if shock else 0.013, alternative="greater").pvalue > 0.01


def test_effect_of_few_days_is_not_taken_as_known() -> None:
    """With fifteen days of reference a right batch exceeds the quantile of .001 no more often than that."""
    rng = np.random.default_rng(5)
    days, rows, tries, beyond = 15, 4, 5000, 0
    blocks = np.repeat(np.arange(days), rows)
    for _ in range(tries):
        reference, batch = (
            (rng.normal(size=(days, rows)) + rng.normal(size=(days, 1))).ravel() for _ in range(2)
        )
        effect = design_effect([BlockedRows(reference - reference.mean(), np.full(days * rows, 2.0), blocks)])
        n = float(len(batch))
        sums = Sums(float(batch.sum()), n, 2 * n, 0.0, n, pairs(np.full(len(batch), 2.0), blocks))
        beyond += score(sums, 0.0, effect, ALONE) > -stats.norm.ppf(0.001)
    assert stats.binomtest(beyond, tries, 0.001, alternative="greater").pvalue > 0.01


def test_more_rows_of_a_day_make_the_effect_larger() -> None:
    """Measured on 20 rows a day, it tells what a hundred rows a day vary by, and days of unequal rows."""
    rng = np.random.default_rng(7)
    days, rows, shared = 4000, 20, 0.3
    known = rng.normal(size=(days, rows)) + rng.normal(0, shared, (days, 1))
    day = np.repeat(np.arange(days), rows)
    unit = 1 + shared**2
    effect = design_effect([BlockedRows(known.ravel(), np.full(len(day), unit), day)])
    for sizes in ([100] * 30, [5] * 30, [1000, *[10] * 30]):
        blocks = np.repeat(np.arange(len(sizes)), sizes)
        variance = unit * len(blocks)
        sums = Sums(0.0, len(blocks), variance, 0.0, 0.0, pairs(np.full(len(blocks), unit), blocks))
        # Rows have a variance of unit each, and two of a day share `shared` squared.
        true = (variance + shared**2 * sum(size * (size - 1) for size in sizes)) / variance
        assert effect.of(sums).factor == pytest.approx(true, rel=0.1)
    assert effect.of(Sums(0.0, 9.0, 9.0)).factor == 1.0  # each row a block of its own


def test_effect_on_more_rows_is_known_with_fewer_degrees_of_freedom() -> None:
    """Thirty days of 4 rows say little of days of 40: .001 is exceeded no more often than that."""
    rng = np.random.default_rng(8)
    days, tries, beyond = 30, 5000, 0
    blocks = {rows: np.repeat(np.arange(days), rows) for rows in (4, 40)}
    for _ in range(tries):
        reference, batch = (
            (rng.normal(size=(days, rows)) + rng.normal(size=(days, 1))).ravel() for rows in (4, 40)
        )
        effect = design_effect([BlockedRows(reference - reference.mean(), np.full(days * 4, 2.0), blocks[4])])
        n = float(len(batch))
        sums = Sums(float(batch.sum()), n, 2 * n, 0.0, n, pairs(np.full(len(batch), 2.0), blocks[40]))
        beyond += score(sums, 0.0, effect, ALONE) > -stats.norm.ppf(0.001)
    assert stats.binomtest(beyond, tries, 0.001, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("effect", [DesignEffect(), DesignEffect(3.0, 20.0)])
@pytest.mark.parametrize("shock", [ALONE, Shocks(0.002, 6.0)])
def test_margin_is_the_deviation_of_a_score(effect: DesignEffect, shock: Shocks) -> None:
    """A deviation that far above the bound has that score."""
    sums = Sums(0.0, 100.0, 80.0, 0.0, 100.0)
    above = margin(3.2, sums, effect, shock)
    assert score(sums._replace(total=100 * (0.05 + above)), 0.05, effect, shock) == pytest.approx(3.2)


def test_centring_in_weeks_takes_nothing_of_the_effect() -> None:
    """Residuals less the mean of their week lose a seventh of what days vary; the effect does not."""
    rng = np.random.default_rng(6)
    weeks, rows = 300, 20
    values = rng.normal(size=(weeks, 7, rows)) + rng.normal(size=(weeks, 7, 1))
    centred = values - values.mean(axis=(1, 2), keepdims=True)
    variances, day = np.full(7 * rows, 2.0), np.repeat(np.arange(7), rows)
    factor, freedom, _ = design_effect(BlockedRows(week.ravel(), variances, day) for week in centred)
    assert factor == pytest.approx((rows + 1) / 2, rel=0.07)
    assert freedom == pytest.approx(6 * weeks)


@pytest.mark.parametrize("expected", [10, 30, 1000])
def test_few_events_are_skewed(expected: int) -> None:
    """The score of a Poisson count is the normal quantile of its chance, far out in the tail as well."""
    for sd in (2, 3, 4):
        count = math.ceil(expected + sd * math.sqrt(expected))
        sums = Sums(count - expected, expected, expected, expected, expected)
        exact = stats.norm.isf(stats.poisson.sf(count - 1, expected))
        assert score(sums, 0.0, DesignEffect(), ALONE, step=1.0) == pytest.approx(exact, abs=0.12)


def test_farther_than_a_double_can_tell() -> None:
    """However far off, the score is a number."""
    assert normal_score(1e9, 0.5) == FARTHEST
    assert normal_score(-1e9, 0.5) == -FARTHEST
    assert score(Sums(1e9, 1.0, 1.0, 0.0, 10.0), 0.0, DesignEffect(), Shocks(1.0, 5.0)) > 5


def test_bound_is_what_is_still_right() -> None:
    """A deviation at the bound scores 0, and less below it."""
    sums = Sums(5.0, 100.0, 80.0, 0.0, 100.0)
    assert score(sums, 0.05, DesignEffect(), ALONE) == 0.0
    assert score(sums, 0.10, DesignEffect(), ALONE) < 0 < score(sums, 0.0, DesignEffect(), ALONE)
