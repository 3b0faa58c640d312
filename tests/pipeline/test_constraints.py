"""A parameter about single columns means the feature that it names, whatever the encoder makes of it."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.utils import all_estimators

from perenne.common import model, strict_yaml
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.params import Train
from perenne.common.typed import parse
from perenne.pipeline import constraints
from perenne.pipeline.estimators import configured
from perenne.pipeline.train import encoder, train

BOOSTED = "ensemble.HistGradientBoosting"
TREES = (BOOSTED, "ensemble.RandomForest", "ensemble.ExtraTrees", "tree.DecisionTree", "tree.ExtraTree")


def contract(task: str = "regression") -> Contract:
    """Return a contract with a category behind the numbers, and one number that training never has."""
    target = (
        "{role: target, type: integer, values: [0, 1]}"
        if task == "binary"
        else "{role: target, type: number}"
    )
    text = (
        f"row: one parcel\ntask: {task}\nperiod: month\nlabel_delay: 0\ncolumns:\n"
        f"  time: {{role: time, type: datetime}}\n  y: {target}\n"
        "  size: {role: feature, type: number}\n  never: {role: feature, type: number, missing: true}\n"
        "  weight: {role: feature, type: number, missing: true}\n  colour: {role: feature, type: category}\n"
    )
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


def rows(task: str, n: int = 400) -> pd.DataFrame:
    """Return rows whose target rises with size and with weight."""
    rng = np.random.default_rng(0)
    size, weight = rng.random(n), rng.random(n)
    y = size + weight if task == "regression" else (size + weight > 1).astype(int)
    colour = pd.Series(rng.choice(["red", "green", "blue"], n), dtype="str")
    time = pd.Timestamp("2020-01-31")
    return pd.DataFrame(
        {"time": time, "size": size, "never": np.nan, "weight": weight, "colour": colour, "y": y}
    )


def curve(name: str, estimator: str, params: dict[str, Any], task: str) -> Any:
    """Return the scores of rows in which one feature rises and the others stay."""
    spec = Train(estimator=f"sklearn.{estimator}", params=params, seed=0)
    grid = rows(task)[:1].loc[[0] * 21].reset_index(drop=True).assign(size=0.5, weight=0.5)
    grid[name] = np.linspace(0, 1, 21)
    return model.predict(train(rows(task), spec, contract(task)), grid, contract(task))


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("given", [{"weight": -1}, [0, 0, -1, 0]], ids=["by name", "by the contract's order"])
def test_the_feature_that_is_named_is_constrained(tree: str, task: str, given: Any) -> None:
    """It never rises, though its effect does; the others are as they are."""
    estimator = tree + ("Classifier" if task == "binary" else "Regressor")
    assert (np.diff(curve("weight", estimator, {"monotonic_cst": given}, task)) <= 1e-9).all()
    assert np.ptp(curve("size", estimator, {"monotonic_cst": given}, task)) > 0.2
    assert np.ptp(curve("weight", estimator, {}, task)) > 0.2


def test_marks_of_missing_numbers_and_many_columns_of_a_category_shift_nothing() -> None:
    """What takes no missing value gets one more column for each number that had any, behind the numbers."""
    gaps = rows("regression").assign(weight=lambda f: f["weight"].where(f["weight"] > 0.1))
    filled = encoder(["colour"], ["size", "weight"], LinearRegression(), native=False)
    width = filled.fit_transform(model.inputs(gaps, contract())).shape[1]
    spec = Train(estimator="", params={"monotonic_cst": {"weight": -1}}, seed=0)
    about = constraints.translated(spec, contract(), filled)
    assert about == {"monotonic_cst": [0, 0, 0, 0, -1, 0]}
    assert width == 6


@pytest.mark.parametrize("groups", [[["size"], ["weight", "colour"]], [[0], [2, 3]]])
def test_features_interact_only_within_their_groups(groups: Any) -> None:
    """By name or by the contract's order: what size adds is then the same at any weight."""
    spec = Train(estimator=f"sklearn.{BOOSTED}Regressor", params={"interaction_cst": groups}, seed=0)
    frame = rows("regression").assign(y=lambda f: f["size"] * f["weight"])
    fitted = train(frame, spec, contract())
    four = frame[:1].loc[[0] * 4].reset_index(drop=True)
    four = four.assign(size=[0.1, 0.9, 0.1, 0.9], weight=[0.1, 0.1, 0.9, 0.9])
    low, high, low_heavy, high_heavy = model.predict(fitted, four, contract())
    assert high - low == pytest.approx(high_heavy - low_heavy)


