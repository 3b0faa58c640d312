"""Drift of several classes, from batches to advice: the class that is wrong is named everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common import predicted
from perenne.common.contract import Contract
from perenne.common.params import Drift, Tolerance
from perenne.documents.drift import DriftReport
from perenne.pages.drift import render
from perenne.pipeline.drift import drift, timeline
from perenne.pipeline.drift_fold import ScoredBatch
from tests import classes

SPEC = Drift(false_discovery_rate=0.05, min_effect=0.05, periods_per_false_alarm=160, report_rows=100, seed=0)
LATER = pd.period_range("2021-11", periods=3, freq="M")
SEED = 7
LATE = classes.contract("label_delay: 0", "label_delay: 1")

Change = Callable[[pd.DataFrame], pd.DataFrame]


def calm(rows: pd.DataFrame) -> pd.DataFrame:
    """Nothing at all."""
    return rows


def rarer(rows: pd.DataFrame) -> pd.DataFrame:
    """Two of five fields of wheat are of maize."""
    return rows.assign(crop=rows["crop"].mask((rows["crop"] == "wheat") & (rows["id"] % 5 < 2), "maize"))


def report(
    *changes: Change, contract: Contract | None = None, matured: int = 3, **columns: Any
) -> DriftReport:
    """Return the report on a batch for each change, of a model that is right but for `columns` of scores."""
    task = contract or classes.contract()
    history = {
        month: classes.right(rows, task).assign(**columns) for month, rows in classes.history(SEED).items()
    }
    current = []
    for place, (month, change) in enumerate(zip(LATER, changes, strict=False)):
        rows = classes.right(classes.fields(str(month), SEED), task).assign(**columns)
        current.append(ScoredBatch(month, change(rows), place < matured))
    return drift(history, history, current, {"rain": 0.1}, SPEC, Tolerance(), task)


@pytest.fixture(scope="module")
def wrong() -> DriftReport:
    """Return the report on a calm month, and two in which wheat is rarer."""
    return report(calm, rarer, rarer)


def levels(found: DriftReport) -> list[str]:
    """Return the advice batch by batch, then that of the day."""
    return [*(batch.level for batch in found.batches), found.advice.level]


def test_right_model_needs_nothing() -> None:
    """Three months: no advice, and probabilities are watched as scores are."""
    found = report(calm, calm, calm)
    assert levels(found) == ["none"] * 4
    tested = {test.feature for test in found.batches[0].covariates}
    assert {"prediction: wheat", "prediction: maize", "prediction: rye"} <= tested


def test_retraining_names_the_class_first(wrong: DriftReport) -> None:
    """The one that is off by the most rows, with the figures and the date; the other one after it."""
    assert levels(wrong) == ["none", "retrain", "retrain", "retrain"]
    first, second, *_ = wrong.advice.reasons
    drawn = [classes.right(classes.fields(str(month), SEED), classes.contract()) for month in LATER[1:]]
    came = sum(int((rarer(rows)["crop"] == "wheat").sum()) for rows in drawn)
    expected = sum(rows["prediction: wheat"].sum() for rows in drawn)
    unknown = "(the reference has no December: it may be the season)"
    assert first == (
        f"wheat: fewer than predicted: {came:,} where {expected:,.0f} were expected {unknown}, since 2021-12"
    )
    assert second.startswith("maize: more than predicted: ")
    assert not any(reason.startswith("rye") for reason in wrong.advice.reasons)


def test_figures_are_by_class(wrong: DriftReport) -> None:
    """What came of each beside what was expected, and its mean score beside that of the reference."""
    rows = rarer(classes.right(classes.fields(str(LATER[1]), SEED), classes.contract()))
    figures = wrong.batches[1].predictions
    assert len(figures) == 4 * len(classes.CROPS)
    for crop in classes.CROPS:
        score = rows[f"prediction: {crop}"]
        assert figures[f"{crop}: observed"] == (rows["crop"] == crop).sum()
        assert figures[f"{crop}: expected"] == pytest.approx(score.sum(), rel=1e-5)
        assert figures[f"{crop}: mean"] == pytest.approx(score.mean(), rel=1e-5)
        assert abs((figures[f"{crop}: reference"] or 0) - score.mean()) < 0.03


def test_report_names_the_class_and_keeps_it(wrong: DriftReport) -> None:
    """In JSON: of streams about a class only, so that other tasks' reports keep their bytes."""
    content = json.loads(json.dumps(wrong.to_json()))
    assert DriftReport.from_json(content, "drift.json").to_json() == wrong.to_json()
    states = [state for state in content["batches"][2]["concept"] if state["slice"] is None]
    assert states[0]["of_class"] == "wheat"
    assert [s["stream"] for s in states if "of_class" not in s] == ["loss", "ranking"]
    assert {s["of_class"] for s in states if "of_class" in s} == set(classes.CROPS)


