"""Periods: written one way, read back the same, and never guessed."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perenne.common import periods
from perenne.common.errors import PerenneError
from perenne.common.periods import Unit

UNITS = st.sampled_from(get_args(Unit))


@given(unit=UNITS, moment=st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)))
def test_every_period_survives_text_and_file_name(unit: Unit, moment: datetime) -> None:
    """All units go to text and back, and to the name of a file and back."""
    period = pd.Period(moment, freq=periods.FREQUENCY[unit])
    assert periods.parse(str(period), unit, "as_of") == period
    assert periods.from_stem(periods.stem(period), unit, "data/raw") == period
    assert not set("/: ") & set(periods.stem(period))


@pytest.mark.parametrize(
    ("text", "unit", "first"),
    [
        ("2017 week 8", "week", "2017-02-20"),
        ("2017-W08", "week", "2017-02-20"),
        ("2020W53", "week", "2020-12-28"),
        ("2017-02-22", "week", "2017-02-20"),
        ("2021 Q3", "quarter", "2021-07-01"),
        ("2021q3", "quarter", "2021-07-01"),
        ("2021-09-30", "quarter", "2021-07-01"),
        ("2021-09-30", "month", "2021-09-01"),
        ("2021-09-30", "year", "2021-01-01"),
        ("2013-05-17 14:00", "hour", "2013-05-17 14:00"),
        ("2013-05-17T14:00", "hour", "2013-05-17 14:00"),
        ("2013-05-17T14:00:00", "hour", "2013-05-17 14:00"),
        ("2013-05-17T14", "hour", "2013-05-17 14:00"),
        ("2013-05-17 9h", "hour", "2013-05-17 09:00"),
    ],
)
def test_people_write_periods_as_they_are_used_to(text: str, unit: Unit, first: str) -> None:
    """The first day of each by the calendar: ISO 8601 numbers weeks, 2020 has 53."""
    assert periods.parse(text, unit, "as_of").start_time == pd.Timestamp(first)


@pytest.mark.parametrize("unit", get_args(Unit))
def test_example_in_the_error_would_do(unit: Unit) -> None:
    """What an error tells people to write is accepted."""
    example = periods.EXAMPLE[unit]
    assert str(periods.parse(example, unit, "as_of")) == example


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("2021", "quarter"),
        ("2021-02", "quarter"),
        ("2021 Q", "quarter"),
        ("2021Q5", "quarter"),
        ("2021-13", "month"),
        ("2021-2", "month"),
        ("2021-02-30", "day"),
        ("17/05/2013", "day"),
        ("2013 week 53", "week"),
        ("2013-02-29", "week"),
        ("2013-05-17", "hour"),
        ("2013-05", "week"),
        ("2013-05-14/2013-05-20", "week"),
        ("2013-05-17T24", "hour"),
        ("2013-05-17T14Z", "hour"),
        ("2013-05-32 14:00", "hour"),
        ("2013-05-17 14:30", "hour"),
        ("", "month"),
        ("NaT", "month"),
        ("nan", "day"),
        ("now", "day"),
        ("99999-01", "month"),
    ],
)
def test_what_pandas_would_guess_is_refused(text: str, unit: Unit) -> None:
    """The line names the key, the value, and how to write it."""
    with pytest.raises(PerenneError) as caught:
        periods.parse(text, unit, "params.yaml: split.as_of")
    assert str(caught.value) == (
        f"params.yaml: split.as_of: {text!r} is not {periods.a(unit)}; write it like {periods.PLAIN[unit]}"
    )


@given(text=st.text(max_size=12) | st.from_regex(r"[0-9QW:/ -]{1,12}", fullmatch=True), unit=UNITS)
def test_no_text_is_a_traceback(text: str, unit: Unit) -> None:
    """Text is what pandas would write for a period, or it is refused."""
    said = ""
    try:
        period = periods.parse(text, unit, "as_of")
    except PerenneError as error:
        said = str(error)
    assert repr(text) in said if said else periods.parse(str(period), unit, "as_of") == period


@pytest.mark.parametrize(
    ("value", "time"),
    [
        ("2013-05-17", "2013-05-17"),
        ("20130517", "2013-05-17"),
        ("2013-05-17 23:30", "2013-05-17T23:30"),
        ("2013-05-17T23:30:00.5", "2013-05-17T23:30:00.5"),
        ("2013-05-17T23:30:00-05:00", "2013-05-17T23:30"),
        ("2013-05-17T01:00:00Z", "2013-05-17T01:00"),
        ("now", None),
        ("today", None),
        ("17/05/2013", None),
        ("2013-02-29", None),
        ("12", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_iso_8601(value: str | None, time: str | None) -> None:
    """An offset moves nothing; a word, or another order of day and month, is not guessed."""
    found = periods.times(pd.Series([value, "2000-01-01"], dtype="str"))
    assert found.dtype == "datetime64[us]"
    assert found[0] is pd.NaT if time is None else found[0] == pd.Timestamp(time)


@pytest.mark.parametrize("values", [[20130517, 2013], [1368748800.0, None], [True, False]])
def test_number_is_no_time(values: list[object]) -> None:
    """Pandas would take it for nanoseconds since 1970, and the row for half a century old."""
    assert periods.times(pd.Series(values)).isna().all()


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(pd.to_datetime(["2013-05-17 01:00"]).tz_localize("America/New_York")),
        pd.Series([date(2013, 5, 17)], dtype=object),
        pd.Series([datetime(2013, 5, 17, 5)], dtype="datetime64[ns]"),
    ],
    ids=["zone", "date", "nanoseconds"],
)
def test_times_of_other_types_become_the_same(values: pd.Series) -> None:
    """Whatever a Parquet file holds: what the clock shows, or the moment by the clocks of a zone."""
    shown, paris = periods.times(values)[0], periods.times(values, "Europe/Paris")[0]
    hours = shown.hour
    assert shown == pd.Timestamp("2013-05-17") + timedelta(hours=hours)
    assert paris - shown == timedelta(hours=4 if hours == 1 else -2)
    assert shown.tz is None


def offset(hours: float) -> str:
    """Return an offset as ISO 8601 writes it."""
    return f"{'-' if hours < 0 else '+'}{abs(int(hours)):02d}:{int(abs(hours) * 60) % 60:02d}"


@given(
    moment=st.datetimes(datetime(1970, 1, 1), datetime(2037, 12, 31)),
    hours=st.sampled_from([-5, 0, 1, 5.5]),
    zone=st.sampled_from(["Europe/Paris", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_moment_is_in_the_bounds_of_its_period(moment: datetime, hours: float, zone: str) -> None:
    """By the clocks of a zone, also on days on which they change; any offset gives the same moment."""
    text = (moment + timedelta(hours=hours)).isoformat() + offset(hours)
    found = periods.times(pd.Series([text]), zone)
    assert found[0] == moment
    for unit in get_args(Unit):
        period = periods.of(found, unit, zone)[0]
        first, last = periods.bounds(period, zone)
        assert first <= found[0] <= last
        assert period == periods.current(moment, unit, zone)
        assert first - periods.bounds(period - 1, zone)[1] <= timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("rows", "astray"),
    [
        ({}, []),
        ({"2021-01": 1}, []),
        ({"2021-01": 500, "2031-02": 1}, ["2031-02"]),
        ({"2021-01": 500, "2031-01": 1}, []),
        ({"2021-01": 50, "2121-01": 2}, []),
        ({"2021-01": 9, "0001-01": 1}, ["1-01"]),
        ({"2021-01": 8, "0001-01": 1}, []),
        ({"2021-01": 500, "2121-01": 0}, []),
        ({"0001-01": 1, "1970-01": 2, "2021-01": 500, "2022-01": 400}, ["1-01", "1970-01"]),
        ({"1970-01": 2, "2021-01": 500, "2022-01": 400, "9999-12": 3}, ["1970-01", "9999-12"]),
        ({f"{year}-01": 1 + (year > 1900) * 90 for year in range(1800, 2020, 20)}, []),
    ],
)  # fmt: skip
def test_period_astray_is_alone_and_far(rows: dict[str, int], astray: list[str]) -> None:
    """More than ten years and a history away, and few rows: what is sparse, or old, is not astray."""
    found = periods.astray({pd.Period(period, freq="M"): n for period, n in rows.items()})
    assert list(map(str, found)) == astray


def test_last_moment_of_a_period_is_in_it() -> None:
    """A period ends where the next begins."""
    edge = pd.Series(pd.to_datetime(["2013-05-31 23:59:59.999999", "2013-06-01 00:00:00.0"]))
    assert periods.of(edge, "month").astype("str").tolist() == ["2013-05", "2013-06"]
