"""A model without skill is a line with its cause, whatever made it so; a good model is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common.block import Block, declared, labels_of
from perenne.common.contract import Contract
from perenne.common.params import Evaluate, Train
from perenne.common.typed import parse
from perenne.pipeline import skill
from perenne.pipeline.folds import validation
from perenne.pipeline.train import train

MEASURE = Evaluate(
    resamples=100, confidence=0.95, bins=2, importance_rows=500, importance_repeats=1, seed=0, folds=4
)
TREES = "sklearn.ensemble.HistGradientBoostingClassifier"


def contract(task: str = "binary") -> Contract:
    """Visits by month with two numbers."""
    target = {"type": "integer", "values": [0, 1]} if task == "binary" else {"type": "number"}
    columns = {
        "seen": {"type": "datetime", "role": "time"},
        "size": {"type": "number", "role": "feature"},
        "noise": {"type": "number", "role": "feature"},
        "won": target | {"role": "target"},
    }
    given = {"row": "a visit", "task": task, "period": "month", "label_delay": 0, "columns": columns}
    return parse(Contract, given, "contract.yaml")


def visits(n: int = 1000, months: int = 10, **columns: Any) -> pd.DataFrame:
    """Visits, of which the larger are won more often; `columns` replace."""
    rng = np.random.default_rng(0)
    size = rng.random(n)
    seen = np.sort(pd.Timestamp("2020-01-15") + pd.to_timedelta(30 * rng.integers(0, months, n), unit="D"))
    frame = pd.DataFrame({"seen": seen.astype("datetime64[us]"), "size": size, "noise": rng.random(n)})
    return frame.assign(won=(rng.random(n) < size).astype(int)).assign(**columns)


def said(
    rows: pd.DataFrame, estimator: str = TREES, rules: Contract | None = None, **params: Any
) -> list[str]:
    """What is said of a model of these rows."""
    rules, spec = rules or contract(), Train(estimator=estimator, params=params, seed=0)
    held = validation(rows, spec, rules, MEASURE.folds)
    block = labels_of(held.rows, rules, declared(rules) or Block())
    return list(skill.warnings(train(rows, spec, rules), rows, held, block, MEASURE, spec, rules))


def test_a_model_with_skill_is_not_warned_of() -> None:
    """A few trees on a thousand rows, a line on a hundred."""
    assert said(visits(), max_iter=20) == []
    assert said(visits(100), "sklearn.linear_model.LogisticRegression") == []


@pytest.mark.parametrize(
    ("rows", "estimator", "params", "cause"),
    [
        (visits(118), TREES, {"min_samples_leaf": 100}, "118 rows, min_samples_leaf 100"),
        (
            visits(118),
            "sklearn.ensemble.RandomForestClassifier",
            {"min_samples_leaf": 0.6, "n_estimators": 5},
            "118 rows, min_samples_leaf 0.6",
        ),
        (visits(200, size=1.0, noise=2.0), TREES, {}, "none of the features varies among the 200 rows"),
        (visits(200), "sklearn.dummy.DummyClassifier", {}, "DummyClassifier ignores the features"),
        (
            visits(200),
            "sklearn.linear_model.LogisticRegression",
            {"C": 1e-6, "l1_ratio": 1.0, "solver": "saga"},
            "every coefficient is 0; LogisticRegression with C 1e-06, l1_ratio 1.0, solver saga",
        ),
        (visits(200), TREES, {"max_iter": 1, "learning_rate": 1e-15}, "200 rows; HistGradientBoosting"),
    ],
    ids=["small leaves", "leaves by share", "no feature", "dummy", "no coefficient", "no learning"],
)
def test_a_constant_model_is_named_with_its_cause(
    rows: pd.DataFrame, estimator: str, params: dict[str, Any], cause: str
) -> None:
    """By what people can change."""
    (line,) = said(rows, estimator, **params)
    assert line.startswith("the model is constant, it predicts 0.")
    assert cause in line


def test_models_of_folds_that_are_constant_are_a_cause_too() -> None:
    """All rows are enough for two leaves, those before the folds are not."""
    (line,) = said(visits(240), min_samples_leaf=100)
    assert line.startswith("the model is not shown to be better than the dummy on validation: log_loss ")
    assert "that of fold 1 is constant: 4" in line
    assert line.endswith("rows, min_samples_leaf 100")


def test_an_overfitted_model_is_called_so() -> None:
    """Deep trees on noise know by heart what they saw."""
    rows = visits(400, won=np.random.default_rng(1).integers(0, 2, 400))
    (line,) = said(rows, min_samples_leaf=1, max_iter=200, early_stopping=False)
    assert "overfitted: it takes " in line
    assert "and not on later ones; HistGradientBoostingClassifier with min_samples_leaf 1" in line


def test_a_wrong_level_is_a_cause() -> None:
    """The older was won more often, by age; then all are older: who wins is known, how many is not."""
    rows = visits(2000)
    late, rng = rows["seen"] > "2020-06-15", np.random.default_rng(2)
    rows["won"] = (rng.random(2000) < 0.1 + 0.8 * rows["size"]).astype(int)
    rows["size"] = rows["size"] + 1.5 * late
    (line,) = said(rows, "sklearn.linear_model.LogisticRegression")
    assert "it predicts won 0.9" in line
    assert "what won depends on has changed" in line


def test_features_that_say_nothing_are_a_cause() -> None:
    """A line through noise fits nothing, not even what it learned from."""
    rows = visits(400, won=np.random.default_rng(1).integers(0, 2, 400))
    (line,) = said(rows, "sklearn.linear_model.LogisticRegression")
    assert "the features say little of won, or LogisticRegression is too stiff" in line


def test_few_rows_are_a_cause() -> None:
    """The model gains, but so few rows could show that by chance."""
    (line,) = said(visits(35), "sklearn.linear_model.LogisticRegression")
    assert line.endswith("rows in 28 blocks are too few to tell")


def test_a_regression_is_measured_against_its_mean() -> None:
    """By its squared error, which the mean makes least."""
    rows = visits(400, won=np.random.default_rng(1).normal(size=400))
    rules = contract("regression")
    (line,) = said(rows, "sklearn.linear_model.Ridge", rules)
    assert "on validation: mse " in line
    assert said(rows.assign(won=rows["size"] * 10), "sklearn.linear_model.Ridge", rules) == []
    (line,) = said(rows, "sklearn.linear_model.Lasso", rules, alpha=10.0)
    assert line.endswith("every coefficient is 0; Lasso with alpha 10.0")