def test_timeline_shows_the_class_with_the_most_evidence(wrong: DriftReport) -> None:
    """One line a batch, whatever the number of classes."""
    found = timeline(wrong)
    assert list(found["period"]) == [str(month) for month in LATER]
    wheat = [
        s for s in wrong.batches[2].concept if (s.of_class, s.stream, s.slice) == ("wheat", "below", None)
    ]
    assert found["below"].iloc[2] == pytest.approx(wheat[0].log_e / wheat[0].threshold)
    assert found["below"].iloc[0] < 1 < found["below"].iloc[1]


def test_page_names_the_class(wrong: DriftReport) -> None:
    """In the reasons, the table of streams and the figures."""
    html = render(wrong)
    assert "<li>wheat: fewer than predicted: " in html
    assert '<tr class="alarm"><th scope="row">wheat: fewer than predicted</th>' in html
    assert '<th scope="row">rye: more than predicted</th>' in html
    assert '<th scope="row">wheat: observed</th>' in html


def test_scores_that_moved_are_named() -> None:
    """Twice running is a look; what is predicted of each class is one column."""

    def drier(rows: pd.DataFrame) -> pd.DataFrame:
        return classes.right(rows.assign(rain=rows["rain"] - 0.8), classes.contract())

    found = report(drier, drier, matured=0)
    assert levels(found) == ["none", "look", "look"]
    moved = {test.feature for test in found.batches[1].covariates if test.alarm}
    assert {"rain", "prediction: maize", "prediction: rye"} <= moved
    assert any(reason.startswith("prediction: rye has moved (effect 0.") for reason in found.advice.reasons)


def test_late_labels_are_estimated_by_class() -> None:
    """The log loss, the mean AUC, and each class; then what came. Nothing is beyond its bound."""
    found = report(calm, calm, contract=LATE, matured=1)
    assert levels(found) == ["none"] * 3
    first, second = (batch.estimated for batch in found.batches)
    assert first is not None
    assert second is not None
    names = [(each.of_class, each.metric) for each in first.metrics]
    assert names == [
        (None, "log_loss"),
        (None, "roc_auc"),
        *((c, "observed_expected") for c in classes.CROPS),
    ]
    rows = classes.right(classes.fields(str(LATER[0]), SEED), LATE)
    y, scores = predicted.outcomes(rows, LATE), predicted.scores(rows, LATE)
    realised = {(each.of_class, each.metric): each.realised for each in first.metrics}
    loss = -np.log(scores[np.arange(len(y)), y.astype(int)]).mean()
    assert realised[None, "log_loss"] == pytest.approx(loss, rel=1e-5)
    assert realised["rye", "observed_expected"] == pytest.approx(
        (y == 2).sum() / scores[:, 2].sum(), rel=1e-5
    )
    assert all(each.low < (each.realised or 0) < each.high for each in first.metrics)
    assert all(each.realised is None for each in second.metrics)
    entropy = -np.sum(scores * np.log(scores), axis=1).mean()
    assert first.metrics[0].estimate == pytest.approx(entropy, rel=0.05)
    assert "rye: Observed / expected" in render(found)


def test_estimates_may_say_look_and_name_the_class() -> None:
    """A model that knows nothing of the rain: in a dry month there will be more rye than it predicts."""
    flat = {
        f"prediction: {crop}": share for crop, share in zip(classes.CROPS, (0.45, 0.34, 0.21), strict=True)
    }

    def drier(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(rain=rows["rain"] - 0.8)

    found = report(drier, contract=LATE, matured=0, **flat)
    assert found.advice.level == "look"
    said = [reason for reason in found.advice.reasons if reason.startswith("estimated without labels: ")]
    assert said[0].startswith("estimated without labels: rye: more than predicted: ")
