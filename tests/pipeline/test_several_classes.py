"""Several classes are measured as scikit-learn measures them: together, and each against the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from perenne.common import predicted
from perenne.common.block import Block, labels_of
from perenne.common.contract import Contract
from perenne.common.params import Evaluate, Train
from perenne.documents.evaluation import Evaluation, MeasuredRows
from perenne.pipeline import folds, headline, plots, skill
from perenne.pipeline.evaluate import evaluate
from perenne.pipeline.folds import Validation
from perenne.pipeline.importance import importance
from perenne.pipeline.train import train
from tests import classes

SPEC = Evaluate(resamples=100, confidence=0.95, bins=4, importance_rows=400, importance_repeats=1, seed=0)
LINEAR = Train(estimator="sklearn.linear_model.LogisticRegression", params={}, seed=0)
CROPS = classes.contract()


def fields(n: int = 120) -> pd.DataFrame:
    """Fields of all months in one table."""
    return pd.concat(classes.history(1, n).values(), ignore_index=True)


@pytest.fixture(scope="module")
def held() -> Validation:
    """Return the validation of a linear model."""
    return folds.validation(fields(), LINEAR, CROPS, 4)


@pytest.fixture(scope="module")
def report(held: Validation) -> Evaluation:
    """Return what is measured on it."""
    return evaluate(held, SPEC, CROPS)


def near(value: Any) -> Any:
    """Equal up to rounding."""
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def values(part: MeasuredRows, key: str = "value") -> dict[str, float]:
    """One number of each metric."""
    return {name: getattr(metric, key) for name, metric in part.metrics.items()}


def together(crop: Any, p: Any) -> dict[str, float]:
    """The metrics of all classes, computed by scikit-learn. `p` has a column for each crop of the case."""
    order = np.argsort(classes.CROPS)  # scikit-learn knows classes in the order of their names
    names = np.array(classes.CROPS)[order]
    came = (np.asarray(crop)[:, None] == names).astype(float)
    return {
        "log_loss": sk.log_loss(crop, p[:, order], labels=names),
        "brier": float(((p[:, order] - came) ** 2).sum(axis=1).mean()),
        "roc_auc": sk.roc_auc_score(crop, p[:, order], labels=names, multi_class="ovr", average="macro"),
        "accuracy": sk.accuracy_score(crop, names[p[:, order].argmax(axis=1)]),
    }


def alone(came: Any, p: Any) -> dict[str, float]:
    """The metrics of one class against the rest, computed by scikit-learn."""
    return {
        "log_loss": sk.log_loss(came, p),
        "brier": sk.brier_score_loss(came, p),
        "roc_auc": sk.roc_auc_score(came, p),
        "average_precision": sk.average_precision_score(came, p),
        "observed_expected": came.sum() / p.sum(),
    }


def columns(rows: pd.DataFrame) -> Any:
    """The probabilities of `predictions.parquet`."""
    return rows[[f"prediction: {crop}" for crop in classes.CROPS]].to_numpy()


def test_folds_are_predicted_by_what_was_known_before(held: Validation) -> None:
    """By scikit-learn's own model of the rows before; a column for each class, in the contract's order."""
    table = held.table(CROPS).to_pandas()
    assert list(table) == [*CROPS.columns, *(f"prediction: {crop}" for crop in classes.CROPS), "fold"]
    last = table[table["fold"] == 4]
    before = fields()[fields()["seen"].dt.to_period("M") < last["seen"].min().to_period("M")]

    def inputs(rows: pd.DataFrame) -> Any:
        soils = [(rows["soil"] == soil).astype(float) for soil in ("clay", "sand")]
        numbers = (rows[["rain", "height"]] - before[["rain", "height"]].mean()) / before[
            ["rain", "height"]
        ].std(ddof=0)
        return np.column_stack([*soils, numbers])

    own = LogisticRegression(random_state=0).fit(inputs(before), before["crop"])
    expected = pd.DataFrame(own.predict_proba(inputs(last)), columns=own.classes_)[list(classes.CROPS)]
    assert columns(last) == pytest.approx(expected.to_numpy(), abs=1e-4)
    shares = before["crop"].value_counts(normalize=True)[list(classes.CROPS)]
    assert held.dummies[-1].tolist() == near(shares.tolist())
    assert held.models[-1].mean == near(tuple(shares))


def test_metrics_equal_scikit_learn(held: Validation, report: Evaluation) -> None:
    """On all rows, on a fold, on a slice, and for the dummy."""
    table = held.table(CROPS).to_pandas()
    assert values(report.validation) == near(together(table["crop"], columns(table)))
    assert values(report.validation, "dummy") == near(together(table["crop"], held.dummies))
    first = table[table["fold"] == 1]
    assert {n: m.value for n, m in report.folds[0].metrics.items()} == pytest.approx(
        together(first["crop"], columns(first)), rel=1e-5
    )
    sand = table["soil"] == "sand"
    assert values(report.slices["soil"]["sand"]) == near(together(table["crop"][sand], columns(table[sand])))


def test_each_class_is_measured_against_the_rest(held: Validation, report: Evaluation) -> None:
    """As an event of its own, with intervals, beside what the dummy says of it."""
    table = held.table(CROPS).to_pandas()
    assert list(report.classes) == list(classes.CROPS)
    for place, (crop, part) in enumerate(report.classes.items()):
        came = (table["crop"] == crop).astype(float)
        assert values(part) == near(alone(came, table[f"prediction: {crop}"]))
        assert values(part, "dummy") == near(alone(came, held.dummies[:, place]))
        assert part.too_few == ""
        for metric in part.metrics.values():
            assert metric.low is not None
            assert metric.value is not None
            assert metric.high is not None
            assert metric.low < metric.value < metric.high


def test_what_dvc_shows_of_classes(report: Evaluation) -> None:
    """How each ranks and its level: more columns nobody would read."""
    shown = report.metrics()
    assert shown["classes"] == {
        crop: {name: part.metrics[name].value for name in ("roc_auc", "observed_expected")}
        for crop, part in report.classes.items()
    }
    assert "classes" in report.to_json()
    assert Evaluation.from_json(report.to_json(), "evaluation.json").classes["rye"].rows == 960


def test_the_headline_is_how_often_the_most_probable_class_comes(
    held: Validation, report: Evaluation
) -> None:
    """Beside how often it should, if the probabilities were right."""
    table = held.table(CROPS).to_pandas()
    p = columns(table)
    right = np.array(classes.CROPS)[p.argmax(axis=1)] == table["crop"]
    assert report.headline.figure == "accuracy"
    assert report.headline.observed.value == near(right.mean())
    assert report.headline.predicted.value == near(p.max(axis=1).mean())
    by_month = headline.timeline(held.rows, p, CROPS).set_index("period")
    month = (table["seen"].dt.to_period("M") == "2021-07").to_numpy()
    assert by_month.loc[["2021-07"]].to_numpy()[0] == near([right[month].mean(), p[month].max(axis=1).mean()])


def few(rye: int, wheat: int = 300) -> Validation:
    """Rows of which few are rye."""
    rng = np.random.default_rng(5)
    crop = rng.permutation(np.repeat(classes.CROPS, [wheat, 400 - wheat - rye, rye]))
    rows = classes.fields("2021-03", 2, 400).assign(crop=crop, fold=1)
    scores = rng.dirichlet([6, 3, 1], 400)
    return Validation(predicted.assign(rows, scores, CROPS), np.full((400, 3), 1 / 3), "month", ())


def test_a_rare_class_is_too_few_for_what_counts_classes_alike() -> None:
    """A mean over rows hardly depends on it; a mean over classes, and its own figures, do."""
    found = evaluate(few(rye=4), SPEC, CROPS)
    assert found.validation.too_few == ""
    lows = {name: metric.low for name, metric in found.validation.metrics.items()}
    assert lows["roc_auc"] is None
    assert None not in [lows[name] for name in ("log_loss", "brier", "accuracy")]
    assert found.classes["rye"].too_few == "4 blocks with an event are too few to tell"
    assert found.classes["wheat"].too_few == ""
    assert found.classes["maize"].metrics["roc_auc"].low is not None


def test_rows_of_nearly_one_class_are_too_few() -> None:
    """All others together are what there is to tell of."""
    found = evaluate(few(rye=4, wheat=393), SPEC, CROPS)
    reason = "7 blocks with any but the most frequent class are too few to tell"
    assert found.validation.too_few == reason
    assert found.metrics()["intervals"] == reason
    assert {metric.low for metric in found.validation.metrics.values()} == {None}


def test_blocks_are_those_of_the_class_whose_rows_share_most() -> None:
    """Days on which one crop comes or not make rows of a day alike; the line names the crop."""
    rng = np.random.default_rng(3)
    rows = fields(400)
    day = rows["seen"].dt.dayofyear.to_numpy()
    shift = np.column_stack([np.zeros((len(rows), 2)), 1.2 * rng.normal(size=400)[day]])
    chances = classes.chances(rows, shift)
    places = (chances.cumsum(axis=1) < rng.random((len(rows), 1))).sum(axis=1)
    rows = rows.assign(crop=np.array(classes.CROPS)[places], fold=1)
    held = Validation(classes.right(rows, CROPS), np.full((len(rows), 3), 1 / 3), "month", ())
    found = evaluate(held, SPEC.model_copy(update={"resamples": 1}), CROPS).dependence
    assert found is not None
    assert found.block.part == "day"
    assert found.line.endswith("(measured on rye)")


def test_plots_have_each_class(held: Validation) -> None:
    """Reliability by class; the mean ROC curve over classes; how many of each class were taken for which."""
    table = held.table(CROPS).to_pandas()
    p, y = columns(table), predicted.outcomes(held.rows, CROPS)
    shown = plots.reliability_by_class(y, p, 4, CROPS)
    for place, crop in enumerate(classes.CROPS):
        own = shown[shown["class"] == crop].drop(columns="class")
        pd.testing.assert_frame_equal(own, plots.reliability((y == place).astype(float), p[:, place], 4))
    curve = plots.CURVES[CROPS.task.curve](y, p, 4)
    auc = together(table["crop"], p)["roc_auc"]
    assert np.trapezoid(curve["model"], curve["x"]) == pytest.approx(auc, abs=0.01)
    cells = plots.confusion(y, p, CROPS)
    taken = np.array(classes.CROPS)[p.argmax(axis=1)]
    expected = sk.confusion_matrix(table["crop"], taken, labels=list(classes.CROPS))
    assert cells["rows"].to_numpy().reshape(3, 3).tolist() == expected.tolist()
    assert cells["share"].to_numpy().reshape(3, 3).sum(axis=1).tolist() == near([1, 1, 1])
    assert cells["actual"].tolist() == [crop for crop in classes.CROPS for _ in range(3)]


def test_the_useful_features_are_the_most_important(held: Validation) -> None:
    """Rain decides most of the case, soil least."""
    assert importance(held, SPEC, CROPS)["feature"].tolist() == ["rain", "height", "soil"]


def said(rows: pd.DataFrame, training: Train) -> list[str]:
    """What is said of a model of these rows."""
    held = folds.validation(rows, training, CROPS, 4)
    blocks = labels_of(held.rows, CROPS, Block())
    return list(skill.warnings(train(rows, training, CROPS), rows, held, blocks, SPEC, training, CROPS))


def test_a_model_with_skill_is_not_warned_of() -> None:
    """As of the case."""
    assert said(fields(), LINEAR) == []


def test_a_constant_model_is_named_with_its_shares() -> None:
    """By the names of the classes."""
    rows = fields()
    (line,) = said(rows, Train(estimator="sklearn.dummy.DummyClassifier", params={}, seed=0))
    shown = ", ".join(f"{crop} {(rows['crop'] == crop).mean():.4g}" for crop in classes.CROPS)
    assert (
        line
        == f"the model is constant, it predicts {shown} for every row: DummyClassifier ignores the features"
    )


def test_a_wrong_level_names_the_class() -> None:
    """Rain has risen, and maize with it no more: who grows it is known, how many is not."""
    rows = fields(400)
    late = rows["seen"] >= "2021-05"
    rows["rain"] += 4.0 * late
    (line,) = said(rows, LINEAR)
    assert "it predicts crop = " in line
    assert "what crop depends on has changed" in line


@pytest.mark.parametrize(
    "estimator",
    [
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.linear_model.LogisticRegression",
        "sklearn.ensemble.RandomForestClassifier",
    ],
)
def test_integer_classes_are_measured_alike(estimator: str) -> None:
    """What classes are called changes no figure, whatever the estimator."""
    params = {} if "linear" in estimator else {"max_iter": 5} if "Hist" in estimator else {"n_estimators": 5}
    spec = Train(estimator=estimator, params=params, seed=0)
    numbered: Contract = classes.contract(
        "{type: category, role: target, values: [wheat, maize, rye]}",
        "{type: integer, role: target, values: [4, 2, 3]}",
    )
    rows = fields(60)
    as_numbers = rows.assign(crop=rows["crop"].map({"wheat": 4, "maize": 2, "rye": 3}))
    named = folds.validation(rows, spec, CROPS, 2)
    other = folds.validation(as_numbers, spec, numbered, 2)
    assert list(other.table(numbered).to_pandas())[-4:-1] == [f"prediction: {n}" for n in (4, 2, 3)]
    assert np.array_equal(predicted.scores(named.rows, CROPS), predicted.scores(other.rows, numbered))
    own, same = (evaluate(h, SPEC, c) for h, c in ((named, CROPS), (other, numbered)))
    assert own.validation == same.validation
    assert list(same.classes) == ["4", "2", "3"]
    assert list(own.classes.values()) == list(same.classes.values())
