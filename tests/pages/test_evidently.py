"""Evidently's page: ours on top, the same bytes every time, and nothing that Evidently does takes it down."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common.contract import Contract
from perenne.documents.drift import CovariateTest, DriftAdvice, DriftBatch, DriftReport, ReferenceSpan
from perenne.pages import engine, evidently
from perenne.pages.engine import Answer, Comparison, Shown, ShownVerdict
from tests import classes, tiny

CONTRACT = """\
row: one visit
task: binary
period: month
label_delay: 0
columns:
  id: {type: integer, role: entity}
  seen: {type: datetime, role: time}
  moved: {type: number, role: feature}
  steady: {type: integer, role: feature, missing: true}
  colour: {type: category, role: feature}
  adult: {type: boolean, role: slice}
  member: {type: datetime, role: feature, missing: true}
  level: {type: integer, role: feature, values: [1, 2, 3]}
  gone: {type: number, role: feature, missing: true}
  fixed: {type: number, role: feature}
  name: {type: category, role: feature}
  huge: {type: number, role: feature}
  won: {type: integer, role: target, values: [0, 1], missing: true}
"""
TOP = "<p>our verdict</p>"
ROWS = 600
MARKUP = "</script><b>red"


def contract(task: str = "binary") -> Contract:
    """Return the contract of the frames below."""
    return tiny.contract("task: binary", f"task: {task}", text=CONTRACT)


def frame(n: int, seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Return rows of the contract with scores; half of the labels are known."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.05, 0.95, n)
    times = pd.Series(pd.date_range("2021-01-01", periods=n, freq="h"))
    return pd.DataFrame(
        {
            "id": range(n),
            "seen": times,
            "moved": rng.normal(shift, 1, n),
            "steady": pd.Series(rng.integers(0, 50, n), dtype="Int64").mask(rng.random(n) < 0.2),
            "colour": rng.choice(["red", "blue", MARKUP], n),
            "adult": pd.Series(rng.random(n) < 0.5, dtype="boolean"),
            "member": times.mask(rng.random(n) < 0.5),
            "level": rng.integers(1, 4, n).astype("uint8"),
            "gone": rng.normal(size=n),
            "fixed": 1.0,
            "name": [f"{seed}-{i}" for i in range(n)],
            "huge": rng.normal(size=n),
            "won": pd.Series((rng.random(n) < score).astype(int), dtype="Int64").mask(rng.random(n) < 0.5),
            "prediction": score,
        }
    )


REFERENCE = frame(2_000, seed=0)
CURRENT = frame(1_500, seed=1, shift=1.0).assign(gone=np.nan)


def covariate(feature: str, test: str, effect: float | None, *, alarm: bool = False) -> CovariateTest:
    """Return one of our tests."""
    return CovariateTest(
        feature=feature, importance=None, test=test, effect=effect, p=0.5, q=0.5, alarm=alarm
    )


def batch(period: str, level: Any, *tests: CovariateTest, reasons: tuple[str, ...] = ()) -> DriftBatch:
    """Return a batch of our report."""
    return DriftBatch(
        period=period,
        matured=0,
        level=level,
        reasons=reasons,
        concept=(),
        rows=9,
        covariates=tests,
        predictions={},
        volume={},
    )


def report(*batches: DriftBatch, level: Any = "none", reasons: tuple[str, ...] = ("calm",)) -> DriftReport:
    """Return our report."""
    return DriftReport(
        advice=DriftAdvice(level=level, reasons=reasons),
        reference=ReferenceSpan(first="2021-01", last="2021-02", rows=9),
        batches=batches,
        cumulative=(),
    )


# The opposite of what Evidently itself would say of the frames above.
OURS = report(
    batch(
        "2021-03",
        "retrain",
        covariate("moved", "distribution", 0.0123),
        covariate("steady", "distribution", 0.01),
        covariate("steady", "missing", 0.31, alarm=True),
        covariate("colour", "distribution", 0.02),
        covariate("prediction", "distribution", None),
        covariate("rows", "volume", 0.5, alarm=True),
        reasons=("the loss has risen, since 2021-03",),
    ),
    level="retrain",
    reasons=("the loss has risen, since 2021-03",),
)


def made() -> str:
    """Return the page of the frames above."""
    return evidently.page(REFERENCE, REFERENCE, CURRENT, contract(), TOP, OURS, rows=ROWS, seed=0)


def comparison(current: pd.DataFrame, reference: pd.DataFrame = REFERENCE) -> Comparison:
    """Return what Evidently is asked about drift, with a test of ours for every column."""
    found, _ = evidently.columns(reference.head(ROWS), current.head(ROWS), contract())
    assert found
    tests = {str(name): Shown(alarm=False, test="distribution", effect=0.1) for name in found.current}
    return found._replace(tests=tests)


@pytest.fixture(scope="module")
def page() -> str:
    """Return a page, made once: Evidently takes seconds."""
    return made()


def test_verdict_stands_on_top(page: str) -> None:
    """First ours, then whose figures are whose, then Evidently's."""
    places = [page.index(text) for text in (TOP, "seen by Evidently", '<div id="root_drift">')]
    assert places == sorted(places)
    assert page.startswith("<!DOCTYPE html>")
    assert "<title>Drift</title>" in page


