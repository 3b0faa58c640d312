"""Recalibration of several classes: an intercept for each, and a slope that they share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.pipeline import Pipeline

from perenne.common import model, model_file, predicted
from perenne.common.errors import PerenneError
from perenne.common.params import Train
from perenne.common.recalibrated import NEAREST, shares
from perenne.pipeline import folds, train
from perenne.pipeline.recalibration import LEAST, described, recalibrated
from tests import classes

Array = npt.NDArray[np.float64]

CROPS = classes.contract()
SHIFT = np.array([0.0, -0.7, 0.9])  # of the level of each crop


@pytest.fixture(scope="module")
def older() -> Pipeline:
    """Return a model of the crops before anything has changed."""
    spec = Train(estimator="sklearn.linear_model.LogisticRegression", params={}, seed=0)
    return train.train(classes.fields("2021-01", 1, 6000), spec, CROPS)


def wider(rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return rows whose crops are more certain than the model knows: all log odds are 1.6 times as large."""
    sure = softmax(1.6 * np.log(classes.chances(rows)), axis=1)
    drawn = np.random.default_rng(seed).random((len(rows), 1))
    return rows.assign(crop=np.array(classes.CROPS)[(sure.cumsum(axis=1) < drawn).sum(axis=1)])


def loss(pipeline: Pipeline, rows: pd.DataFrame) -> float:
    """Return the log loss of a model."""
    p = model.predict(pipeline, rows, CROPS)
    return float(-np.log(p[np.arange(len(rows)), predicted.outcomes(rows, CROPS).astype(int)]).mean())


def penalized(score: Array, y: Array, *, slope: bool) -> Array:
    """Return intercepts and slope as scipy's own optimizer finds them: those of the same likelihood."""
    middle, place = score.mean(axis=0), y.astype(int)

    def minus(theta: Array) -> float:
        changed = score + theta[:3] + theta[3] * slope * (score - middle)
        likely = log_softmax(changed, axis=1)[np.arange(len(y)), place].sum()
        return float(-likely + (theta[:3] ** 2).sum() / 50 + theta[3] ** 2 / 2)

    found = minimize(minus, np.zeros(4), method="BFGS", options={"gtol": 1e-8}).x
    intercepts = found[:3] - found[3] * slope * middle
    return np.array([*(intercepts - intercepts.mean()), 1 + found[3] * slope])


def test_levels_are_corrected_class_by_class(older: Pipeline) -> None:
    """What changed comes out, by the optimum of the likelihood; as many of each are expected as came."""
    rows = classes.fields("2021-05", 2, 4000, SHIFT)
    corrected = recalibrated(older, rows, CROPS)
    noted = described(corrected)
    assert noted.form == "intercept"
    assert isinstance(noted.intercept, tuple)
    assert np.subtract(noted.intercept, np.mean(noted.intercept)) == pytest.approx(
        SHIFT - SHIFT.mean(), abs=0.15
    )
    score, y = np.log(model.predict(older, rows, CROPS)), predicted.outcomes(rows, CROPS)
    assert [*noted.intercept, noted.slope] == pytest.approx(penalized(score, y, slope=False), abs=1e-4)
    expected = model.predict(corrected, rows, CROPS).sum(axis=0)
    assert expected == pytest.approx(np.bincount(y.astype(int)), abs=0.1)
    later = classes.fields("2021-06", 3, 20_000, SHIFT)
    least = float(
        -np.log((classes.chances(later, SHIFT) * (later[["crop"]].to_numpy() == classes.CROPS)).sum(1)).mean()
    )
    assert loss(corrected, later) - least < 0.05 * (loss(older, later) - least)