ESTIMATORS = [
    (name, cls) for name, cls in all_estimators(type_filter=["classifier", "regressor"]) if cls.__doc__
]


def test_no_estimator_has_another_parameter_about_single_columns() -> None:
    """Those that scikit-learn documents with the shape (n_features,) are translated, set by us or refused."""
    known = {"monotonic_cst", "interaction_cst", *constraints.OURS, *constraints.OF_COLUMNS}
    found = {
        line[1]
        for _, cls in ESTIMATORS
        for line in re.finditer(r"^(\w+) ?: .*\(n_features", inspect.getdoc(cls) or "", re.MULTILINE)
        if line[1] in inspect.signature(cls).parameters
    }
    assert {"monotonic_cst", "categorical_features"} <= found <= known


@pytest.mark.parametrize(
    ("estimator", "given", "says"),
    [
        (BOOSTED, {"categorical_features": [0]}, "categorical_features: is set by Perenne: the categories o"),
        (BOOSTED, {"random_state": 8}, "random_state: is set by Perenne: it is train.seed; take it out"),
        (BOOSTED, {"monotonic_cst": [0, 1]}, "monotonic_cst: found 2 values, must be one for each of 4 feat"),
        (BOOSTED, {"monotonic_cst": [0, 2, 0, 0]}, "monotonic_cst.never: found 2, must be -1 (falling), 0 o"),
        (BOOSTED, {"monotonic_cst": {"size": True}}, "monotonic_cst.size: found True, must be -1 (falling),"),
        (BOOSTED, {"monotonic_cst": {"sise": 1}}, "monotonic_cst: 'sise' is not a feature; did you mean 'si"),
        (BOOSTED, {"monotonic_cst": {"colour": 1}}, "monotonic_cst.colour: found 1, but a category has no o"),
        (BOOSTED, {"monotonic_cst": "up"}, "monotonic_cst: found 'up', must be a mapping such as {size: 1}"),
        (BOOSTED, {"interaction_cst": [0]}, "interaction_cst: found [0], must be groups of features such as"),
        (BOOSTED, {"interaction_cst": [[4]]}, "interaction_cst: found 4, must be a feature's name, or its p"),
        (BOOSTED, {"interaction_cst": [["y"]]}, "interaction_cst: 'y' is not a feature; valid: colour, neve"),
        ("linear_model.Lasso", {"precompute": [[1]]}, "precompute: found [[1]], which has a value for each "),
        ("neighbors.KNeighbors", {"metric_params": {"w": [1]}}, "metric_params: found {'w': [1]}, which has"),
    ],
)  # fmt: skip
def test_what_means_no_feature_is_one_line(estimator: str, given: dict[str, Any], says: str) -> None:
    """The line names the parameter, the value and what would do."""
    path = f"sklearn.{estimator}" + "Regressor" * (estimator != "linear_model.Lasso")
    with pytest.raises(PerenneError) as caught:
        configured(Train(estimator=path, params=given, seed=0), contract())
    assert str(caught.value).startswith(f"params.yaml: train.params.{says}")
    assert "\n" not in str(caught.value)


def test_words_and_single_values_are_scikit_learns() -> None:
    """They say nothing of single columns."""
    for estimator, given in (
        (BOOSTED, {"interaction_cst": "pairwise"}),
        (BOOSTED, {"monotonic_cst": None}),
        ("neighbors.KNeighbors", {"metric_params": {"p": 3}}),
    ):
        configured(Train(estimator=f"sklearn.{estimator}Regressor", params=given, seed=0), contract())
