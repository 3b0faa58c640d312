"""What whole periods add to an error is what they vary by beyond their blocks, over how many there are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from perenne.stats.estimate import Estimate
from perenne.stats.influence import Influence
from perenne.stats.metrics import Array
from perenne.stats.paired import estimate
from perenne.stats.shock import Shock, crossed, shock, shocked


def over(values: Array, size: int) -> Estimate:
    """Return the mean of values, so many in a row a block."""
    codes = np.arange(len(values)) // size
    return estimate(Influence(float(values.mean()), values - values.mean()), codes, len(values) // size)


def test_shocks_are_measured() -> None:
    """Of sd .3, among rows of sd 1: on average over samples of 20 periods, with 19 degrees of freedom."""
    rng, found = np.random.default_rng(1), []
    for _ in range(400):
        values = np.repeat(0.3 * rng.normal(size=20), 100) + rng.normal(size=2_000)
        found.append(shock(over(values, 100), over(values, 1)))
    assert np.mean([each.variance for each in found]) == pytest.approx(0.09, rel=0.05)
    assert {round(each.freedom) for each in found} == {19}


def test_without_shocks_little_is_added() -> None:
    """Half of the time nothing."""
    rng = np.random.default_rng(2)
    samples = [rng.normal(size=2_000) for _ in range(200)]
    found = [shock(over(values, 100), over(values, 1)) for values in samples]
    assert 70 < sum(each.variance == 0 for each in found) < 150
    assert np.mean([each.variance for each in found]) < 0.5 / 100


def test_an_estimate_is_as_sure_as_the_less_known_part_lets_it_be() -> None:
    """Of four periods each adds a quarter of its variance; the degrees of freedom are Satterthwaite's."""
    found = shocked(Estimate(0.5, 0.3, 101, skewness=1.0), Shock(0.64, 11), 4)
    assert (found.value, found.error, found.blocks) == pytest.approx((0.5, 0.5, 101))
    freedom = 0.25**2 / (0.09**2 / 100 + 0.16**2 / 11)
    assert found.blocks * found.evenness == pytest.approx(freedom + 1)
    assert found.skewness == pytest.approx(0.6**3)
    assert found._replace(skewness=0).bounds(0.07)[0] == pytest.approx(0.5 - 0.5 * stats.t.isf(0.07, freedom))


@pytest.mark.parametrize("estimate_", [Estimate(1, 0.1, 30), Estimate(1, math.nan, 1)])
def test_nothing_is_added_to_what_has_no_shock_or_no_error(estimate_: Estimate) -> None:
    """It is returned as it is."""
    by = Shock(0.0 if estimate_.blocks > 1 else 0.5, 11)
    assert shocked(estimate_, by, 3) is estimate_


def test_bounds_hold_on_three_periods() -> None:
    """Of 200 days that share what their period has; of days alone they err in one of four cases."""
    rng, hits = np.random.default_rng(3), {"days": 0, "both": 0}
    for _ in range(2_000):
        means = 0.3 * rng.normal(size=19)
        before, held = (np.repeat(each, 60) for each in (means[:16], means[16:]))
        before, held = (each + rng.normal(size=len(each)) for each in (before, held))
        days = over(held, 1)
        hits["days"] += days.bounds(0.05)[0] > 0
        hits["both"] += shocked(days, shock(over(before, 60), over(before, 1)), 3).bounds(0.05)[0] > 0
    assert hits["both"] <= stats.binom.ppf(0.999, 2_000, 0.05)
    assert hits["days"] > 0.2 * 2_000


def test_rows_that_share_two_things_are_less_sure_than_by_either() -> None:
    """Variances add, less that of rows that share both; the degrees of freedom are those of the parts."""
    one, other, cells = Estimate(0, 0.03, 51), Estimate(0, 0.04, 41), Estimate(0, 0.01, 2_000)
    found = crossed(one, other, cells)
    assert (found.error**2, found.blocks) == pytest.approx((0.0009 + 0.0016 - 0.0001, 51))
    freedom = 0.0024**2 / (0.0009**2 / 50 + 0.0015**2 / 40)
    assert found.blocks * found.evenness == pytest.approx(min(freedom + 1, 51))
    assert crossed(one, cells, cells) == one
    # Where rows that share both vary by more than either, the larger one counts.
    assert crossed(one, other, Estimate(0, 0.05, 2_000)).error == pytest.approx(0.04)


def test_of_two_things_too_few_of_either_tell_nothing() -> None:
    """Nine days of fifty people: as many more people as days are missing."""
    found = crossed(Estimate(5, 0.03, 50), Estimate(5, 0.04, 9, fewest=11), Estimate(5, 0.01, 450))
    assert found.bounds(0.05) == (-math.inf, math.inf)
    assert found.fewest == pytest.approx(50 * 11 / 9)
    alone = Estimate(5, math.nan, 1)
    assert math.isnan(crossed(alone, alone, alone).error)


def test_bounds_hold_where_rows_share_two_things() -> None:
    """Of 30 people on 30 days; over people alone they err in more than one of ten cases."""
    rng, hits = np.random.default_rng(4), {"people": 0, "both": 0}
    who, day = np.repeat(np.arange(30), 30), np.tile(np.arange(30), 30)
    for _ in range(2_000):
        values = rng.normal(size=30)[who] + rng.normal(size=30)[day] + rng.normal(size=900)
        mean = Influence(float(values.mean()), values - values.mean())
        people, days, cells = (estimate(mean, codes, 900) for codes in (who, day, np.arange(900)))
        hits["people"] += people.bounds(0.05)[0] > 0
        hits["both"] += crossed(people, days, cells).bounds(0.05)[0] > 0
    assert hits["both"] <= stats.binom.ppf(0.999, 2_000, 0.05)
    assert hits["people"] > 0.1 * 2_000
