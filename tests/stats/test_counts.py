"""A batch's volume is tested with the variance the reference showed, and the answer says which."""

import math

import numpy as np
import pytest
from scipy import stats

from perenne.stats.counts import scatter, volume


@pytest.mark.parametrize("batches", [8, 20])
@pytest.mark.parametrize("shape", [math.inf, 900, 100, 20])
def test_size(shape: float, batches: int) -> None:
    """Of 2,000 batches like the reference's, Poisson or negative binomial, at most some 6 % are below .05."""
    rng = np.random.default_rng([batches, int(min(shape, 10**6))])
    means = 900 if math.isinf(shape) else rng.gamma(shape, 900 / shape, (2_000, batches + 1))
    drawn = rng.poisson(means, (2_000, batches + 1))
    odd = sum(volume(int(row[0]), row[1:]).p_value < 0.05 for row in drawn)
    assert stats.binom.ppf(0.001, 2_000, 0.015) <= odd <= stats.binom.ppf(0.999, 2_000, 0.06)


@pytest.mark.parametrize("count", [700, 1_100])
def test_both_too_few_and_too_many_are_odd(count: int) -> None:
    """Against 900 on average."""
    found = volume(count, [940, 905, 870, 917, 893, 875])
    assert (found.law, found.expected) == ("Poisson", 900)
    assert found.p_value < 1e-4


def test_what_is_odd_for_poisson_need_not_be() -> None:
    """A reference that jumps about makes the same count ordinary."""
    found = volume(700, [1_200, 640, 905, 1_010, 760, 885])
    assert found.law == "overdispersed"
    assert found.dispersion > 10
    assert found.p_value > 0.2


def test_overdispersed_is_the_textbook_prediction() -> None:
    """With equal exposures, t = (count - mean) / (s * sqrt(1 + 1 / n))."""
    counts = np.array([1_200, 640, 905, 1_010, 760, 885])
    t = (700 - counts.mean()) / (counts.std(ddof=1) * math.sqrt(1 + 1 / 6))
    assert volume(700, counts).p_value == pytest.approx(2 * stats.t.cdf(t, 5))


def test_poisson_is_the_exact_conditional_test() -> None:
    """Small counts too: 4 where 30 batches had none."""
    found = volume(4, np.zeros(30))
    assert (found.law, found.expected) == ("Poisson", 0)
    assert found.p_value == pytest.approx(1 / 31**4)


def test_exposure_scales_what_is_expected() -> None:
    """Half a month with half the rows is ordinary, a whole one with half the rows is not."""
    reference, days = [903, 1_012, 934, 967], [28, 31, 30, 30]
    assert volume(480, reference, exposure=15, exposures=days).p_value > 0.5
    assert volume(480, reference, exposure=30, exposures=days).p_value < 1e-6


def test_missing_labels_are_seen() -> None:
    """Of 9,500 rows 90 lack their label where 4 did before: counted as missing, with the rows as exposure."""
    found = volume(90, [4, 2, 5, 5], exposure=9_500, exposures=[9_400, 9_600, 9_500, 9_450])
    assert found.law == "Poisson"
    assert found.p_value < 1e-12


@pytest.mark.parametrize("reference", [[], [900]])
def test_a_short_reference_cannot_tell(reference: list[int]) -> None:
    """One batch does not say how batches differ: no p-value, not p = 1."""
    found = volume(900, reference)
    assert found.law == "unknown"
    assert math.isnan(found.p_value)


@pytest.mark.parametrize(
    ("count", "reference", "exposure", "message"),
    [
        (-1, [5, 6], 1, "whole numbers"),
        (5, [5, 6.5], 1, "whole numbers"),
        (5, [5, math.nan], 1, "whole numbers"),
        (5, [5, math.inf], 1, "whole numbers"),
        (5, [5, 6], 0, "an exposure above 0"),
        (5, [5, 6], math.nan, "an exposure above 0"),
    ],
)
def test_counts_are_counts(count: int, reference: list[float], exposure: float, message: str) -> None:
    """What is not a count, or comes from nothing, is refused."""
    with pytest.raises(ValueError, match=message):
        volume(count, reference, exposure=exposure)


def test_scatter_of_all_batches_is_their_dispersion() -> None:
    """Each against the others, on average: nearly Pearson's chi-squared over its degrees of freedom."""
    counts = [1_200, 640, 905, 1_010, 760, 885]
    each = [
        scatter(one, counts[:k] + counts[k + 1 :], exposure=1, exposures=[1] * 5)
        for k, one in enumerate(counts)
    ]
    # Nearly: the others' mean stands for that of all.
    assert np.mean(each) == pytest.approx(volume(700, counts).dispersion, rel=0.02)


def test_spread_that_others_tell() -> None:
    """Two Januaries alone do not tell how far Januaries lie apart; all months do, and one is then enough."""
    assert volume(1_200, [1_000], exposures=[1]).law == "unknown"
    calm, wild = (volume(1_200, [1_000, 1_010], spread=(d, 22)) for d in (1.0, 50.0))
    assert (calm.law, wild.law, wild.degrees) == ("Poisson", "overdispersed", 22)
    assert calm.p_value < 1e-4 < 0.3 < wild.p_value
