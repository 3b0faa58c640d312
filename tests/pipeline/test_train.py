"""Any estimator of scikit-learn, by name and by nothing but its name, on rows as they come."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from perenne.common import model, strict_yaml
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.params import Train
from perenne.common.typed import parse
from perenne.documents.card import load_model, save_model
from perenne.pipeline.estimators import configured, imported
from perenne.pipeline.train import card, train

HGB = "sklearn.ensemble.HistGradientBoostingClassifier"
FOREST = "sklearn.ensemble.RandomForestClassifier"
LOGISTIC = "sklearn.linear_model.LogisticRegression"
KINDS: dict[str, dict[str, Any]] = {
    HGB: {"max_iter": 5, "learning_rate": 1.0},
    FOREST: {"n_estimators": 5},
    LOGISTIC: {},
}
"""One estimator that treats categories itself, one that takes missing numbers, and one that takes neither."""


def contract(*columns: str, task: str = "binary") -> Contract:
    """A contract of a time, a target, and the features given as YAML, such as `size: {type: number}`."""
    target = "type: integer, values: [0, 1]" if task == "binary" else "type: number"
    features = "".join(f"  {column.replace('{', '{role: feature, ')}\n" for column in columns)
    text = (
        f"row: one parcel\ntask: {task}\nperiod: month\nlabel_delay: 0\ncolumns:\n"
        f"  time: {{role: time, type: datetime}}\n  y: {{role: target, {target}}}\n{features}"
    )
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


MIXED = contract("colour: {type: category, missing: true}", "size: {type: number, missing: true}")


def rows(n: int = 60, **columns: Any) -> pd.DataFrame:
    """Rows with a colour, a size and a target that both decide; `columns` replace or add."""
    rng = np.random.default_rng(0)
    colour, size = rng.choice(["red", "green", "blue"], n), rng.random(n)
    frame = pd.DataFrame(
        {
            "time": pd.Timestamp("2020-01-31"),
            "colour": pd.Series(colour, dtype="str"),
            "size": size,
            "y": ((size > 0.6) | (colour == "red")).astype(int),
        }
    )
    return frame.assign(**columns)


def spec(estimator: str = LOGISTIC, **given: Any) -> Train:
    """The section `train` of params.yaml."""
    return Train(estimator=estimator, params=given, seed=0)


def fitted(estimator: str, frame: pd.DataFrame, contract: Contract) -> Pipeline:
    """A small model of one of the three kinds."""
    return train(frame, spec(estimator, **KINDS[estimator]), contract)


WRITTEN = (
    "an estimator of scikit-learn, catboost, lightgbm, xgboost or the project; write it like "
    "sklearn.ensemble.HistGradientBoostingClassifier, lightgbm.LGBMClassifier or stages.models.Mine"
)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("os.system", f"'os.system' is not {WRITTEN}"),
        ("numpy.linalg.solve", f"'numpy.linalg.solve' is not {WRITTEN}"),
        (
            "sklearnx.ensemble.Model",
            f"'sklearnx.ensemble.Model' is not {WRITTEN}",
        ),
        ("sklearn", f"'sklearn' is not {WRITTEN}"),
        ("sklearn.ensemble", f"'sklearn.ensemble' is not {WRITTEN}"),
        ("LogisticRegression", f"'LogisticRegression' is not {WRITTEN}"),
        ("", f"'' is not {WRITTEN}"),
        ("sklearn.esemble.Model", "'sklearn.esemble.Model': No module named 'sklearn.esemble'"),
        ("sklearn.os.system", "'sklearn.os.system': No module named 'sklearn.os'"),
        (
            "sklearn.ensemble.HistGradientBostingClassifier",
            "'sklearn.ensemble.HistGradientBostingClassifier' is not an estimator; "
            "did you mean 'HistGradientBoostingClassifier'?",
        ),
        (
            "sklearn.dummy.dummyclassifier",
            "'sklearn.dummy.dummyclassifier' is not an estimator; "
            "did you mean 'DummyClassifier'? Valid: BaseEstimator, DummyClassifier, DummyRegressor",
        ),
        ("sklearn.utils.check_array", "'sklearn.utils.check_array' is not an estimator"),
        ("sklearn.ensemble.__loader__", "'sklearn.ensemble.__loader__' is not an estimator"),
    ],
)
def test_only_estimators_of_scikit_learn_can_be_named(path: str, message: str) -> None:
    """Whatever else is named is refused with what would do; a misspelt class names the nearest."""
    with pytest.raises(PerenneError) as error:
        imported(path)
    assert str(error.value).startswith(f"params.yaml: train.estimator: {message}")


def test_a_foreign_module_is_not_even_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing runs code, so the name is judged first."""
    (tmp_path / "mischief.py").write_text("class Model: pass")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PerenneError):
        imported("mischief.Model")
    assert "mischief" not in sys.modules


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"learning_rat": 0.1},
            "train.params.learning_rat: unknown to HistGradientBoostingClassifier; "
            "did you mean 'learning_rate'? Valid: categorical_features, ",
        ),
        (
            {"estimator__C": 1},
            "train.params.estimator__C: unknown to HistGradientBoostingClassifier; valid: ",
        ),
    ],
)
def test_an_unknown_param_names_the_valid_ones(given: dict[str, Any], message: str) -> None:
    """The nearest first, if one is near."""
    with pytest.raises(PerenneError) as error:
        configured(spec(HGB, **given), MIXED)
    assert str(error.value).startswith(f"params.yaml: {message}")


