"""What a trial is worth, for every task and every kind of metric."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perenne.common import predicted
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.pipeline import folds, train
from perenne.stats import metrics
from perenne.tune.objective import Objective
from perenne.tune.space import Settings, applied
from tests import classes

LINEAR = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"C": 0.001}, "seed": 0}
RIDGE = {"estimator": "sklearn.linear_model.Ridge", "params": {"alpha": 1e5}, "seed": 0}
CUT = Cut(pd.Period("2021-08", "M"), window=8, holdout=0, label_delay=0)


def rows() -> pd.DataFrame:
    """Return fields of eight months."""
    return pd.concat([classes.fields(month, 1, 150) for month in classes.MONTHS[:8]], ignore_index=True)


def regression() -> Contract:
    """Return the contract of fields whose height is to be predicted."""
    text = classes.CONTRACT.replace("task: multiclass", "task: regression")
    text = text.replace("height: {type: number, role: feature}", "height: {type: number, role: target}")
    return classes.contract(text=text.replace("role: target, values: [wh", "role: feature, values: [wh"))


@pytest.mark.parametrize(
    ("task", "metric", "better"),
    [
        ("multiclass", "log_loss", {"train.params.C": 1.0}),
        ("multiclass", "roc_auc", {"train.params.C": 1.0}),
        ("regression", "mae", {"train.params.alpha": 1.0}),
        ("regression", "r2", {"train.params.alpha": 1.0}),
    ],
)
def test_trial_has_the_metric_of_validation_and_a_paired_gain(
    task: str, metric: str, better: dict[str, object]
) -> None:
    """The same as measured by hand; a better one is above 0 whether the metric falls or rises."""
    contract, tree = (classes.contract(), LINEAR) if task == "multiclass" else (regression(), RIDGE)
    data = rows()
    if task == "regression":
        data["height"] += 3 * data["rain"]
    objective = Objective(data, contract, metric, tree, CUT, 4)
    standing, trial = objective.trial(0, {}), objective.trial(1, better)
    by_hand = folds.validation(data, applied(tree, better).spec, contract, 4).rows
    prepared = metrics.METRICS[metric].prepare(
        predicted.outcomes(by_hand, contract), predicted.scores(by_hand, contract)
    )
    assert trial.value == pytest.approx(prepared(np.ones(len(by_hand))), rel=1e-8)
    assert standing.value is not None
    assert trial.value is not None
    assert (standing.shortfall or 0) > (trial.shortfall or 0)
    assert trial.gain is not None
    assert trial.gain.value == pytest.approx(abs(trial.value - standing.value), rel=1e-6)
    assert trial.gain.bounds(0.025)[0] > 0
    assert standing.gain is None


def test_recalibrated_model_is_measured_as_evaluate_measures_it() -> None:
    """On the rows that correct its scores: settings change the older model below."""
    cut = Cut(pd.Period("2021-08", "M"), window=4, holdout=0, label_delay=0, recalibrate=3, gap=1)
    contract, data, better = classes.contract(), rows(), {"train.params.C": 1.0}
    trial = Objective(data, contract, "log_loss", LINEAR, cut, 4).trial(1, dict(better))
    spec = applied(LINEAR, dict(better)).spec
    made = train.made(data, cut, spec, contract).pipeline
    by_hand = folds.held(data, cut, made, spec, contract, 4).rows
    loss = metrics.log_loss(predicted.outcomes(by_hand, contract), predicted.scores(by_hand, contract))
    assert trial.value == pytest.approx(loss(np.ones(len(by_hand))), rel=1e-8)
    assert len(by_hand) == 3 * 150


def test_estimator_that_refuses_is_a_result() -> None:
    """Whatever it raises, in one line."""
    objective = Objective(rows(), classes.contract(), "log_loss", LINEAR, CUT, 4)
    wrong: dict[str, Settings] = {
        "The 'C' parameter of LogisticRegression must be": {"train.params.C": -1.0},
        "liblinear": {"train.params.solver": "liblinear"},
        "unknown to LogisticRegression": {"train.params.c": 1.0},
    }
    for said, settings in wrong.items():
        failed = objective.trial(1, settings)
        assert said in failed.failed, failed
        assert "\n" not in failed.failed
        assert (failed.value, failed.shortfall, failed.gain) == (None, None, None)


def test_code_that_exits_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial fails by it, and the search goes on."""
    objective = Objective(rows(), classes.contract(), "log_loss", LINEAR, CUT, 4)

    def leave(*_: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr(folds, "validation", leave)
    assert objective.trial(1, {"train.params.C": 1.0}).failed == "SystemExit: 0"


def test_too_few_blocks_give_no_interval() -> None:
    """Then nothing is clearly better, whatever the means are."""
    few = rows().groupby("seen").head(1).head(9)
    objective = Objective(few, regression(), "mae", RIDGE | {"params": {"alpha": 1.0}}, CUT, 2)
    trial = objective.trial(1, {"train.params.alpha": 2.0})
    assert trial.value is not None
    assert trial.gain is None
