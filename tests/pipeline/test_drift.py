"""Drift: what has moved says look, what is wrong on matured labels says retrain, and calm says nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common import disk, strict_yaml
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import PREDICTION
from perenne.common.params import Drift, Tolerance
from perenne.common.typed import parse
from perenne.documents.drift import DriftReport
from perenne.pages.drift import render
from perenne.pipeline import drift as stage
from perenne.pipeline.drift import drift, timeline
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.watch.validated import by_period
from tests.project import Project

SPEC = Drift(false_discovery_rate=0.05, min_effect=0.05, periods_per_false_alarm=160, report_rows=100, seed=0)
CONTRACT = """\
row: one visit
task: binary
period: quarter
label_delay: 1
columns:
  id: {type: integer, role: [entity, block]}
  at: {type: datetime, role: time}
  age: {type: number, role: feature, missing: true}
  size: {type: number, role: feature, missing: true}
  colour: {type: category, role: feature, missing: true}
  adult: {type: boolean, role: feature, missing: true}
  member: {type: datetime, role: feature, missing: true}
  y: {type: integer, role: target, values: [0, 1], missing: true}
"""
ROLE = "[entity, block]"
BINARY = "y: {type: integer, role: target, values: [0, 1], missing: true}"
IMPORTANCE = {"age": 0.02, "size": 0.3, "colour": 0.1, "adult": 0.0, "member": -0.001}


def contract(*changes: tuple[str, str]) -> Contract:
    """Return the contract, with pieces of its text replaced."""
    text = CONTRACT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


ENTITY = contract()
NONE = contract((ROLE, "entity"))
DAY = contract((ROLE, "entity"), ("  at:", "  day: {type: integer, role: block}\n  at:"))
REGRESSION = contract(("task: binary", "task: regression"), (BINARY, "y: {type: number, role: target}"))

BEFORE = pd.period_range("2019Q1", "2019Q4", freq="Q")
LATER = pd.period_range("2020Q1", "2020Q4", freq="Q")
N = 400

Change = Callable[[pd.DataFrame], dict[str, Any]]


def visits(period: pd.Period, **columns: Any) -> pd.DataFrame:
    """Rows of a period, sorted as ingest sorts them, whose label their score foretells; `columns` replace."""
    rng = np.random.default_rng(period.ordinal)
    score, at = rng.uniform(0.05, 0.95, N), period.end_time.floor("D")
    frame = pd.DataFrame(
        {
            "id": np.arange(N),
            "day": 1000 * period.ordinal + np.arange(N) // 5,
            "at": pd.Series([at] * N, dtype="datetime64[us]"),
            "age": rng.normal(size=N),
            "size": rng.normal(size=N),
            "colour": pd.Series(rng.choice(["red", "green", "blue"], N), dtype="str"),
            "adult": rng.random(N) < 0.5,
            "member": at - pd.to_timedelta(rng.integers(1, 1000, N), unit="D"),
            "y": (rng.random(N) < score).astype(float),
            PREDICTION: score,
        }
    )
    return frame.assign(**columns)


# The first half taught the model, so its scores say nothing.
REFERENCE = {q: visits(q, **({PREDICTION: math.nan} if q < BEFORE[2] else {})) for q in BEFORE}
VALIDATED = pd.concat([visits(q) for q in BEFORE], ignore_index=True)


def drifted(
    reference: dict[pd.Period, pd.DataFrame],
    current: list[ScoredBatch],
    contract: Contract = ENTITY,
    *,
    validated: pd.DataFrame = VALIDATED,
    importance: Any = None,
) -> DriftReport:
    """Return the report on some batches."""
    weights = IMPORTANCE if importance is None else importance
    return drift(reference, by_period(validated, contract), current, weights, SPEC, Tolerance(), contract)


def wrong(rows: pd.DataFrame) -> dict[str, Any]:
    """Labels that fall the other way."""
    return {"y": 1 - rows["y"]}


def older(rows: pd.DataFrame) -> dict[str, Any]:
    """An age that has moved by one standard deviation."""
    return {"age": rows["age"] + 1}


def calm(_: pd.DataFrame) -> dict[str, Any]:
    """Nothing at all."""
    return {}


def report(
    *changes: Change, contract: Contract = ENTITY, matured: int | None = None, importance: Any = None
) -> DriftReport:
    """Return the report on a batch for each change, of which the first `matured` have their labels."""
    current = []
    for place, (quarter, change) in enumerate(zip(LATER, changes, strict=False)):
        rows = visits(quarter)
        current.append(ScoredBatch(quarter, rows.assign(**change(rows)), matured is None or place < matured))
    return drifted(REFERENCE, current, contract, importance=importance)


def levels(found: DriftReport) -> Sequence[str]:
    """Return the advice batch by batch, then that of the day."""
    return [batch.level for batch in found.batches] + [found.advice.level]


def test_no_batch_yet() -> None:
    """Where nothing has come after `as_of` there is nothing to advise, and the report says so."""
    found = report()
    assert found.advice.model_dump() == {"level": "none", "reasons": ("there is no batch after 2019Q4 yet",)}
    assert (found.batches, found.cumulative) == ((), ())
    assert found.reference.model_dump(by_alias=True) == {"from": "2019Q1", "to": "2019Q4", "rows": 4 * N}
    assert list(timeline(found)["period"]) == []


@pytest.mark.parametrize("contract", [ENTITY, NONE, DAY], ids=["entity", "none", "day"])
def test_calm_batches(contract: Contract) -> None:
    """Batches like the reference: none, whatever rows have in common."""
    found = report(calm, calm, calm, contract=contract)
    assert levels(found) == ["none"] * 4
    assert found.advice.reasons == ("no drift detected through 2020Q3",)
    assert not any(test.alarm for test in found.cumulative)


@pytest.mark.parametrize("contract", [ENTITY, NONE, DAY], ids=["entity", "none", "day"])
def test_feature_that_moved_twice(contract: Contract) -> None:
    """Twice running is a look, in words with the effect; the labels are fine, so never a retraining."""
    found = report(older, older, contract=contract)
    assert levels(found) == ["none", "look", "look"]
    assert re.match(r"age has moved \(effect 0\.[34]\d\)$", found.advice.reasons[0])
    alarms = {(t.feature, t.test) for t in found.batches[1].covariates if t.alarm}
    assert {("age", "distribution")} <= alarms <= {("age", "distribution"), ("all features", "joint")}
    assert ("age", "distribution") in {(t.feature, t.test) for t in found.cumulative if t.alarm}


ROUGH = VALIDATED.assign(
    y=lambda rows: (rows["id"] * 0.618 % 1 < (rows[PREDICTION] + 0.25 * (rows["age"] > 0.8)).clip(0, 1)) * 1.0
)


def late(*changes: Change, matured: int = 0, contract: Contract = ENTITY) -> DriftReport:
    """Return the report on batches, for a model that has always expected too little of the old."""
    current = [
        ScoredBatch(q, visits(q, **change(visits(q))), place < matured)
        for place, (q, change) in enumerate(zip(LATER, changes, strict=False))
    ]
    return drifted(REFERENCE, current, contract, validated=ROUGH)


def test_late_labels_are_estimated_and_may_say_look() -> None:
    """A batch of the old says look before its labels come: never retrain, and without a second batch."""
    found = late(older)
    assert levels(found) == ["look", "look"]
    assert found.advice.reasons[0].startswith("estimated without labels: more events than predicted: ")
    [batch] = found.batches
    assert batch.estimated is not None
    assert [each.metric for each in batch.estimated.metrics] == ["log_loss", "roc_auc", "observed_expected"]
    assert all(each.low < each.estimate < each.high for each in batch.estimated.metrics)
    assert not any(each.realised for each in batch.estimated.metrics)
    assert DriftReport.from_json(found.to_json(), "drift.json") == found


def test_calm_batches_with_late_labels_say_nothing() -> None:
    """The estimates are there, and within the tolerance."""
    found = late(calm, calm, calm)
    assert levels(found) == ["none"] * 4
    assert all(batch.estimated and batch.estimated.metrics for batch in found.batches)


def test_matured_labels_take_the_place_of_estimates() -> None:
    """The estimate stays beside what came; it is no reason any more."""
    [batch] = late(older, matured=1).batches
    assert not any(reason.startswith("estimated") for reason in batch.reasons)
    assert batch.estimated is not None
    came = {each.metric: each.realised for each in batch.estimated.metrics}
    rows = visits(LATER[0])
    assert came["observed_expected"] == pytest.approx(rows["y"].sum() / rows[PREDICTION].sum(), rel=1e-5)


def test_labels_that_are_never_late_are_not_estimated() -> None:
    """At a delay of 0 nothing is shown, in the report and on the page."""
    found = late(older, matured=1, contract=contract(("label_delay: 1", "label_delay: 0")))
    assert [batch.estimated for batch in found.batches] == [None]
    assert "without labels" not in render(found)
    assert "Estimated without labels" in render(late(older))


@pytest.mark.parametrize("changes", [(older, calm), (calm, older), (older, calm, older)])
def test_feature_that_moved_once(changes: tuple[Change, ...]) -> None:
    """One batch alone may be an accident: nothing is said until the next one agrees."""
    assert set(levels(report(*changes))) == {"none"}


def test_moves_the_other_way_do_not_confirm() -> None:
    """Missing values that come and then go are not twice the same."""
    half = {q: b.assign(age=b["age"].where(b["id"] % 2 == 0)) for q, b in REFERENCE.items()}
    current = [ScoredBatch(q, visits(q), matured=False) for q in LATER[:2]]
    current[0] = current[0]._replace(rows=current[0].rows.assign(age=math.nan))
    found = drifted(half, current)
    assert not any("missing values" in reason for reason in found.batches[1].reasons)


def everything(rows: pd.DataFrame) -> dict[str, Any]:
    """Two features that have moved, a category never seen, values and labels that are missing."""
    return {
        "age": rows["age"] + 1,
        "size": rows["size"].where(rows["id"] % 2 == 0),
        "colour": rows["colour"].replace("red", "pink"),
        "y": rows["y"].where(rows["id"] % 2 == 0),
        PREDICTION: rows[PREDICTION] / 2 + 0.475,
    }


def test_reasons_in_words_the_most_important_first() -> None:
    """What matters most to the model is said first; every kind of change has its words."""
    found = report(everything, everything, matured=0)
    reasons = found.advice.reasons
    assert reasons[0].startswith("size: +50.0% missing values")
    share = (visits(LATER[1])["colour"] == "red").mean()
    assert f"colour: {share:.1%} of the rows have a value never seen before" in reasons
    assert any(reason.startswith("prediction has moved (effect 0.") for reason in reasons)
    assert any(reason.startswith("all features together have moved") for reason in reasons)
    first = [next(i for i, r in enumerate(reasons) if r.startswith(n)) for n in ("size", "colour", "age")]
    assert first == sorted(first)
    listed = [test.importance or 0.0 for test in found.batches[1].covariates]
    assert listed == sorted(listed, reverse=True)
    turned = report(everything, everything, matured=0, importance={"age": 1.0})
    assert turned.advice.reasons[0].startswith("age has moved")


def test_rows_and_labels_that_did_not_come() -> None:
    """Half of the rows, and labels that are missing where none ever was: a look, in words."""

    def halved(rows: pd.DataFrame) -> dict[str, Any]:
        return {"y": rows["y"].where(rows["id"] % 4 > 0)}

    current = [ScoredBatch(q, visits(q, **halved(visits(q)))[: N // 2], matured=True) for q in LATER[:2]]
    found = drifted(REFERENCE, current)
    assert levels(found) == ["none", "look", "look"]
    assert "rows: -50% compared with the expected number" in found.advice.reasons
    assert "labels: some are missing; in the reference none were" in found.advice.reasons
    batch = found.batches[1]
    assert (batch.rows, batch.matured) == (N // 2, N * 3 // 8)
    assert batch.volume["rows: law"] == "Poisson"
    assert batch.volume["rows: observed"] == N // 2


def test_more_labels_missing_than_usual() -> None:
    """Where some are always missing, their number is compared with that."""
    usual = {q: b.assign(y=b["y"].where(b["id"] % 10 > 0)) for q, b in REFERENCE.items()}
    more = [
        ScoredBatch(q, visits(q).assign(y=lambda b: b["y"].where(b["id"] % 4 > 0)), matured=True)
        for q in LATER[:2]
    ]
    found = drifted(usual, more)
    assert found.advice.model_dump() == {
        "level": "look",
        "reasons": ("labels: +150% missing compared with the expected number",),
    }


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("the loss is ", wrong),
        ("the AUC is ", wrong),
        ("fewer events than predicted: 0 where ", lambda _: {"y": 0.0}),
        ("more events than predicted: 400 where ", lambda _: {"y": 1.0}),
    ],
)
def test_wrong_model(words: str, change: Change) -> None:
    """Labels that show the model wrong ask for a retraining, and say in what and since when."""
    found = report(calm, change)
    assert levels(found) == ["none", "retrain", "retrain"]
    assert any(r.startswith(words) and r.endswith("since 2020Q2") for r in found.advice.reasons)


def test_retrain_comes_before_what_moved() -> None:
    """Both at once: the labels decide, and their reasons stand first."""
    found = report(older, lambda rows: older(rows) | wrong(rows))
    assert found.advice.level == "retrain"
    said = ["moved" in reason for reason in found.advice.reasons]
    assert said == sorted(said)
    assert set(said) == {False, True}


def test_unmatured_labels_take_no_part() -> None:
    """Labels that came too early are a biased sample: of an unmatured batch none is looked at."""
    found = report(calm, wrong, matured=1)
    assert levels(found) == ["none"] * 3
    batch = found.batches[1]
    assert batch.matured == 0
    assert batch.concept == ()
    assert "observed" not in batch.predictions


def test_alarm_stays_until_a_retraining() -> None:
    """After labels have shown the model wrong, calm batches and unmatured ones do not take it back."""
    found = report(wrong, calm, calm, matured=2)
    assert levels(found) == ["retrain", "retrain", "none", "retrain"]
    assert found.advice.reasons == found.batches[1].reasons


def test_predictions_beside_what_came() -> None:
    """The mean score beside that of the holdout, events beside those expected."""
    found = report(calm).batches[0].predictions
    rows = visits(LATER[0])
    measured = pd.concat([REFERENCE[q] for q in BEFORE[2:]])
    assert found == {
        "mean": disk.canonical(rows[PREDICTION].mean()),
        "reference": disk.canonical(measured[PREDICTION].mean()),
        "observed": rows["y"].sum(),
        "expected": disk.canonical(rows[PREDICTION].sum()),
    }


def test_all_batches_together() -> None:
    """The cumulative tests are of all rows since `as_of`: half of them moved is half of the effect."""
    found = report(older, calm)
    moved = {(t.feature, t.test): t for t in found.cumulative if t.alarm}
    assert set(moved) == {("age", "distribution")}
    first = next(t for t in found.batches[0].covariates if (t.feature, t.test) in moved)
    assert moved["age", "distribution"].effect == pytest.approx((first.effect or 0) / 2, abs=0.05)


def test_order_and_index_of_rows_do_not_matter() -> None:
    """Rows that come in another order, and are sorted as ingest sorts, give the same report."""

    def mixed(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.sample(frac=1, random_state=1).sort_values(["at", "id"], kind="stable")

    def run(change: Callable[[pd.DataFrame], pd.DataFrame]) -> DriftReport:
        current = [ScoredBatch(q, change(visits(q)), matured=True) for q in LATER[:2]]
        return drifted({q: change(b) for q, b in REFERENCE.items()}, current)

    plain = run(lambda rows: rows)
    assert run(mixed) == plain
    assert run(lambda rows: rows.set_axis(np.zeros(len(rows), int))) == plain


def test_report_is_json_of_a_schema(tmp_path: Path) -> None:
    """It is written as canonical JSON of its schema, in which NaN is null, and read back as it was."""
    found = report(lambda _: {"age": math.nan}, calm, matured=1)
    found.write(tmp_path / "drift.json")
    assert DriftReport.load(tmp_path / "drift.json").to_json() == found.to_json()
    read = json.loads((tmp_path / "drift.json").read_text(encoding="utf-8"))
    assert read["schema"] == 2
    assert set(read) == {
        "schema",
        "advice",
        "calendar",
        "reference",
        "batches",
        "cumulative",
    }
    empty = drifted(REFERENCE, [ScoredBatch(LATER[0], visits(LATER[0])[:0], matured=True)])
    empty.write(tmp_path / "drift.json")
    read = json.loads((tmp_path / "drift.json").read_text(encoding="utf-8"))
    assert read["batches"][0]["predictions"]["mean"] is None


def test_regression() -> None:
    """A number to predict: its errors are watched, and there is no ranking."""
    rng = np.random.default_rng(0)

    def missed(sd: float) -> Change:
        return lambda rows: {"y": rows[PREDICTION] + rng.normal(0, sd, len(rows))}

    reference = {q: rows.assign(**missed(1.0)(rows)) for q, rows in REFERENCE.items()}
    current = [ScoredBatch(q, visits(q), matured=True) for q in LATER[:2]]
    current = [
        b._replace(rows=b.rows.assign(**missed(s)(b.rows))) for b, s in zip(current, (1.0, 3.0), strict=True)
    ]
    validated = VALIDATED.assign(**missed(1.0)(VALIDATED))
    found = drifted(reference, current, REGRESSION, validated=validated)
    assert levels(found) == ["none", "retrain", "retrain"]
    assert found.advice.reasons[0].startswith("errors are ")
    assert timeline(found)["loss"].iloc[1] >= 1
    assert timeline(found)["ranking"].isna().all()


NOTHING: dict[str, Any] = {
    "age": math.nan,
    "colour": pd.Series([None] * N, dtype="str"),
    "adult": pd.Series([None] * N, dtype=object),
    "member": pd.Series([pd.NaT] * N, dtype="datetime64[us]"),
}
SAME = {"age": 1.0, "colour": "red", "adult": True}


@pytest.mark.parametrize("name", NOTHING)
def test_column_that_is_missing_from_now_on(name: str) -> None:
    """All values of a feature missing, whatever its type: a look that says so."""
    found = report(lambda _: {name: NOTHING[name]}, lambda _: {name: NOTHING[name]})
    assert levels(found) == ["none", "look", "look"]
    assert f"{name}: +100.0% missing values" in found.advice.reasons


@pytest.mark.parametrize("columns", [NOTHING, SAME], ids=["missing", "constant"])
def test_columns_that_say_nothing(columns: dict[str, Any]) -> None:
    """Features that were missing, or one value, and still are: nothing has changed."""
    reference = {q: rows.assign(**columns) for q, rows in REFERENCE.items()}
    current = [ScoredBatch(q, visits(q, **columns), matured=True) for q in LATER[:2]]
    found = drifted(reference, current)
    assert levels(found) == ["none"] * 3
    tested = {test.feature for test in found.batches[0].covariates if test.test == "distribution"}
    assert not tested & columns.keys()


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("contract", [ENTITY, NONE, DAY], ids=["entity", "none", "day"])
def test_batches_of_no_row_or_one(contract: Contract, n: int) -> None:
    """So few rows are themselves what there is to say, twice running; nothing else is claimed."""
    current = [ScoredBatch(q, visits(q)[:n], matured=True) for q in LATER[:2]]
    found = drifted(REFERENCE, current, contract)
    assert levels(found) == ["none", "look", "look"]
    assert found.advice.reasons == ("rows: -100% compared with the expected number",)
    assert [batch.matured for batch in found.batches] == [n, n]


def test_timeline_is_a_share_of_what_alarms() -> None:
    """Evidence reaches 1 where the alarm is raised, a row a batch whose labels have come."""
    found = timeline(report(calm, wrong, calm, matured=2))
    assert list(found["period"]) == ["2020Q1", "2020Q2"]
    assert found["loss"].iloc[0] < 1 < found["loss"].iloc[1]
    assert (found["alarm"] == 1).all()


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Stand in the small project, whose page is our verdict alone: Evidently takes its time elsewhere."""
    monkeypatch.chdir(project.path)
    monkeypatch.setattr("perenne.pages.evidently.page", lambda *given, **_: given[4])
    return project


