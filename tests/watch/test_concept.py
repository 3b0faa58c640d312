"""Concept: what the model did not expect on matured labels, and how rarely that cries wolf."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.params import Tolerance
from perenne.common.typed import parse
from perenne.documents.drift import StreamState
from perenne.watch import concept
from perenne.watch.seasons import Seasons
from perenne.watch.streams import SLICES, STREAMS, classified
from tests.stats.test_memory import remembering

CONTRACT = """\
row: one visit
task: binary
period: month
label_delay: 0
columns:
  id: {type: integer, role: entity}
  at: {type: datetime, role: time}
  x: {type: number, role: feature}
  weekday: {type: integer, role: feature}
  place: {type: category, role: slice, values: [north, south, east, west]}
  y: {type: integer, role: target, values: [0, 1], missing: true}
"""
BINARY_TARGET = "y: {type: integer, role: target, values: [0, 1], missing: true}"


def contract(*changes: tuple[str, str]) -> Contract:
    """Return the contract, with pieces of its text replaced."""
    text = CONTRACT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


BINARY = contract()
REGRESSION = contract(
    ("task: binary", "task: regression"), (BINARY_TARGET, "y: {type: number, role: target}")
)
BEFORE = pd.period_range("2023-01", periods=10, freq="M")
LATER = pd.period_range("2023-11", periods=20, freq="M")
N = 1500

Rng = np.random.Generator
Outcome = Callable[[Rng, pd.DataFrame], Any]
"""From rows to their outcomes."""


def expit(x: Any) -> Any:
    """The probability of log odds."""
    return 1 / (1 + np.exp(-x))


def logit(rows: pd.DataFrame) -> Any:
    """What the model says; it knows of the weekend."""
    return -1.8 + 1.2 * rows["x"].to_numpy() + 0.8 * (rows["weekday"].to_numpy() >= 5)


def month(period: pd.Period, rng: Rng, outcome: Outcome, *, task: Contract = BINARY) -> pd.DataFrame:
    """Scored rows of a month, in no order."""
    at = period.start_time + pd.to_timedelta(rng.integers(0, int(period.days_in_month) * 86400, N), unit="s")
    rows = pd.DataFrame(
        {
            "id": np.arange(N),
            "at": at,
            "x": rng.normal(size=N),
            "weekday": at.dayofweek,
            "place": rng.choice(["north", "south", "east", "west"], N),
        }
    )
    rows[PREDICTION] = expit(logit(rows)) if task.classes else 3 * rows["x"]
    return rows.assign(y=outcome(rng, rows))


def right(rng: Rng, rows: pd.DataFrame) -> Any:
    """Outcomes as the model expects them."""
    return (rng.random(len(rows)) < rows[PREDICTION]).astype(float)


def moved(by: float, where: str | None = None) -> Outcome:
    """Outcomes whose log odds have moved, everywhere or in one place."""

    def outcome(rng: Rng, rows: pd.DataFrame) -> Any:
        there = np.ones(len(rows)) if where is None else (rows["place"] == where).to_numpy()
        return (rng.random(len(rows)) < expit(logit(rows) + by * there)).astype(float)

    return outcome


def shuffled(rng: Rng, rows: pd.DataFrame) -> Any:
    """As many outcomes as the model expects, a third of them of other rows."""
    score = rows[PREDICTION].to_numpy().copy()
    some = rng.random(len(rows)) < 1 / 3
    score[some] = rng.permutation(score[some])
    return (rng.random(len(rows)) < score).astype(float)


def missed(sd: float = 1.0, shift: float = 0.0, *, draw: str = "normal", weekend: float = 3.0) -> Outcome:
    """A number that is missed by errors which are larger on weekends."""

    def outcome(rng: Rng, rows: pd.DataFrame) -> Any:
        errors = {
            "normal": rng.normal(size=len(rows)),
            "heavy": rng.standard_t(2.5, size=len(rows)),
            "tails": rng.normal(size=len(rows)) * np.where(rng.random(len(rows)) < 0.01, 10, 1),
        }[draw]
        size = np.where(rows["weekday"] >= 5, weekend, 1.0)
        return rows[PREDICTION].to_numpy() + shift + sd * size * errors

    return outcome


def validated(
    outcome: Outcome,
    seed: int,
    *,
    task: Contract = BINARY,
    tolerance: Tolerance | None = None,
    months: int = 10,
) -> concept.WatchedStreams:
    """What the months before show of the model."""
    rng = np.random.default_rng([1, seed])
    before = {period: month(period, rng, outcome, task=task) for period in BEFORE[-months:]}
    return concept.watched(before, task, tolerance or Tolerance(), periods=160)


def seen(
    before: Outcome, after: Outcome, seed: int, *, task: Contract = BINARY, calm: int = 0, batches: int = 6
) -> list[tuple[StreamState, ...]]:
    """The states after each month: `calm` of them as before, then changed ones."""
    detectors = concept.Detectors(validated(before, seed, task=task), task)
    rng = np.random.default_rng([2, seed])
    outcomes = [before] * calm + [after] * (batches - calm)
    return [
        detectors.update(period, month(period, rng, outcome, task=task))
        for period, outcome in zip(LATER, outcomes, strict=False)
    ]


def alarmed(states: tuple[StreamState, ...]) -> list[tuple[str, str | None]]:
    """The streams in alarm, with their slices."""
    return [(state.stream, state.slice) for state in states if state.alarm]


def test_shares_of_the_false_alarms_sum_to_one() -> None:
    """Whatever the task, its streams and the slices share one budget."""
    for task in (BINARY, REGRESSION):
        assert sum(STREAMS[name].share for name in task.task.streams) + SLICES == pytest.approx(1)


@pytest.mark.parametrize(
    ("task", "outcome"),
    [
        (BINARY, right),
        (REGRESSION, missed()),
        (REGRESSION, missed(draw="heavy")),
    ],
    ids=["weekday rates", "weekend noise", "errors without a fourth moment"],
)
def test_right_model_is_left_alone(task: Contract, outcome: Outcome) -> None:
    """Ordinary life: twenty months, at most two of eight are called wrong (one is promised)."""
    runs = [seen(outcome, outcome, seed, task=task, batches=20) for seed in range(8)]
    assert sum(any(alarmed(states) for states in run) for run in runs) <= 2


@pytest.mark.parametrize(
    ("task", "before", "after", "stream", "words"),
    [
        (BINARY, right, moved(0.6), "above", "more events than predicted: "),
        (BINARY, right, moved(-0.6), "below", "fewer events than predicted: "),
        (BINARY, right, shuffled, "ranking", "the AUC is 0."),
        (REGRESSION, missed(), missed(1.3), "loss", "errors are 1.3"),
        (REGRESSION, missed(), missed(shift=0.9), "above", "y is 0."),
        (REGRESSION, missed(), missed(shift=-0.9), "below", "y is 0."),
        (REGRESSION, missed(), missed(draw="tails"), "tails", "1."),
    ],
)
def test_wrong_model_is_found_and_dated(
    task: Contract, before: Outcome, after: Outcome, stream: str, words: str
) -> None:
    """Two calm months, then a change: it is dated to its first month, and said with its size."""
    found = seen(before, after, 3, task=task, calm=2, batches=8)
    assert not any(alarmed(states) for states in found[:2])
    last = {state.stream: state for state in found[-1] if state.alarm and state.slice is None}
    assert stream in last
    assert last[stream].since == str(LATER[2])
    assert last[stream].says.startswith(words)


def test_reason_never_goes_in_both_directions() -> None:
    """Too many events for half a year, then too few: one of the two is said."""
    detectors = concept.Detectors(validated(right, 4), BINARY)
    rng = np.random.default_rng(5)
    for place, period in enumerate(LATER[:8]):
        states = detectors.update(period, month(period, rng, moved(0.8 if place < 4 else -0.8)))
        names = [name for name, where in alarmed(states) if where is None]
        assert names
        assert {"above", "below"} - set(names)


def test_change_within_the_tolerance_is_none() -> None:
    """Right within the tolerance for ever: no month raises the alarm; beyond it, one does."""
    wide = Tolerance(calibration=0.25, loss=0.05, ranking=0.05)
    for by, wrong in ((0.1, False), (0.6, True)):
        detectors = concept.Detectors(validated(right, 6, tolerance=wide), BINARY)
        rng = np.random.default_rng(7)
        states = [detectors.update(period, month(period, rng, moved(by))) for period in LATER[:10]]
        assert any(alarmed(each) for each in states) == wrong


def test_opposite_slices_are_named() -> None:
    """Two places that go wrong in opposite ways leave the whole as it was; both are named."""

    def opposite(rng: Rng, rows: pd.DataFrame) -> Any:
        shift = (rows["place"] == "north").to_numpy() * 1.0 - (rows["place"] == "south").to_numpy() * 1.0
        return (rng.random(len(rows)) < expit(logit(rows) + shift)).astype(float)

    found = seen(right, opposite, 8)
    assert {("above", "place=north"), ("below", "place=south")} <= set(alarmed(found[-1]))
    assert not {("above", "place=east"), ("below", "place=west")} & set(alarmed(found[-1]))
    assert any(state.says.startswith("place=north: more events") for state in found[-1])


def test_value_reference_and_bound_are_one_statistic() -> None:
    """A month that is what validation was has the reference as its value."""
    rng = np.random.default_rng(9)
    before = {period: month(period, rng, right) for period in BEFORE}
    detectors = concept.Detectors(concept.watched(before, BINARY, Tolerance(), periods=160), BINARY)
    whole = pd.concat(before.values(), ignore_index=True)
    states = {state.stream: state for state in detectors.update(LATER[0], whole)}
    assert set(states) == {"above", "below", "loss", "ranking"}
    for state in states.values():
        assert state.value == pytest.approx(state.reference, abs=5e-4)
    assert states["above"].bound == pytest.approx(1.05)
    assert states["below"].bound == pytest.approx(0.95)
    assert states["above"].value == pytest.approx(whole["y"].sum() / whole[PREDICTION].sum())


def test_model_that_was_worse_on_validation_is_not_blamed_for_it() -> None:
    """What the gate let through is no news: the bound is what it was there."""
    found = seen(moved(0.4), moved(0.4), 10, batches=12)
    assert not any(alarmed(states) for states in found)
    assert next(s for s in found[0] if s.stream == "above").bound > 1.15


@pytest.mark.parametrize("events", [0, 3])
def test_few_events_are_too_few_to_tell(events: int) -> None:
    """A batch with fewer than ten expected events has no value; its rows count with the next one's."""
    validation = validated(right, 11)
    detectors = concept.Detectors(validation, BINARY)
    rng = np.random.default_rng(12)
    few = month(LATER[0], rng, right)
    few = few[few[PREDICTION].cumsum() <= events]
    assert all(state.value is None for state in detectors.update(LATER[0], few))
    full = month(LATER[1], rng, right)
    after = {state.stream: state.value for state in detectors.update(LATER[1], full)}
    both = pd.concat([few, full])
    assert after["above"] == pytest.approx(both["y"].sum() / both[PREDICTION].sum())


