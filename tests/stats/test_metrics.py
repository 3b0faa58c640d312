"""The metrics equal scikit-learn's, under any weights, and say NaN where there is no answer."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sk

from perenne.common.task import BINARY
from perenne.stats.metrics import METRICS, Array, average_precision, r2, roc_auc

SKLEARN = {
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w, labels=[0, 1]),
    "brier": lambda y, p, w: sk.brier_score_loss(y, p, sample_weight=w),
    "roc_auc": lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w),
    "average_precision": lambda y, p, w: sk.average_precision_score(y, p, sample_weight=w),
    "observed_expected": lambda y, p, w: np.average(y, weights=w) / np.average(p, weights=w),
    "mae": lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w),
    "mse": lambda y, p, w: sk.mean_squared_error(y, p, sample_weight=w),
    "rmse": lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w),
    "bias": lambda y, p, w: np.average(p - y, weights=w),
    "r2": lambda y, p, w: sk.r2_score(y, p, sample_weight=w),
}

# Of these there is no other form than that of several classes.
ONLY_CLASSES = {"accuracy"}
NUMERIC = sorted(set(METRICS) - set(BINARY.metrics) - ONLY_CLASSES)
ONE_COLUMN = sorted(set(METRICS) - ONLY_CLASSES)
OF_CLASSES = {
    "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w, labels=range(p.shape[1])),
    # scikit-learn's own halves it where there are two classes.
    "brier": lambda y, p, w: np.average(
        ((p - np.eye(p.shape[1])[y.astype(int)]) ** 2).sum(axis=1), weights=w
    ),
    "roc_auc": lambda y, p, w: np.mean(
        [sk.roc_auc_score(y == k, p[:, k], sample_weight=w) for k in range(p.shape[1])]
    ),
    "accuracy": lambda y, p, w: sk.accuracy_score(y, p.argmax(axis=1), sample_weight=w),
}

probabilities = st.one_of(
    st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1)
)  # ties, certainties, others
resampled = st.integers(0, 3).map(float)
measured = st.one_of(st.sampled_from([0.0, 0.5]), st.floats(-100, 100).map(lambda x: round(x, 3)))


def near(value: float) -> object:
    """Equal up to rounding."""
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def columns(*cells: st.SearchStrategy[float]) -> st.SearchStrategy[list[Array]]:
    """Draw columns of one length, each of its own kind of cells."""
    rows = st.lists(st.tuples(*cells), min_size=2, max_size=40)
    return rows.map(lambda drawn: list(np.array(drawn, dtype=np.float64).T))


@pytest.mark.parametrize("name", BINARY.metrics)
@given(table=columns(st.sampled_from([0.0, 1.0]), probabilities, resampled))
def test_binary_metrics_equal_scikit_learn(name: str, table: list[Array]) -> None:
    """Ties, certain predictions and rows of weight 0 change nothing about it."""
    y, p, w = table
    assume(0 < w @ y < w.sum() and w @ p > 1e-6)
    assert METRICS[name].prepare(y, p)(w) == near(SKLEARN[name](y, p, w))


@pytest.mark.parametrize("name", NUMERIC)
@given(table=columns(measured, measured, resampled))
def test_regression_metrics_equal_scikit_learn(name: str, table: list[Array]) -> None:
    """Where y varies among the rows that weigh."""
    y, p, w = table
    assume(w.any() and np.ptp(y[w > 0]) > 0)
    assert METRICS[name].prepare(y, p)(w) == near(SKLEARN[name](y, p, w))


@pytest.mark.parametrize("digits", [0, 1, 2, 16])
@pytest.mark.parametrize("name", BINARY.metrics)
def test_long_columns_equal_scikit_learn(name: str, digits: int) -> None:
    """20,000 rows with fractional weights: from two distinct scores to no ties at all."""
    rng = np.random.default_rng(digits)
    p = rng.random(20_000).round(digits)
    y = (rng.random(20_000) < 0.1 + 0.3 * p).astype(float)
    w = rng.exponential(size=20_000)
    assert METRICS[name].prepare(y, p)(w) == near(SKLEARN[name](y, p, w))


@pytest.mark.parametrize("name", OF_CLASSES)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(2, 6), digits=st.integers(1, 9))
def test_metrics_of_classes_equal_scikit_learn(name: str, seed: int, classes: int, digits: int) -> None:
    """With ties, certainties, and rows of weight 0; every class has weight."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(classes, 0.5), 60).round(digits)
    p = p / p.sum(axis=1, keepdims=True)
    y, w = np.arange(60.0) % classes, rng.integers(3, size=60) + (np.arange(60) < classes)
    assert METRICS[name].prepare(y, p)(w.astype(float)) == near(OF_CLASSES[name](y, p, w))


