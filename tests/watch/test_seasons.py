"""Which periods a period is compared with: the same season, its neighbours where a season has too few."""

from __future__ import annotations

import pandas as pd
import pytest

from perenne.watch.seasons import Seasons


def like(first: str, last: str, freq: str, period: str) -> list[str]:
    """Return the periods of a reference that a period is compared with."""
    seasons = Seasons(pd.period_range(first, last, freq=freq))
    return [str(one) for one in seasons.like(pd.Period(period, freq=freq))]


@pytest.mark.parametrize(
    ("first", "last", "period", "season"),
    [
        ("2020-01", "2022-12", "2023-01", ["2020-01", "2021-01", "2022-01"]),
        ("2021-01", "2022-12", "2024-06", ["2021-06", "2022-06"]),
        ("2022-01", "2022-12", "2023-01", ["2022-01", "2022-02", "2022-12"]),
        ("2021-07", "2022-12", "2023-08", ["2021-07", "2021-08", "2021-09", "2022-07", "2022-08", "2022-09"]),
    ],
)
def test_months(first: str, last: str, period: str, season: list[str]) -> None:
    """The same month of two years or more; with one of some months, that month and its neighbours."""
    assert like(first, last, "M", period) == season


def test_less_than_a_year_has_no_seasons() -> None:
    """Eleven months are all that there is to compare with."""
    assert len(like("2022-01", "2022-11", "M", "2022-12")) == 11
    assert not Seasons(pd.period_range("2022-01", "2022-11", freq="M")).seasonal


def test_quarters() -> None:
    """Of six years, the six first quarters."""
    assert like("2014Q1", "2019Q4", "Q-DEC", "2020Q1") == [f"{year}Q1" for year in range(2014, 2020)]


def test_weeks_reach_to_their_neighbours() -> None:
    """Three weeks around the same day of three years, over the turn of the year too."""
    found = like("2020-01-06", "2022-12-26", "W-SUN", "2023-01-02")
    assert len(found) >= 6
    assert all(week[5:7] in ("12", "01") for week in found)


def test_days_have_weekdays_before_they_have_seasons() -> None:
    """With four weeks a Monday is compared with Mondays; with three years, with those of its season."""
    assert like("2023-01-02", "2023-01-29", "D", "2023-01-30") == [
        "2023-01-02",
        "2023-01-09",
        "2023-01-16",
        "2023-01-23",
    ]
    days = [pd.Period(day) for day in like("2020-01-01", "2022-12-31", "D", "2023-07-03")]
    assert {day.dayofweek for day in days} == {0}
    assert {day.month for day in days} <= {6, 7}
    assert {day.year for day in days} == {2020, 2021, 2022}


def test_hours() -> None:
    """With a week of hours the same hour of the day, with four weeks that of the same weekday."""
    assert len(like("2023-01-02 00:00", "2023-01-08 23:00", "h", "2023-01-09 05:00")) == 7
    assert len(like("2023-01-02 00:00", "2023-01-29 23:00", "h", "2023-01-30 05:00")) == 4


def test_scores_of_other_seasons_are_no_comparison() -> None:
    """Where only summer has scores, there is nothing to compare those of winter with."""
    whole = pd.period_range("2020-01", "2022-12", freq="M")
    scored = Seasons(whole[-7:-4], list(whole))
    assert scored.like(pd.Period("2023-01")) == []
    assert [str(one) for one in scored.like(pd.Period("2023-07"))] == ["2022-06", "2022-07", "2022-08"]


@pytest.mark.parametrize(
    ("first", "count", "freq"),
    [("2023-01-02 00:00", 800, "h"), ("2020-02", 30, "M"), ("2022-12-20", 400, "D"), ("2020", 5, "Y-DEC")],
)
def test_sizes_are_those_of_the_periods_that_are_like_each(first: str, count: int, freq: str) -> None:
    """However often a season comes round."""
    periods = pd.period_range(first, periods=count, freq=freq)
    seasons = Seasons(periods)
    rows = {period: number**2 % 17 for number, period in enumerate(periods)}
    expected = [sum(rows[one] for one in seasons.like(period)) for period in periods]
    assert seasons.sizes(rows) == expected


def test_folds_leave_each_period_out() -> None:
    """Each January against the others; 24 independent differences among 36 months of three years."""
    seasons = Seasons(pd.period_range("2020-01", "2022-12", freq="M"))
    folds = seasons.folds
    assert len(folds) == 36
    assert [str(one) for one in folds[0][1]] == ["2021-01", "2022-01"]
    assert seasons.degrees() == pytest.approx(24)


@pytest.mark.parametrize(
    ("first", "last", "freq", "period", "season"),
    [
        ("2023-01", "2023-10", "M", "2023-12", "December"),
        ("2023-01", "2023-10", "M", "2024-10", ""),
        ("2023-01", "2023-12", "M", "2024-12", ""),
        ("2023Q1", "2023Q3", "Q-DEC", "2023Q4", "Q4"),
        ("2023-01-02", "2023-03-05", "D", "2023-12-25", ""),  # a week before the turn of the year
        ("2023-02-02", "2023-05-05", "D", "2023-12-25", "such time of the year"),
        ("2020", "2022", "Y-DEC", "2023", ""),
    ],
)
def test_seasons_that_no_reference_has(first: str, last: str, freq: str, period: str, season: str) -> None:
    """Less than a year may lack a season; a year or more has them all."""
    seasons = Seasons(pd.period_range(first, last, freq=freq))
    assert seasons.lacks(pd.Period(period, freq=freq)) == season
