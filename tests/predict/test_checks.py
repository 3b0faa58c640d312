"""What is read of a row, and which rules it breaks."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pydantic import ValidationError

from perenne.cases.source import NULLABLE
from perenne.common import batches
from perenne.common.contract import Contract
from perenne.predict.checks import checked, plain
from perenne.serving.rows import PredictAdapter
from tests import tiny

ROW = {
    "id": "1",
    "seen": "2021-03-28T01:30",
    "size": "2.5",
    "colour": "red",
    "adult": "true",
    "member": "2020-12-31",
}
NOT_LISTED = "green"


def broken(contract: Contract, **values: Any) -> list[str]:
    """Return the rules that a row breaks."""
    _, cells = checked(pd.DataFrame([ROW | values], dtype="object"), contract, contract.zone)
    return (cells["column"] + ": " + cells["rule"]).tolist()


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ({}, []),
        ({"size": None, "member": None}, []),
        ({"colour": NOT_LISTED}, []),
        ({"id": None}, ["id: missing"]),
        ({"adult": None}, ["adult: missing"]),
        ({"seen": None}, ["seen: missing"]),
        ({"size": "100"}, []),
        ({"size": "100.1"}, ["size: range"]),
        ({"size": "inf"}, ["size: type"]),
        ({"size": "-1", "adult": "perhaps"}, ["adult: type", "size: range"]),
        ({"member": "2121-01-01"}, []),
        ({"colour": "x" * 201}, ["colour: longer than 200 characters"]),
        ({"colour": "x" * 200}, []),
    ],
)
def test_rules(values: dict[str, Any], rules: list[str]) -> None:
    """Types, missing values and ranges; a category that is not listed breaks none."""
    assert sorted(broken(tiny.contract(), **values)) == rules


def test_listed_integers_are_all_there_are() -> None:
    """They are no categories: a model takes them for numbers."""
    contract = tiny.contract(
        "number, role: feature, range: [0, 100]", "integer, role: feature, values: [1, 2]"
    )
    assert broken(contract, size="2.0") == []
    assert broken(contract, size="3") == ["size: category"]


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
@pytest.mark.parametrize(
    "time", ["2021-03-28T01:30", "2021-03-28T02:30", "2021-03-28T02:30+05:00", "2021-03-28", "28.3.2021"]
)
def test_times_are_read_as_the_service_reads_them(zone: str | None, time: str) -> None:
    """In the contract's zone, where clocks skip an hour too."""
    contract = tiny.contract("label_delay: 0", f"label_delay: 0\nzone: {zone}") if zone else tiny.contract()
    row = {"id": 1, "seen": time, "size": 2.5, "colour": "red", "adult": True, "member": None}
    frame, cells = checked(pd.DataFrame([row], dtype="object"), contract, contract.zone)
    try:
        (served,) = PredictAdapter(contract, 1).validate_json(json.dumps({"rows": [row]}))["rows"]
    except ValidationError:
        assert cells["rule"].tolist() == ["type"]
    else:
        assert cells.empty
        assert frame["seen"][0] == served["seen"]


TYPED = {
    "id": 1,
    "seen": datetime(2021, 3, 28, 1, 30),
    "size": 2.5,
    "colour": "red",
    "adult": True,
    "member": datetime(2020, 12, 31),
}


def arrived(contract: Contract, **values: Any) -> pa.Table:
    """Return two rows in the contract's types: a good one, and one with other values."""
    names = [name for name in contract.raw if name != contract.target]
    return pa.Table.from_pylist([TYPED, TYPED | values], schema=batches.schema(contract, names))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"size": None, "member": None},
        {"colour": NOT_LISTED},
        {"size": 100.0},
        {"member": datetime(2121, 1, 1)},
        {"colour": "x" * 200},
    ],
)
def test_plain_rows_are_what_a_closer_look_makes_of_them(values: dict[str, Any]) -> None:
    """In the same types, without a broken rule: so they need none."""
    contract = tiny.contract()
    table = arrived(contract, **values)
    assert plain(table, contract, None)
    frame, cells = checked(table.to_pandas(types_mapper=NULLABLE.get), contract, None)
    assert cells.empty
    pd.testing.assert_frame_equal(batches.to_frame(table), frame)


@pytest.mark.parametrize(
    "values",
    [
        {"id": None},
        {"adult": None},
        {"colour": None},
        {"size": 100.1},
        {"size": math.inf},
        {"size": math.nan},
        {"colour": "x" * 201},
        {"colour": " red"},
        {"colour": ""},
    ],
)
def test_rows_that_may_break_a_rule_are_not_plain(values: dict[str, Any]) -> None:
    """Nor are those with a value that is written otherwise."""
    contract = tiny.contract()
    assert not plain(arrived(contract, **values), contract, None)


def test_listed_integers_and_clocks_and_types_are_looked_at() -> None:
    """Times without an offset are read by the clocks of a zone; other types are read first."""
    contract = tiny.contract(
        "number, role: feature, range: [0, 100]", "integer, role: feature, values: [1, 2]"
    )
    assert plain(arrived_whole(2), contract, None)
    assert not plain(arrived_whole(3), contract, None)
    assert not plain(arrived(tiny.contract()), tiny.contract(), "Europe/Paris")
    texts = arrived(tiny.contract()).cast(pa.schema([(n, pa.string()) for n in TYPED]))
    assert not plain(texts, tiny.contract(), None)


def arrived_whole(size: int) -> pa.Table:
    """Return rows whose size is an integer."""
    table = arrived(tiny.contract())
    place = table.column_names.index("size")
    return table.set_column(place, pa.field("size", pa.int64()), pa.array([1, size]))
