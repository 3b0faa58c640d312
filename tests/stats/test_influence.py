"""Influences are the derivatives of the metrics, and their sums by block give the right standard error."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perenne.common.task import BINARY
from perenne.stats.bootstrap import intervals
from perenne.stats.influence import INFLUENCE, rmse, roc_auc
from perenne.stats.metrics import METRICS, Array

OF_CLASSES = ("log_loss", "brier", "roc_auc", "accuracy")
ONE_COLUMN = sorted(set(INFLUENCE) - {"accuracy"})  # which has no other form than that of several classes

outcomes = st.sampled_from([0.0, 1.0])
probabilities = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))


def near(value: float) -> object:
    """Equal up to rounding."""
    return pytest.approx(value, rel=1e-12, abs=1e-12, nan_ok=True)


def rows(count: int, seed: int = 1) -> tuple[Array, Array]:
    """Draw outcomes that occur as predicted, with ties among the predictions."""
    rng = np.random.default_rng(seed)
    prediction = rng.uniform(0.05, 0.95, count).round(2)
    return (rng.random(count) < prediction).astype(np.float64), prediction


def blocked(blocks: int) -> tuple[Array, Array, npt.NDArray[np.intp]]:
    """Draw blocks of 20 rows that share a shock no model sees, and the block of each."""
    rng = np.random.default_rng(2)
    label = np.repeat(np.arange(blocks), 20)
    score = rng.normal(size=len(label))
    chance = 1 / (1 + np.exp(-score - rng.normal(size=blocks)[label]))
    return (rng.random(len(label)) < chance).astype(np.float64), 1 / (1 + np.exp(-score)), label


def test_every_metric_but_one() -> None:
    """Average precision has none; nothing else is missing or added."""
    assert set(INFLUENCE) == set(METRICS) - {"average_precision"}


@pytest.mark.parametrize("name", ONE_COLUMN)
@given(table=st.lists(st.tuples(outcomes, probabilities), max_size=40))
def test_values_are_the_metrics(name: str, table: list[tuple[float, float]]) -> None:
    """Whatever the ties and certainties; NaN where the metric is NaN, and then for every row."""
    y, prediction = np.array(table, dtype=np.float64).reshape(-1, 2).T
    expected = METRICS[name].prepare(y, prediction)(np.ones(len(y)))
    # Next to no event expected: observed / expected is as large as one likes.
    assume(name != "observed_expected" or not 0 < prediction.sum() < 1e-6)
    found = INFLUENCE[name](y, prediction)
    assert found.value == near(expected)
    assert found.rows.shape == y.shape
    assert np.isnan(found.rows).all() if math.isnan(expected) else np.isfinite(found.rows).all()


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_rows_are_the_derivatives_by_their_weight(name: str) -> None:
    """A little more or less weight of a row moves the metric by its influence; central differences."""
    y, prediction = rows(60)
    metric, step = METRICS[name].prepare(y, prediction), 1e-4
    moves = step * np.eye(60)
    slopes = [(metric(1 + move) - metric(1 - move)) / (2 * step) for move in moves]
    assert INFLUENCE[name](y, prediction).rows == pytest.approx(60 * np.array(slopes), abs=1e-5)


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_rows_agree_with_the_jackknife(name: str) -> None:
    """A metric without a row is off by the row's influence: exactly for means, else but for 1 / rows."""
    y, prediction = rows(500)
    metric, found = METRICS[name].prepare(y, prediction), INFLUENCE[name](y, prediction)
    without = np.array([metric(1 - row) for row in np.eye(500)])
    mean = name not in {"roc_auc", "observed_expected", "rmse", "r2"}
    assert found.rows == pytest.approx(499 * (found.value - without), abs=1e-9 if mean else 0.05)


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_rows_have_mean_0(name: str) -> None:
    """All rows together move nothing, even far from 0."""
    y, prediction = rows(10_000)
    offset = 2.0**20 if name not in BINARY.metrics else 0.0
    assert INFLUENCE[name](y + offset, prediction + offset).rows.mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_block_errors_agree_with_the_block_bootstrap(name: str) -> None:
    """Within 12 %, with 1,000 resamples of 300 blocks."""
    y, prediction, label = blocked(300)
    found = INFLUENCE[name](y, prediction).rows
    interval = intervals({name: METRICS[name].prepare(y, prediction)}, label, seed=3)[name]
    error = math.sqrt(300 / 299 * float(np.sum(np.bincount(label, found) ** 2))) / len(y)
    assert error == pytest.approx((interval.high - interval.low) / 2 / 1.96, rel=0.12)


def crops(count: int, seed: int = 4) -> tuple[Array, Array]:
    """Draw three classes that occur as predicted, of .6, .3 and .1 of the rows, with ties."""
    rng = np.random.default_rng(seed)
    chances = rng.dirichlet([6, 3, 1], count).round(1)
    chances = chances / chances.sum(axis=1, keepdims=True)
    return (chances.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1).clip(0, 2).astype(
        np.float64
    ), chances