@pytest.mark.parametrize(
    ("estimator", "given", "says"),
    [
        (LOGISTIC, {"C": -1}, "The 'C' parameter of LogisticRegression must be"),
        (LOGISTIC, {"C": "much"}, "The 'C' parameter of LogisticRegression must be"),
        (FOREST, {"criterion": "ginny"}, "The 'criterion' parameter of RandomForestClassifier must be"),
        (HGB, {"max_bins": 1000}, "The 'max_bins' parameter of HistGradientBoostingClassifier must be"),
    ],
)
def test_a_bad_value_of_a_param_is_explained_by_scikit_learn(
    estimator: str, given: dict[str, Any], says: str
) -> None:
    """Its own message, in one line, under our key."""
    with pytest.raises(PerenneError) as error:
        train(rows(), spec(estimator, **given), MIXED)
    assert str(error.value).startswith(f"params.yaml: train.params: {says}")
    assert "\n" not in str(error.value)


def test_a_long_explanation_becomes_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of scikit-learn's messages are paragraphs."""

    def fail(*_: Any) -> None:
        raise ValueError("All fits failed.\n\n  Below are\nmore details")

    monkeypatch.setattr(LogisticRegression, "fit", fail)
    with pytest.raises(PerenneError) as error:
        train(rows(), spec(), MIXED)
    assert str(error.value) == "params.yaml: train.params: All fits failed. Below are more details"


@pytest.mark.parametrize(
    ("task", "estimator", "needed"),
    [
        ("regression", LOGISTIC, "a regressor"),
        ("binary", "sklearn.linear_model.Ridge", "a classifier with probabilities"),
        ("binary", "sklearn.svm.LinearSVC", "a classifier with probabilities"),
        ("binary", "sklearn.linear_model.SGDClassifier", "a classifier with probabilities"),
        ("binary", "sklearn.cluster.KMeans", "a classifier with probabilities"),
        ("binary", "sklearn.mixture.GaussianMixture", "a classifier with probabilities"),
        ("regression", "sklearn.preprocessing.StandardScaler", "a regressor"),
    ],
)
def test_the_estimator_must_suit_the_task(task: str, estimator: str, needed: str) -> None:
    """A classifier has no value to predict, a regressor and some classifiers have no probability."""
    with pytest.raises(PerenneError) as error:
        configured(spec(estimator), contract("size: {type: number}", task=task))
    assert str(error.value) == (
        f"params.yaml: train.estimator: a {task} task needs {needed}, not {estimator}"
    )


def test_a_param_may_give_a_classifier_its_probabilities() -> None:
    """SGD has none for its default loss, but has for this one."""
    pipeline = train(rows(), spec("sklearn.linear_model.SGDClassifier", loss="log_loss"), MIXED)
    assert np.ptp(model.predict(pipeline, rows(), MIXED)) > 0