def test_page_is_the_same_from_process_to_process(page: str, tmp_path: Path) -> None:
    """Another process, later, with another hash seed: the same bytes."""
    code = f"""
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("again", {__file__!r})
again = importlib.util.module_from_spec(spec)
spec.loader.exec_module(again)
pathlib.Path(sys.argv[1]).write_text(again.made(), encoding="utf-8")
"""
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "page.html")],
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        check=True,
    )
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_page_loads_nothing(page: str) -> None:
    """No script, style, picture or font from elsewhere, and a policy that forbids them."""
    assert not re.search(r"<(?:script|img|link|iframe)[^>]+(?:src|href)=", page)
    assert not re.search(r"url\(['\"]?(?:https?:)?//", page)
    assert f'<meta http-equiv="Content-Security-Policy" content="{evidently.POLICY}">' in page
    assert "http" not in evidently.POLICY


def test_all_presets_are_on_the_page(page: str) -> None:
    """Drift, summary and, because there are labels on both sides, the model."""
    for title in ("Dataset Drift", "Dataset Summary", "Classification Model Performance"):
        assert title in page


def test_what_evidently_cannot_show_is_named_with_the_reason(page: str) -> None:
    """A column that would end Evidently's report, or drown it, is left out and not passed over in silence."""
    assert "<li>gone: no value in the batch</li>" in page
    assert "<li>fixed: the same value everywhere</li>" in page
    assert "<li>name: 1,200 values, more than a page can show</li>" in page


def test_evidently_shows_our_verdict(page: str) -> None:
    """Columns, their scores and the whole: what our tests say, whatever Evidently's own would."""
    rows = re.findall(r'"column_name":"(\w+)","column_type":"\w+","stattest_name":"([^"]*)"', page)
    shown = re.findall(
        r'"column_name":"(\w+)".{0,200}?"stattest_name":"([^"]*)".*?"data_drift":"([^"]*)","drift_score":([-0-9.e]+)',
        page,
    )
    assert sorted(shown) == [
        ("colour", "Perenne: distribution", "Not Detected", "0.02"),
        ("moved", "Perenne: distribution", "Not Detected", "0.0123"),
        ("steady", "Perenne: missing", "Detected", "0.31"),
    ], rows
    assert "Dataset Drift is detected" in page
    assert "NOT detected" not in page
    assert "Perenne: retrain: the loss has risen, since 2021-03" in page
    assert "1 out of 3" in page


@pytest.mark.parametrize(("level", "drift"), [("none", False), ("look", True), ("retrain", True)])
def test_dataset_drift_is_our_advice(level: str, *, drift: bool) -> None:
    """There is some if the advice is to look or to retrain, whatever the share of columns."""
    found = evidently.overall(report(level=level, reasons=("one", "two")))
    assert found == ShownVerdict(drift, f"Perenne: {level}: one; two")