def test_order_of_rows_means_nothing() -> None:
    """Rows sorted by outcome give the states of shuffled ones."""
    validation = validated(right, 13)
    rows = month(LATER[0], np.random.default_rng(14), moved(0.5))
    one, other = (
        concept.Detectors(validation, BINARY).update(LATER[0], each)
        for each in (rows, rows.sort_values(["y", "x"], ignore_index=True))
    )
    for a, b in zip(one, other, strict=True):
        assert (a.stream, a.alarm) == (b.stream, b.alarm)
        assert a.value == pytest.approx(b.value)
        assert a.log_e == pytest.approx(b.log_e)


def test_months_with_shocks_of_their_own_are_no_change() -> None:
    """Every month is off by some 10 % for no reason: validation shows that, and it stays right."""

    def shocked(rng: Rng, rows: pd.DataFrame) -> Any:
        return moved(rng.normal(0, 0.15))(rng, rows)

    runs = [seen(shocked, shocked, seed, batches=20) for seed in range(8)]
    assert sum(any(alarmed(states) for states in run) for run in runs) <= 2


def test_days_that_share_their_weather_are_counted_as_days() -> None:
    """A day's rows move together and no column says so: the limit is as much wider."""

    def days(rng: Rng, rows: pd.DataFrame) -> Any:
        shock = rng.normal(0, 0.8, 32)[rows["at"].dt.day.to_numpy()]
        return (rng.random(len(rows)) < expit(logit(rows) + shock)).astype(float)

    independent, dependent = (
        next(s for s in validated(outcome, 15).streams if s.kind.name == "above" and s.slice is None)
        for outcome in (right, days)
    )
    assert independent.effect.factor < 1.2
    assert dependent.effect.factor > 2


