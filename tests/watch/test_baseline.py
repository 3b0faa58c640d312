"""References of months: seasons are no drift, days are blocks where they have to be, shifts are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perenne.watch.baseline import Baseline, baseline
from tests.bench_look import COLUMNS, CONTRACT, Draw, iid, month, seasonal, shocks, stream, weekday

X0 = ("x0", "distribution")


def reference(draw: Draw, months: int, rows: int = 400) -> Baseline:
    """Return a reference of so many months."""
    rng = np.random.default_rng(4)
    periods = pd.period_range("2020-01", periods=months, freq="M")
    return baseline({period: month(rng, draw, period, rows) for period in periods}, CONTRACT)


def test_rows_of_periods_are_theirs_in_the_order_of_the_reference() -> None:
    """Of periods without rows as well, and in whatever order they are named; each is counted by itself."""
    rng = np.random.default_rng(7)
    rows = {
        period: month(rng, iid, period, 10)[:size]
        for period, size in zip(pd.period_range("2020-01", periods=4, freq="M"), (3, 0, 5, 2), strict=True)
    }
    before = baseline(rows, CONTRACT)
    first, empty, _, last = rows
    sample = before.sample
    assert sample.places([last, empty, first]).tolist() == [0, 1, 2, 8, 9]
    assert sample.places([]).tolist() == []
    assert sample.features["x0"].iloc[sample.places([last])].tolist() == rows[last]["x0"].tolist()
    edges = before.edges["x0"]
    assert edges is not None
    for period, tally in before.tallies["x0"].items():
        expected = np.searchsorted(edges, np.sort(rows[period]["x0"].to_numpy()))
        assert np.repeat(np.arange(len(tally.counts)), tally.counts).tolist() == (expected + 1).tolist()


def test_column_that_moves_as_each_year_has_not_moved() -> None:
    """A year after three years of the same seasons, in which years differ a little."""
    assert not any(stream(0, seasonal, rows=200, reference=36, months=12))


def test_column_that_moves_beyond_its_season_is_found() -> None:
    """A standard deviation beyond it, in the first two months; and that column alone."""
    found = stream(1, seasonal, rows=200, reference=36, months=3, shift=1.0)
    assert [set(looks) for looks in found] == [set(), {X0}, {X0}]


def test_days_that_share_their_weather_are_no_drift() -> None:
    """Without a block in the contract: half of the variance is that of days, and three months are known."""
    assert not any(stream(2, shocks, rows=300, reference=3, months=6))


@pytest.mark.parametrize(("draw", "columns"), [(iid, 0), (shocks, COLUMNS)])
def test_days_are_blocks_where_the_figures_ask_for_it(draw: Draw, columns: int) -> None:
    """Columns whose rows of a day resemble each other, and no others."""
    assert len(reference(draw, 3).by_day - {"prediction"}) == columns


@pytest.mark.parametrize(
    ("draw", "months", "named"),
    [(iid, 6, ""), (weekday, 6, "x0 (weekday)"), (seasonal, 6, "x0 (month)"), (seasonal, 12, "")],
)
def test_calendar_is_named_where_the_reference_is_short(draw: Draw, months: int, named: str) -> None:
    """Columns that move with weekday or month; with a year there is nothing to say."""
    found = reference(draw, months).calendar
    assert named in found
    assert bool(named) == bool(found)