def test_columns_are_those_of_the_batch_that_the_advice_is_about() -> None:
    """An alarm on labels stays: its batch's columns are shown below it, not those of a calm one later."""
    early = batch("1", "retrain", covariate("a", "distribution", 0.3, alarm=True), reasons=("wrong",))
    late = batch("2", "none", covariate("a", "distribution", 0.1))
    assert evidently.shown(report(early, late, level="retrain", reasons=("wrong",)))["a"].alarm
    assert not evidently.shown(report(early, late))["a"].alarm
    assert evidently.shown(report()) == {}


def test_column_without_a_test_of_ours_is_not_judged() -> None:
    """A slice that is no feature has pictures and no badge."""
    assert "adult" not in evidently.shown(OURS)
    assert "prediction" not in evidently.shown(OURS)


def test_data_cannot_end_the_script_that_holds_them(page: str) -> None:
    """A category may hold markup."""
    assert MARKUP not in page
    assert MARKUP.replace("<", r"\u003c") in page


@pytest.fixture(scope="module")
def hard() -> dict[str, Answer]:
    """Return Evidently's answers on what is hard to show, in one process."""
    one = CURRENT.head(1).assign(gone=0.0)
    dates = comparison(CURRENT)._replace(columns={"numerical": [], "categorical": [], "datetime": ["member"]})
    asked = {
        "one row": comparison(one),
        "one reference row": comparison(CURRENT, one),
        "new categories": comparison(CURRENT.assign(colour="green", adult=None)),
        "one value left": comparison(
            CURRENT.assign(moved=3.0, steady=CURRENT["steady"].where(CURRENT["id"] == 5))
        ),
        "one date": comparison(CURRENT.assign(member=CURRENT["member"].where(CURRENT["id"] == 5))),
        "dates only": dates,
        "huge": comparison(CURRENT.assign(huge=1e300)),
    }
    regression, _ = evidently.labelled(REFERENCE, CURRENT, contract("regression"), ROWS, seed=0)
    assert regression
    asked["regression"] = regression
    asked["classes"] = of_classes(crops(0), crops(1))[0]
    asked["class that did not come"] = of_classes(crops(0), crops(1).replace({"crop": {"oats": "wheat"}}))[0]
    return dict(zip(asked, per_comparison(list(asked.values())), strict=True))


GROWN = ("wheat", "maize", "rye", "oats")


def crops(seed: int, names: tuple[str, ...] = GROWN) -> pd.DataFrame:
    """Return fields with the probability of each crop; the first is the commonest."""
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.geomspace(4, 1, len(names)), ROWS)
    places = (scores.cumsum(axis=1) < rng.random((ROWS, 1))).sum(axis=1)
    rows = classes.fields("2021-01", seed, ROWS).assign(crop=pd.Series(np.array(names)[places], dtype="str"))
    return rows.assign(**{f"prediction: {name}": scores[:, place] for place, name in enumerate(names)})


def of_classes(
    before: pd.DataFrame, now: pd.DataFrame, names: tuple[str, ...] = GROWN
) -> tuple[Comparison, list[str]]:
    """Return what Evidently is asked about several classes, and what is said of them."""
    task = classes.contract("wheat, maize, rye", ", ".join(names))
    found, notes = evidently.labelled(before, now, task, ROWS, seed=0)
    assert found
    return found, notes


def test_classes_are_shown_by_their_names(hard: dict[str, Answer]) -> None:
    """A curve and a figure for each; the labels as people know them."""
    html = hard["classes"].html
    assert "Classification Model Performance" in html
    for name in GROWN:
        assert f'"{name}"' in html


