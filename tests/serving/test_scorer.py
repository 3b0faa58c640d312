"""Scoring by tables: bit for bit the pipeline's predictions, on every row of both cases' holdouts."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline

from perenne.cases.flights import Flights
from perenne.cases.retirement import Retirement
from perenne.cases.source import Source
from perenne.common import batches, model
from perenne.common.contract import Contract, read_contract
from perenne.common.forest import Array, CategoryBins
from perenne.common.params import Train
from perenne.common.recalibrated import Recalibrated
from perenne.pipeline import ingest, recalibration
from perenne.pipeline.recalibration import FORMS
from perenne.pipeline.train import train
from perenne.serving.rows import InputRow, PredictAdapter
from perenne.serving.scorer import Corrected, Frames, Scorer, Tables, frame, scorer
from tests import tiny
from tests.classes import CONTRACT, fields
from tests.classes import contract as of_fields
from tests.project import ROOT

SOURCES: dict[str, Source] = {
    "retirement": Retirement(
        source="retirement", start="2013Q1", through="2014Q1", law=None, seed=0, scale=0.5
    ),
    "flights": Flights(source="flights", through="2013-03"),
}
BOOSTED = {
    "defaults": {},
    "of params.yaml": {"max_iter": 150, "max_leaf_nodes": 15, "min_samples_leaf": 100, "learning_rate": 0.1},
    "many leaves": {"max_iter": 20, "max_leaf_nodes": 64, "min_samples_leaf": 5},
}


def data(case: str, contract: Contract) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows to train on and the last labelled batch, with the pipeline's types."""
    typed = [
        pd.DataFrame({name: batches.typed(frame[name], column) for name, column in contract.columns.items()})
        for _, frame in ingest.ingest(SOURCES[case], contract)
    ]
    labelled = [frame[frame[contract.target].notna()] for frame in typed]
    labelled = [frame.reset_index(drop=True) for frame in labelled if len(frame)]
    return pd.concat(labelled[:-1], ignore_index=True), labelled[-1]


