"""The period age: closed forms, brute force, and no answer where it hangs on ages nobody was seen at."""

import math

import numpy as np
import pytest

from perenne.stats import survival
from perenne.stats.bootstrap import intervals
from perenne.stats.metrics import Array
from perenne.stats.survival import period_age

GRID = np.arange(60, 70, 0.25)


def life_table(hazards: Array) -> float:
    """Walk a cohort down the ages, one after the other."""
    age, staying = 0.0, 1.0
    for a, h in zip(GRID, hazards, strict=True):
        age += a * staying * h
        staying *= 1 - h
    return age + 70 * staying


@pytest.mark.parametrize("hazard", [0.01, 0.1, 0.9])
def test_constant_hazard_is_geometric(hazard: float) -> None:
    """Quarters at work are then a geometric variable, cut off after 40."""
    stay = 1 - hazard
    expected = 60 + 0.25 * stay * (1 - stay**40) / hazard
    assert period_age(GRID, np.full(40, hazard)) == pytest.approx(expected)


@pytest.mark.parametrize(("hazard", "age"), [(0, 70), (1, 60)])
def test_nobody_and_everybody(hazard: float, age: float) -> None:
    """Those who never leave leave at the last age; if all leave at once, at the first."""
    assert period_age(GRID, np.full(40, hazard)) == age


def test_equals_a_life_table() -> None:
    """Any hazards: the sum over ages of age * survival * hazard, in whatever order the rows come."""
    rng = np.random.default_rng(1)
    hazards, order = rng.random(40) * 0.2, rng.permutation(40)
    assert period_age(GRID[order], hazards[order]) == pytest.approx(life_table(hazards))


def test_a_hazard_is_a_weighted_mean() -> None:
    """Rows seen leaving, predicted probabilities and weights are three ways to say one hazard."""
    seen = period_age([60, 60, 60, 60, 60.25], [1, 0, 0, 0, 1], last=60.5)
    predicted = period_age([60, 60, 60.25], [0.2, 0.3, 1.0], last=60.5)
    weighted = period_age([60, 60, 60.25], [1, 0, 1], weights=[1, 3, 9], last=60.5)
    assert seen == predicted == weighted == 60.1875


def test_it_does_not_ask_leavers_alone() -> None:
    """When the hazard at 62 falls, leavers grow younger on average, and the period age rises."""
    ages = np.repeat([61.0, 62.0, 63.0], 100)
    before, after = ((np.tile(np.arange(100), 3) < np.repeat(n, 100)) for n in ([10, 80, 50], [10, 20, 10]))
    assert ages[after].mean() < ages[before].mean()
    young, old = (period_age(ages, events, first=61, last=64, step=1) for events in (before, after))
    assert young < old


def test_an_unseen_age_on_the_way_of_many_is_nan() -> None:
    """At 60.5 nobody was seen and nearly everybody passes: there is no saying when they leave."""
    ages = np.delete(GRID, 2)
    assert math.isnan(period_age(ages, np.full(39, 0.05)))


def test_unseen_ages_at_the_end_do_not_stretch_the_age() -> None:
    """Rows of 60 and 61 only do not tell when people leave: those who stay are not sent to 70."""
    assert math.isnan(period_age(GRID[:8], np.full(8, 0.1)))


def test_an_unseen_age_that_few_reach_is_bracketed() -> None:
    """One in a hundred gets to 69.75, where nobody was seen: the middle of what could be, within 0.1 year."""
    hazards = np.full(40, 0.11)
    low, high = (life_table(np.append(hazards[:-1], end)) for end in (1, 0))
    assert period_age(GRID[:-1], hazards[:-1]) == pytest.approx((low + high) / 2)
    assert 0 < high - low < 0.1


@pytest.mark.parametrize(("unseen", "told"), [(25, False), (26, True)])
def test_a_tenth_of_a_year_may_be_unknown(unseen: int, *, told: bool) -> None:
    """With 11 % leaving each quarter, not knowing the 26th hazard costs 0.102 years, the 27th 0.088."""
    age = period_age(np.delete(GRID, unseen), np.full(39, 0.11))
    assert math.isfinite(age) == told


def test_an_unseen_age_that_nobody_reaches_does_not_matter() -> None:
    """All have left by 62."""
    assert period_age(GRID[:8], np.append(np.zeros(7), 1)) == 61.75


def test_weight_zero_is_absence() -> None:
    """An age whose rows have no weight is as unseen as one without rows."""
    weights = np.ones(40)
    weights[2] = 0
    assert math.isnan(period_age(GRID, np.full(40, 0.05), weights=weights))


@pytest.mark.parametrize("age", [59.75, 60.1, 70.0, math.nan, math.inf])
def test_ages_off_the_grid_are_named(age: float) -> None:
    """An age the cohort does not pass is an error, not a rounding."""
    with pytest.raises(ValueError, match=f"40 ages from 60.0 in steps of 0.25, but row 1 is {age}"):
        period_age([60, age], [0, 0])


@pytest.mark.parametrize("events", [[0, 2], [0, -0.1], [0, math.nan], [0]])
def test_events_are_probabilities(events: list[float]) -> None:
    """One in [0, 1] for each age."""
    with pytest.raises(ValueError, match="one event in"):
        period_age([60, 61], events)


def test_last_is_a_whole_number_of_steps_away() -> None:
    """A cohort that would stop between two ages is refused."""
    with pytest.raises(ValueError, match=r"expected 69\.9 to be a whole number of steps"):
        period_age([60], [0], last=69.9)


def test_steps_need_not_be_binary_fractions() -> None:
    """Months are a grid too."""
    months = 60 + np.arange(120) / 12
    assert period_age(months, np.zeros(120), step=1 / 12) == pytest.approx(70)


def test_bootstrapped() -> None:
    """Prepared, it is one more metric: its interval holds the age the rows were drawn from."""
    rng = np.random.default_rng(1)
    ages = np.repeat(GRID, 100)
    hazards = np.linspace(0.02, 0.3, 40)
    events = rng.random(4_000) < np.repeat(hazards, 100)
    found = intervals({"age": survival.prepare(ages, events)}, np.arange(4_000), resamples=200, seed=1)["age"]
    assert found.value == period_age(ages, events)
    assert found.low < life_table(hazards) < found.high
    assert found.high - found.low < 0.6
