"""Outcomes must be what the contract allows, and known by now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic_core import to_json

from perenne.common.contract import Contract
from perenne.serving.labels import LabelRequest, as_labels, label_adapter
from perenne.serving.log import SKEW, Label
from tests import classes, tiny

TARGET = "won: {type: integer, role: target, values: [0, 1]}"
BOOLEAN = "won: {type: boolean, role: target}"
WORDS = "won: {type: boolean, role: target, values: [good, bad]}"
NUMBERS = "won: {type: boolean, role: target, values: [1, 2]}"
AMOUNT = "won: {type: number, role: target, range: [0, 10]}"
COUNT = "won: {type: integer, role: target, range: [0, 10]}"


def contract(target: str) -> Contract:
    """Return the tiny contract with another target."""
    task = "binary" if target in (TARGET, BOOLEAN, WORDS, NUMBERS) else "regression"
    return tiny.contract(TARGET, target, tiny.CONTRACT.replace("task: binary", f"task: {task}"))


def read(outcome: dict[str, Any], target: str = TARGET) -> Label:
    """Return an outcome as the service reads it, or raise."""
    adapter = label_adapter(contract(target), 3)
    (label,) = as_labels(adapter.validate_json(to_json({"labels": [outcome]}))["labels"])
    return label


@pytest.mark.parametrize(
    ("target", "value", "stored"),
    [
        (TARGET, 0, 0),
        (TARGET, 1.0, 1),
        (BOOLEAN, True, 1),
        (BOOLEAN, 0, 0),
        (BOOLEAN, 1.0, 1),
        (WORDS, "good", 0),
        (WORDS, "BAD", 1),
        (WORDS, True, 1),
        (WORDS, 0, 0),
        (WORDS, 1.0, 1),
        (NUMBERS, 1, 0),
        (NUMBERS, 2.0, 1),
        (NUMBERS, "2", 1),
        (NUMBERS, False, 0),
        (AMOUNT, 10, 10),
        (AMOUNT, 0.5, 0.5),
        (COUNT, 3.0, 3),
    ],
)
def test_value_of_the_target_is_stored(target: str, value: object, stored: float) -> None:
    """As a number; a class may be written as files have it."""
    label = read({"id": "a", "value": value}, target)
    assert (label.value, type(label.value)) == (stored, float)


@pytest.mark.parametrize(
    ("target", "values"),
    [
        (TARGET, [0.5, 1e308, -7, 2, "1", None]),
        (BOOLEAN, [0.5, 2, -1, "true", None]),
        (WORDS, [0.5, 2, "1", "yes", "", None]),
        (NUMBERS, [0, 3, 1.5, "x", None]),
        (AMOUNT, [10.5, -0.1, 1e308, True, "1", None]),
        (COUNT, [0.5, 11, -1, True]),
    ],
)
def test_what_the_target_cannot_be_is_refused(target: str, values: list[Any]) -> None:
    """By the contract: classes, range and type."""
    for value in values:
        with pytest.raises(ValidationError):
            read({"id": "a", "value": value}, target)


INTEGERS = "integer, role: target, values: [3, 1, 2]"


@pytest.mark.parametrize(
    ("target", "value", "stored"),
    [
        ("category, role: target, values: [wheat, maize, rye]", " maize ", "maize"),
        ("category, role: target, values: [1, 2, 3]", "3", "3"),
        ("category, role: target, values: [1, 2, 3]", "3.0", "3"),
        (INTEGERS, 2, "2"),
        (INTEGERS, 2.0, "2"),
    ],
)
def test_class_is_stored_as_a_text(target: str, value: object, stored: str) -> None:
    """Not as its place: a later contract may list others before it."""
    (label,) = as_labels(of_crops(target, value)["labels"])
    assert label.value == stored


@pytest.mark.parametrize(
    ("target", "values", "line"),
    [
        (
            "category, role: target, values: [wheat, maize, rye]",
            ["oats", "", 0, 1.5, None, True],
            "'wheat', 'maize' or 'rye'",
        ),
        (INTEGERS, [0, 4, "1", 1.5, None, True], "3, 1 or 2"),
    ],
)
def test_what_is_no_class_is_refused(target: str, values: list[Any], line: str) -> None:
    """One error that names all of them."""
    for value in values:
        with pytest.raises(ValidationError, match=f"1 validation error .*\n.*\n  Input should be {line}"):
            of_crops(target, value)


def of_crops(target: str, value: object) -> LabelRequest:
    """Return a label of the crops as the service reads it, or raise."""
    contract = classes.contract("category, role: target, values: [wheat, maize, rye]", target)
    return label_adapter(contract, 3).validate_json(to_json({"labels": [{"id": "a", "value": value}]}))


def test_infinite_value_is_refused() -> None:
    """Python writes such values, and a target without a range has no limit that would exclude them."""
    adapter = label_adapter(contract("won: {type: number, role: target}"), 3)
    for value in ("NaN", "Infinity", "1e999"):
        with pytest.raises(ValidationError):
            adapter.validate_json(f'{{"labels": [{{"id": "a", "value": {value}}}]}}')


def test_time_in_the_future_is_refused() -> None:
    """Nothing known later could ever correct it. A clock may be some minutes ahead."""
    now = datetime.now(UTC)
    for at in ("9999-12-31", (now + SKEW + timedelta(minutes=5)).isoformat()):
        with pytest.raises(ValidationError, match="must not be in the future"):
            read({"id": "a", "value": 1, "at": at})
    ahead = now + SKEW / 2
    assert read({"id": "a", "value": 1, "at": ahead.isoformat()}).at == ahead
    assert now <= read({"id": "a", "value": 1}).at <= datetime.now(UTC)