@pytest.fixture(scope="module", params=SOURCES)
def case(request: pytest.FixtureRequest) -> tuple[Contract, pd.DataFrame, pd.DataFrame]:
    """Return a case's contract, training rows and holdout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        contract = read_contract(request.param)
    return contract, *data(request.param, contract)


def fitted(rows: pd.DataFrame, contract: Contract, estimator: str = "", **given: Any) -> Any:
    """Return a pipeline as the stage trains it."""
    kind = "Classifier" if contract.classes else "Regressor"
    path = estimator or f"sklearn.ensemble.HistGradientBoosting{kind}"
    return train(rows, Train(estimator=path, params=given, seed=0), contract)


def sent_rows(frame: pd.DataFrame, contract: Contract) -> list[InputRow]:
    """Return rows after a caller sent them and the service read them."""
    table = batches.to_table(frame, batches.schema(contract)).select([contract.time, *contract.features])
    sent = [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
    body = json.dumps({"rows": sent}, default=lambda time: time.isoformat())
    read: list[InputRow] = PredictAdapter(contract, len(sent)).validate_json(body)["rows"]
    return read


def scores(by: Scorer, rows: list[InputRow]) -> Array:
    """Return the scores of all rows."""
    return by.score([by.encode(row) for row in rows])


def scored(by: Tables | Frames, rows: pd.DataFrame) -> Array:
    """Return the scores of a frame of rows, which needs no more of them than features and time."""
    return by.score_frame(rows[[by.contract.time, *by.contract.features]])


SPELLINGS = ("1", "1.0", " 1 ", "2", "2.00", "cafe\u0301", "caf\u00e9\t", "01", "1.10", "unseen")


@pytest.mark.parametrize(
    "estimator",
    ["sklearn.ensemble.HistGradientBoostingClassifier", "sklearn.linear_model.LogisticRegression"],
)
def test_the_same_row_has_one_score_in_pipeline_and_service(estimator: str) -> None:
    """However its category is spelled: the pipeline reads it from CSV, the service from JSON."""
    contract = tiny.contract(
        "category, role: [feature, slice], values: [red, blue]", "category, role: feature"
    )
    frame = tiny.frame(tiny.table("2021-01", rows=28 * 20)).assign(
        colour=[("1", "2", "caf\u00e9", "01", "1.10")[n % 5] for n in range(28 * 20)],
        won=[str(int(n % 5 < 2)) for n in range(28 * 20)],
    )
    pipeline = fitted(ingest.table(frame, contract).to_pandas(), contract, estimator)
    rows = pd.concat([frame[:1]] * len(SPELLINGS), ignore_index=True).assign(colour=SPELLINGS)
    typed = pd.DataFrame({name: batches.typed(rows[name], spec) for name, spec in contract.columns.items()})
    whole = sent_rows(typed, contract)
    body = json.dumps(
        {"rows": [row | {"colour": text} for row, text in zip(whole, SPELLINGS, strict=True)]},
        default=lambda time: time.isoformat(),
    )
    served = PredictAdapter(contract, len(whole)).validate_json(body)["rows"]
    expected = model.predict(pipeline, typed, contract)
    assert scores(scorer(pipeline, contract), served).tolist() == expected.tolist()
    assert expected[0] == expected[1] == expected[2] != expected[7]
    assert expected[5] == expected[6]


@pytest.mark.parametrize("given", BOOSTED.values(), ids=BOOSTED.keys())
def test_scores_of_a_holdout_agree_to_the_bit(
    case: tuple[Contract, pd.DataFrame, pd.DataFrame], given: dict[str, Any]
) -> None:
    """For several shapes of trees, with missing values, all rows together and one at a time."""
    contract, rows, holdout = case
    pipeline = fitted(rows, contract, **given)
    quick = scorer(pipeline, contract)
    assert isinstance(quick, Tables)
    read = sent_rows(holdout, contract)
    expected = model.predict(pipeline, holdout, contract)
    assert len(read) > 4_000
    assert np.array_equal(scores(quick, read), expected)
    assert np.array_equal(scored(quick, holdout), expected)
    alone = [scores(quick, [row]).item() for row in read[:200]]
    assert alone == expected[:200].tolist()


@pytest.mark.parametrize("form", FORMS)
def test_recalibrated_scores_agree_to_the_bit(
    case: tuple[Contract, pd.DataFrame, pd.DataFrame], form: str
) -> None:
    """The tables are corrected as the pipeline is, by every form."""
    contract, rows, holdout = case
    older = fitted(rows, contract, max_iter=20)
    X, y = model.inputs(rows, contract), rows[contract.target].to_numpy(dtype=np.float64)
    known = recalibration.Scored(X, y, model.score(older, X, contract), np.arange(len(y)))
    corrected = Pipeline([("model", recalibration.fitted(form, older, known, contract))])
    by = scorer(corrected, contract)
    assert isinstance(by, Corrected)
    assert isinstance(by.scorer, Tables)
    held = holdout[:500].reset_index(drop=True)
    np.testing.assert_array_equal(
        scores(by, sent_rows(held, contract)), model.predict(corrected, held, contract)
    )
    np.testing.assert_array_equal(by.score_frame(held), model.predict(corrected, held, contract))


def test_unseen_categories_and_values_at_thresholds(
    case: tuple[Contract, pd.DataFrame, pd.DataFrame],
) -> None:
    """Unseen categories, each column missing in turn, and values at a threshold and next to it."""
    contract, rows, holdout = case
    pipeline = fitted(rows, contract, max_iter=40)
    quick = scorer(pipeline, contract)
    assert isinstance(quick, Tables)
    base = sent_rows(holdout[:40], contract)
    made = [row | {name: None} for row in base for name in contract.features]
    for feature in quick.forest.features:
        if isinstance(feature, CategoryBins):
            made += [row | {feature.name: "never seen"} for row in base]
        else:
            for cut in feature.thresholds[:20]:
                near = (math.nextafter(cut, -math.inf), cut, math.nextafter(cut, math.inf))
                made += [base[0] | {feature.name: value} for value in near]
    assert len(made) > 500
    expected = scores(Frames(pipeline, contract), made)
    assert np.array_equal(scores(quick, made), expected)
    assert np.array_equal(scored(quick, frame(made, [*contract.columns], contract)), expected)


@pytest.mark.parametrize(
    "estimator",
    ["sklearn.linear_model.LogisticRegression", "sklearn.ensemble.RandomForestClassifier"],
)
def test_other_estimators_score_by_a_frame(
    case: tuple[Contract, pd.DataFrame, pd.DataFrame], estimator: str
) -> None:
    """One frame for all rows, and the scores of the pipeline."""
    contract, rows, holdout = case
    given = {"n_estimators": 5} if "Forest" in estimator else {"max_iter": 2_000}
    pipeline = fitted(rows[::20].reset_index(drop=True), contract, estimator, **given)
    by = scorer(pipeline, contract)
    assert isinstance(by, Frames)
    assert not by.quick
    assert np.array_equal(
        scores(by, sent_rows(holdout, contract)), model.predict(pipeline, holdout, contract)
    )
    assert np.array_equal(scored(by, holdout), model.predict(pipeline, holdout, contract))


def test_dates_and_amounts() -> None:
    """A date becomes the number of days to the row's time; the task is a regression."""
    text = tiny.CONTRACT.replace("task: binary", "task: regression")
    contract = tiny.contract("integer, role: target, values: [0, 1]", "number, role: target", text)
    rng = np.random.default_rng(0)
    days = pd.Timestamp("2021-01-31T06:30") - pd.to_timedelta(rng.integers(0, 4_000_000, 900), unit="min")
    rows = pd.DataFrame(
        {
            "id": range(900),
            "seen": pd.Series(pd.Timestamp("2021-01-31T06:30"), index=range(900)).astype("datetime64[us]"),
            "size": pd.Series(rng.random(900) * 100).where(rng.random(900) > 0.1),
            "colour": pd.Series(rng.choice(["red", "blue"], 900), dtype="str"),
            "adult": pd.Series(rng.random(900) > 0.5, dtype="boolean"),
            "member": pd.Series(days).astype("datetime64[us]").where(rng.random(900) > 0.1),
        }
    )
    rows["won"] = rows["size"].fillna(50) + (rows["seen"] - rows["member"]).dt.days.fillna(0) / 10
    pipeline = fitted(rows, contract, max_iter=50)
    quick = scorer(pipeline, contract)
    assert isinstance(quick, Tables)
    expected = model.predict(pipeline, rows, contract)
    assert np.array_equal(scores(quick, sent_rows(rows, contract)), expected)
    assert np.array_equal(scored(quick, rows), expected)