@pytest.mark.parametrize(
    ("name", "lacks"),
    [
        ("ensemble.VotingClassifier", "estimators"),
        ("ensemble.StackingRegressor", "estimators"),
        ("multioutput.ClassifierChain", "estimator"),
        ("semi_supervised.SelfTrainingClassifier", "estimator"),
        ("pipeline.Pipeline", "steps"),
    ],
)
def test_estimators_that_take_others_say_which(name: str, lacks: str) -> None:
    """The line shows how they are written."""
    with pytest.raises(PerenneError) as error:
        configured(spec(f"sklearn.{name}"), MIXED)
    example = "sklearn.linear_model.LogisticRegression"
    shown = f"{{linear: {example}}}" if lacks.endswith("s") else example
    assert str(error.value) == (
        f"params.yaml: train.estimator: sklearn.{name} is made of other estimators; "
        f"params.yaml: train.params lacks {lacks}, such as {{{lacks}: {shown}}}"
    )


@pytest.mark.parametrize("only", [0, 1])
def test_a_target_of_a_single_class_is_an_error(only: int) -> None:
    """Nothing can be learned from it, though some estimators would not say so."""
    with pytest.raises(PerenneError) as error:
        train(rows(y=only), spec(), MIXED)
    assert str(error.value) == (
        f"data/split/train.parquet: none of {len(rows()):,} rows has y = {1 - only}; "
        "a binary model learns from rows of every class"
    )


def scores(estimator: str, seen: pd.DataFrame, asked: pd.DataFrame, contract: Contract) -> Any:
    """What a model of some rows says of others."""
    found = model.predict(fitted(estimator, seen, contract), asked, contract)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 1)).all()
    return found


@pytest.mark.parametrize("estimator", KINDS)
def test_unseen_and_missing_values_give_finite_scores(estimator: str) -> None:
    """A colour never seen, no colour, no size: even where training had neither missing nor new ones."""
    asked = rows(4, colour=["mauve", None, "red", None], size=[0.5, 0.5, np.nan, np.nan])
    scores(estimator, rows(), asked, MIXED)


def test_an_estimator_that_knows_categories_gets_them_as_they_are() -> None:
    """Histogram boosting splits on sets of colours; one never seen counts as missing."""
    pipeline = fitted(HGB, rows(300), MIXED)
    assert pipeline["model"].is_categorical_.tolist() == [True, False]
    unseen, missing, red = model.predict(pipeline, rows(3, colour=["mauve", None, "red"], size=0.3), MIXED)
    assert unseen == missing != red


@pytest.mark.parametrize("estimator", KINDS)
def test_what_is_missing_in_training_can_be_learned_from(estimator: str) -> None:
    """Where a missing size decides, rows without one are told from rows with one."""
    late = np.arange(200) % 2
    seen = rows(200, y=late, size=np.where(late, np.nan, 0.5), colour="red")
    asked = rows(2, size=[np.nan, 0.5], colour="red")
    without, within = scores(estimator, seen, asked, MIXED)
    assert without > 0.8
    assert within < 0.2


@pytest.mark.parametrize("estimator", KINDS)
@pytest.mark.parametrize("column", ["colour", "size"])
def test_a_column_without_any_value_is_no_obstacle(estimator: str, column: str) -> None:
    """It may be filled when scores are asked for, or not."""
    kind, empty = ("str", None) if column == "colour" else ("float64", np.nan)
    seen = rows().assign(**{column: pd.Series([empty] * 60, dtype=kind)})
    scores(estimator, seen, rows(), MIXED)
    scores(estimator, seen, seen, MIXED)


@pytest.mark.parametrize("estimator", KINDS)
def test_more_categories_than_a_histogram_holds(estimator: str) -> None:
    """Of 400 towns the rare share one number, the frequent keep their own."""
    towns = [f"town {i}" for i in range(400)] + ["Rome"] * 300 + ["Oslo"] * 300
    seen = rows(1000, colour=towns, size=0.5, y=[i % 2 for i in range(400)] + [1] * 300 + [0] * 300)
    rome, oslo, _, _ = scores(
        estimator, seen, rows(4, colour=["Rome", "Oslo", "town 7", "elsewhere"], size=0.5), MIXED
    )
    assert rome > oslo + 0.2


@pytest.mark.parametrize("estimator", KINDS)
@pytest.mark.parametrize("column", ["colour: {type: category}", "size: {type: number}"])
def test_features_of_one_kind_alone(estimator: str, column: str) -> None:
    """A contract may have no category, or nothing else."""
    scores(estimator, rows(), rows(), contract(column))


TYPES = contract(
    "flag: {type: boolean, missing: true}",
    "count: {type: integer, missing: true}",
    "since: {type: datetime, missing: true}",
)