def test_spread_is_corrected_by_one_slope(older: Pipeline) -> None:
    """It is chosen by these rows alone, and is the optimum of the likelihood."""
    rows = wider(classes.fields("2021-05", 2, 4000), 4)
    corrected = recalibrated(older, rows, CROPS)
    noted = described(corrected)
    assert noted.form == "slope"
    assert noted.slope == pytest.approx(1.6, abs=0.12)
    assert isinstance(noted.intercept, tuple)
    score, y = np.log(model.predict(older, rows, CROPS)), predicted.outcomes(rows, CROPS)
    assert [*noted.intercept, noted.slope] == pytest.approx(penalized(score, y, slope=True), abs=1e-4)
    later = wider(classes.fields("2021-06", 3, 10_000), 5)
    assert loss(corrected, later) < loss(older, later) - 0.02


def test_right_model_is_hardly_changed(older: Pipeline) -> None:
    """Only the noise of the rows is learned: the level, within four errors."""
    noted = described(recalibrated(older, classes.fields("2021-05", 6, 2000), CROPS))
    assert noted.form == "intercept"
    assert isinstance(noted.intercept, tuple)
    assert np.abs(noted.intercept).max() < 4 / (2000 * 0.15) ** 0.5


def test_file_scores_bit_for_bit(older: Pipeline) -> None:
    """The model file keeps it, twice the same; a row alone scores as it does among others."""
    rows = classes.fields("2021-06", 7, 60)
    for known in (classes.fields("2021-05", 2, 2000, SHIFT), wider(classes.fields("2021-05", 2, 4000), 4)):
        corrected = recalibrated(older, known, CROPS)
        again = model_file.loads(model_file.dumps(corrected), "model.skops")
        expected = model.predict(corrected, rows, CROPS)
        assert np.array_equal(model.predict(again, rows, CROPS), expected)
        assert model_file.dumps(again) == model_file.dumps(corrected)
        assert model_file.dumps(recalibrated(older, known, CROPS)) == model_file.dumps(corrected)
        scores = model.predict(older, rows, CROPS)  # a linear model's own differ in a batch, by BLAS
        alone = [again["model"].corrected(scores[i : i + 1], rows[i : i + 1])[0] for i in range(len(rows))]
        assert np.array_equal(alone, expected)
        assert expected.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-12)


@pytest.mark.parametrize("order", ["C", "F"])
def test_shares_of_a_row_do_not_depend_on_others(order: str) -> None:
    """Nor on how they lie in memory; equal to scipy's softmax, also of what has no chance."""
    of_rows = np.random.default_rng(1).normal(size=(50, 23)) * 10
    of_rows[0, 0] = np.log(NEAREST) * 1000
    together = shares(np.array(of_rows, order="F" if order == "F" else "C"))
    assert np.array_equal(together, [shares(row[None, :])[0] for row in of_rows])
    assert together == pytest.approx(softmax(of_rows, axis=1), abs=1e-14)


def test_too_few_rows_of_a_class_are_an_error(older: Pipeline) -> None:
    """The rarest class decides."""
    rows = classes.fields("2021-05", 2, 1000)
    without = rows[rows["crop"] != "rye"]
    rye = rows[rows["crop"] == "rye"]
    with pytest.raises(PerenneError, match=rf"{LEAST - 1} rows of each class .* {LEAST} would do"):
        recalibrated(older, pd.concat([without, rye[: LEAST - 1]]), CROPS)
    recalibrated(older, pd.concat([without, rye[:LEAST]]), CROPS)


def test_folds_are_corrected_by_the_others(older: Pipeline) -> None:
    """As with an event: the labels of a fold do not change its own scores."""
    rows = classes.fields("2021-05", 2, 400, SHIFT)
    found = folds.corrected(older, rows, CROPS, 4)
    one = (found.rows["fold"] == 1).to_numpy()
    turned = rows.assign(crop=rows["crop"].mask(one, "rye"))
    again = folds.corrected(older, turned, CROPS, 4)
    first, second = (predicted.scores(each.rows, CROPS) for each in (found, again))
    assert np.array_equal(first[one], second[one])
    assert not np.array_equal(first[~one], second[~one])
