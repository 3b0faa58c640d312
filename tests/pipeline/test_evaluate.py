"""What is measured is what scikit-learn measures, on every row once, whatever the rows are called."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline

from perenne.common import batches, model, names, params
from perenne.common.contract import Contract
from perenne.common.disk import canonical
from perenne.common.params import Evaluate, Split, Train
from perenne.common.slicing import groups, slice_name
from perenne.common.typed import parse
from perenne.documents.card import save_model
from perenne.documents.evaluation import MeasuredFigure, MeasuredRows
from perenne.gate import judge
from perenne.pipeline import evaluate as stage
from perenne.pipeline.evaluate import evaluate
from perenne.pipeline.folds import Fold, FoldModel, Validation
from perenne.pipeline.headline import timeline
from perenne.pipeline.importance import importance
from perenne.pipeline.plots import by_slice, reliability, residuals, roc
from perenne.pipeline.train import card, train
from tests.project import ROOT

SPEC = Evaluate(resamples=200, confidence=0.9, bins=5, importance_rows=500, importance_repeats=3, seed=0)

COLUMNS: dict[str, Any] = {
    "time": {"type": "datetime", "role": "time"},
    "person": {"type": "integer", "role": ["entity", "block"]},
    "colour": {"type": "category", "role": ["feature", "slice"]},
    "member": {"type": "boolean", "role": "slice"},
    "age": {"type": "number", "role": ["feature", "slice"], "bins": [60, 61, 62]},
    "noise": {"type": "number", "role": "feature"},
}


def contract(task: str = "binary", columns: dict[str, Any] = COLUMNS, **more: Any) -> Contract:
    """People of some age, by quarter; `more` are further keys of the contract, such as its headline."""
    target = {"type": "integer", "values": [0, 1]} if task == "binary" else {"type": "number"}
    given = {"row": "a person", "task": task, "period": "quarter", "label_delay": 0}
    return parse(Contract, given | {"columns": columns | {"y": target | {"role": "target"}}} | more, "c.yaml")


BINARY, REGRESSION = contract(), contract("regression")
AGES = {"figure": "period_age", "along": "age", "first": 60, "last": 62, "step": 0.5}


def rows(n: int = 400, **columns: Any) -> pd.DataFrame:
    """People in two quarters, four rows each, of whom the older leave; `columns` replace."""
    rng = np.random.default_rng(0)
    age = rng.choice([60.0, 60.5, 61.0, 61.5], n)
    frame = pd.DataFrame(
        {
            "time": [pd.Timestamp("2020-03-31" if i < n / 2 else "2020-06-30") for i in range(n)],
            "person": np.arange(n) // 4,
            "colour": pd.Series(rng.choice(["red", "green", "blue"], n), dtype="str"),
            "member": rng.random(n) < 0.3,
            "age": age,
            "noise": rng.random(n),
            "y": (rng.random(n) < (age - 59) / 4).astype(int),
        }
    )
    return frame.assign(**columns)


def scored(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Scores that know the age, and a little that they should not."""
    found: npt.NDArray[np.float64] = ((frame["age"] - 59) / 4 + frame["noise"] / 10).to_numpy()
    return found


def held(
    frame: pd.DataFrame,
    scores: npt.NDArray[np.float64] | float,
    dummy: float = 0.3,
    pipeline: Pipeline | None = None,
) -> Validation:
    """Rows that one model has predicted, as one fold."""
    rows = frame.assign(**{names.PREDICTION: scores, names.FOLD: 1})
    every = np.full(len(rows), fill_value=True)
    models = (FoldModel(Fold(~every, every), pipeline, dummy),) if pipeline else ()
    return Validation(rows, np.full(len(rows), dummy), "quarter", models)


def near(value: Any) -> Any:
    """Equal up to rounding."""
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def interval(figure: MeasuredFigure) -> tuple[float, float, float]:
    """Return a value and its bounds, all of which must be there."""
    assert figure.value is not None
    assert figure.low is not None
    assert figure.high is not None
    return figure.value, figure.low, figure.high