def test_ranking_of_classes_is_scikit_learns_macro_average() -> None:
    """One versus rest, each class alike."""
    rng = np.random.default_rng(1)
    y, p = rng.integers(4, size=500).astype(float), rng.dirichlet(np.ones(4), 500)
    expected = sk.roc_auc_score(y, p, multi_class="ovr", average="macro")
    assert METRICS["roc_auc"].prepare(y, p)(np.ones(500)) == near(expected)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_weight_is_repetition_of_classes_too(name: str) -> None:
    """A class that loses all weight is left out of a mean over classes."""
    rng = np.random.default_rng(5)
    y, p, w = np.arange(90.0) % 3, rng.dirichlet(np.ones(3), 90), rng.integers(3, size=90)
    w[y == 2] = 0
    prepare = METRICS[name].prepare
    repeated = prepare(np.repeat(y, w), np.repeat(p, w, axis=0))(np.ones(w.sum()))
    assert prepare(y, p)(w.astype(float)) == near(repeated)
    assert math.isfinite(repeated)
    assert math.isnan(prepare(y, p)(np.zeros(90)))


@pytest.mark.parametrize("name", OF_CLASSES)
@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0, 3], [[0.2, 0.3, 0.5]] * 2, "y must be the place of a class, but row 1 holds 3.0"),
        ([0, 0.5], [[0.2, 0.3, 0.5]] * 2, "y must be the place of a class, but row 1 holds 0.5"),
        ([0, 1], [[0.2, 0.3, 0.5], [0.2, 0.3, 0.4]], "probabilities must sum to 1, but row 1"),
        ([0, 1], [[1.2, 0.3, -0.5], [0.2, 0.3, 0.5]], r"must be in \[0, 1\], but row 0"),
        ([0, 1], [[0.2, 0.3, math.nan], [0.2, 0.3, 0.5]], r"must be in \[0, 1\], but row 0"),
        ([0], [[0.2, 0.3, 0.5]] * 2, r"received \(1,\) and \(2, 3\)"),
    ],
)
def test_bad_rows_of_classes_are_named(name: str, y: list[float], p: list[list[float]], message: str) -> None:
    """As with one column."""
    with pytest.raises(ValueError, match=message):
        METRICS[name].prepare(y, p)


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_perfect_prediction_of_classes_is_the_goal(name: str) -> None:
    """Its shortfall is 0; that of a wrong one is more."""
    y, w = np.array([0.0, 1.0, 2.0]), np.ones(3)
    prepare, goal = METRICS[name]
    assert goal.shortfall(prepare(y, np.eye(3))(w)) == pytest.approx(0, abs=1e-12)
    assert goal.shortfall(prepare(y, np.eye(3)[[0, 2, 1]])(w)) > 0.05


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_weight_is_repetition(name: str) -> None:
    """A row of weight 2 counts as if it were there twice, one of weight 0 as if it were not."""
    rng = np.random.default_rng(5)
    y, p, w = np.tile([0.0, 1.0], 50), rng.random(100).round(1), rng.integers(3, size=100)
    prepare = METRICS[name].prepare
    repeated = prepare(np.repeat(y, w), np.repeat(p, w))(np.ones(w.sum()))
    assert prepare(y, p)(w.astype(float)) == near(repeated)


