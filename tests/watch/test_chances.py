"""Chances of several classes: right on weighted rows, and those of two classes where there are two."""

from __future__ import annotations

import numpy as np
import pytest

from perenne.stats.metrics import one_hot
from perenne.watch.chances import calibrated


def test_chances_of_several_classes_keep_their_promises() -> None:
    """Of each class as many weighted rows come as promised, and the log loss is what is promised."""
    rng = np.random.default_rng(5)
    score, weights = rng.dirichlet([3.0, 2.0, 1.0, 0.5], 3_000), rng.uniform(0.2, 4, 3_000)
    true = score**1.4 * [1.0, 1.5, 1.0, 1.0]
    true /= true.sum(axis=1, keepdims=True)
    came = one_hot((true.cumsum(axis=1) < rng.random((3_000, 1))).sum(axis=1), 4)
    chance = calibrated(score, came, weights)(score)
    assert chance.sum(axis=1) == pytest.approx(np.ones(3_000))
    missed = weights[:, None] * (came - chance)
    assert missed.sum(axis=0) == pytest.approx(np.zeros(4), abs=1e-3)
    logs = np.log(score.clip(1e-6, 1))
    assert np.sum(missed * logs) == pytest.approx(0, abs=1e-3)
    assert abs(chance - true).max() < 0.05


def test_two_classes_are_an_event() -> None:
    """The same chances as by scikit-learn's logistic regression."""
    rng = np.random.default_rng(6)
    score, weights = rng.uniform(0.02, 0.7, 2_000), rng.uniform(0.2, 4, 2_000)
    y = (rng.random(2_000) < score**1.5).astype(float)
    both = calibrated(np.column_stack([1 - score, score]), np.column_stack([1 - y, y]), weights)
    other = rng.uniform(0.01, 0.99, 100)
    expected = calibrated(score, y, weights)(other)
    assert both(np.column_stack([1 - other, other]))[:, 1] == pytest.approx(expected, abs=1e-5)


def test_class_that_never_came_has_no_chance() -> None:
    """And neither it nor constant scores take the others away."""
    came = one_hot(np.repeat([0, 1], [300, 700]), 3)
    score = np.tile([0.5, 0.4, 0.1], (1_000, 1))
    chance = calibrated(score, came, np.ones(1_000))(score[:1])
    assert chance[0] == pytest.approx([0.3, 0.7, 0.0], abs=1e-3)