def values(part: MeasuredRows, key: str = "value") -> dict[str, float]:
    """One number of each metric."""
    return {name: getattr(metric, key) for name, metric in part.metrics.items()}


def binary_by_sklearn(y: Any, p: Any) -> dict[str, float]:
    """The binary metrics, computed by scikit-learn."""
    return {
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p),
        "roc_auc": sk.roc_auc_score(y, p),
        "average_precision": sk.average_precision_score(y, p),
        "observed_expected": np.sum(y) / np.sum(p),
    }


def regression_by_sklearn(y: Any, p: Any) -> dict[str, float]:
    """The metrics of an amount, computed by scikit-learn."""
    return {
        "mae": sk.mean_absolute_error(y, p),
        "rmse": sk.root_mean_squared_error(y, p),
        "bias": np.mean(p - y),
        "r2": sk.r2_score(y, p),
    }


TASKS = pytest.mark.parametrize(
    ("contract", "by_sklearn"),
    [(BINARY, binary_by_sklearn), (REGRESSION, regression_by_sklearn)],
    ids=["binary", "regression"],
)


@TASKS
def test_metrics_equal_scikit_learn_on_all_rows_and_on_each_slice(
    contract: Contract, by_sklearn: Any
) -> None:
    """For the model and for the dummy that always says the mean of the training rows."""
    frame = rows() if contract.classes else rows(y=np.random.default_rng(1).normal(size=400))
    scores, mean = scored(frame), 0.3
    report = evaluate(held(frame, scores, mean), SPEC, contract)
    dummy = np.full(len(frame), mean)
    masks = {
        ("colour", "red"): frame["colour"] == "red",
        ("member", "True"): frame["member"],
        ("age", "[61.0, 62.0)"): frame["age"].between(61, 61.99),
    }
    assert values(report.validation) == near(by_sklearn(frame["y"], scores))
    assert values(report.validation, "dummy") == near(by_sklearn(frame["y"], dummy))
    for (column, value), mask in masks.items():
        part = report.slices[column][value]
        assert part.rows == mask.sum()
        assert values(part) == near(by_sklearn(frame["y"][mask], scores[mask]))
        assert values(part, "dummy") == near(by_sklearn(frame["y"][mask], dummy[mask]))


@TASKS
def test_intervals_contain_their_value(contract: Contract, by_sklearn: Any) -> None:
    """And have a width, on all rows and on slices, and for the headline."""
    report = evaluate(held(rows(), scored(rows())), SPEC, contract)
    parts = [report.validation, *(part for slices in report.slices.values() for part in slices.values())]
    figures: list[MeasuredFigure] = [metric for part in parts for metric in part.metrics.values()]
    figures += [report.headline.observed, report.headline.predicted]
    assert len(figures) == len(by_sklearn([0, 1], np.array([0.2, 0.7]))) * len(parts) + 2
    assert all(low < value < high for value, low, high in map(interval, figures))


def test_more_confidence_makes_wider_intervals() -> None:
    """The params say how sure an interval is."""
    sure = SPEC.model_copy(update={"confidence": 0.99})
    narrow, wide = (evaluate(held(rows(), scored(rows())), s, BINARY).validation for s in (SPEC, sure))
    for name, metric in narrow.metrics.items():
        (_, low, high), (_, lower, higher) = interval(metric), interval(wide.metrics[name])
        assert lower < low < high < higher


def test_rows_of_a_block_are_not_independent() -> None:
    """The same people seen ten times say hardly more than seen once; a hundred people, a hundred blocks."""
    once = rows(100, person=np.arange(100))
    often = pd.concat([once] * 10)
    as_if_new = often.assign(person=np.arange(1000))

    def width(frame: pd.DataFrame) -> float:
        report = evaluate(held(frame, scored(frame)), SPEC, BINARY).validation
        assert report.blocks == frame["person"].nunique()
        _, low, high = interval(report.metrics["brier"])
        return high - low

    assert width(often) == pytest.approx(width(once))
    assert width(as_if_new) < width(once) / 2


