"""Inputs of which the truth is known get the verdicts that are true; `bench_adopt` has the real commands."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from perenne.common import batches, model
from perenne.common.block import Block
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.names import PREDICTION
from perenne.common.params import Drift, Split, Tolerance, Train
from perenne.documents.drift import DriftReport
from perenne.gate import judge, sealed, worlds
from perenne.gate.evidence import Contender
from perenne.gate.policy import Policy
from perenne.gate.rules import Calibration, Floor, Rules
from perenne.pipeline import drift, evaluate, folds
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.pipeline.train import train
from perenne.stats import bootstrap
from perenne.watch.validated import by_period
from tests.inputs import INPUTS

PARAMS = {
    "learning_rate": 0.05,
    "max_iter": 60,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "l2_regularization": 1.0,
    "early_stopping": False,
}
WATCH = Drift(
    false_discovery_rate=0.05, min_effect=0.05, periods_per_false_alarm=160, report_rows=1000, seed=0
)


class Run(NamedTuple):
    """What the stages make of an input: rows of validation with predictions, the holdout with the model's."""

    contract: Contract
    validated: pd.DataFrame
    learned: pd.DataFrame
    holdout: pd.DataFrame
    report: DriftReport


@cache
def run(name: str) -> Run:
    """Train, predict validation, and watch what came after `as_of`."""
    given = INPUTS[name]
    rows_of = given.contract
    cut = Cut.of(Split(as_of=given.as_of, window=given.window, holdout=given.holdout), rows_of)
    frame = given.draw()
    frame = pd.DataFrame({n: batches.typed(frame[n], c) for n, c in rows_of.columns.items()})
    frame = batches.to_table(frame, batches.schema(rows_of)).to_pandas()  # as files are read
    by = by_period(frame, rows_of)
    kind = "Classifier" if rows_of.classes else "Regressor"
    spec = Train(estimator=f"sklearn.ensemble.HistGradientBoosting{kind}", params=PARAMS, seed=0)
    rows = pd.concat([each for period, each in by.items() if cut.part(period) == "train"], ignore_index=True)
    pipeline = train(rows, spec, rows_of)
    held = folds.held(rows, cut, pipeline, spec, rows_of, 3)

    def scored(period: pd.Period) -> pd.DataFrame:
        return by[period].assign(**{PREDICTION: model.predict(pipeline, by[period], rows_of)})

    before = {
        period: scored(period)
        if cut.part(period) == "holdout"
        else by[period].assign(**{PREDICTION: math.nan})
        for period in cut.reference(by)
    }
    later = [ScoredBatch(period, scored(period), matured=True) for period in cut.news(by)]
    validated = held.table(rows_of).to_pandas()
    report = drift.drift(before, by_period(validated, rows_of), later, {}, WATCH, Tolerance(), rows_of)
    holdout = pd.concat([before[p] for p in before if cut.part(p) == "holdout"], ignore_index=True)
    return Run(rows_of, validated, rows, holdout, report)


@pytest.mark.parametrize("name", ["orders", "deliveries", "branches", "weather", "fraud"])
def test_where_nothing_changes_nothing_calls_for_a_retraining(name: str) -> None:
    """Weekends, days that share a shock, months that have one, seasons and rare events are ordinary life."""
    assert {batch.level for batch in run(name).report.batches} <= {"none", "look"}


def test_seasons_are_no_news() -> None:
    """With three years of reference, one month of twelve says look at most, and no line the calendar."""
    report = run("weather").report
    assert len(report.batches) == 24
    assert sum(batch.level == "look" for batch in report.batches) <= 2
    assert report.calendar == ""


def test_larger_errors_are_dated_to_their_month() -> None:
    """None before May, and from May on every reason says so; value and reference are one statistic."""
    report = run("parcels").report
    assert [batch.period for batch in report.batches if batch.level == "retrain"] == [
        f"2025-{month:02d}" for month in range(5, 9)
    ]
    for batch in report.batches[4:]:
        assert all(reason.endswith("since 2025-05") for reason in batch.reasons)
        loss = next(state for state in batch.concept if state.stream == "loss")
        assert loss.alarm
        assert loss.reference == pytest.approx(1.0, abs=0.02)
        assert loss.value == pytest.approx(1.2, abs=0.1)


def test_one_line_says_that_days_are_dependent() -> None:
    """No column says so; the residuals do."""
    found = run("deliveries")
    line = evaluate.dependence(found.validated, found.contract).line
    assert line.startswith("rows of one day share 0.0")
    assert "each day is a block" in line
    assert "\n" not in line


def test_rare_events_pass_the_floor_and_a_gate_that_they_cannot_pass_says_so() -> None:
    """Seven in ten thousand: the floor is a share of the dummy's loss; 5 % of the events need thousands."""
    found = run("fraud")
    rows, score = found.holdout, found.holdout[PREDICTION].to_numpy(dtype=np.float64)
    policy = Policy(metric="log_loss", rules=Rules(floor=Floor(min_gain=0.02), calibration=Calibration()))
    mean = float(found.learned[found.contract.target].mean())

    def judged(given: pd.DataFrame) -> sealed.Findings:
        evidence = judge.evidence(
            given,
            found.contract,
            Block(),
            Contender("new", score),
            (),
            champion=False,
            mean=mean,
            policy=policy,
            alpha=0.025,
        )
        return judge.judge(evidence, policy, "better").findings

    floor, _ = judged(rows)
    assert (floor.rule, floor.answer) == ("floor", "pass")
    spread = worlds.scatter(found.validated, found.contract, Block())
    foresight = sealed.foreseen(sealed.drawn(rows, score, found.contract, Block(), spread), judged)
    said = sealed.answered(foresight, len(rows))
    assert said.answer == "rejected"
    assert "it could not pass either" in said.why
    assert [rule.more_blocks > 0 for rule in foresight.rules] == [False, True]


def test_intervals_of_a_handful_of_events_say_that_they_are_too_few() -> None:
    """Of ten thousand payments seven are events: no bound, and a clause that says why."""
    rows = run("fraud").validated[:10_000]
    y = rows["fraud"].to_numpy(dtype=np.float64)
    assert 0 < y.sum() < 10
    assert "too few to tell" in bootstrap.too_few(np.arange(len(rows)), y)
