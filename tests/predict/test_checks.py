"""What is read of a row, and which rules it breaks."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from perenne.common.contract import Contract
from perenne.predict.checks import checked
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