def test_without_a_block_each_row_is_its_own() -> None:
    """As many blocks as rows."""
    columns = COLUMNS | {
        "person": {"type": "integer", "role": "entity"},
        "y": BINARY.columns["y"].model_dump(),
    }
    report = evaluate(held(rows(), scored(rows())), SPEC, contract(columns=columns))
    assert report.validation.blocks == report.validation.rows == 400


def test_slices_of_a_column_hold_each_row_once() -> None:
    """Their rows sum up to those of validation, and their places are all places."""
    report = evaluate(held(rows(), scored(rows())), SPEC, BINARY)
    assert {c: list(parts) for c, parts in report.slices.items()} == {
        "colour": ["blue", "green", "red"],
        "member": ["False", "True"],
        "age": ["[60.0, 61.0)", "[61.0, 62.0)"],
    }
    for parts in report.slices.values():
        assert sum(part.rows for part in parts.values()) == 400


@pytest.mark.parametrize(
    ("values", "bins", "expected"),
    [
        (["b", "a", None, "b"], None, {"a": [1], "b": [0, 3], None: [2]}),
        (["none", None, "", "None"], None, {"": [2], "None": [3], "none": [0], None: [1]}),
        ([True, False, None], None, {"False": [1], "True": [0], None: [2]}),
        ([7.0, 3.0, None], None, {"3": [1], "7": [0], None: [2]}),
        ([7, 3, 7], None, {"3": [1], "7": [0, 2]}),
        (
            [60.0, 61.9, 62.0, 64.9, 65.0, 59.9, np.nan],
            (60, 62, 65),
            {"[60, 62)": [0, 1], "[62, 65)": [2, 3], None: [4, 5, 6]},
        ),
        ([0.1, 0.12349, 0.5], (0, 0.12345, 1), {"[0.0, 0.12345)": [0], "[0.12345, 1.0)": [1, 2]}),
        ([70.0, 60.0], (50, 55, 62, 75), {"[55, 62)": [1], "[62, 75)": [0]}),
    ],
)
def test_groups_leave_nobody_out(values: list[Any], bins: Any, expected: dict[str | None, list[int]]) -> None:
    """What is missing or outside the bins is a group; one without rows is none; an edge opens its bin."""
    found = groups(pd.Series(values, index=[9] * len(values)), bins)
    by_name = {None if value is None else str(value): places.tolist() for value, places in found.items()}
    assert by_name == expected


def test_a_category_may_be_called_like_the_slice_of_missing_values() -> None:
    """`none` and rows without a value are two slices: in the report, in its table, and before the gate."""
    frame = rows()
    frame["colour"] = frame["colour"].replace("red", "none").mask(frame["colour"] == "blue")
    report = evaluate(held(frame, scored(frame)), SPEC, BINARY)
    parts = {name: part.rows for name, part in report.slices["colour"].items()}
    numbers = {name: int(count) for name, count in frame["colour"].value_counts(dropna=False).items()}
    assert parts == {"none": numbers["none"], "green": numbers["green"], "": frame["colour"].isna().sum()}
    table = by_slice(report).set_index("slice")["rows"]
    judged = {name: len(places) for name, places in judge.slices(frame, BINARY).items()}
    assert table["colour=none"] == judged["colour=none"] == parts["none"]
    assert table["colour (none)"] == judged["colour (none)"] == parts[""]
    assert sum(judged[name] for name in judged if name.startswith("colour")) == len(frame)


def test_slices_of_two_columns_never_have_one_name() -> None:
    """A column may hold an equals sign."""
    named = [("a", "b=c"), ("a=b", "c"), ("a", None), ("a=b", None), ("a (none)", None), ('"a=b"', "c")]
    assert len({slice_name(column, value) for column, value in named}) == len(named)


def test_only_the_largest_slices_are_reported() -> None:
    """Twenty of a column, by name."""
    towns = [f"town {i:02}" for i in range(30) for _ in range(1 + i % 3)]
    found = groups(pd.Series(towns), None)
    assert len(found) == 20
    assert list(found) == sorted(found)
    assert {town for town in towns if towns.count(town) == 3} <= set(found)
    assert min(len(places) for places in found.values()) == 2


