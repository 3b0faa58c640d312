"""Scores: by tables to the bit what scikit-learn says, and a number for each row or one line."""

from __future__ import annotations

import gc
import math
import weakref
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from perenne.common import forest, model, sklearn_trees
from perenne.common.contract import Contract
from perenne.common.forest import Array
from perenne.common.params import Train
from perenne.common.project_code import CodeError
from perenne.common.recalibrated import Recalibrated
from perenne.common.typed import parse
from perenne.pipeline.train import train
from tests import tiny

CROPS = ("wheat", "maize", "rye", "oats", "barley", "spelt", "millet", "sorghum", "teff")
COLOURS = ("red", "green", "blue", "grey", "black")
TARGETS: dict[str, dict[str, Any]] = {
    "binary": {"type": "integer", "values": [0, 1]},
    "multiclass": {"type": "category", "values": list(CROPS)},
    "regression": {"type": "number"},
}
N = sklearn_trees.ROWS_THAT_PAY + 2_345


def contract(task: str) -> Contract:
    """Return a contract with features of every type."""
    columns = {
        "time": {"type": "datetime", "role": "time"},
        "colour": {"type": "category", "role": "feature", "missing": True},
        "shape": {"type": "category", "role": "feature"},
        "size": {"type": "number", "role": "feature", "missing": True},
        "weight": {"type": "number", "role": "feature"},
        "age": {"type": "integer", "role": "feature", "missing": True},
        "new": {"type": "boolean", "role": "feature", "missing": True},
        "since": {"type": "datetime", "role": "feature", "missing": True},
        "y": TARGETS[task] | {"role": "target"},
    }
    text = {"row": "a parcel", "task": task, "period": "month", "label_delay": 0, "columns": columns}
    return parse(Contract, text, "contract.yaml")


def rows(task: str, n: int, seed: int) -> pd.DataFrame:
    """Return rows with missing values; beyond seed 0 some are infinite, and a category is new."""
    rng = np.random.default_rng(seed)

    def some(values: Any, dtype: str) -> pd.Series:
        return pd.Series(values, dtype=dtype).mask(rng.random(n) < 0.1)

    colours = (*COLOURS, *(("pink",) if seed else ()))
    time = pd.Timestamp("2021-01-31T06:30")
    frame = pd.DataFrame(
        {
            "time": pd.Series(time, index=range(n)).astype("datetime64[us]"),
            "colour": some(rng.choice(colours, n), "str"),
            "shape": pd.Series(rng.choice(["round", "square"], n), dtype="str"),
            "size": some(rng.normal(size=n).round(2), "float64"),
            "weight": rng.exponential(size=n),
            "age": some(rng.integers(0, 30, n), "Int64"),
            "new": some(rng.random(n) < 0.5, "boolean"),
            "since": some(time - pd.to_timedelta(rng.integers(0, 9_000, n), "h"), "datetime64[us]"),
        }
    )
    signal = frame["age"].fillna(9).astype(float) / 9 + frame["size"].fillna(1) + rng.normal(size=n)
    signal += (frame["colour"] == "red") - (frame["shape"] == "round").astype(float)
    if seed:
        frame.loc[rng.random(n) < 0.05, "weight"] = np.inf
        frame.loc[rng.random(n) < 0.05, "size"] = -np.inf
    match task:
        case "binary":
            return frame.assign(y=(signal > 1).astype("int64"))
        case "multiclass":
            return frame.assign(y=[CROPS[int(place) % len(CROPS)] for place in signal * 2 + 90])
        case _:
            return frame.assign(y=np.exp(signal))


def fitted(task: str, **given: Any) -> Pipeline:
    """Return boosted trees as the stage trains them."""
    seed = given.pop("seed", 0)
    kind = "Regressor" if task == "regression" else "Classifier"
    if given.pop("binned", False):
        path, default = f"perenne.BinnedXGB{kind}", {"n_estimators": 20}
    else:
        path, default = (
            f"sklearn.ensemble.HistGradientBoosting{kind}",
            {"max_iter": 20, "min_samples_leaf": 5},
        )
    spec = Train(estimator=path, params={**default, **given}, seed=seed)
    return train(rows(task, 3_000, 0), spec, contract(task))


def by_itself(pipeline: Pipeline, frame: pd.DataFrame, task: str) -> Array:
    """Return what the pipeline says of rows."""
    its = contract(task)
    said = np.asarray(getattr(pipeline, its.task.method)(model.inputs(frame, its)))
    return said[:, 1] if task == "binary" else said


MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "event": ("binary", {}),
    "another seed": ("binary", {"seed": 7, "max_features": 0.5}),
    "two leaves": ("binary", {"max_leaf_nodes": 2}),
    "eight leaves": ("binary", {"max_leaf_nodes": 8}),
    "nine leaves": ("binary", {"max_leaf_nodes": 9}),
    "16 leaves": ("binary", {"max_leaf_nodes": 16}),
    "17 leaves": ("binary", {"max_leaf_nodes": 17}),
    "64 leaves": ("binary", {"max_leaf_nodes": 64}),
    "deep": ("binary", {"max_depth": 9, "max_leaf_nodes": 40}),
    "many trees": ("binary", {"max_iter": 1_100, "max_leaf_nodes": 4}),
    "one leaf": ("binary", {"min_samples_leaf": 3_000}),
    "stopped early": ("binary", {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 60}),
    "ever rising": ("binary", {"monotonic_cst": {"size": 1, "age": 1}}),
    "few bins": ("binary", {"max_bins": 5}),
    "classes": ("multiclass", {}),
    "classes, many trees": ("multiclass", {"max_iter": 60}),
    "classes, more trees": ("multiclass", {"max_iter": 600, "max_leaf_nodes": 3, "min_samples_leaf": 50}),
    "quantity": ("regression", {}),
    "absolute error": ("regression", {"loss": "absolute_error"}),
    "quantile": ("regression", {"loss": "quantile", "quantile": 0.8}),
    "counts": ("regression", {"loss": "poisson"}),
    "binned, event": ("binary", {"binned": True, "max_depth": 5}),
    "binned, 64 leaves": ("binary", {"binned": True, "grow_policy": "lossguide", "max_leaves": 64}),
    "binned, one leaf": ("binary", {"binned": True, "min_child_weight": 3_000}),
    "binned, few bins": ("binary", {"binned": True, "bins": 5}),
    "binned, classes": ("multiclass", {"binned": True, "max_depth": 3}),
    "binned, quantity": ("regression", {"binned": True, "max_depth": 4}),
    "amounts": ("regression", {"loss": "gamma", "early_stopping": True}),
}


@pytest.mark.parametrize(("task", "given"), MODELS.values(), ids=MODELS.keys())
def test_many_rows_are_scored_by_tables_to_the_bit(task: str, given: dict[str, Any]) -> None:
    """With categories that training has not seen, missing and infinite values, in frames of either kind."""
    pipeline, its, frame = fitted(task, **given), contract(task), rows(task, N, 1)
    said = model.predict(pipeline, frame, its)
    assert sklearn_trees.tables(pipeline, 2) is not None
    assert said.tobytes() == by_itself(pipeline, frame, task).tobytes()
    assert model.score(pipeline, model.inputs(frame, its), its).tobytes() == said.tobytes()
    coded = frame.astype({"colour": "category", "shape": object})
    assert model.predict(pipeline, coded, its).tobytes() == said.tobytes()
    assert np.isinf(frame["weight"]).any()
    assert (frame["colour"] == "pink").any()


@pytest.mark.parametrize("task", TARGETS)
def test_a_row_has_one_score_however_many_are_scored(task: str) -> None:
    """Whether rows fill what is scored at once, or one, two or three are left over; one by one, too."""
    pipeline, its, frame = fitted(task), contract(task), rows(task, N, 2)
    said = model.predict(pipeline, frame, its)
    made = sklearn_trees.tables(pipeline, 2)
    assert made is not None
    places = made.places(model.inputs(frame, its))
    for count in (*range(1, 30), *(made._rows + more for more in range(-2, 4)), 3 * made._rows + 1):
        assert made.score(places[:count]).tobytes() == said[:count].tobytes(), count
        assert made.score(places[:count].tolist()).tobytes() == said[:count].tobytes(), count


@pytest.mark.parametrize(
    "name", ["event", "many trees", "one leaf", "classes, more trees", "quantity", "binned, classes"]
)
def test_rows_with_changes_have_the_scores_of_all_trees(name: str) -> None:
    """Whatever changes: nothing, one feature, which few trees may ask for, or all; one row, or many."""
    task, given = MODELS[name]
    its, frame = contract(task), rows(task, 300, 2)
    made = sklearn_trees.compiled(fitted(task, **given))
    assert made is not None
    before, rng = made.places(model.inputs(frame, its)), np.random.default_rng(0)
    every = range(len(made.features))
    for count in (1, len(before)):
        known = made.known(before[:count])
        for changed in ((), *((at,) for at in every), (0, 3), tuple(every)):
            places = before[:count].copy()
            places[:, list(changed)] = before[rng.permutation(len(before))[:count]][:, list(changed)]
            said = made.score_changed(known, places)
            assert said.tobytes() == made.score(places).tobytes(), changed
        assert known.places.tobytes() == before[:count].tobytes()


