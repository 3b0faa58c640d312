"""Alarms that are few by construction: false discovery rate, effect floor, and a second batch that agrees."""

import math

import numpy as np
import pytest
from scipy import stats

from perenne.stats.multiplicity import adjusted, flagged, persistent
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


def test_among_counts_only_those() -> None:
    """Of 40 tests .04 is nothing; as the only one of interest it is."""
    many = made(0.04, *[0.9] * 39)
    assert not flagged(many)
    assert flagged(many, among={"a"}) == pytest.approx({"a": 0.04})


def test_persists_if_the_next_batch_confirms() -> None:
    """Flagged among all, then confirmed among those flagged; a newcomer waits for its own second batch."""
    before, now = made(1e-6, 1e-6, 0.9, 0.9), made(0.01, 0.5, 1e-9, 0.9)
    assert persistent(before, now) == pytest.approx({"a": 0.02})


def test_a_share_that_turns_round_does_not_persist() -> None:
    """Too many missing, then too few, is not twice the same."""
    assert not persistent(made(1e-6, effect=0.2), made(1e-6, effect=-0.2))
    assert persistent(made(1e-6, effect=-0.2), made(1e-6, effect=-0.2))


def test_a_test_that_is_gone_confirms_nothing() -> None:
    """What the next batch could not test is not confirmed."""
    assert not persistent(made(1e-6), {})
    assert not persistent(made(1e-6), made(math.nan))


def test_a_look_without_drift_is_rare() -> None:
    """20 normal means, two batches that share a reference: looks in at most 5 % of 2,000 runs, flags too.

    The binomial of 5 % exceeds 131 of 2,000 once in 1,000 times.
    """
    rng, once, twice = np.random.default_rng(1), 0, 0
    for _ in range(2_000):
        z = (rng.normal(size=(2, 20)) - rng.normal(size=20)) / math.sqrt(2)
        first, second = (made(*2 * stats.norm.sf(np.abs(batch))) for batch in z)
        once += bool(flagged(first))
        twice += bool(persistent(first, second))
    assert once <= stats.binom.ppf(0.999, 2_000, 0.05)
    assert twice <= once / 2
