"""Periods and cuts that a careful person would choose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perenne.adopt.cutting import batchings, chosen, cutting, in_order
from perenne.common.errors import PerenneError


def times(start: str, end: str, rows: int) -> pd.Series:
    """Return moments, evenly spread."""
    return pd.Series(pd.date_range(start, end, periods=rows))


@pytest.mark.parametrize(
    ("start", "end", "rows", "share", "unit"),
    [
        ("2024-01-01", "2025-06-30", 36_000, 0.2, "month"),
        ("2013-01-01", "2020-12-31", 300_000, 0.1, "quarter"),
        ("1900-01-01", "2020-12-31", 3000, None, "year"),
        ("2024-01-01 00:00", "2024-01-02 23:59", 90_000, 0.01, "hour"),
        ("2024-01-01", "2024-01-31 23:59", 90_000, 0.01, "day"),
        ("2024-01-01", "2024-03-31 23:59", 20_000, 0.5, "week"),
        # Twelve months with five events each tell nothing; of quarters there are four.
        ("2024-01-01", "2024-12-31", 5000, 0.012, "quarter"),
    ],
)
def test_longest_period_with_twelve_batches_that_tell_something(
    start: str, end: str, rows: int, share: float | None, unit: str
) -> None:
    """From two days of payments to a century of years."""
    when = times(start, end, rows)
    rare = None if share is None else pd.Series(np.arange(rows) % round(1 / share) == 0)
    assert chosen(batchings(when, rare, None), None, "a.csv").unit == unit


def test_history_that_is_too_short_is_said() -> None:
    """Two days are two batches, whatever period is wanted."""
    found = batchings(pd.Series(pd.to_datetime(["2021-03-05", "2021-04-05"] * 50)), None, None)
    with pytest.raises(PerenneError, match=r"a\.csv: its times lie in 2 quarters; a history needs 4 batches"):
        chosen(found, None, "a.csv")
    with pytest.raises(PerenneError, match=r"its times lie in 1 year; .*: a shorter period would do"):
        chosen(found, "year", "a.csv")


@pytest.mark.parametrize("months", [4, 5, 8, 12, 20, 37])
@pytest.mark.parametrize("late", [0, 1, 2])
def test_all_parts_have_labels(months: int, late: int) -> None:
    """Window, holdout and what is new make up the history, and neither part has late labels only."""
    when = times("2020-01-01", str(pd.Period("2020-01") + months - 1 + late) + "-28", 100 * months)
    of = when.dt.to_period("M")
    labelled = of <= of.max() - late
    cut = cutting(when, labelled, None, "month", None)
    assert cut.label_delay == late
    assert cut.through == of.max()
    assert cut.as_of < cut.through or months + late == 6
    assert cut.holdout > late
    assert cut.window > late
    assert (cut.as_of - of.min()).n + 1 == cut.window + cut.holdout
    held = labelled & (of > cut.as_of - cut.holdout) & (of + late <= cut.as_of)
    learned = labelled & (of + late <= cut.as_of - cut.holdout)
    assert (cut.judged, cut.learned) == (held.sum(), learned.sum())
    assert min(cut.judged, cut.learned) > 0


def test_rows_without_time_make_batches_with_events() -> None:
    """Of one event in a hundred, ten need a thousand rows."""
    assert in_order(20_000, None) == 1000
    assert in_order(100, None) == 24
    assert in_order(5000, 50) == 1000