def test_class_that_did_not_come_is_one_of_the_others() -> None:
    """Evidently fails on it: it is drawn with the rarest that came, and a line says so."""
    before, now = crops(0), crops(1).replace({"crop": {"oats": "wheat"}})
    found, notes = of_classes(before, now)
    assert found.predictions == ("wheat", "maize", "2 other classes")
    assert notes == ["classification: 2 of 4 classes, the rarest, are drawn as one"]
    assert found.reference["2 other classes"].sum() == pytest.approx(
        before[["prediction: rye", "prediction: oats"]].to_numpy().sum()
    )
    assert (found.reference["crop"] == "2 other classes").sum() == before["crop"].isin(["rye", "oats"]).sum()
    late = now.assign(crop=now["crop"].where(now["id"] < 40))
    assert len(of_classes(before, late)[0].current) == 40


def test_of_many_classes_the_commonest_are_shown() -> None:
    """Fifteen of them: ten, and the others as one."""
    many = tuple(f"crop {number:02d}" for number in range(15))
    found, notes = of_classes(crops(0, many), crops(1, many), many)
    assert len(found.predictions) == evidently.MOST_CLASSES + 1
    assert {"crop 00", "crop 01", "5 other classes"} <= set(found.predictions)
    assert notes == ["classification: 5 of 15 classes, the rarest, are drawn as one"]


def test_two_classes_with_labels_are_too_few_to_show() -> None:
    """Evidently would take them for an event."""
    task = classes.contract()
    two = classes.right(classes.fields("2021-01", 0), task).replace({"crop": {"rye": "wheat"}})
    note = "classification: fewer than three classes have labels on both sides"
    assert evidently.labelled(two, two, task, ROWS, seed=0) == (None, [note])
    drawn, _ = evidently.columns(two, two, task)
    assert drawn
    assert drawn.columns["numerical"][-3:] == ["prediction: wheat", "prediction: maize", "prediction: rye"]


def test_class_may_be_called_like_the_target() -> None:
    """Its column is that of its probability."""
    names = ("crop", "maize", "rye")
    found, _ = of_classes(crops(0, names), crops(1, names), names)
    assert found.target == "crop (label)"
    assert set(found.current) == {*names, found.target}


def per_comparison(comparisons: list[Comparison]) -> list[Answer]:
    """Return the answer to each comparison, all from one other process."""
    code = (
        "import pickle, sys; from perenne.pages import engine as e; "
        "comparisons = pickle.load(sys.stdin.buffer); "
        "sys.stdout.buffer.write(pickle.dumps([e.answered([one]) for one in comparisons]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(comparisons), capture_output=True, check=True
    )
    answers: list[Answer] = pickle.loads(done.stdout)  # noqa: S301 -- written three lines above
    return answers


@pytest.mark.parametrize(
    "name",
    [
        "one row",
        "one reference row",
        "new categories",
        "one value left",
        "one date",
        "dates only",
        "regression",
        "classes",
        "class that did not come",
    ],
)
def test_hard_data_are_shown(hard: dict[str, Answer], name: str) -> None:
    """None of these aborts Evidently, given in the types that it expects."""
    assert hard[name].failed == []
    assert '<div id="root_drift">' in hard[name].html


def test_batch_is_current_and_reference_is_reference(hard: dict[str, Answer]) -> None:
    """Evidently takes the current rows first, which is easily got wrong, and says whose figures are whose."""
    assert '"metricsValuesHeaders":["current","reference"]' in hard["one row"].html
    assert '{"label":"count","values":["1.00","600.00"]}' in hard["one row"].html


def test_column_that_breaks_evidently_costs_only_itself(hard: dict[str, Answer]) -> None:
    """Its bins overflow on 1e300: it is named with Evidently's error, and the others are shown."""
    [failed] = hard["huge"].failed
    assert failed.startswith("huge: Evidently failed: ValueError: Too many bins")
    shown = set(re.findall(r'"column_name":"(\w+)"', hard["huge"].html))
    assert shown == {"moved", "steady", "colour", "adult", "level", "prediction"}


def test_frames_are_compared_in_the_types_of_the_contract() -> None:
    """Nullable, small and boolean types, which Evidently would leave untested or misread."""
    found = comparison(CURRENT)
    assert found.columns == {
        "numerical": ["moved", "steady", "level", "huge", "prediction"],
        "categorical": ["colour", "adult"],
        "datetime": ["member"],
    }
    assert {str(found.current[name].dtype) for name in found.columns["numerical"]} == {"float64"}
    assert {str(found.current[name].dtype) for name in found.columns["categorical"]} == {"object"}
    assert set(found.current["adult"]) == {"True", "False"}
    assert found.current["steady"].isna().any()