def test_rows_that_are_scored_at_once_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the rows, and the parts are put together in their order."""
    pipeline, its, frame = fitted("multiclass"), contract("multiclass"), rows("multiclass", N, 3)
    sizes = []
    score = forest.Forest.score

    def counted(self: forest.Forest, encoded: Any) -> Array:
        sizes.append(len(encoded))
        return score(self, encoded)

    monkeypatch.setattr(model, "ROWS_AT_ONCE", 5_000)
    monkeypatch.setattr(forest.Forest, "score", counted)
    said = model.predict(pipeline, frame, its)
    assert sizes == [5_000, 5_000, N - 10_000]
    assert said.tobytes() == by_itself(pipeline, frame, "multiclass").tobytes()


def test_few_rows_are_not_worth_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made when a model has scored many, and again when it is fitted again; others have none."""
    made = []
    compiled = sklearn_trees.compiled

    def counted(pipeline: Pipeline) -> forest.Forest | None:
        made.append(pipeline)
        return compiled(pipeline)

    monkeypatch.setattr(sklearn_trees, "compiled", counted)
    pipeline, its = fitted("binary"), contract("binary")
    frame = rows("binary", 4_000, 1)
    for _ in range(2):
        assert sklearn_trees.tables(pipeline, 0) is None
        model.predict(pipeline, frame, its)
    assert made == []
    for _ in range(2):
        assert model.predict(pipeline, frame, its).tobytes() == by_itself(pipeline, frame, "binary").tobytes()
    assert made == [pipeline]
    old = model.predict(pipeline, frame, its)
    pipeline["model"].set_params(max_iter=3)
    others = rows("binary", 3_000, 0)
    pipeline["model"].fit(pipeline["encode"].transform(model.inputs(others, its)), others["y"])
    for _ in range(3):
        new = model.predict(pipeline, frame, its)
        assert new.tobytes() == by_itself(pipeline, frame, "binary").tobytes() != old.tobytes()
    assert made == [pipeline, pipeline]


def test_tables_are_kept_no_longer_than_their_model() -> None:
    """A replay makes many models."""
    pipeline, its = fitted("binary"), contract("binary")
    model.predict(pipeline, rows("binary", N, 1), its)
    kept = weakref.ref(sklearn_trees._known[pipeline])
    assert kept() is not None
    del pipeline
    gc.collect()
    assert kept() is None


def test_a_single_row_is_scored_as_before() -> None:
    """scikit-learn adds nine classes of one row in another order; whoever scores one row hears that."""
    pipeline, its, frame = fitted("multiclass"), contract("multiclass"), rows("multiclass", N, 1)
    model.predict(pipeline, frame, its)
    one = frame[:1]
    assert model.predict(pipeline, one, its).tobytes() == by_itself(pipeline, one, "multiclass").tobytes()


@pytest.mark.parametrize("task", TARGETS)
def test_recalibrated_scores_are_corrected_ones_of_the_tables(task: str) -> None:
    """By the slices of each row, and in frames with few rows as in those with many."""
    older, its, frame = fitted(task), contract(task), rows(task, N, 1)
    by = {"colour": {"red": 0.5, "blue": -0.25}, "age": {"[0, 9)": 1.0}}
    intercept = [0.1] * len(CROPS) if task == "multiclass" else 0.1
    offsets = {} if task == "multiclass" else by
    corrected = Recalibrated(older, "slices", intercept, 0.9, offsets, {"age": [0, 9]})
    pipeline = Pipeline([("model", corrected)])
    many, few = model.predict(pipeline, frame, its), model.predict(pipeline, frame[:50], its)
    assert sklearn_trees.tables(older, 2) is not None
    assert many.tobytes() == by_itself(pipeline, frame, task).tobytes()
    assert few.tobytes() == many[:50].tobytes()
    assert model.score(pipeline, model.inputs(frame, its), its).tobytes() == many.tobytes()


class Odd(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A model that answers in its own way."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: pd.DataFrame, y: Array) -> Odd:  # noqa: ARG002 -- scikit-learn asks for one
        """Return itself."""
        return self

    def predict_proba(self, X: pd.DataFrame) -> object:
        """Return the answer."""
        assert len(X)
        return self.answer


@pytest.mark.parametrize("answer", [[[0.5, math.nan]] * 3, [[0.5, math.inf]] * 3, [[0.5, 0.5]] * 2])
def test_what_is_no_number_for_each_row_is_one_line(answer: object) -> None:
    """Neither a stage nor the service goes on with it."""
    odd = Pipeline([("model", Odd(answer))])
    with pytest.raises(CodeError, match=r"^the model: predict_proba does not give a number for each row$"):
        model.score(odd, pd.DataFrame({"a": [1, 2, 3]}), tiny.contract())