def test_without_slices_there_are_none() -> None:
    """And the table of slices has no row, but its columns."""
    columns = {n: c | {"role": "feature"} if "slice" in c["role"] else c for n, c in COLUMNS.items()}
    columns["age"] = {"type": "number", "role": "feature"}
    unsliced = contract(columns=columns | {"y": BINARY.columns["y"].model_dump()})
    report = evaluate(held(rows(), scored(rows())), SPEC, unsliced)
    assert report.slices == {}
    assert by_slice(report).empty
    assert list(by_slice(report)) == ["slice", "rows", "loss"]


@TASKS
def test_the_table_of_slices_gives_rows_and_loss(contract: Contract, by_sklearn: Any) -> None:
    """The loss is the first metric of the task: log loss, or the mean absolute error."""
    frame = rows()
    table = by_slice(evaluate(held(frame, scored(frame)), SPEC, contract)).set_index("slice")
    red = frame["colour"] == "red"
    loss = next(iter(by_sklearn(frame["y"][red], scored(frame)[red]).values()))
    assert table.loc["colour=red"].to_dict() == {"rows": red.sum(), "loss": near(loss)}
    assert len(table) == 7


def test_the_headline_without_a_figure_is_the_mean_of_the_target() -> None:
    """Observed and predicted, side by side."""
    frame = rows()
    told = evaluate(held(frame, scored(frame)), SPEC, BINARY).headline
    assert told.figure == "mean_y"
    assert told.observed.value == near(frame["y"].mean())
    assert told.predicted.value == near(scored(frame).mean())


def test_the_headline_of_the_contract_is_the_period_age() -> None:
    """Half leave at 60, half of the rest at 60.5, nobody at 61, all at 61.5: worked out by hand."""
    frame = rows(8, age=[60, 60, 60.5, 60.5, 61, 61, 61.5, 61.5], y=[1, 0, 0, 1, 0, 0, 1, 1])
    told = evaluate(held(frame, np.full(8, 0.5)), SPEC, contract(headline=AGES)).headline
    assert told.figure == "period_age"
    assert told.observed.value == near(0.5 * 60 + 0.25 * 60.5 + 0.25 * 61.5)
    assert told.predicted.value == near(0.5 * 60 + 0.25 * 60.5 + 0.125 * 61 + 0.0625 * 61.5 + 0.0625 * 62)


def test_the_timeline_gives_the_headline_by_period() -> None:
    """In the order of the periods, whatever that of the rows."""
    frame = rows().sample(frac=1, random_state=1)
    table = timeline(frame, scored(frame), BINARY)
    quarters = frame.groupby(frame["time"].dt.to_period("Q"))
    assert table["period"].tolist() == ["2020Q1", "2020Q2"]
    assert table["observed"].tolist() == near(quarters["y"].mean().tolist())
    predicted = frame.assign(p=scored(frame)).groupby(frame["time"].dt.to_period("Q"))["p"].mean()
    assert table["predicted"].tolist() == near(predicted.tolist())


def test_what_dvc_shows_is_flat() -> None:
    """The value of each metric, and the headline under its own name."""
    report = evaluate(held(rows(), scored(rows())), SPEC, BINARY)
    assert report.metrics() == values(report.validation) | {
        "mean_y_observed": report.headline.observed.value,
        "mean_y_predicted": report.headline.predicted.value,
    }


def test_dvc_shows_that_rows_are_too_few() -> None:
    """Beside the values: without intervals, nobody can say what a difference of two means."""
    frame = rows(y=np.r_[[1] * 3, [0] * 397])
    report = evaluate(held(frame, scored(frame)), SPEC, BINARY)
    assert report.metrics()["intervals"] == "1 block with an event is too few to tell"
    assert report.validation.metrics["log_loss"].low is None


VISITS = parse(
    Contract,
    {
        "row": "a visit",
        "task": "regression",
        "period": "month",
        "label_delay": 0,
        "columns": {
            "time": {"type": "datetime", "role": "time"},
            "person": {"type": "integer", "role": "entity"},
            "age": {"type": "number", "role": "feature"},
            "y": {"type": "number", "role": "target"},
        },
    },
    "c.yaml",
)


