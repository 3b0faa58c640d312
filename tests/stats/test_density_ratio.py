"""The density ratio: weighted by it, a reference has the features of a batch."""

from __future__ import annotations

import math

import numpy as np
import pytest

from perenne.stats.density_ratio import FARTHEST, density_ratio

N = 6_000


def sides(shift: float, seed: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """A reference, and a batch whose first of two features has moved by so many standard deviations."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, 2)), rng.normal(size=(N // 2, 2)) + np.array([shift, 0.0])


@pytest.mark.parametrize("shift", [0.0, 0.5, -1.0])
def test_weighted_reference_has_the_means_of_the_batch(shift: float) -> None:
    """Of the feature that has moved, and of the one that has not."""
    reference, batch = sides(shift)
    found = density_ratio(reference, batch, seed=0)
    assert found.weights.mean() == pytest.approx(1)
    means = np.average(reference, axis=0, weights=found.weights)
    assert means == pytest.approx(batch.mean(axis=0), abs=0.12)
    assert found.outside < 0.01


def test_weights_are_those_of_the_densities() -> None:
    """For two normal distributions the ratio is known: exp(x * shift - shift ** 2 / 2)."""
    reference, batch = sides(0.7)
    true = np.exp(0.7 * reference[:, 0] - 0.7**2 / 2)
    found = density_ratio(reference, batch, seed=0).weights
    assert np.corrcoef(np.log(true), np.log(found))[0, 1] > 0.9
    assert found.max() / found.min() <= FARTHEST**2


@pytest.mark.parametrize(("shift", "least", "most"), [(1.0, 0.0, 0.05), (4.0, 0.8, 1.0)])
def test_rows_outside_of_the_reference_are_counted(shift: float, least: float, most: float) -> None:
    """Four standard deviations away there is no row of the reference to speak for them."""
    assert least <= density_ratio(*sides(shift), seed=0).outside <= most


def test_missing_values_are_a_feature() -> None:
    """Half are missing in the batch, and so they are in the weighted reference; a column may be empty."""
    reference, batch = sides(0.0)
    reference[: N // 10, 0] = math.nan
    batch[: N // 4, 0] = math.nan
    empty = [np.column_stack([side, np.full(len(side), math.nan)]) for side in (reference, batch)]
    weights = density_ratio(empty[0], empty[1], seed=0).weights
    assert np.average(np.isnan(reference[:, 0]), weights=weights) == pytest.approx(0.5, abs=0.05)


def test_same_rows_and_seed_give_the_same_bytes() -> None:
    """And another seed others: rows are drawn."""
    reference, batch = sides(0.5)
    first, second, other = (density_ratio(reference, batch, seed=seed).weights for seed in (3, 3, 4))
    assert first.tobytes() == second.tobytes() != other.tobytes()
