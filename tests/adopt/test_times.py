"""Times in parts, and days that are counted: read as a person would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from perenne.cases.reading.canonical import canonical
from perenne.common.column import Column
from perenne.common.errors import PerenneError
from perenne.common.reading import Parts, Read
from perenne.common.typed import parse
from perenne.predict import inputs
from tests.adopt.test_files import DAYS, N, sizes
from tests.adopt.test_study import contract, studied

YEAR, QUARTER, MONTH = (pd.Series(getattr(DAYS, part)) for part in ("year", "quarter", "month"))
WEEK = DAYS.isocalendar().week.to_numpy()
SINCE_EXCEL = pd.Series((DAYS - pd.Timestamp("1899-12-30")) / pd.Timedelta("1D"))


def parted(**parts: Any) -> pd.DataFrame:
    """Return sizes with these columns instead of a date, before the target."""
    frame = sizes().drop(columns="when")
    for place, (name, values) in enumerate(parts.items()):
        frame.insert(place, name, values)
    return frame


@pytest.mark.parametrize(
    ("columns", "parts", "unit"),
    [
        ({"year": YEAR, "week": WEEK}, {"year": "year", "week": "week"}, "month"),
        ({"yr": YEAR * 1.0, "qtr": QUARTER * 1.0}, {"year": "yr", "quarter": "qtr"}, "quarter"),
        ({"year": YEAR, "month": MONTH}, {"year": "year", "month": "month"}, "month"),
        ({"MM": MONTH, "YYYY": YEAR}, {"year": "YYYY", "month": "MM"}, "month"),
        ({"Ann\u00e9e": YEAR.astype(float), "Mois": MONTH}, {"year": "Ann\u00e9e", "month": "Mois"}, "month"),
        (
            {"year": YEAR, "month": MONTH, "day": DAYS.day},
            {"year": "year", "month": "month", "day": "day"},
            "month",
        ),
    ],
)  # fmt: skip
def test_columns_say_a_time_together(
    tmp_path: Path, columns: dict[str, object], parts: dict[str, str], unit: str
) -> None:
    """By their names and numbers; a month that has not come yet may come, and a year is no feature."""
    found = studied(tmp_path / "a.csv", parted(**columns))
    made = contract(found)
    assert made.read.time == Parts(**parts)
    assert (made.time, found.chosen.unit) == ("time", unit)
    assert made.columns[parts["year"]].role == ("ignored",)
    if "month" in parts:
        assert made.columns[parts["month"]].range == (1, 12)
    if "quarter" not in parts:
        assert found.cut.through == pd.Period("2024-12")


@pytest.mark.parametrize(
    ("columns", "time"),
    [
        ({"year": YEAR, "month": MONTH, "seen": DAYS.strftime("%Y-%m-%d")}, "seen"),  # a date says more
        ({"year": YEAR, "month": MONTH + 20, "seen": DAYS.strftime("%Y-%m-%d")}, "seen"),
        ({"model_year": YEAR, "month": MONTH, "seen": DAYS.strftime("%Y-%m-%d")}, "seen"),  # of a car
    ],
)
def test_a_column_of_dates_is_better_than_parts(
    tmp_path: Path, columns: dict[str, object], time: str
) -> None:
    """Then year and month may be features."""
    made = contract(studied(tmp_path / "a.csv", parted(**columns)))
    assert (made.time, made.read.time) == (time, None)
    assert "feature" in made.columns["month"].role


def test_user_who_names_the_year_gets_the_year(tmp_path: Path) -> None:
    """A wish is a wish."""
    years = pd.Series(np.resize(np.arange(2000, 2024), N))
    made = contract(studied(tmp_path / "a.csv", parted(year=years, month=MONTH), time="year"))
    assert (made.time, made.read.time, made.read.dates) == ("year", None, ("%Y",))


@pytest.mark.parametrize(
    ("name", "values", "form"),
    [
        ("ordinal_date", [day.toordinal() for day in DAYS], "ordinal days"),
        ("Date", SINCE_EXCEL.astype(int), "excel days"),
        ("date", SINCE_EXCEL.round(5), "excel days"),
        ("JD", DAYS.to_julian_date(), "julian days"),
        ("julian day", [int(day.to_julian_date() + 0.5) for day in DAYS], "julian days"),
    ],
)
def test_days_that_are_counted_are_times(tmp_path: Path, name: str, values: object, form: str) -> None:
    """If their column says so; Python, Excel and astronomers begin on other days."""
    found = studied(tmp_path / "a.csv", sizes(when=values).rename(columns={"when": name}))
    assert (contract(found).time, contract(found).read.dates) == (name, (form,))
    assert (found.chosen.unit, found.chosen.batches, str(found.cut.through)) == ("month", 24, "2024-12")


@pytest.mark.parametrize("name", ["serial number", "x2", "day", "at"])
def test_other_numbers_are_no_days(tmp_path: Path, name: str) -> None:
    """A serial number may lie there too, and nobody would see the mistake."""
    made = contract(studied(tmp_path / "a.csv", sizes(**{name: np.arange(N) % 700 + 19_000})))
    assert (made.time, made.read.dates) == ("when", ())
    assert made.columns[name].type == "integer"


def test_user_may_say_how_days_are_counted(tmp_path: Path) -> None:
    """Then the name says nothing."""
    found = studied(tmp_path / "a.csv", parted(n=SINCE_EXCEL.astype(int)), time="n", dates=("excel days",))
    assert (contract(found).time, found.chosen.batches) == ("n", 24)


@pytest.mark.parametrize(
    ("form", "given", "moment"),
    [
        ("ordinal days", ["738000", "x"], ["2021-07-29", "x"]),
        ("excel days", ["44197", "44197.5"], ["2021-01-01T00:00:00", "2021-01-01T12:00:00"]),
        ("excel days", [44197.0, None], ["2021-01-01", None]),
        ("julian days", [2459215.5, 2459216.0], ["2021-01-01T00:00:00", "2021-01-01T12:00:00"]),
    ],
)  # fmt: skip
def test_counted_days_are_written_as_dates(form: str, given: list[object], moment: list[str | None]) -> None:
    """With a time of day if one has it. Expected: Python's `fromordinal`, Excel and the almanac."""
    column = Column(type="datetime", role=("time",))
    assert canonical(pa.chunked_array([given]), column, Read(dates=(form,))).to_pylist() == moment


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"year": "y"}, "must be year and quarter, month or week"),
        ({"year": "y", "month": "m", "quarter": "q"}, "must be year and quarter, month or week"),
        ({"year": "y", "week": "w", "day": "d"}, "day needs month"),
        ({"year": "y", "month": "m", "hour": "h"}, "hour needs day"),
        ({"month": "m"}, "year"),
    ],
)
def test_parts_that_say_no_time_are_refused(keys: dict[str, str], says: str) -> None:
    """One line, and what would do."""
    with pytest.raises(PerenneError, match=r"^read: ") as caught:
        parse(Read, {"time": keys}, "read")
    assert says in str(caught.value)


