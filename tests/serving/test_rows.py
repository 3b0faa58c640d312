"""Requests: the contract, to the letter, and nothing else."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from perenne.common.contract import Contract, read_contract
from perenne.serving.rows import Row, example, requests
from tests import tiny
from tests.project import ROOT

GOOD = {
    "seen": "2021-03-01",
    "size": 1.5,
    "colour": "red",
    "adult": True,
    "member": "2020-12-31T01:00:00+01:00",
}


def read(row: dict[str, Any], contract: Contract | None = None) -> Row:
    """Return a row as the service reads it."""
    found: list[Row] = requests(contract or tiny.contract(), 3).validate_json(json.dumps({"rows": [row]}))[
        "rows"
    ]
    return found[0]


def problem(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return where the only problem of a row is, and of what kind."""
    with pytest.raises(ValidationError) as caught:
        read(row)
    (error,) = caught.value.errors()
    return (*error["loc"][2:], error["type"])


@pytest.mark.parametrize("case", ["retirement", "flights"])
def test_example_is_a_row_of_the_contract(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What /docs shows can be sent as it is; the schema tells every column that may be said, and its unit."""
    monkeypatch.chdir(ROOT)
    contract = read_contract(case)
    read(example(contract), contract)
    schema = requests(contract, 3).json_schema()["$defs"]["Row"]
    assert set(schema["properties"]) == set(contract.columns) - {contract.target}
    assert set(schema["required"]) == {n for n in contract.features if not contract.columns[n].missing}
    assert schema["additionalProperties"] is False
    unit, name = ("EUR of 2013 a year", "salary") if case == "retirement" else ("miles", "distance")
    assert unit in schema["properties"][name]["description"]


def test_row_is_read_as_the_pipeline_has_it() -> None:
    """Times count in UTC, a date is its first moment, what may be missing may be left out or null."""
    row = read(GOOD)
    assert row["member"] == datetime(2020, 12, 31)
    assert row["seen"] == datetime(2021, 3, 1)
    assert "size" not in read({k: v for k, v in GOOD.items() if k != "size"})
    assert read(GOOD | {"size": None, "id": 7})["id"] == 7


def test_category_never_seen_is_taken() -> None:
    """It is scored and flagged; the contract's values are those that were seen."""
    assert read(GOOD | {"colour": "mauve"})["colour"] == "mauve"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"colour": None}, ("colour", "string_type")),
        ({"colour": 3}, ("colour", "string_type")),
        ({"colour": ""}, ("colour", "string_too_short")),
        ({"colour": "x" * 201}, ("colour", "string_too_long")),
        ({"size": "1.5"}, ("size", "float_type")),
        ({"size": True}, ("size", "float_type")),
        ({"size": 101}, ("size", "less_than_equal")),
        ({"size": -0.1}, ("size", "greater_than_equal")),
        ({"adult": 1}, ("adult", "bool_type")),
        ({"id": 2**63}, ("id", "less_than")),
        ({"id": 1.5}, ("id", "int_type")),
        ({"member": "yesterday"}, ("member", "value_error")),
        ({"member": 5}, ("member", "string_type")),
        ({"member": "0001-01-01T00:00:00+01:00"}, ("member", "value_error")),
        ({"seen": None}, ("seen", "string_type")),
        ({"won": 1}, ("won", "extra_forbidden")),
        ({"sise": 1}, ("sise", "extra_forbidden")),
    ],
)
def test_what_the_contract_does_not_allow_is_named(change: dict[str, Any], found: tuple[Any, ...]) -> None:
    """The column and what is wrong; no value is bent to fit, and the target is not for callers to say."""
    assert problem(GOOD | change) == found


@pytest.mark.parametrize("name", ["colour", "adult", "seen"])
def test_feature_that_must_be_there_is_missed(name: str) -> None:
    """And so is the row's own time, where a feature is a date that counts from it."""
    assert problem({k: v for k, v in GOOD.items() if k != name}) == (name, "missing")


def test_infinity_is_no_number() -> None:
    """JSON has no such value, but Python writes one."""
    adapter: TypeAdapter[Any] = requests(tiny.contract(), 3)
    for value in ("NaN", "Infinity", "1e999"):
        with pytest.raises(ValidationError):
            adapter.validate_json(json.dumps({"rows": [GOOD]}).replace("1.5", value))


@pytest.mark.parametrize("rows", [0, 4])
def test_number_of_rows_is_limited(rows: int) -> None:
    """None is no question, and too many are for several requests."""
    with pytest.raises(ValidationError, match="too_short" if rows == 0 else "too_long"):
        requests(tiny.contract(), 3).validate_json(json.dumps({"rows": [GOOD] * rows}))