@pytest.mark.parametrize("name", OF_CLASSES)
def test_rows_of_classes_are_the_derivatives_and_agree_with_the_jackknife(name: str) -> None:
    """Central differences by a row's weight, and the metric without the row; all together move nothing."""
    y, chances = crops(400)
    metric, found = METRICS[name].prepare(y, chances), INFLUENCE[name](y, chances)
    assert found.value == near(metric(np.ones(400)))
    step = 1e-4
    slopes = [(metric(1 + row) - metric(1 - row)) / (2 * step) for row in step * np.eye(400)]
    assert found.rows == pytest.approx(400 * np.array(slopes), abs=1e-4)
    without = np.array([metric(1 - row) for row in np.eye(400)])
    assert found.rows == pytest.approx(399 * (found.value - without), abs=0.1 if name == "roc_auc" else 1e-9)
    assert found.rows.mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_errors_of_classes_agree_with_the_bootstrap(name: str) -> None:
    """Within 12 %."""
    y, chances = crops(1500)
    found = INFLUENCE[name](y, chances).rows
    interval = intervals({name: METRICS[name].prepare(y, chances)}, range(1500), seed=3)[name]
    error = math.sqrt(float(np.sum(found**2))) / len(y)
    assert error == pytest.approx((interval.high - interval.low) / 2 / 1.96, rel=0.12)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_class_that_does_not_come_is_left_out(name: str) -> None:
    """Of a mean over classes; a single class has no ranking, as the metric says."""
    y, chances = crops(100)
    some = y < 2
    found = INFLUENCE[name](y[some], chances[some])
    assert found.value == near(METRICS[name].prepare(y[some], chances[some])(np.ones(some.sum())))
    assert np.isfinite(found.rows).all()
    one = y < 1
    assert math.isnan(INFLUENCE[name](y[one], chances[one]).value) == (name == "roc_auc")


def test_blocks_matter() -> None:
    """Where rows share a shock, the calibration's variance over blocks is over three times that over rows."""
    y, prediction, label = blocked(300)
    found = INFLUENCE["observed_expected"](y, prediction).rows
    assert np.sum(np.bincount(label, found) ** 2) > 3 * np.sum(found**2)


def test_placements_are_counted_pair_by_pair() -> None:
    """The share of the other class that a row is ranked rightly against, ties half."""
    y, score = rows(80)
    score = score.round(1)
    right = (np.sign(score[y == 1][:, None] - score[y == 0]) + 1) / 2
    found = roc_auc(y, score)
    assert found.rows[y == 1] == pytest.approx((right.mean(axis=1) - right.mean()) / y.mean())
    assert found.rows[y == 0] == pytest.approx((right.mean(axis=0) - right.mean()) / (1 - y.mean()))


def test_delongs_variance() -> None:
    """With rows as blocks the variance is DeLong's: those of the placements, each by its class."""
    y, score = rows(400)
    right = (np.sign(score[y == 1][:, None] - score[y == 0]) + 1) / 2
    delong = right.mean(axis=1).var(ddof=1) / y.sum() + right.mean(axis=0).var(ddof=1) / (1 - y).sum()
    assert np.sum(roc_auc(y, score).rows ** 2) / 400**2 == pytest.approx(delong, rel=0.01)


def test_no_errors_no_influence() -> None:
    """Where the root of the mean squared error is 0 it has no slope: rows are 0, not NaN."""
    assert rmse([1, 2, 3], [1, 2, 3]).rows.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("name", "y", "prediction"),
    [
        ("roc_auc", [1, 1, 1], [0.1, 0.2, 0.3]),
        ("roc_auc", [0, 0, 0], [0.1, 0.2, 0.3]),
        ("observed_expected", [1, 0, 1], [0, 0, 0]),
        ("r2", [0.1, 0.1, 0.1], [0.1, 0.2, 0.3]),
        *((name, [], []) for name in ONE_COLUMN),
    ],
)
def test_undefined_is_nan(name: str, y: list[float], prediction: list[float]) -> None:
    """One class, nothing expected, no variance, no rows: neither a value nor influences."""
    found = INFLUENCE[name](y, prediction)
    assert math.isnan(found.value)
    assert found.rows.shape == (len(y),)
    assert np.isnan(found.rows).all()


@pytest.mark.parametrize(
    ("name", "y", "prediction", "message"),
    [
        ("log_loss", [0, 2], [0.1, 0.2], "y must be 0 or 1, but row 1 holds 2.0"),
        ("brier", [0, 1], [0.1, 1.2], r"must be in \[0, 1\], but row 1 holds 1.2"),
        ("observed_expected", [0, 1], [-0.1, 0.2], r"must be in \[0, 1\], but row 0 holds -0.1"),
        ("roc_auc", [0, 1], [0.1, math.nan], "prediction must be finite, but row 1 holds nan"),
        ("mae", [math.inf, 1], [1, 2], "y must be finite, but row 0 holds inf"),
        ("rmse", [1, 2], [1, math.nan], "prediction must be finite, but row 1 holds nan"),
        ("bias", [1, 2], [[1, 2]], r"shapes \(2,\) and \(1, 2\)"),
        ("r2", [1, 2, 3], [1, 2], r"shapes \(3,\) and \(2,\)"),
    ],
)
def test_bad_rows_are_named(name: str, y: list[float], prediction: list[float], message: str) -> None:
    """As in the metrics."""
    with pytest.raises(ValueError, match=message):
        INFLUENCE[name](y, prediction)