def test_types_that_nobody_declared_do_not_reach_evidently() -> None:
    """Text among numbers is missing, a column that is not there has no value."""
    wild = CURRENT.assign(moved="far", level=["1", *["x"] * 1_499]).drop(columns=["huge"])
    _, left_out = evidently.columns(REFERENCE, wild, contract())
    assert left_out[:2] == ["moved: no value in the batch", "gone: no value in the batch"]
    assert "huge: no value in the batch" in left_out
    assert not any(reason.startswith("level") for reason in left_out)


def test_sample_is_seeded_and_bounded() -> None:
    """The same rows for the same seed, never more than there are."""
    first = evidently.sampled(CURRENT, 100, seed=1)
    pd.testing.assert_frame_equal(first, evidently.sampled(CURRENT, 100, seed=1))
    assert len(first) == 100
    assert first["id"].is_monotonic_increasing
    assert first["id"].tolist() != evidently.sampled(CURRENT, 100, seed=2)["id"].tolist()
    assert len(evidently.sampled(CURRENT, 10_000, seed=1)) == len(CURRENT)


def test_rows_may_come_from_many_batches() -> None:
    """Their frames' indices then repeat, which matters to nobody."""
    twice = pd.concat([CURRENT, CURRENT])
    assert evidently.columns(evidently.sampled(twice, ROWS, seed=0), CURRENT, contract())[0]
    assert evidently.labelled(twice, twice, contract(), ROWS, seed=0)[0]


def test_labels_are_drawn_from_the_labelled_rows() -> None:
    """A sample of the batch first would leave a late label's few rows out."""
    rare = CURRENT.assign(won=CURRENT["won"].where(CURRENT["id"] < 40))
    found, notes = evidently.labelled(REFERENCE, rare, contract(), 100, seed=0)
    assert found
    assert not notes
    assert len(found.reference) == 100
    assert len(found.current) == rare["won"].notna().sum() < 40
    assert str(found.current["won"].dtype) == "int64"


@pytest.mark.parametrize(
    ("reference", "current", "note"),
    [
        (REFERENCE, CURRENT.drop(columns="won"), "classification: fewer than two labels in the batch"),
        (REFERENCE, CURRENT.assign(won=None), "classification: fewer than two labels in the batch"),
        (REFERENCE, CURRENT.assign(prediction=None), "classification: fewer than two labels in the batch"),
        (REFERENCE.head(0), CURRENT, "classification: fewer than two labels in the reference"),
        (REFERENCE, CURRENT.assign(won=0), "classification: the labels in the batch are all the same"),
    ],
)
def test_model_is_not_shown_without_labels(reference: pd.DataFrame, current: pd.DataFrame, note: str) -> None:
    """Labels that have not come, or of one kind only, say nothing of a model."""
    assert evidently.labelled(reference, current, contract(), ROWS, seed=0) == (None, [note])


def test_boolean_labels_are_counted_as_integers() -> None:
    """True is the event."""
    yes = tiny.contract(
        "won: {type: integer, role: target, values: [0, 1]", "won: {type: boolean, role: target", CONTRACT
    )
    batch = CURRENT.assign(won=CURRENT["won"].astype("boolean"))
    found, _ = evidently.labelled(batch, batch, yes, 10_000, seed=0)
    assert found
    assert found.current["won"].sum() == batch["won"].sum() > 0


@pytest.mark.parametrize("batch", [CURRENT.head(0), CURRENT.where(CURRENT.isna())])
def test_page_stands_without_anything_to_show(batch: pd.DataFrame) -> None:
    """An empty batch: our verdict, and every column with its reason."""
    html = evidently.page(REFERENCE, REFERENCE, batch, contract(), TOP, OURS, rows=ROWS, seed=0)
    assert TOP in html
    assert "<title>Drift</title>" in html
    assert html.count("no value in the batch") == len(contract().features) + 2