def test_days_that_remember_each_other_count_for_less_than_days() -> None:
    """A bad day is followed by bad ones: blocks of several days show that the limit is wider still."""
    days = pd.date_range(BEFORE[0].start_time, LATER[-1].end_time, freq="D")
    shocks = 0.8 * remembering(np.random.default_rng(18), 0.7, len(days))
    alone = np.random.default_rng(19).permutation(shocks)

    def shocked(by: Any) -> Outcome:
        def outcome(rng: Rng, rows: pd.DataFrame) -> Any:
            shock = by[(rows["at"] - days[0]).dt.days.to_numpy()]
            return (rng.random(len(rows)) < expit(logit(rows) + shock)).astype(float)

        return outcome

    lasting, single = (
        next(s for s in validated(shocked(by), 18).streams if s.kind.name == "above" and s.slice is None)
        for by in (shocks, alone)
    )
    assert lasting.effect.factor > 1.5 * single.effect.factor > 3


def test_losses_are_alike_where_errors_are() -> None:
    """Days share little of an error, and less of its size than sizes can show: it is counted all the same."""

    def days(rng: Rng, rows: pd.DataFrame) -> Any:
        shock = rng.normal(0, 0.25, 32)[rows["at"].dt.day.to_numpy()]
        return rows[PREDICTION].to_numpy() + shock + rng.normal(size=len(rows))

    effects = {s.kind.name: s.effect for s in validated(days, 21, task=REGRESSION).streams if not s.slice}
    assert effects["above"].factor > 2
    for name in ("loss", "tails"):
        assert 1.1 < effects[name].factor < effects["above"].factor
        assert 200 < effects[name].freedom < 310  # of 304 days in ten months


def test_tails_of_a_few_days_are_too_few_to_tell() -> None:
    """A bad day brings all of its rows into the tails: ten such rows are one event, and tell nothing."""

    def days(rng: Rng, rows: pd.DataFrame) -> Any:
        shock = rng.lognormal(size=32)[rows["at"].dt.day.to_numpy()] - math.exp(0.5)
        return rows[PREDICTION].to_numpy() + shock + rng.normal(size=len(rows))

    states = {state.stream: state for state in seen(days, days, 22, task=REGRESSION, batches=1)[0]}
    assert states["tails"].value is None
    assert states["loss"].value is not None


def test_who_says_that_rows_are_independent_is_believed() -> None:
    """`block: none` is an answer: nothing is measured then."""
    none = contract(("label_delay: 0", "label_delay: 0\nblock: none"))
    shocks = np.random.default_rng(20).normal(0, 0.8, 32)

    def days(rng: Rng, rows: pd.DataFrame) -> Any:
        shock = shocks[rows["at"].dt.day.to_numpy()]
        return (rng.random(len(rows)) < expit(logit(rows) + shock)).astype(float)

    assert {stream.effect.factor for stream in validated(days, 20, task=none).streams} == {1.0}
    assert max(stream.effect.factor for stream in validated(days, 20).streams) > 2


def test_an_alarm_says_if_it_may_be_a_season() -> None:
    """Ten months of reference hold no November: more events then may be what each November brings."""
    seasons = Seasons(BEFORE)
    for knows, said in ((seasons, True), (None, False)):
        detectors = concept.Detectors(validated(right, 16), BINARY, knows)
        rng = np.random.default_rng(17)
        first, second = (detectors.update(each, month(each, rng, moved(0.8))) for each in LATER[:2])
        wrong = next(state for state in (*first, *second) if state.stream == "above" and state.alarm)
        assert wrong.since == "2023-11"
        assert ("(the reference has no November: it may be the season)" in wrong.says) is said


def test_labels_that_are_missing_are_left_out() -> None:
    """A batch without labels changes nothing, and one with half of them counts these."""
    detectors = concept.Detectors(validated(right, 16), BINARY)
    rows = month(LATER[0], np.random.default_rng(17), right)
    none = detectors.update(LATER[0], rows.assign(y=math.nan))
    assert all(state.value is None and not state.alarm for state in none)
    half = rows.assign(y=rows["y"].where(rows["id"] % 2 == 0))
    known = half[half["y"].notna()]
    above = next(s for s in detectors.update(LATER[1], half) if s.stream == "above")
    assert above.value == pytest.approx(known["y"].sum() / known[PREDICTION].sum())


def test_no_validation_watches_nothing() -> None:
    """Without a row that was predicted unseen there is no stream, and no alarm."""
    validation = concept.watched({}, BINARY, Tolerance(), periods=160)
    assert validation.streams == ()
    assert (
        concept.Detectors(validation, BINARY).update(
            LATER[0], month(LATER[0], np.random.default_rng(1), right)
        )
        == ()
    )


def test_streams_are_centred_on_the_scores_promise() -> None:
    """Outcomes drawn from the scores leave residuals of mean 0 and the variance that is said."""
    rng = np.random.default_rng(18)
    score = rng.beta(1, 4, 300)
    totals: dict[str, list[float]] = {"bias": [], "loss": [], "ranking": []}
    said: dict[str, float] = {}
    for _ in range(2000):
        for name, rows in classified((rng.random(300) < score).astype(float), score).items():
            sums = rows.sums()
            totals[name].append(sums.total)
            said[name] = sums.variance
    for name, each in totals.items():
        error = np.std(each) / math.sqrt(len(each))
        assert abs(np.mean(each)) < 4 * error + 0.02 * np.std(each), name
        assert np.var(each) == pytest.approx(said[name], rel=0.15), name


def test_loss_stream_is_log_loss_less_entropy() -> None:
    """Its value is the rise of the mean log loss over what the scores promise, as a share of the dummy's."""
    rng = np.random.default_rng(19)
    score = rng.uniform(0.05, 0.95, 500)
    y = (rng.random(500) < score**2).astype(float)
    loss = -np.log(np.where(y == 1, score, 1 - score)).mean()
    entropy = -(score * np.log(score) + (1 - score) * np.log(1 - score)).mean()
    mean = score.mean()
    dummy = -(mean * math.log(mean) + (1 - mean) * math.log(1 - mean))
    assert classified(y, score)["loss"].sums().deviation == pytest.approx((loss - entropy) / dummy)
