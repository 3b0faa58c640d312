"""Looks that are few by construction: an effect floor, a second batch that agrees, a rate over batches."""

import math

import numpy as np
import pytest
from scipy import stats

from perenne.stats.multiplicity import Looks, adjusted, flagged, repeated
from perenne.stats.two_sample import Test


def made(*pvalues: float, effect: float = 0.2) -> dict[str, Test]:
    """Name tests a, b, c, ... by their p-values."""
    return {chr(ord("a") + k): Test("test", 1.0, p, effect) for k, p in enumerate(pvalues)}


def test_adjusted_by_hand() -> None:
    """The k-th smallest of n p-values becomes p * n / k, never more than the next."""
    assert adjusted([0.04, 0.01, 0.03, 0.5]) == pytest.approx([0.16 / 3, 0.04, 0.16 / 3, 0.5])


def test_a_test_that_could_not_be_made_costs_nothing() -> None:
    """NaN stays NaN, and the others are adjusted as if it were not there."""
    assert adjusted([math.nan, 0.01, math.nan, 0.2]) == pytest.approx(
        [math.nan, 0.02, math.nan, 0.2], nan_ok=True
    )
    assert np.isnan(adjusted([math.nan])).all()
    assert len(adjusted([])) == 0


def test_a_pvalue_is_a_probability() -> None:
    """What is outside [0, 1] is a mistake."""
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjusted([0.5, 1.5])


def test_flags_what_is_both_sure_and_large() -> None:
    """The q-value decides with the effect, whatever its sign; an effect just at the floor does not matter."""
    found = made(1e-6, 1e-6, 1e-6, 0.5, math.nan)
    found["b"] = found["b"]._replace(effect=0.05)
    found["c"] = found["c"]._replace(effect=-0.06)
    assert flagged(found) == pytest.approx({"a": 4e-6 / 3, "c": 4e-6 / 3})


def test_an_unknown_effect_is_not_large() -> None:
    """NaN as an effect flags nothing."""
    assert not flagged(made(1e-9, effect=math.nan))


def one(pvalue: float, degrees: float = math.inf, effect: float = 0.2) -> Test:
    """Return a test of this p-value."""
    return Test("test", 1.0, pvalue, effect, degrees)


def test_repeated_is_a_square_where_nothing_is_shared() -> None:
    """The larger p-value decides; with blocks in common it is all that two batches are worth."""
    assert repeated(one(0.01), one(0.001), 0.0) == pytest.approx(1e-4)
    assert repeated(one(0.001), one(0.01), 1.0) == 0.01


@pytest.mark.parametrize("degrees", [math.inf, 24.0, 3.0])
@pytest.mark.parametrize("shared", [0.0, 0.1, 0.5])
def test_repeated_is_the_share_of_simulations(shared: float, degrees: float) -> None:
    """Of a million pairs that share a reference and an estimated scale, so many are both at most .02."""
    rng = np.random.default_rng(7)
    n = 1_000_000
    z = math.sqrt(shared) * rng.normal(size=n) + math.sqrt(1 - shared) * rng.normal(size=(2, n))
    known = math.isinf(degrees)
    scale = 1.0 if known else np.sqrt(rng.chisquare(degrees, n) / degrees)
    beyond = stats.norm.isf(0.01) if known else stats.t.isf(0.01, degrees)
    share = float(np.mean(np.all(np.abs(z) > beyond * scale, axis=0)))
    assert repeated(one(0.02, degrees), one(0.02, degrees), shared) == pytest.approx(share, rel=0.08)


def looks(*batches: dict[str, Test], shared: float = 0.1) -> list[set[str]]:
    """Return what asks for a look in each of some consecutive batches."""
    found = Looks[str]()
    return [set(found.update(batch, shared)) for batch in batches]


def test_a_look_needs_two_batches_in_a_row() -> None:
    """What moved once asks for nothing; what moved twice does, at once and as long as it lasts."""
    moved, calm = made(1e-6, 0.9), made(0.9, 0.9)
    assert looks(moved, calm, moved, moved, moved, calm) == [set(), set(), set(), {"a"}, {"a"}, set()]


def test_a_share_that_turns_round_asks_for_no_look() -> None:
    """Too many missing, then too few, is not twice the same."""
    up, down = made(1e-6, effect=0.2), made(1e-6, effect=-0.2)
    assert looks(up, down) == [set(), set()]
    assert looks(down, down) == [set(), {"a"}]


def test_a_small_effect_asks_for_no_look() -> None:
    """Significant or not: at the floor it does not matter, in either of the two batches."""
    large, small = made(1e-9, effect=0.2), made(1e-9, effect=0.05)
    assert looks(large, small, large) == [set()] * 3


def test_a_test_that_is_gone_asks_for_no_look() -> None:
    """What one of the two batches could not test is not judged."""
    moved = made(1e-6)
    assert looks(moved, {}, moved, made(math.nan), moved) == [set()] * 5


def test_a_look_that_lasts_makes_no_room_for_false_ones() -> None:
    """A column that asks a hundred times counts once; a second one that asks makes the level larger once."""
    lasting = looks(*[made(1e-9, 0.9)] * 100, *[made(1e-9, 2e-2)] * 2)
    assert lasting[99] == {"a"}
    assert lasting[-1] == {"a"}


def test_pvalues_are_probabilities() -> None:
    """What is outside [0, 1] is a mistake."""
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        looks(made(1.5))


@pytest.mark.parametrize("large", [1, 9])
def test_a_false_look_is_rare_however_many_batches_come(large: int) -> None:
    """20 normal means, 60 batches, a reference `large` times as large: any look in at most 5 % of runs.

    The binomial of 5 % exceeds 21 of 200 once in 1,000 times.
    """
    rng, runs = np.random.default_rng([large, 1]), 0
    shared = 1 / (1 + large)
    for _ in range(200):
        z = math.sqrt(1 - shared) * rng.normal(size=(60, 20)) + math.sqrt(shared) * rng.normal(size=20)
        batches = (made(*p) for p in 2 * stats.norm.sf(np.abs(z)))
        runs += any(looks(*batches, shared=shared))
    assert runs <= stats.binom.ppf(0.999, 200, 0.05)


def test_few_of_many_looks_are_false() -> None:
    """Three of 20 columns move for good: of all looks over 36 batches at most 5 % are at others."""
    rng, false, true = np.random.default_rng(3), [], 0
    for _ in range(200):
        z = rng.normal(size=(36, 20)) + np.array([5.0] * 3 + [0.0] * 17)
        found = looks(*(made(*p) for p in 2 * stats.norm.sf(np.abs(z))), shared=0.0)
        asked = [key for batch in found for key in batch]
        true += sum(key in "abc" for key in asked)
        false.append(sum(key not in "abc" for key in asked) / max(len(asked), 1))
    assert np.mean(false) <= 0.05
    assert true > 0.8 * 200 * 35 * 3