def test_constant_scores_rank_nothing() -> None:
    """One score for all is a coin: half the pairs, and the precision of a blind pick."""
    y, p, w = np.array([1.0, 0.0, 0.0, 1.0, 0.0]), np.full(5, 0.3), np.ones(5)
    assert roc_auc(y, p)(w) == 0.5
    assert average_precision(y, p)(w) == 0.4


@pytest.mark.parametrize(
    ("name", "y", "p", "weights"),
    [
        ("roc_auc", [1, 1, 0], [0.1, 0.2, 0.3], [1, 1, 0]),
        ("roc_auc", [0, 0, 1], [0.1, 0.2, 0.3], [1, 1, 0]),
        ("roc_auc", [0, 0, 0], [0.1, 0.2, 0.3], [1, 1, 1]),
        ("average_precision", [0, 0, 1], [0.1, 0.2, 0.3], [1, 1, 0]),
        ("observed_expected", [1, 0, 1], [0, 0, 0.5], [1, 1, 0]),
        ("r2", [0.1, 0.1, 7], [0.1, 0.2, 0.3], [3, 7, 0]),
        ("r2", [7, 0.1, 0.1], [0.1, 0.2, 0.3], [0, 3, 7]),
    ],
)
def test_undefined_is_nan(name: str, y: list[float], p: list[float], weights: list[float]) -> None:
    """One class, nothing expected, no variance: there is no number to give."""
    assert math.isnan(METRICS[name].prepare(y, p)(np.array(weights, dtype=np.float64)))


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize("name", ONE_COLUMN)
def test_nothing_to_measure_is_nan(name: str, rows: int) -> None:
    """Neither no rows nor rows without weight have a metric."""
    y = np.arange(rows) % 2
    assert math.isnan(METRICS[name].prepare(y, y)(np.zeros(rows)))


def test_r2_survives_a_large_offset() -> None:
    """A y far from 0 costs no digits."""
    y, p = np.array([1.0, 2.0, 3.0, 5.0]), np.array([1.5, 2.0, 2.0, 5.0])
    weights = np.array([1.0, 0.0, 2.0, 3.0])
    assert r2(y + 2**40, p + 2**40)(weights) == pytest.approx(r2(y, p)(weights), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "y", "p", "message"),
    [
        ("log_loss", [0, 2], [0.1, 0.2], "y must be 0 or 1, but row 1 holds 2.0"),
        ("brier", [0, 1], [0.1, 1.2], r"must be in \[0, 1\], but row 1 holds 1.2"),
        ("observed_expected", [0, 1], [-0.1, 0.2], r"must be in \[0, 1\], but row 0 holds -0.1"),
        ("roc_auc", [0, 1], [0.1, math.nan], "prediction must be finite, but row 1 holds nan"),
        ("mae", [math.inf, 1], [1, 2], "y must be finite, but row 0 holds inf"),
        ("r2", [1, 2, 3], [1, 2], r"shapes \(3,\) and \(2,\)"),
    ],
)
def test_bad_rows_are_named(name: str, y: list[float], p: list[float], message: str) -> None:
    """An error says which row, what it holds and what would do."""
    with pytest.raises(ValueError, match=message):
        METRICS[name].prepare(y, p)


@pytest.mark.parametrize("weights", [1, 2, 4])
@pytest.mark.parametrize("name", ONE_COLUMN)
def test_every_row_needs_a_weight(name: str, weights: int) -> None:
    """Weights of other rows are refused; one weight is not taken for all."""
    metric = METRICS[name].prepare([0, 1, 1], [0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match="weight"):
        metric(np.ones(weights))


@pytest.mark.parametrize("name", ONE_COLUMN)
def test_a_perfect_prediction_is_the_goal(name: str) -> None:
    """Its shortfall is 0; that of a wrong prediction is more."""
    y, w = np.array([0.0, 1.0, 1.0]), np.ones(3)
    prepare, goal = METRICS[name]
    assert goal.shortfall(prepare(y, y)(w)) == pytest.approx(0, abs=1e-12)
    assert goal.shortfall(prepare(y, [0.9, 0.8, 0.1])(w)) > 0.05