def test_inputs_are_numbers_and_dates_are_days_before_the_row() -> None:
    """Booleans, integers and dates are float64 with NaN for what is missing."""
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(["2020-01-31 00:00", "2020-01-31 12:00", "2020-03-01 00:00"]),
            "flag": [True, None, False],
            "count": [3.0, np.nan, 5.0],
            "since": pd.to_datetime(["2020-01-30", "2020-02-01", "NaT"]),
        }
    )
    found = model.inputs(frame, TYPES)
    assert list(found.columns) == ["flag", "count", "since"]
    assert (found.dtypes == "float64").all()
    np.testing.assert_array_equal(found["flag"], [1.0, np.nan, 0.0])
    np.testing.assert_array_equal(found["count"], [3.0, np.nan, 5.0])
    np.testing.assert_array_equal(found["since"], [1.0, -0.5, np.nan])


@pytest.mark.parametrize("estimator", KINDS)
def test_booleans_integers_and_dates_can_be_features(estimator: str) -> None:
    """Each with gaps, and each the only one that decides."""
    n = 200
    y = np.arange(n) % 2
    gap = np.arange(n) % 7 == 0
    constant = {"flag": True, "count": 1.0, "since": pd.Timestamp("2020-01-01")}
    deciding = {
        "flag": pd.Series(y == 1, dtype=object).mask(gap, None),
        "count": pd.Series(y * 10.0).mask(gap),
        "since": pd.Series(pd.Timestamp("2020-01-31") - pd.to_timedelta(y * 40, "D")).mask(gap),
    }
    for name in constant:
        frame = rows(n, y=y, **constant | {name: deciding[name]})
        found = scores(estimator, frame, frame, TYPES)
        assert found[(y == 1) & ~gap].min() > found[(y == 0) & ~gap].max(), name


@pytest.mark.parametrize(
    "estimator",
    [
        "sklearn.ensemble.HistGradientBoostingRegressor",
        "sklearn.ensemble.RandomForestRegressor",
        "sklearn.linear_model.Ridge",
    ],
)
def test_a_regression_end_to_end(estimator: str, tmp_path: Path) -> None:
    """Trained, saved and loaded, a model predicts an amount that a colour and a size decide."""
    amounts = contract("colour: {type: category}", "size: {type: number}", task="regression")
    frame = rows(400)
    frame["y"] = 10 * frame["size"] + 5 * (frame["colour"] == "red")
    saved = tmp_path / "model.skops", tmp_path / "model.json"
    save_model(train(frame, spec(estimator), amounts), card(frame, spec(estimator), amounts), *saved)
    pipeline, beside = load_model(*saved)
    residual = model.predict(pipeline, frame, amounts) - frame["y"]
    assert np.sqrt(np.mean(residual**2)) < 0.1 * frame["y"].std()
    assert beside.mean_target == pytest.approx(frame["y"].mean(), rel=1e-5)


@pytest.mark.parametrize("estimator", [HGB, FOREST])
def test_the_seed_of_the_params_reaches_the_estimator(estimator: str) -> None:
    """Its random choices are then the same every time."""
    assert configured(Train(estimator=estimator, params={}, seed=7), MIXED).random_state == 7


def test_an_estimator_without_random_choices_needs_no_seed() -> None:
    """It is not given one that it would not know."""
    neighbours = configured(spec("sklearn.neighbors.KNeighborsClassifier"), MIXED)
    assert "random_state" not in neighbours.get_params()


def test_the_number_of_threads_is_forgotten() -> None:
    """Histogram boosting notes how many there were on this machine; that is no part of the model."""
    assert fitted(HGB, rows(), MIXED)["model"]._bin_mapper.n_threads == 1


def test_the_card_tells_what_the_model_takes() -> None:
    """The features with their types and the categories seen, the rows, and the dummy's answer."""
    description = card(rows(3, colour=["red", None, "blue"], y=[1, 1, 0]), spec(C=2), MIXED)
    assert description.to_json() == {
        "estimator": LOGISTIC,
        "trusted": [],
        "params": {"C": 2},
        "rows": 3,
        "task": "binary",
        "target": "y",
        "mean_target": 0.666667,
        "features": [
            {"name": "colour", "type": "category", "missing": True, "categories": ["blue", "red"]},
            {"name": "size", "type": "number", "missing": True},
        ],
        "recalibration": None,
    }