def test_days_that_share_something_are_the_block_of_a_contract_without_one() -> None:
    """Their intervals are wider than those of rows, by the root of the design effect; a line says it."""
    rng = np.random.default_rng(7)
    day = np.repeat(np.arange(120), 20)
    shock = np.sqrt(0.2) * rng.normal(size=120)[day]
    frame = pd.DataFrame(
        {
            "time": pd.Timestamp("2021-01-01") + pd.to_timedelta(day, unit="D"),
            "person": np.arange(len(day)),
            "age": 1.0,
            "y": shock + np.sqrt(0.8) * rng.normal(size=len(day)),
        }
    )
    spec = SPEC.model_copy(update={"resamples": 1000})
    measured = evaluate(held(frame, 0.0), spec, VISITS)
    none = evaluate(held(frame, 0.0), spec, VISITS.model_copy(update={"answer": "none"}))
    found = measured.dependence
    assert found is not None
    assert (found.source, found.block.part) == ("measured", "day")
    assert found.sharing["day"].effect == near_theory(1 + 19 * 0.2)
    assert found.line.startswith("rows of one day share 0.")
    assert found.line.endswith(
        "to answer in the contract, give a column the role `block`, or write `block: none`"
    )
    assert (measured.validation.blocks, none.validation.blocks) == (120, 2400)
    wide, narrow = (
        high - low
        for _, low, high in (interval(each.validation.metrics["bias"]) for each in (measured, none))
    )
    assert wide / narrow == near_theory(np.sqrt(1 + 19 * 0.2))
    assert none.dependence is not None
    assert (none.dependence.source, none.dependence.line, dict(none.dependence.sharing)) == (
        "contract",
        "",
        {},
    )


def near_theory(value: float) -> Any:
    """Equal up to chance."""
    return pytest.approx(value, rel=0.25)


@pytest.mark.parametrize("index", [range(400, 0, -1), [0] * 400, [f"row {i % 7}" for i in range(400)]])
def test_row_labels_do_not_matter(index: Any) -> None:
    """A frame that was filtered, sorted or joined carries labels that say nothing."""
    plain, labelled = rows(), rows().set_axis(index)
    scores = scored(plain)
    ages = contract(headline=AGES)
    assert evaluate(held(labelled, scores), SPEC, ages) == evaluate(held(plain, scores), SPEC, ages)
    pd.testing.assert_frame_equal(timeline(labelled, scores, ages), timeline(plain, scores, ages))
    pipeline = fitted(plain)
    pd.testing.assert_frame_equal(
        importance(held(labelled, scores, pipeline=pipeline), SPEC, BINARY),
        importance(held(plain, scores, pipeline=pipeline), SPEC, BINARY),
    )


