"""Recalibration: what is corrected, by which form, and that the file holds it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline

from perenne.common import model, model_file, task
from perenne.common.column import Column
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.params import Train
from perenne.pipeline import train
from perenne.pipeline.recalibration import LEAST, described, recalibrated

Array = npt.NDArray[np.float64]
World = Callable[[pd.DataFrame], Array]

COLUMNS = {
    "t": Column(type="datetime", role=("time",)),
    "x": Column(type="number", role=("feature",)),
    "kind": Column(type="category", role=("feature", "slice")),
    "age": Column(type="number", role=("feature", "slice"), bins=(0, 1, 2, 3)),
}
BINARY = Contract(
    row="a row",
    task=task.BINARY,
    period="month",
    label_delay=1,
    columns={**COLUMNS, "y": Column(type="integer", role=("target",), values=(0, 1))},
)
REGRESSION = Contract(
    row="a row",
    task=task.REGRESSION,
    period="month",
    label_delay=1,
    columns={**COLUMNS, "y": Column(type="number", role=("target",))},
)


def before(rows: pd.DataFrame) -> Array:
    """The logit that the model has learned."""
    logits: Array = (-1 + rows["x"] + 0.5 * (rows["kind"] == "a")).to_numpy(dtype=np.float64)
    return logits


def lower(rows: pd.DataFrame) -> Array:
    """The level has changed."""
    return before(rows) - 0.7


def wider(rows: pd.DataFrame) -> Array:
    """What the scores say has become more certain."""
    return np.multiply(1.6, before(rows))


def apart(rows: pd.DataFrame) -> Array:
    """Two slices have changed, each its own way."""
    young, other = rows["age"].to_numpy() < 1, rows["kind"].to_numpy() == "b"
    logits: Array = before(rows) + 1.2 * young - 1.0 * other
    return logits


def bent(rows: pd.DataFrame) -> Array:
    """No line corrects it."""
    known = before(rows)
    bends: Array = np.where(known > 0, 0.2 * known, 1.8 * known)
    return bends


def drawn(world: World, count: int, seed: int) -> pd.DataFrame:
    """Return rows with outcomes of a world."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "t": pd.Timestamp("2020-01-05"),
            "x": rng.normal(size=count),
            "kind": rng.choice(list("abc"), count),
            "age": rng.uniform(0, 3, count),
        }
    )
    return rows.assign(y=(rng.random(count) < expit(world(rows))).astype(int))


@pytest.fixture(scope="module")
def older() -> Pipeline:
    """Return a model of the world before."""
    spec = Train(estimator="sklearn.ensemble.HistGradientBoostingClassifier", params={"max_iter": 40}, seed=0)
    return train.train(drawn(before, 20_000, 1), spec, BINARY)


@pytest.mark.parametrize(
    ("world", "count", "form"),
    [
        (lower, 1_000, "intercept"),
        (wider, 4_000, "slope"),
        (apart, 4_000, "slices"),
        (bent, 20_000, "isotonic"),
    ],
)
def test_form_is_the_simplest_that_will_do(older: Pipeline, world: World, count: int, form: str) -> None:
    """It is known from these rows alone, and takes off at least half of what the change costs."""
    corrected = recalibrated(older, drawn(world, count, 2), BINARY)
    assert described(corrected).form == form
    later = drawn(world, 50_000, 3)
    loss = [log_loss(later["y"], model.predict(each, later, BINARY)) for each in (older, corrected)]
    least = log_loss(later["y"], expit(world(later)))
    assert loss[1] - least < 0.5 * (loss[0] - least)
    mean = model.predict(corrected, later, BINARY).mean()
    # Both have a standard error of some .45 / sqrt(rows).
    assert later["y"].mean() == pytest.approx(mean, abs=4 * 0.45 * (1 / count + 1 / 50_000) ** 0.5)


@pytest.mark.parametrize("seed", range(4, 10))
def test_right_model_is_hardly_changed(older: Pipeline, seed: int) -> None:
    """Where nothing has changed only the noise of the rows is learned: the level, within four errors."""
    noted = described(recalibrated(older, drawn(before, 2_000, seed), BINARY))
    assert noted.form == "intercept"
    assert noted.intercept == pytest.approx(0, abs=4 / (2_000 * 0.2) ** 0.5)
    assert noted.slope == 1


