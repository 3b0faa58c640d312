"""Independent rows seldom get a block, harmful dependence is found, and one sentence says which."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perenne.common.block import Block, labels_of
from perenne.stats.dependence import Choice, block, choose
from perenne.stats.memory import Whole
from perenne.stats.metrics import Array
from tests import tiny
from tests.stats.test_memory import remembering

DAYS = np.repeat(np.arange(60), 40)
MONTHS = DAYS // 30


def asked(values: Array, who: Whole) -> Choice:
    """Choose among a person, the day and neighbouring days."""
    return choose(values, {"person": who}, MONTHS, days=DAYS)


@pytest.mark.parametrize("kind", ["normal", "weekends", "events", "heavy"])
def test_independent_rows_seldom_get_a_block(kind: str) -> None:
    """In at most one of twenty cases."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(500):
        values: Array = np.asarray(rng.normal(size=len(DAYS)), dtype=np.float64)
        if kind == "heavy":
            values = np.asarray(rng.standard_t(2.5, size=len(DAYS)), dtype=np.float64)
        if kind == "weekends":
            values = np.where(DAYS % 7 > 4, 3.0, 1.0) * values
        if kind == "events":
            values = rng.binomial(1, 0.1, len(DAYS)).astype(np.float64) - 0.1
        hits += asked(values, rng.integers(0, 800, len(DAYS))).label is not None
    assert hits <= stats.binom.ppf(0.999, 500, 0.05)


@pytest.mark.parametrize(
    ("person", "day", "root", "label", "span", "sentence"),
    [
        (0.0, 0.0, 0.0, None, 1, "rows of one person or day share nothing that can be told from chance"),
        (0.6, 0.0, 0.0, "person", 1, r"rows of one person share 0\.2\d of their variance: each person is a"),
        (0.0, 0.3, 0.0, "day", 1, r"rows of one day share 0\.0\d+ of their variance: each day is a block"),
        (0.0, 0.5, 0.7, "day", 6, r"neighbouring days resemble each other .* 6 days in a row are a block"),
    ],
)
def test_the_block_that_the_figures_ask_for(
    person: float, day: float, root: float, label: str | None, span: int, sentence: str
) -> None:
    """Nobody's, a person's, a day's, or that of some days."""
    rng = np.random.default_rng(2)
    who = rng.integers(0, 800, len(DAYS))
    values = person * rng.normal(size=800)[who] + day * remembering(rng, root, 60)[DAYS]
    found = asked(values + rng.normal(size=len(DAYS)), who)
    assert (found.label, found.span) == (label, span)
    assert pd.Series([found.sentence]).str.contains(sentence).all(), found.sentence


@pytest.mark.parametrize("effect", [1.2, 2])
def test_harmful_effects_are_found_in_a_year_of_days(effect: float) -> None:
    """A design effect of 2 always, one of 1.2 more often than not; with 60 days, 2 in nine of ten cases."""
    rng, found = np.random.default_rng(3), dict.fromkeys((60, 540), 0)
    for count in found:
        days = np.repeat(np.arange(count), 40)
        for _ in range(100):
            shocks = np.sqrt((effect - 1) / 39) * rng.normal(size=count)[days]
            chosen = choose(shocks + rng.normal(size=len(days)), {}, days // 30, days=days)
            found[count] += chosen.label == "day"
    assert found[540] >= (100 if effect == 2 else 60)
    assert effect < 2 or found[60] >= 85


def test_where_a_period_has_one_day_days_are_not_asked() -> None:
    """Rows that carry only their quarter's last day have no other day to differ from."""
    quarter = np.repeat(np.arange(12), 50)
    values = np.random.default_rng(4).normal(size=600) + quarter
    found = choose(values, {}, quarter, days=quarter * 91)
    assert (found.label, dict(found.sharing), found.neighbours) == (None, {}, None)
    assert found.sentence.startswith("too few rows share anything to tell")


def rows(days: int = 90) -> pd.DataFrame:
    """Return three months of the tiny case, thirty visits a day, without what this is not about."""
    when = pd.Timestamp("2021-01-01") + pd.to_timedelta(np.repeat(np.arange(days), 30), unit="D")
    return pd.DataFrame({"id": np.arange(30 * days) % 700, "seen": when + pd.Timedelta(hours=7)})


def test_the_contract_answers_first() -> None:
    """A column, or that rows are independent; nothing is measured then, except how alike neighbours are."""
    frame = rows()
    shocks = remembering(np.random.default_rng(5), 0.6, 90)
    values = np.repeat(shocks, 30) + np.random.default_rng(6).normal(size=len(frame))
    assert block(frame, values, tiny.contract()).part == "day"
    none = block(frame, values, tiny.contract("label_delay: 0", "label_delay: 0\nblock: none"))
    assert none == Block(why="the contract says that rows are independent")
    person = block(frame, values, tiny.contract("role: entity", "role: [entity, block]"))
    assert person == Block(columns=("id",), why="the contract says that rows of one id are a block")
    day = {"day": frame["seen"].dt.normalize()}
    timed = block(
        frame.assign(**day),
        values,
        tiny.contract("  won:", "  day: {type: datetime, role: block}\n  won:"),
    )
    assert (timed.columns, timed.measured_on) == (("day",), 90)
    assert timed.autocorrelation == pytest.approx(0.6, abs=0.25)


def test_every_row_gets_its_block() -> None:
    """Of persons as they come; of days the same number in every batch."""
    frame, contract = rows(), tiny.contract()
    rng = np.random.default_rng(7)
    person = block(frame, rng.normal(size=700)[frame["id"]] + rng.normal(size=len(frame)), contract)
    assert person.columns == ("id",)
    assert (labels_of(frame, contract, person) == frame["id"]).all()
    assert (labels_of(frame, contract, Block()) == np.arange(len(frame))).all()
    weeks = Block(part="day", span=7)
    whole, later = labels_of(frame, contract, weeks), labels_of(frame[900:], contract, weeks)
    assert (whole[900:] == later).all()
    assert len(np.unique(whole)) in (13, 14)
    assert (np.diff(whole) >= 0).all()


def test_days_are_those_of_the_contracts_clocks() -> None:
    """An hour before midnight in UTC it is already the next day in Paris."""
    frame = pd.DataFrame({"seen": pd.to_datetime(["2021-01-01 22:30", "2021-01-01 23:30"])})
    paris = tiny.contract("label_delay: 0", "label_delay: 0\nzone: Europe/Paris")
    for contract, apart in ((tiny.contract(), 0), (paris, 1)):
        assert np.diff(labels_of(frame, contract, Block(part="day"))) == [apart]