@pytest.mark.parametrize(("n", "bins"), [(100, 5), (100, 10), (10, 10)])
def test_bins_of_the_reliability_plot_are_equally_large(n: int, bins: int) -> None:
    """Ordered by prediction, each with the means of its rows and the prediction as what would be perfect."""
    rng = np.random.default_rng(0)
    scores = rng.permutation(np.arange(n) / n)
    y = (rng.random(n) < scores).astype(float)
    table = reliability(y, scores, bins)
    parts = np.argsort(scores).reshape(bins, n // bins)
    assert table["predicted"].tolist() == near(scores[parts].mean(axis=1).tolist())
    assert table["observed"].tolist() == near(y[parts].mean(axis=1).tolist())
    assert table["perfect"].tolist() == table["predicted"].tolist()


def test_rows_of_equal_prediction_share_a_bin() -> None:
    """Their order in the file decides nothing: half of those at 0.2 are late, not first none and then all."""
    scores = np.array([0.2] * 6 + [0.8] * 2)
    late = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    for y in (late, np.r_[late[:6][::-1], late[6:]]):
        table = reliability(y, scores, 4)
        assert table["predicted"].tolist() == near([0.2, 0.8])
        assert table["observed"].tolist() == near([0.5, 1.0])


@pytest.mark.parametrize("n", [1, 3, 100])
def test_constant_scores_are_one_bin(n: int) -> None:
    """However many bins were asked for."""
    y = (np.arange(n) % 2).astype(float)
    table = reliability(y, np.full(n, 0.3), 10)
    assert table.to_dict("list") == {
        "predicted": near([0.3]),
        "observed": near([y.mean()]),
        "perfect": near([0.3]),
    }


def test_the_roc_curve_is_scikit_learns() -> None:
    """From one corner to the other, never falling, with the area that the metrics say."""
    y, scores = rows()["y"].to_numpy(dtype=float), scored(rows())
    table = roc(y, scores, 5)
    assert table["x"].iloc[[0, -1]].tolist() == [0, 1]
    assert table["model"].iloc[-1] == 1
    assert table["model"].is_monotonic_increasing
    assert (table["reference"] == table["x"]).all()
    assert np.trapezoid(table["model"], table["x"]) == pytest.approx(sk.roc_auc_score(y, scores), abs=0.01)


def test_constant_scores_are_the_diagonal() -> None:
    """A model that tells nobody apart is no better than chance at any rate."""
    table = roc(np.array([0.0, 1.0, 0.0]), np.full(3, 0.5), 5)
    assert table["model"].tolist() == near(table["reference"].tolist())


@pytest.mark.parametrize("only", [0.0, 1.0])
def test_a_single_class_has_no_roc_curve(only: float) -> None:
    """No warning and no invented line."""
    assert roc(np.full(4, only), np.arange(4) / 4, 5)["model"].isna().all()


def test_residuals_of_a_regression_are_observed_less_predicted() -> None:
    """By prediction, beside zero: a model that says 2 too little everywhere is 2 above."""
    predicted = np.arange(100.0)
    table = residuals(predicted + 2, predicted, 4)
    assert table["x"].tolist() == near([12, 37, 62, 87])
    assert table["model"].tolist() == near([2] * 4)
    assert table["reference"].tolist() == [0] * 4


def fitted(frame: pd.DataFrame, contract: Contract = BINARY) -> Pipeline:
    """A linear model of the frame."""
    name = "LogisticRegression" if contract.classes else "Ridge"
    return train(frame, Train(estimator=f"sklearn.linear_model.{name}", params={}, seed=0), contract)


@pytest.mark.parametrize("useful", ["colour", "age", "noise"])
@pytest.mark.parametrize("contract", [BINARY, REGRESSION], ids=["binary", "regression"])
def test_the_only_useful_feature_is_the_most_important(contract: Contract, useful: str) -> None:
    """Shuffling it costs loss; shuffling the others costs next to nothing."""
    frame = rows()
    seen = frame[useful] == "red" if useful == "colour" else frame[useful] > frame[useful].median()
    frame["y"] = seen.astype(int)
    table = importance(held(frame, 0.5, pipeline=fitted(frame, contract)), SPEC, contract)
    assert sorted(table["feature"]) == ["age", "colour", "noise"]
    assert table["feature"].iloc[0] == useful
    assert table["importance"].is_monotonic_decreasing
    assert table["importance"].iloc[0] > 10 * table["importance"].iloc[1:].abs().max()


def test_importance_is_measured_on_as_many_rows_as_the_params_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a slow estimator stays bearable: a prediction a feature and repeat, and one as it is."""
    frame, asked = rows(), []
    pipeline = fitted(frame)
    score = model.score

    def counted(pipeline: Pipeline, X: pd.DataFrame, contract: Contract) -> npt.NDArray[np.float64]:
        asked.append(len(X))
        return score(pipeline, X, contract)

    monkeypatch.setattr(model, "score", counted)
    spec = SPEC.model_copy(update={"importance_rows": 50, "importance_repeats": 2})
    importance(held(frame, 0.5, pipeline=pipeline), spec, BINARY)
    assert asked == [50] * (1 + 3 * 2)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_importance_to_trees_is_the_same_by_tables(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit: with leaves kept, without, and by the estimator, which has categories before numbers."""
    its, frame = contract(task, dict(sorted(COLUMNS.items(), key=lambda item: item[0] == "colour"))), rows()
    assert its.features == ["age", "noise", "colour"]
    kind = "Classifier" if its.classes else "Regressor"
    spec = Train(estimator=f"sklearn.ensemble.HistGradientBoosting{kind}", params={"max_iter": 10}, seed=0)
    measured = held(frame, 0.5, pipeline=train(frame, spec, its))
    monkeypatch.setattr("perenne.common.sklearn_trees.ROWS_THAT_PAY", 2)
    kept = importance(measured, SPEC, its)
    monkeypatch.setattr("perenne.pipeline.importance.MOST_LEAVES", 0)
    anew = importance(measured, SPEC, its)
    monkeypatch.setattr("perenne.common.sklearn_trees.tables", lambda *_: None)
    pd.testing.assert_frame_equal(kept, importance(measured, SPEC, its), check_exact=True)
    pd.testing.assert_frame_equal(kept, anew, check_exact=True)
    assert kept["importance"].any()


def test_a_feature_that_the_model_ignores_has_no_importance() -> None:
    """Exactly none, and features of equal importance are in the order of their names."""
    frame = rows()
    ignorant = Pipeline([("model", DummyClassifier().fit(model.inputs(frame, BINARY), frame["y"]))])
    table = importance(held(frame, 0.5, pipeline=ignorant), SPEC, BINARY)
    assert table["feature"].tolist() == ["age", "colour", "noise"]
    assert (table[["importance", "sd"]] == 0).all(axis=None)


def test_a_validation_of_one_row_is_measured_as_far_as_it_goes() -> None:
    """Its losses have values but no bounds; what needs two classes is undefined; all plots can be drawn."""
    frame = rows().head(1)
    scores, y = scored(frame), frame["y"].to_numpy(dtype=float)
    report = evaluate(held(frame, scores), SPEC, BINARY)
    measured = report.validation.metrics
    assert measured["brier"].value == near((scores[0] - y[0]) ** 2)
    assert measured["brier"].low is None
    assert measured["roc_auc"].value is None
    assert len(reliability(y, scores, 5)) == 1
    assert len(timeline(frame, scores, BINARY)) == 1
    assert len(importance(held(frame, 0.5, pipeline=fitted(rows())), SPEC, BINARY)) == 3


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the stage writes in a folder that has nothing but the pipeline."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
    spec = Train(estimator="sklearn.linear_model.LogisticRegression", params={}, seed=0)
    split = Split(as_of="2021Q4", window=11, holdout=1)
    read = SimpleNamespace(case="people", evaluate=SPEC, split=split, train=spec)
    monkeypatch.setattr(params, "load", lambda _: read)
    monkeypatch.setattr(stage, "read_contract", lambda _: BINARY)
    save_model(train(rows(), spec, BINARY), card(rows(), spec, BINARY))
    batches.write_parquet(names.TRAIN, batches.to_table(rows(), batches.schema(BINARY)))
    stage.main()
    return {
        "metrics": json.loads(names.METRICS.read_text()),
        "evaluation": json.loads(names.EVALUATION.read_text()),
        "predictions": pd.read_parquet(names.PREDICTIONS),
        "plots": {file.stem: pd.read_csv(file) for file in names.PLOTS.iterdir()},
    }


def test_what_is_not_a_number_is_null() -> None:
    """JSON has no NaN; null is nobody's pass."""
    frame = rows().head(1)
    report = evaluate(held(frame, scored(frame)), SPEC, BINARY)
    shown, metrics = canonical(report.metrics()), report.to_json()["validation"]["metrics"]
    assert shown["roc_auc"] is None
    assert shown["brier"] is not None
    assert metrics["roc_auc"]["value"] is None
    assert metrics["brier"]["low"] is None


def test_predictions_are_whole_rows_beside_the_score(written: dict[str, Any]) -> None:
    """Every column of the contract, the score, and which fold's model gave it."""
    table = written["predictions"]
    assert list(table) == [*BINARY.columns, "prediction", "fold"]
    assert table["prediction"].between(0, 1).all()
    assert set(table["fold"]) == {1, 2, 3, 4}


def test_all_plots_are_written(written: dict[str, Any]) -> None:
    """One table a plot."""
    assert set(written["plots"]) == {"reliability", "curve", "confusion", "importance", "slices", "timeline"}
