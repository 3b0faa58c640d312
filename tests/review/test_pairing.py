"""A change beside the model that it has to beat, on validation: paired where both met the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from perenne.common import git, predicted
from perenne.common.block import Block
from perenne.common.contract import Contract, read_contract
from perenne.common.names import FOLD, PREDICTION, PREDICTIONS
from perenne.documents.evaluation import Evaluation
from perenne.documents.review import PairedMetric, ValidationReview
from perenne.review.pairing import pair_of, validated
from perenne.review.sides import Side
from perenne.stats.metrics import METRICS
from tests import classes
from tests.conftest import Enter
from tests.project import Project


@pytest.fixture
def inside(project: Project, enter: Enter) -> Project:
    """Return the small project as the current folder, on a branch."""
    project.run("git checkout -q -b topic")
    enter(project)
    return project


def reviewed() -> tuple[ValidationReview, Contract]:
    """Return what a review shows of the working tree beside main, and the contract."""
    contract = read_contract("retirement")
    made = validated(Side(None), {"base": git.commit("main")}, contract)
    assert made is not None
    return made, contract


BLOCK = Block(columns=("employee",))


def values(metric: PairedMetric) -> list[float]:
    """Return both values of a metric and the gain, all of which must be there."""
    numbers = [metric.value, metric.theirs, metric.gain.value]
    assert None not in numbers
    return [number for number in numbers if number is not None]


def test_other_params_are_paired_on_the_same_rows(inside: Project) -> None:
    """The figures are those of both evaluations, and their differences, in all and fold by fold."""
    before = Evaluation.load(inside.path / "data/reports/evaluation.json")
    old = pd.read_parquet(inside.path / PREDICTIONS)
    inside.edit(r"learning_rate: [0-9.]+", "learning_rate: 0.02")
    assert inside.repro("evaluate") == ["train", "evaluate"]
    new = pd.read_parquet(inside.path / PREDICTIONS)
    made, contract = reviewed()
    (rival,) = made.rivals
    assert list(rival.metrics) == ["log_loss", "brier", "roc_auc", "observed_expected"]
    mine, theirs, gain = values(rival.metrics["log_loss"])
    assert mine == made.metrics["log_loss"].value
    assert theirs == pytest.approx(before.validation.metrics["log_loss"].value, rel=1e-5)
    assert gain == pytest.approx(theirs - mine, rel=1e-3)
    assert len(rival.folds) == 4
    loss = METRICS["log_loss"].prepare
    for number, fold in enumerate(rival.folds, start=1):
        of = (new[FOLD] == number).to_numpy()
        y = new[contract.target][of].to_numpy(float)
        expected = [loss(y, each[PREDICTION][of])(np.ones(of.sum())) for each in (new, old)]
        assert values(fold.loss) == pytest.approx([*expected, expected[1] - expected[0]], rel=1e-4)
    ages = [part.rows for part in rival.slices if part.name.startswith("age=")]
    assert sum(ages) == len(new)


def test_models_of_other_windows_are_not_paired(inside: Project) -> None:
    """Each was measured on rows of its own; both figures are shown, without a gain."""
    inside.edit("as_of: 2019Q4", "as_of: 2020Q2")
    inside.repro("evaluate")
    made, _ = reviewed()
    (rival,) = made.rivals
    assert (rival.metrics, rival.folds, rival.slices) == ({}, (), ())
    assert rival.own["log_loss"] is not None
    assert rival.own["log_loss"] != made.metrics["log_loss"].value


def test_a_model_that_was_measured_on_its_holdout_shows_nothing(inside: Project) -> None:
    """Predictions without folds are those of an earlier version, on the holdout: its labels are sealed."""
    contract = read_contract("retirement")
    rows = pd.read_parquet(inside.path / PREDICTIONS)
    assert pair_of(rows, rows, contract, BLOCK) is not None
    assert pair_of(rows, rows.drop(columns=FOLD), contract, BLOCK) is None
    assert pair_of(rows, rows[:-1], contract, BLOCK) is None
    assert pair_of(rows, rows.assign(**{contract.target: 1 - rows[contract.target]}), contract, BLOCK) is None


def test_a_pipeline_without_evaluation_has_no_validation(inside: Project) -> None:
    """Its old files may still lie there, of another model."""
    inside.edit(r"(?s)^  evaluate:\n.*?(?=^(  )?\w|\Z)", "", "dvc.lock")
    assert validated(Side(None), {}, read_contract("retirement")) is None


def test_models_of_several_classes_are_paired() -> None:
    """All classes together, and each against the rest; not where the classes are others."""
    contract = classes.contract()
    rows = classes.fields("2021-03", 1, 500).assign(fold=1)
    right = classes.right(rows, contract)
    worse = predicted.assign(rows, 0.5 * classes.chances(rows) + 0.5 / 3, contract)
    pair = pair_of(right, worse, contract, Block())
    assert pair is not None
    names = sorted(classes.CROPS)
    losses = [
        sk.log_loss(rows["crop"], each[[f"prediction: {name}" for name in names]], labels=names)
        for each in (right, worse)
    ]
    assert values(pair.metric("log_loss")) == pytest.approx([*losses, losses[1] - losses[0]], rel=1e-4)
    by_class = pair.each_class(contract)
    assert list(by_class) == list(classes.CROPS)
    came = rows["crop"] == "rye"
    ratios = [came.sum() / each["prediction: rye"].sum() for each in (right, worse)]
    assert values(by_class["rye"].metric("observed_expected"))[:2] == pytest.approx(ratios, rel=1e-5)
    assert pair_of(right, worse.assign(crop="rye"), contract, Block()) is None


def test_a_rare_class_is_too_few_for_a_mean_over_classes() -> None:
    """As in the evaluation: other figures keep their bounds, and so do other classes."""
    contract = classes.contract()
    rows = classes.fields("2021-03", 1, 400).assign(fold=1)
    rows = rows[(rows["crop"] != "rye") | (rows.groupby("crop").cumcount() < 4)].reset_index(drop=True)
    right = classes.right(rows, contract)
    pair = pair_of(right, predicted.assign(rows, 1 / 3, contract), contract, Block())
    assert pair is not None
    assert pair.metric("roc_auc").gain.low is None
    assert pair.metric("log_loss").gain.low is not None
    by_class = pair.each_class(contract)
    assert by_class["rye"].metric("observed_expected").gain.low is None
    assert by_class["wheat"].metric("observed_expected").gain.low is not None
