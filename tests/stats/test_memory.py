"""The autocorrelation of days is that of the process, whatever was centred, and chance finds none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal, stats

from perenne.stats.memory import Neighbours, effect_on_mean, neighbours
from perenne.stats.metrics import Array


def remembering(rng: np.random.Generator, root: float, days: int) -> Array:
    """Draw an AR(1) series of variance 1."""
    shocks = rng.normal(size=days) * np.sqrt(1 - root**2)
    shocks[0] = rng.normal()
    series: Array = signal.lfilter([1], [1, -root], shocks)
    return series


@pytest.mark.parametrize("length", [7, 30, 120])
@pytest.mark.parametrize("root", [0.0, 0.3, 0.6])
def test_centring_is_allowed_for(root: float, length: int) -> None:
    """Even where each week is centred by itself."""
    rng, days = np.random.default_rng(1), np.arange(840)
    found = [neighbours(remembering(rng, root, 840), days, days // length) for _ in range(200)]
    assert np.mean([each.autocorrelation for each in found]) == pytest.approx(root, abs=0.02)
    spread = np.std([each.autocorrelation for each in found])
    if length > 7:
        assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.15)


@pytest.mark.parametrize("length", [7, 30, 120])
def test_independent_days_have_no_memory(length: int) -> None:
    """The p-value is below .05 in at most one of twenty cases."""
    rng, days = np.random.default_rng(2), np.arange(length * (120 // length))
    hits = sum(neighbours(rng.normal(size=len(days)), days, days // length).p < 0.05 for _ in range(1_000))
    assert hits <= stats.binom.ppf(0.999, 1_000, 0.05)


def test_rows_are_summed_by_day_and_gaps_part_days() -> None:
    """Rows in any order; the Friday before a missing weekend has no neighbour after it."""
    rng = np.random.default_rng(3)
    days = np.repeat([day for day in range(700) if day % 7 < 5], 3)
    series = remembering(rng, 0.5, 700)
    values = series[days] / 3
    found = neighbours(values, days, np.zeros(len(days)))
    assert found.days == 500
    assert found.autocorrelation == pytest.approx(0.5, abs=0.1)
    shuffled = rng.permutation(len(days))
    again = neighbours(values[shuffled], days[shuffled], np.zeros(len(days)))
    assert again == pytest.approx(found)


def test_too_few_to_tell() -> None:
    """Ten days have nine pairs; every other day has no neighbour; a constant says nothing."""
    rng = np.random.default_rng(4)
    for days in (np.arange(10), np.arange(0, 100, 2)):
        assert np.isnan(neighbours(rng.normal(size=len(days)), days, np.zeros(len(days)))[1:]).all()
    assert np.isnan(neighbours(np.ones(90), np.arange(90), np.zeros(90))[1:]).all()


def test_the_effect_is_that_of_theory() -> None:
    """(1 + r) / (1 - r) times the variance for AR(1); more if the memory lasts longer than its start says."""
    assert Neighbours(100, 0.5, 0.5, 0.1, 0.01).effect == pytest.approx(3)
    assert Neighbours(100, 0.5, 0.8, 0.1, 0.01).effect == pytest.approx(6)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_a_mean_of_days_that_remember_varies_more(noise: float) -> None:
    """As much as the true autocorrelations say, also where each day has something of its own."""
    rng, count = np.random.default_rng(5), 365
    lags = np.arange(1, count)
    share = 1 / (1 + noise**2)
    truth = 1 + 2 * np.sum((1 - lags / count) * share * 0.7**lags)
    drawn = [remembering(rng, 0.7, count) + noise * rng.normal(size=count) for _ in range(200)]
    found = [effect_on_mean(series - series.mean()) for series in drawn]
    assert np.median(found) == pytest.approx(truth, rel=0.15)


def test_a_mean_of_days_that_do_not_varies_as_usual() -> None:
    """Few days, days that alternate, days that are all alike: nothing to heed."""
    rng = np.random.default_rng(6)
    alternating = np.tile([1.0, -1.0], 50)
    for series in (rng.normal(size=10), alternating, np.zeros(50), np.array([])):
        assert effect_on_mean(series) == 1
    independent = [effect_on_mean(rng.normal(size=100)) for _ in range(200)]
    assert np.median(independent) < 1.1
