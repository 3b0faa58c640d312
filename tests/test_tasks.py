"""Tasks: all that the rooms need to know of one stands in its `Task`, so a third one is one more object."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common import model, predicted, task
from perenne.common.block import Block
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import PREDICTION
from perenne.common.params import Drift, Evaluate, Tolerance, Train
from perenne.common.task import REGRESSION, TASKS, Task
from perenne.documents.drift import DriftReport
from perenne.gate import judge, policy
from perenne.gate.evidence import Contender
from perenne.gate.policy import Policy
from perenne.gate.rules import Calibration, Floor, Rules
from perenne.pages import evidently
from perenne.pipeline import drift, evaluate, folds, plots
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.pipeline.importance import importance
from perenne.pipeline.train import card, train
from perenne.registry import change
from perenne.stats.influence import INFLUENCE
from perenne.stats.metrics import METRICS
from perenne.watch.streams import STREAMS
from tests import tiny
from tests.project import ROOT

LIBRARY = ROOT / "stages" / "perenne"

# Where these words mean something else, and what.
OTHER_MEANINGS = {"common/task.py": "the tasks themselves", "pages/engine.py": "Evidently's presets"}

COUNT = replace(REGRESSION, name="count", target_types=("integer",), score_range=None)
SPEC = Train(estimator="sklearn.linear_model.PoissonRegressor", params={"alpha": 1e-6}, seed=0)
MEASURE = Evaluate(resamples=100, confidence=0.95, bins=4, importance_rows=200, importance_repeats=1, seed=0)
WATCH = Drift(
    false_discovery_rate=0.05, min_effect=0.05, periods_per_false_alarm=160, report_rows=100, seed=0
)
TEXT = (
    tiny.CONTRACT.replace("task: binary", "task: count")
    .replace("won: {type: integer, role: target, values: [0, 1]}", "won: {type: integer, role: target}")
    .replace(", missing: true}", "}")
)


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Contract:
    """Return a contract of a third task, which only this test knows: how often something happens."""
    monkeypatch.setitem(task.TASKS, COUNT.name, COUNT)
    return tiny.contract(text=TEXT)


def visits(month: str, seed: int, n: int = 400) -> pd.DataFrame:
    """Return rows of a month; the larger, the more often."""
    rng = np.random.default_rng(seed)
    size = rng.uniform(0, 3, n)
    seen = pd.Timestamp(f"{month}-15")
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "seen": pd.Series([seen] * n, dtype="datetime64[us]"),
            "size": size,
            "colour": pd.Series(rng.choice(["red", "blue"], n), dtype="str"),
            "adult": rng.random(n) < 0.5,
            "member": seen - pd.to_timedelta(rng.integers(1, 900, n), unit="D"),
            "won": rng.poisson(np.exp(size - 1)),
        }
    )


def test_a_third_task_is_one_object(counts: Contract) -> None:
    """Trained, scored, measured, watched, judged and shown, without a word about it anywhere else."""
    known, holdout = visits("2021-01", 1), visits("2021-02", 2)
    pipeline = train(known, SPEC, counts)
    assert card(known, SPEC, counts).task == "count"
    scores = model.predict(pipeline, holdout, counts)
    assert scores.shape == (len(holdout),)

    held = folds.validation(known, SPEC, counts, 4)
    report = evaluate.evaluate(held, MEASURE, counts)
    assert list(report.validation.metrics) == list(COUNT.metrics)
    drawn = plots.CURVES[counts.task.curve](
        predicted.outcomes(held.rows, counts), predicted.scores(held.rows, counts), MEASURE.bins
    )
    assert list(drawn) == ["x", "model", "reference"]
    ranked = importance(held, MEASURE, counts)
    assert ranked["feature"].iloc[0] == "size"

    assert [watched(pipeline, counts, times).advice.level for times in (1, 3)] == ["none", "retrain"]

    rules = Rules(floor=Floor(), calibration=Calibration())
    asked = Policy(metric="mae", rules=rules, tolerance=Tolerance(calibration=0.2))
    seen = judge.evidence(
        holdout,
        counts,
        Block(),
        Contender("new", scores),
        [],
        champion=False,
        mean=float(known["won"].mean()),
        policy=asked,
        alpha=0.05,
    )
    answer, findings = judge.judge(seen, asked, "better")
    assert answer == "eligible"
    assert findings[1].against == "bias / sd"
    assert policy.paired(counts.task) == ["mae", "rmse", "r2"]

    sides = [rows.assign(**{PREDICTION: model.predict(pipeline, rows, counts)}) for rows in (known, holdout)]
    shown, why = evidently.labelled(sides[0], sides[1], counts, 100, 0)
    assert shown is not None
    assert (shown.name, why) == ("regression", [])


def watched(pipeline: Any, contract: Contract, times: int) -> DriftReport:
    """Return what drift says of a month in which things happen some times as often."""

    def scored(month: str, seed: int) -> pd.DataFrame:
        rows = visits(month, seed)
        return rows.assign(**{PREDICTION: model.predict(pipeline, rows, contract)})

    months = {pd.Period(month, freq="M"): scored(month, seed) for seed, month in enumerate(tiny.MONTHS[:3])}
    now = scored("2021-04", 9)
    batch = ScoredBatch(pd.Period("2021-04", freq="M"), now.assign(won=now["won"] * times), matured=True)
    important = dict.fromkeys(contract.features, 0.1)
    return drift.drift(months, months, [batch], important, WATCH, Tolerance(), contract)


def test_a_contract_checks_the_target_of_a_third_task(counts: Contract) -> None:
    """By what the task says of it."""
    assert counts.task.name == "count"
    with pytest.raises(PerenneError, match=r"columns\.won: the target of a count task is integer"):
        tiny.contract("won: {type: integer", "won: {type: number", text=TEXT)
    with pytest.raises(
        PerenneError, match="task: found 'cuont', must be 'binary', 'multiclass', 'regression' or 'count'"
    ):
        tiny.contract("task: count", "task: cuont", text=TEXT)


def test_another_task_is_another_model(counts: Contract) -> None:
    """Whoever calls the model gets another answer, and the reason names both tasks."""
    other = tiny.contract("task: count", "task: regression", text=TEXT)
    assert change.inputs(counts, other) == ["contract: task count -> regression"]


@pytest.mark.parametrize("known", TASKS.values(), ids=str)
def test_every_statistic_that_a_task_names_is_known(known: Task) -> None:
    """In the room that uses it; what a task needs and no room has is named here."""
    assert set(known.metrics) <= set(METRICS)
    assert set(known.class_metrics) <= set(METRICS)
    assert known.calibration in set(known.metrics + known.class_metrics) & set(INFLUENCE)
    assert METRICS[known.calibration].goal.better == "towards"
    assert known.loss in set(METRICS)
    assert METRICS[known.metrics[0]].goal.better == "lower", "the first metric is the loss that people read"
    assert policy.paired(known), "else the gate could judge nothing"
    assert set(known.streams) <= set(STREAMS)
    assert known.curve in plots.CURVES
    assert TASKS[known.name] is known


def test_every_stream_is_watched_by_a_task() -> None:
    """All that a stream consists of is one object; some task must name it."""
    used = {name for known in TASKS.values() for name in known.streams}
    assert set(STREAMS) == used


def test_no_room_asks_for_a_task_by_its_name() -> None:
    """`if task == "binary"` somewhere would be a place that a third task must remember."""
    asked = {
        f"{path.relative_to(LIBRARY)}:{node.lineno}"
        for path in LIBRARY.rglob("*.py")
        if str(path.relative_to(LIBRARY)) not in OTHER_MEANINGS
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Constant) and node.value in TASKS)
        or (
            isinstance(node, ast.ImportFrom)
            and {alias.name for alias in node.names} & {t.upper() for t in TASKS}
        )
    }
    assert asked == set()