def test_scikit_learn_scores_trees_too_large_for_a_word() -> None:
    """More than 64 leaves do not fit."""
    contract = tiny.contract()
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"seen": pd.Timestamp("2021-01-01"), "size": rng.random(4_000) * 100})
    rows = rows.assign(colour="red", adult=True, member=rows["seen"], won=rng.integers(2, size=4_000))
    pipeline = fitted(rows, contract, max_iter=2, max_leaf_nodes=None, min_samples_leaf=1)
    assert isinstance(scorer(pipeline, contract), Frames)


def several(classes: int) -> tuple[Contract, pd.DataFrame, pd.DataFrame]:
    """Return a contract of so many classes, rows to learn from and others, with missing and unseen values."""
    crops = [f"crop {n}" for n in range(classes)]
    text = CONTRACT.replace("role: feature}", "role: feature, missing: true}").replace(
        "values: [clay, sand]", "missing: true"
    )
    contract = of_fields("values: [wheat, maize, rye]", f"values: [{', '.join(crops)}]", text)
    rng = np.random.default_rng(classes)
    known, other = fields("2021-01", 0, 3_000), fields("2021-02", 0, 3_000)
    known["crop"] = [
        crops[place] for place in (known["height"] * 9 + rng.normal(size=3_000) + 90).astype(int) % classes
    ]
    other.loc[::7, "height"] = None
    other.loc[::11, "soil"] = "peat"
    other.loc[::13, "soil"] = None
    return contract, known, other


@pytest.mark.parametrize("classes", [3, 4, 9, 40])
def test_probabilities_of_classes_agree_to_the_bit(classes: int) -> None:
    """With scikit-learn's, all rows together; one at a time they are the same, for which it is not itself."""
    contract, rows, others = several(classes)
    pipeline = fitted(rows, contract, max_iter=20, min_samples_leaf=5)
    quick = scorer(pipeline, contract)
    assert isinstance(quick, Tables)
    expected = model.predict(pipeline, others, contract)
    assert expected.shape == (len(others), classes)
    assert scored(quick, others).tolist() == expected.tolist()
    read = sent_rows(others[:300], contract)
    assert scores(quick, read).tolist() == expected[:300].tolist()
    assert [scores(quick, [row])[0].tolist() for row in read] == expected[:300].tolist()


@pytest.mark.parametrize(
    ("estimator", "given"),
    [
        ("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 2, "max_leaf_nodes": 100}),
        ("sklearn.ensemble.RandomForestClassifier", {"n_estimators": 5}),
        ("sklearn.linear_model.LogisticRegression", {}),
    ],
)
def test_scikit_learn_scores_what_does_not_fit_the_tables(estimator: str, given: dict[str, Any]) -> None:
    """Trees of more than 64 leaves, and other classifiers of several classes."""
    contract, rows, others = several(9)
    pipeline = fitted(rows, contract, estimator, **given | {"min_samples_leaf": 2} if given else {})
    by = scorer(pipeline, contract)
    assert isinstance(by, Frames)
    expected = model.predict(pipeline, others, contract)
    assert np.array_equal(scored(by, others), expected)
    read = sent_rows(others, contract)
    assert np.array_equal(scores(by, read), expected)
    if "linear" not in estimator:  # BLAS, whose last bits depend on the number of rows
        assert [scores(by, [row])[0].tolist() for row in read[:100]] == expected[:100].tolist()


class Halved(Recalibrated):
    """A correction of several classes, which shows what it was given."""

    def corrected(self, scores: Array, X: pd.DataFrame) -> Array:
        """Return probabilities that are nearer to equal ones, on sand alone."""
        sand = (X["soil"] == "sand").to_numpy()[:, None]
        return np.where(sand, (scores + 1 / scores.shape[1]) / 2, scores)


def test_corrections_take_all_classes_at_once() -> None:
    """The tables' probabilities, shape (n, classes), and the columns of the slices."""
    contract, rows, others = several(4)
    pipeline = fitted(rows, contract, max_iter=5)
    halved = Halved(pipeline, "slices", offsets={"soil": {"sand": 0.5}})
    by = scorer(Pipeline([("model", halved)]), contract)
    assert isinstance(by, Corrected)
    expected = halved.corrected(model.predict(pipeline, others, contract), others)
    assert by.score_frame(others).tolist() == expected.tolist()
    assert scores(by, sent_rows(others, contract)).tolist() == expected.tolist()
