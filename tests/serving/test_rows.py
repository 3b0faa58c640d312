"""Requests must match the contract exactly."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from perenne.common import periods
from perenne.common.contract import Contract, read_contract
from perenne.serving.problems import problems
from perenne.serving.rows import InputRow, PredictAdapter, example
from tests import tiny
from tests.project import ROOT

GOOD = {
    "seen": "2021-03-01",
    "size": 1.5,
    "colour": "red",
    "adult": True,
    "member": "2020-12-31T00:00:00+01:00",
}


def read(row: dict[str, Any], contract: Contract | None = None) -> InputRow:
    """Return a row as the service reads it, or raise."""
    adapter = PredictAdapter(contract or tiny.contract(), 3)
    return adapter.validate_json(json.dumps({"rows": [row]}))["rows"][0]


def problem(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return the field and the kind of the only problem of a row."""
    with pytest.raises(ValidationError) as caught:
        read(row)
    (error,) = caught.value.errors()
    return (*error["loc"][2:], error["type"])


@pytest.mark.parametrize("case", ["retirement", "flights"])
def test_example_is_a_row_of_the_contract(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example in /docs is valid; the schema has every column that a row may have, and its unit."""
    monkeypatch.chdir(ROOT)
    contract = read_contract(case)
    read(example(contract), contract)
    schema = PredictAdapter(contract, 3).json_schema()["$defs"]["Row"]
    assert set(schema["properties"]) == set(contract.columns) - {contract.target}
    assert set(schema["required"]) == {n for n in contract.features if not contract.columns[n].missing}
    assert schema["additionalProperties"] is False
    unit, name = ("EUR of 2013 a year", "salary") if case == "retirement" else ("miles", "distance")
    assert unit in schema["properties"][name]["description"]


def test_row_is_read_as_the_pipeline_has_it() -> None:
    """Times are what the clock shows, a date is midnight; a value that may be missing is left out or null."""
    row = read(GOOD)
    assert row["member"] == datetime(2020, 12, 31)
    assert row["seen"] == datetime(2021, 3, 1)
    assert "size" not in read({k: v for k, v in GOOD.items() if k != "size"})
    assert read(GOOD | {"size": None, "id": 7})["id"] == 7


@pytest.mark.parametrize("value", [3.0, -3.0, 2.0**53 - 1])
def test_whole_number_is_an_integer(value: float) -> None:
    """As it is in a file, where a column with a missing value holds floats."""
    read_as = read(GOOD | {"id": value})["id"]
    assert (read_as, type(read_as)) == (value, int)
    values = tiny.contract(
        "size: {type: number, role: feature, range: [0, 100]",
        "size: {type: integer, role: feature, values: [3, 4]",
    )
    assert type(read(GOOD | {"size": 3.0}, values)["size"]) is int


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris", "America/New_York"])
@pytest.mark.parametrize(
    "text",
    [
        "2022-03-20",
        "2022-03-20T11:00",
        "2022-03-20T11:00+01:00",
        "2022-03-20T11:00:00Z",
        "2022-03-27T02:30",
        "2022-10-30T02:30",
        "2022-10-30T02:30+02:00",
        "2022-10-30T02:30+01:00",
        "0001-01-01T00:00:00+01:00",
        "1900-01-01",
    ],
)
def test_time_is_what_it_is_in_a_file(text: str, zone: str | None) -> None:
    """Service and pipeline read the same moment, or both refuse it: also when clocks change."""
    contract = tiny.contract("label_delay: 0", f"label_delay: 0\nzone: {zone}") if zone else tiny.contract()
    expected = periods.times(pd.Series([text]), zone)[0]
    if expected is pd.NaT:
        with pytest.raises(ValidationError):
            read(GOOD | {"member": text}, contract)
    else:
        assert read(GOOD | {"member": text}, contract)["member"] == expected


def test_range_of_a_time_is_kept() -> None:
    """What validation would quarantine is refused; the last day of the range is in it."""
    ranged = tiny.contract("role: time", "role: time, range: [2021-01-01, 2021-04-30]")
    assert read(GOOD | {"seen": "2021-04-30T23:59"}, ranged)["seen"] == datetime(2021, 4, 30, 23, 59)
    for text in ("2021-05-01", "2020-12-31T23:59", "2121-03-01"):
        with pytest.raises(ValidationError, match="must be in the range"):
            read(GOOD | {"seen": text}, ranged)


def test_unseen_category_is_accepted() -> None:
    """The contract lists the values that were seen; others are scored and flagged."""
    assert read(GOOD | {"colour": "mauve"})["colour"] == "mauve"


@pytest.mark.parametrize("text", ["red ", "\tred", "\u00a0red\u2003"])
def test_category_is_spelled_as_in_the_pipeline(text: str) -> None:
    """Blanks around it, a whole number's decimals and how characters are composed do not matter."""
    assert read(GOOD | {"colour": text})["colour"] == "red"
    rows = tiny.contract("[red, blue]", "[1, caf\u00e9]")
    spelled = [read(GOOD | {"colour": text}, rows)["colour"] for text in ("1.0", "cafe\u0301", "01")]
    assert spelled == ["1", "caf\u00e9", "01"]
    assert example(rows)["colour"] == "1"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"colour": None}, ("colour", "string_type")),
        ({"colour": 3}, ("colour", "string_type")),
        ({"colour": ""}, ("colour", "string_too_short")),
        ({"colour": "\u2003 "}, ("colour", "string_too_short")),
        ({"colour": "x" * 201}, ("colour", "string_too_long")),
        ({"size": "1.5"}, ("size", "float_type")),
        ({"size": True}, ("size", "float_type")),
        ({"size": 101}, ("size", "less_than_equal")),
        ({"size": -0.1}, ("size", "greater_than_equal")),
        ({"adult": 1}, ("adult", "bool_type")),
        ({"id": 2**63}, ("id", "less_than")),
        ({"id": 1.5}, ("id", "int_type")),
        ({"id": 2.0**53}, ("id", "int_type")),
        ({"id": "3"}, ("id", "int_type")),
        ({"id": True}, ("id", "int_type")),
        ({"member": "yesterday"}, ("member", "value_error")),
        ({"member": 5}, ("member", "string_type")),
        ({"seen": None}, ("seen", "string_type")),
        ({"won": 1}, ("won", "extra_forbidden")),
        ({"sise": 1}, ("sise", "extra_forbidden")),
    ],
)
def test_invalid_value_is_named(change: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """The column and the kind of error; values are not converted, and the target is not accepted."""
    assert problem(GOOD | change) == expected


@pytest.mark.parametrize("name", ["colour", "adult", "seen"])
def test_missing_feature_is_named(name: str) -> None:
    """So is the row's time, if a feature is a date: it counts from that time."""
    assert problem({k: v for k, v in GOOD.items() if k != name}) == (name, "missing")


WORDS = tiny.contract("adult: {type: boolean", "adult: {type: boolean, values: [minor, Adult]")


@pytest.mark.parametrize(
    ("value", "stored"),
    [("minor", False), ("Adult", True), (" adult", True), ("true", True), (True, True), (False, False)],
)
def test_boolean_takes_its_words(value: object, stored: bool) -> None:  # noqa: FBT001 -- a parameter
    """Those of the contract, and true and false; what is scored and logged is a boolean."""
    assert read(GOOD | {"adult": value}, WORDS)["adult"] is stored


@pytest.mark.parametrize("value", ["yes", "", 1, 0, 1.5, None, [], {"adult": True}, "x" * 10_000])
def test_other_words_are_refused_with_those_that_would_do(value: object) -> None:
    """The answer of the service is that of `validate`."""
    with pytest.raises(ValidationError) as caught:
        read(GOOD | {"adult": value}, WORDS)
    answer = json.loads(bytes(problems(caught.value, "rows", WORDS.columns).body))
    (error,) = answer["errors"]
    assert (error["row"], error["field"]) == (0, "adult")
    assert error["problem"].startswith(f"found {repr(value)[:9]}")
    assert error["problem"].endswith(", must be minor or Adult")


def test_document_shows_the_words() -> None:
    """The example uses one, and the schema has both beside true and false."""
    assert example(WORDS)["adult"] == "minor"
    read(example(WORDS), WORDS)
    shown = PredictAdapter(WORDS, 3).json_schema()["$defs"]["Row"]["properties"]["adult"]
    assert {"type": "boolean"} in shown["anyOf"]
    assert {"enum": ["minor", "Adult"], "type": "string"} in shown["anyOf"]


def test_infinity_is_rejected() -> None:
    """JSON has no such value, but Python writes it."""
    adapter = PredictAdapter(tiny.contract(), 3)
    for value in ("NaN", "Infinity", "1e999"):
        with pytest.raises(ValidationError):
            adapter.validate_json(json.dumps({"rows": [GOOD]}).replace("1.5", value))


@pytest.mark.parametrize("rows", [0, 4])
def test_number_of_rows_is_limited(rows: int) -> None:
    """At least one, at most `max_rows`."""
    with pytest.raises(ValidationError, match="too_short" if rows == 0 else "too_long"):
        PredictAdapter(tiny.contract(), 3).validate_json(json.dumps({"rows": [GOOD] * rows}))