def test_contract_names_parts_that_are_columns(tmp_path: Path) -> None:
    """A slip of the pen would read no time."""
    text = studied(tmp_path / "a.csv", parted(year=YEAR, month=MONTH)).contract
    from perenne.common import strict_yaml
    from perenne.common.contract import Contract

    with pytest.raises(PerenneError, match=r"read.time.month: 'mnoth' is not a column; did you mean 'month'"):
        parse(Contract, strict_yaml.loads(text.replace("month: month}", "month: mnoth}")), "contract.yaml")


def test_files_to_score_have_their_parts_joined(tmp_path: Path) -> None:
    """As those that were learned from; a file without them is scored, too."""
    found = contract(studied(tmp_path / "a.csv", parted(year=YEAR, month=MONTH)))
    whole, bare = tmp_path / "b.csv", tmp_path / "c.csv"
    parted(year=YEAR, month=MONTH).drop(columns="y").to_csv(whole, index=False)
    parted(month=MONTH).drop(columns="y").to_csv(bare, index=False)
    for path, columns in ((whole, ["month", "x", "z", "kind", "time"]), (bare, ["month", "x", "z", "kind"])):
        (file,) = inputs.given([path], found)
        (first, table), *_ = file.pieces(found)
        assert (first, table.column_names) == (1, columns)
    (file,) = inputs.given([whole], found)
    table = next(piece for _, piece in file.pieces(found))
    assert table["time"].to_pylist() == DAYS.strftime("%Y-%m-01").tolist()