def test_stage_without_a_current_batch(here: Project) -> None:
    """The stage succeeds, and writes a report that says that nothing has come."""
    for path in (here.path / "data/clean").glob("2020Q*.parquet"):
        path.unlink()
    stage.main()
    assert json.loads(here.read("data/reports/drift.json"))["advice"]["level"] == "none"
    assert "There is no batch after the reference yet" in here.read("data/reports/drift.html")
    assert here.read("data/reports/drift.csv").startswith("period,")


def test_batch_without_a_column(here: Project) -> None:
    """It ends in one line that names the file and the column, and leaves the report as it was."""
    before = here.read("data/reports/drift.json")
    path = Path("data/clean/2020Q2.parquet")
    pd.read_parquet(path).drop(columns="salary").to_parquet(path)
    with pytest.raises(PerenneError, match=r"^data/clean/2020Q2.parquet: no column 'salary'; "):
        stage.main()
    assert here.read("data/reports/drift.json") == before


def test_labels_come_a_period_late(here: Project) -> None:
    """The last quarter's labels are not looked at; those of `as_of`, which the model had not, are."""
    stage.main()
    found = json.loads(here.read("data/reports/drift.json"))
    assert [b["period"] for b in found["batches"]] == ["2019Q4", "2020Q1", "2020Q2", "2020Q3", "2020Q4"]
    assert [b["matured"] > 0 for b in found["batches"]] == [True, True, True, True, False]
    assert [bool(b["concept"]) for b in found["batches"]] == [True, True, True, True, False]
    assert [bool(b["covariates"]) for b in found["batches"]] == [False, True, True, True, True]