def test_page_stands_when_evidently_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory, killed, not installed: one line says so."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    html = made()
    assert TOP in html
    assert "<li>Evidently failed: exit status 1, no message</li>" in html


def test_page_of_an_unknown_form_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another version may hand its figures over in another way; the process that meets it ends, as above."""
    monkeypatch.setattr(engine, "run", lambda _: "<html>new</html>")
    with pytest.raises(ValueError, match="unpack"):
        engine.answered([comparison(CURRENT)])


def test_page_stands_when_evidently_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given a limit, and the page no path of this machine."""
    monkeypatch.setattr(engine, "SECONDS", 0.01)
    html = made()
    assert TOP in html
    assert "<li>Evidently failed: no answer in 0.01 seconds</li>" in html


def test_comparison_that_fails_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is told in one line, whatever it holds."""

    def run(asked: Comparison) -> str:
        if asked.name == "classification":
            raise KeyError("no\nclass <b>")
        return fake("a", "{}", "{}")

    monkeypatch.setattr(engine, "run", run)
    drift = comparison(CURRENT)
    answer = engine.answered([drift._replace(name="classification"), drift])
    assert answer.html.endswith("</script>drift")
    assert answer.failed == [r"classification: Evidently failed: KeyError: 'no\nclass <b>'"]
    assert "&lt;b&gt;" in evidently.beside(answer.failed, ROWS)


def fake(name: str, widgets: str, graphs: str) -> str:
    """Return a page as Evidently writes it."""
    name = f"metric_{name * 32}"
    data = f"    var {name} = {widgets};\n    var additional_graphs_{name} = {graphs};\n"
    return f"\n <script>\n{data}</script>{name}"


def test_ids_are_numbered_numbers_rounded_and_pages_joined() -> None:
    """A random id gets the same number wherever it stands; a value that looks like one is left alone."""
    one, two, data = (f"01a20b6e-f252-761e-b1f5-4651c0eef2{end}" for end in ("8d", "8e", "8f"))
    first = fake(
        "a", f'{{"widgets": [{{"id": "{one}", "x": [0.1234567891, 12, "{data}"]}}]}}', f'{{"{one}": {{}}}}'
    )
    second = fake(
        "b", f'{{"widgets": [{{"id": "{two}"}}]}}', f'{{"{two}": {{"parts": [{{"id": "{two}"}}]}}}}'
    )
    joined = engine.joined([first, second])
    widgets, graphs = (json.loads(line) for line in re.findall(r"^var \w+ = (.*);$", joined, re.MULTILINE))
    assert widgets == {"widgets": [{"id": "id0", "x": [0.123457, 12, data]}, {"id": "id1"}]}
    assert graphs == {"id0": {}, "id1": {"parts": [{"id": "id1"}]}}
    assert joined.startswith("<script>\nvar drift = ")
    assert joined.endswith("</script>drift")


def test_of_many_columns_those_that_moved_or_matter_are_drawn() -> None:
    """And a line says how many are not; the score always is."""
    wide = tiny.contract(
        "  moved: {type: number, role: feature}\n",
        "  x {001..100}: {type: number, role: feature}\n",
        text=CONTRACT,
    )
    tests = [covariate(f"x {number:03d}", "distribution", 0.1) for number in range(1, 101)]
    tests[97] = tests[97].model_copy(update={"alarm": True})
    tests[42] = tests[42].model_copy(update={"importance": 0.3})
    kept, dropped = evidently.of_interest(wide, report(batch("2021-03", "look", *tests)))
    assert len(kept) == evidently.MOST_COLUMNS
    assert {"x 098", "x 043", "prediction"} <= set(kept)
    # A hundred and eight features, a slice and the score.
    assert dropped == [f"{110 - evidently.MOST_COLUMNS} columns that moved less or matter less are not drawn"]
    assert evidently.of_interest(contract(), OURS) == (evidently.drawn(contract()), [])