def test_offsets_are_those_of_the_world(older: Pipeline) -> None:
    """Of many rows they come out as they were put in, one slice against another."""
    noted = described(recalibrated(older, drawn(apart, 100_000, 2), BINARY))
    assert noted.form == "slices"
    assert noted.offsets is not None
    of_kind, of_age = noted.offsets["kind"], noted.offsets["age"]
    assert of_kind["b"] - of_kind["c"] == pytest.approx(-1.0, abs=0.1)
    assert of_age["[0, 1)"] - of_age["[2, 3)"] == pytest.approx(1.2, abs=0.1)
    assert of_age["[1, 2)"] - of_age["[2, 3)"] == pytest.approx(0, abs=0.1)


def test_intercept_solves_the_equation(older: Pipeline) -> None:
    """As many events are expected of these rows as were observed: that is what maximum likelihood asks."""
    rows = drawn(lower, 1_000, 2)
    corrected = recalibrated(older, rows, BINARY)
    a = described(corrected).intercept
    assert a is not None
    before_it = model.predict(older, rows, BINARY)
    assert model.predict(corrected, rows, BINARY) == pytest.approx(expit(logit(before_it) + a))
    assert model.predict(corrected, rows, BINARY).sum() == pytest.approx(rows["y"].sum(), abs=0.05)


def test_file_scores_bit_for_bit(older: Pipeline) -> None:
    """Every form is kept in the model file, and nothing else is trusted for it."""
    rows = drawn(before, 200, 5)
    for world, count in ((lower, 1_000), (wider, 4_000), (apart, 4_000), (bent, 20_000)):
        corrected = recalibrated(older, drawn(world, count, 2), BINARY)
        again = model_file.loads(model_file.dumps(corrected), "model.skops")
        np.testing.assert_array_equal(
            model.predict(again, rows, BINARY), model.predict(corrected, rows, BINARY)
        )
        assert model_file.dumps(again) == model_file.dumps(corrected)


def test_score_of_a_row_is_not_that_of_its_batch(older: Pipeline) -> None:
    """Alone or among others, also with a slice that nobody has seen, or none."""
    corrected = recalibrated(older, drawn(apart, 4_000, 2), BINARY)
    rows = drawn(apart, 50, 6)
    rows.loc[0, "kind"] = "never seen"
    rows.loc[1, "kind"] = None
    rows.loc[2, "age"] = np.nan
    rows.loc[3, "age"] = 17.0
    together = model.predict(corrected, rows, BINARY)
    alone = [model.predict(corrected, rows[i : i + 1], BINARY)[0] for i in range(50)]
    assert together.tolist() == alone


def test_regression_is_corrected_in_its_own_unit() -> None:
    """Its values get a level, a slope and offsets: here twice the value, and 30 more in one slice."""
    rng = np.random.default_rng(7)

    def rows(count: int, *, changed: bool) -> pd.DataFrame:
        made = drawn(before, count, int(rng.integers(1_000)))
        y = 100 + 10 * made["x"]
        y = 2 * y - 100 + 30 * (made["kind"] == "b") if changed else y
        return made.assign(y=y + rng.normal(size=count))

    spec = Train(estimator="sklearn.linear_model.LinearRegression", params={}, seed=0)
    fitted = train.train(rows(2_000, changed=False), spec, REGRESSION)
    corrected = recalibrated(fitted, rows(2_000, changed=True), REGRESSION)
    noted = described(corrected)
    assert noted.form == "slices"
    assert noted.slope == pytest.approx(2, abs=0.02)
    later = rows(2_000, changed=True)
    apart = later["y"] - model.predict(corrected, later, REGRESSION)
    assert abs(apart.mean()) < 0.2
    assert apart.std() < 1.2


@pytest.mark.parametrize("events", [0, LEAST - 1])
def test_too_few_events_are_an_error(older: Pipeline, events: int) -> None:
    """It says how many there are, and how many would do."""
    rows = drawn(before, 300, 8).assign(y=[1] * events + [0] * (300 - events))
    with pytest.raises(
        PerenneError, match=rf"split.recalibrated: {events} rows of each class .* {LEAST} would do"
    ):
        recalibrated(older, rows, BINARY)
    recalibrated(older, rows.assign(y=[1] * LEAST + [0] * (300 - LEAST)), BINARY)


def test_few_blocks_are_given_the_simplest_form() -> None:
    """Among a few blocks nothing shows which form is better."""
    contract = Contract(
        row="a row",
        task=task.BINARY,
        period="month",
        label_delay=1,
        columns={**BINARY.columns, "who": Column(type="integer", role=("block",))},
    )
    spec = Train(estimator="sklearn.linear_model.LogisticRegression", params={}, seed=0)
    fitted = train.train(drawn(before, 5_000, 1), spec, BINARY)
    rows = drawn(apart, 4_000, 2)
    rows["who"] = np.arange(4_000) % 12
    assert described(recalibrated(fitted, rows, contract)).form == "intercept"