def test_stage_from_end_to_end(project: Project) -> None:
    """Four calm quarters: no advice, our verdict on top of the page, and the same bytes twice."""
    files = ("data/reports/drift.json", "data/reports/drift.html", "data/reports/drift.csv")
    before = [project.read(file) for file in files]
    project.run("python -m stages.drift", PYTHONHASHSEED="7", TZ="Asia/Tokyo")
    assert [project.read(file) for file in files] == before
    assert json.loads(before[0])["advice"]["level"] == "none"
    page = before[1].partition("<body>")[2]
    assert page.lstrip().startswith("<style>")
    assert page.index("Nothing to do: no drift was detected") < page.index("var ")
    lines = before[2].splitlines()
    assert lines[0] == "period,above,below,loss,ranking,tails,alarm"
    # The label of 2019Q4, the last row that the model may have known, came a quarter later.
    assert [line.partition(",")[0] for line in lines[1:]] == ["2019Q4", "2020Q1", "2020Q2", "2020Q3"]


@pytest.mark.parametrize("run", ["ingest", "validate"])
def test_batch_that_lost_a_column_gets_no_further(project: Project, run: str) -> None:
    """A batch without one of the contract's columns is refused before drift, by file and by name."""
    if run == "ingest":
        project.edit("  salary: ", "  wages: ", file="data/cases/retirement/contract.yaml")
        said = "2013Q1: no column 'wages'"
    else:
        path = project.path / "data/raw/2020Q2.parquet"
        frame = pd.read_parquet(path).drop(columns="salary")
        path.unlink()
        frame.to_parquet(path)
        said = "data/raw/2020Q2.parquet: no column 'salary'"
    failed = project.run(f"python -m stages.{run}", status=1)
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr
