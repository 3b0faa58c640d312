"""Concept: the streams on matured labels, their state over the batches, and how rarely they cry wolf."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.common.typed import parse
from perenne.documents.drift import StreamState
from perenne.watch import concept

CONTRACT = """\
row: one visit
task: binary
period: quarter
label_delay: 0
columns:
  id: {type: integer, role: [entity, block]}
  at: {type: datetime, role: time}
  age: {type: number, role: feature}
  y: {type: integer, role: target, values: [0, 1], missing: true}
"""
ROLE = "[entity, block]"
BINARY = "y: {type: integer, role: target, values: [0, 1], missing: true}"


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

QUARTERS = pd.period_range("2019Q1", "2019Q4", freq="Q")
LATER = pd.period_range("2020Q1", "2022Q4", freq="Q")


def visits(period: pd.Period, *, seed: int | list[int], n: int = 400, wrong: float = 0.0) -> pd.DataFrame:
    """Scored rows of a period, ten a day; `wrong` is the share whose label is drawn against its score."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.05, 0.95, n)
    truth = np.where(rng.random(n) < wrong, 1 - score, score)
    return pd.DataFrame(
        {
            "id": np.arange(n),
            "day": 1000 * period.ordinal + np.arange(n) // 10,
            "at": period.end_time.floor("D"),
            "age": rng.random(n),
            "y": (rng.random(n) < truth).astype(float),
            PREDICTION: score,
        }
    )


def numeric(rows: pd.DataFrame, *, sd: float = 1.0, shift: float = 0.0) -> pd.DataFrame:
    """The same rows with a number to predict, missed by a normal error."""
    error = np.random.default_rng(int(rows["day"].iloc[0])).normal(shift, sd, len(rows))
    return rows.assign(y=rows[PREDICTION] + error)


REFERENCE = {quarter: visits(quarter, seed=seed) for seed, quarter in enumerate(QUARTERS)}


def detectors(contract: Contract = ENTITY, periods: int = 160) -> concept.Detectors:
    """Return detectors on the reference."""
    reference = REFERENCE if contract.task.classes else {q: numeric(rows) for q, rows in REFERENCE.items()}
    return concept.Detectors(concept.watched(reference, contract, periods=periods, seed=0), seed=0)


def by_name(states: Iterable[StreamState]) -> dict[str, StreamState]:
    """Return the states of streams, by name."""
    return {state.stream: state for state in states}


def test_shares_of_alpha_sum_to_one() -> None:
    """All detectors together have the false alarms of one, a third for each thing that can go wrong."""
    assert sum(kind.share for kind in concept.STREAMS.values()) == pytest.approx(1)
    assert set(concept.STREAMS) == set(ENTITY.task.streams) == set(concept.bounds(ENTITY.task))


@pytest.mark.parametrize("contract", [ENTITY, NONE, DAY], ids=["entity", "none", "day"])
def test_alpha_is_shared_by_increments(contract: Contract) -> None:
    """In the reference's periods, as many false alarms are expected as one in `periods` allows."""
    watch = concept.watched(REFERENCE, contract, periods=50, seed=0)
    counts = {
        name: sum(len(concept.streams(rows, contract, seed=0)[name].values) for rows in REFERENCE.values())
        for name in watch
    }
    assert sum(w.alpha * counts[name] for name, w in watch.items()) == pytest.approx(len(REFERENCE) / 50)


@pytest.mark.parametrize(
    ("contract", "increments", "rows"), [(ENTITY, 400, True), (NONE, 400, True), (DAY, 40, False)]
)
def test_a_block_is_one_increment(contract: Contract, increments: int, *, rows: bool) -> None:
    """Rows that resemble each other are averaged, others are not; and each lies between its bounds."""
    found = concept.streams(REFERENCE[QUARTERS[0]], contract, seed=0)
    assert set(found) == set(concept.STREAMS)
    for name in ("loss", "too many", "too few"):
        assert len(found[name].values) == increments
        assert found[name].rows is rows
    for name, stream in found.items():
        low, high = concept.bounds(ENTITY.task)[name]
        assert ((stream.values >= low) & (stream.values <= high)).all()


def test_rows_of_a_moment_are_shuffled_and_moments_are_not() -> None:
    """Time orders the rows; within the same moment, where a file may be sorted by anything, chance does."""
    rows = visits(QUARTERS[0], seed=0).assign(y=0.0)
    later = rows.assign(at=rows["at"] + pd.Timedelta(days=1), id=rows["id"] + 1000)
    blocks = concept.streams(pd.concat([rows, later]), ENTITY, seed=0)["loss"].blocks.tolist()
    assert blocks != sorted(blocks)
    assert sorted(blocks[:400]) == list(range(400))


@pytest.mark.parametrize(
    "contract", [ENTITY, NONE, DAY, REGRESSION], ids=["entity", "none", "day", "regression"]
)
def test_calm_batches_raise_nothing(contract: Contract) -> None:
    """A model that stays as right as it was is left in peace."""
    now = detectors(contract)
    for seed, quarter in enumerate(LATER):
        rows = visits(quarter, seed=100 + seed)
        found = now.update(quarter, numeric(rows) if not contract.task.classes else rows, contract)
        assert concept.alarms(found) == []


@pytest.mark.parametrize("contract", [ENTITY, NONE, DAY], ids=["entity", "none", "day"])
@pytest.mark.parametrize(
    ("stream", "changed"),
    [
        ("loss", {}),
        ("ranking", {}),
        ("too many", {"y": 1.0}),
        ("too few", {"y": 0.0}),
    ],
)
def test_what_goes_wrong_is_named(contract: Contract, stream: str, changed: dict[str, float]) -> None:
    """Each thing that can go wrong raises its own stream, and what went the other way does not."""
    now = detectors(contract)
    now.update(LATER[0], visits(LATER[0], seed=100), contract)
    for i, quarter in enumerate(LATER[1:3]):  # two, as forty days are soon too few to be sure
        moved = visits(quarter, seed=101 + i, wrong=0.0 if changed else 1.0).assign(**changed)
        found = by_name(now.update(quarter, moved, contract))
    assert found[stream].alarm
    assert found[stream].since in (str(LATER[0]), str(LATER[1]))
    assert {"too many", "too few"} - {stream} - set(concept.alarms(found.values()))


def test_law_that_lets_the_loss_fall_is_seen() -> None:
    """Where far fewer events come than expected, the loss may fall and the model is wrong all the same."""
    reference = {q: rows.assign(**{PREDICTION: 0.4}) for q, rows in REFERENCE.items()}
    rng = np.random.default_rng(5)
    reference = {q: rows.assign(y=(rng.random(400) < 0.4) * 1.0) for q, rows in reference.items()}
    now = concept.Detectors(concept.watched(reference, ENTITY, periods=160, seed=0), seed=0)
    rows = visits(LATER[0], seed=1).assign(**{PREDICTION: 0.4}, y=(rng.random(400) < 0.1) * 1.0)
    found = by_name(now.update(LATER[0], rows, ENTITY))
    assert found["loss"].value is not None
    assert found["loss"].value < found["loss"].reference
    assert concept.alarms(found.values()) == ["too few"]


def test_numbers_that_are_missed() -> None:
    """A regression's larger errors raise the loss, those to one side that side; ranking is no part of it."""
    wider = detectors(REGRESSION).update(LATER[0], numeric(visits(LATER[0], seed=1), sd=3), REGRESSION)
    higher = detectors(REGRESSION).update(LATER[0], numeric(visits(LATER[0], seed=1), shift=1), REGRESSION)
    assert set(by_name(wider)) == {"loss", "too many", "too few"}
    assert concept.alarms(wider) == ["loss"]
    assert "too many" in concept.alarms(higher)
    assert "too few" not in concept.alarms(higher)


def test_state_over_batches_is_one_pass_over_all() -> None:
    """The same increments come to the same, cut into periods or all at once."""
    batches = [visits(q, seed=100 + i, wrong=0.15) for i, q in enumerate(LATER[:6])]
    # Each row at a moment of its own leaves nothing to the shuffling.
    whole = [r.assign(at=r["at"] + pd.to_timedelta(np.arange(400), unit="s")) for r in batches]
    once, parts = detectors(NONE), detectors(NONE)
    for quarter, rows in zip(LATER, whole, strict=False):
        last = parts.update(quarter, rows, NONE)
    both = once.update(LATER[5], pd.concat(whole), NONE)
    for name in ("loss", "too many", "too few"):  # ranking: a group of rows ends with its batch
        assert by_name(last)[name].log_e == pytest.approx(by_name(both)[name].log_e)
        assert by_name(last)[name].alarm == by_name(both)[name].alarm
        assert once.states[name].alarm == parts.states[name].alarm
        assert once.states[name].since == parts.states[name].since
    assert by_name(last)["loss"].alarm


@pytest.mark.parametrize("bad", [1, 3, 5])
def test_since_is_the_period_in_which_it_began(bad: int) -> None:
    """The change is dated to its period, or to bad luck just before it; it stays when calm returns."""
    now = detectors()
    for i, quarter in enumerate(LATER[:8]):
        last = by_name(now.update(quarter, visits(quarter, seed=100 + i, wrong=1.0 * (i == bad)), ENTITY))
    assert last["loss"].alarm
    assert last["loss"].since in (str(LATER[bad - 1]), str(LATER[bad]))


def test_increments_belong_to_periods() -> None:
    """The first increment of a batch is its own, the last of the batch before is not."""
    now = detectors()
    for i, quarter in enumerate(LATER[:3]):
        now.update(quarter, visits(quarter, seed=i, n=(10, 1, 30)[i]), ENTITY)
    periods = [now.period("loss", increment) for increment in (0, 9, 10, 11, 40)]
    assert periods == [str(LATER[i]) for i in (0, 0, 1, 2, 2)]


@pytest.mark.parametrize("contract", [ENTITY, DAY, REGRESSION], ids=["entity", "day", "regression"])
@pytest.mark.parametrize("n", [0, 400], ids=["no row", "no label"])
def test_batch_without_a_label_changes_nothing(contract: Contract, n: int) -> None:
    """No label is no evidence: the detectors stand as they stood, the batch has no value of its own."""
    now = detectors(contract)
    before = dict(now.states)
    found = now.update(LATER[0], visits(LATER[0], seed=1).assign(y=math.nan)[:n], contract)
    assert now.states == before
    assert all(state.value is None and not state.alarm for state in found)
    assert concept.figures(visits(LATER[0], seed=1)[:0], contract) == {"observed": 0.0, "expected": 0.0}


@pytest.mark.parametrize("contract", [ENTITY, DAY], ids=["entity", "day"])
def test_perfect_model_is_watched(contract: Contract) -> None:
    """A model that was never wrong has a bound all the same, and is found out when it is wrong."""
    perfect = {q: rows.assign(**{PREDICTION: rows["y"]}) for q, rows in REFERENCE.items()}
    now = concept.Detectors(concept.watched(perfect, contract, periods=160, seed=0), seed=0)
    calm = visits(LATER[0], seed=1)
    assert concept.alarms(now.update(LATER[0], calm.assign(**{PREDICTION: calm["y"]}), contract)) == []
    assert {"loss", "ranking"} <= set(concept.alarms(now.update(LATER[1], calm, contract)))


def test_what_the_reference_cannot_tell_is_not_watched() -> None:
    """Errors that are all the same have no scale, one day of flights no variance: no stream is made up."""
    exact = {q: rows.assign(y=rows[PREDICTION]) for q, rows in REFERENCE.items()}
    assert concept.watched(exact, REGRESSION, periods=160, seed=0) == {}
    one_day = {q: rows.assign(day=1) for q, rows in list(REFERENCE.items())[:1]}
    assert concept.watched(one_day, DAY, periods=160, seed=0) == {}
    one_class = {q: rows.assign(y=0.0) for q, rows in REFERENCE.items()}
    assert set(concept.watched(one_class, ENTITY, periods=160, seed=0)) == {"loss", "too many", "too few"}


def test_rises_are_seen_after_so_many_labels() -> None:
    """How many labels a rise of a tenth takes to be seen: more for rarer alarms, never if it is too small."""
    long = {q: visits(q, seed=i, n=20_000) for i, q in enumerate(QUARTERS)}
    often, rarely = (concept.watched(long, ENTITY, periods=p, seed=0) for p in (10, 1000))
    short = concept.watched({q: rows[:50] for q, rows in REFERENCE.items()}, ENTITY, periods=10, seed=0)
    for name in ("loss", "ranking"):
        assert short[name].increments_until_seen == math.inf
        assert 1 < often[name].increments_until_seen < rarely[name].increments_until_seen


def test_bounds_hold_together() -> None:
    """Of 200 references, all four bounds lie above the truth in 95 % of them.

    The upper end of the 99 % interval (Clopper and Pearson 1934) must reach 95 %: at least 181 of them.
    """
    endless = concept.streams(visits(QUARTERS[0], seed=1, n=500_000), NONE, seed=0)
    truth = {name: stream.values.mean() for name, stream in endless.items()}
    held = 0
    for seed in range(200):
        reference = {q: visits(q, seed=[seed, i], n=200) for i, q in enumerate(QUARTERS)}
        watch = concept.watched(reference, NONE, periods=160, seed=0)
        held += all(w.reference.bound >= truth[name] for name, w in watch.items())
    assert stats.binomtest(held, 200).proportion_ci(0.99).high >= 0.95


@pytest.mark.parametrize("contract", [ENTITY, DAY], ids=["entity", "day"])
def test_false_alarms_are_bounded(contract: Contract) -> None:
    """Of 60 calm streams of 10 periods at 1 false alarm in 100, no more alarm than 10 % plus the bounds' 5 %.

    The lower end of the 99 % interval (Clopper and Pearson 1934) must not lie above 15 %: of 60, at most 17.
    """
    alarmed = 0
    for seed in range(60):
        reference = {q: visits(q, seed=[seed, i], n=200) for i, q in enumerate(QUARTERS)}
        now = concept.Detectors(concept.watched(reference, contract, periods=100, seed=seed), seed=seed)
        for i, quarter in enumerate(LATER[:10]):
            last = now.update(quarter, visits(quarter, seed=[seed, 10 + i], n=200), contract)
        alarmed += bool(concept.alarms(last))
    assert stats.binomtest(alarmed, 60).proportion_ci(0.99).low <= 0.15
