"""Independent rows seldom get a block, harmful dependence is found, and one sentence says which."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perenne.stats.dependence import Choice, choose
from perenne.stats.memory import Whole
from perenne.stats.metrics import Array
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
        (
            0.6,
            0.0,
            0.0,
            "person",
            1,
            r"rows of one person share 0\.2\d of .* \(design effect 1\.\d+\): each person is a",
        ),
        (
            0.0,
            0.3,
            0.0,
            "day",
            1,
            r"rows of one day share 0\.0\d+ of .* \(design effect \d.+\): each day is a block",
        ),
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


def test_where_each_day_is_a_row_its_neighbours_are_asked() -> None:
    """Nobody asked what rows of one day share: the sentence does not say so."""
    day = np.arange(700)
    found = choose(np.random.default_rng(5).normal(size=700), {}, day // 30, days=day)
    assert found.sentence.startswith("neighbouring days share nothing that can be told from chance")
