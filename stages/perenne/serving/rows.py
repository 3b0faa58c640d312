"""The rows that the service takes: the contract as types, checked in C, and as the JSON schema in /docs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, Required

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, WithJsonSchema
from typing_extensions import TypedDict

from perenne.common.contract import Column, Contract

Row = dict[str, Any]

DICT: Any = TypedDict  # a type that is known when the contract is
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
MOST_TEXT = 200  # characters of a category: one never seen is kept in the log
TYPES: dict[str, Any] = {
    "integer": Annotated[int, Field(ge=-(2**63), lt=2**63)],
    "number": float,
    "boolean": bool,
    "category": Annotated[str, Field(min_length=1, max_length=MOST_TEXT)],
    "text": Annotated[str, Field(max_length=MOST_TEXT)],
}


def time(text: str) -> datetime:
    """A time as the pipeline reads it: one with a zone in UTC, a date as its first moment."""
    try:
        value = datetime.fromisoformat(text) if re.match(r"\d{4}-\d{2}-\d{2}", text) else None
        if value and value.tzinfo:
            value = value.astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        value = None
    if value is None:
        raise ValueError("must be a time such as 2021-03-31T12:00:00")
    return value


Time = Annotated[str, AfterValidator(time), WithJsonSchema({"type": "string", "format": "date-time"})]


def requests(contract: Contract, most: int) -> TypeAdapter[Any]:
    """What reads the body of a request: `{"rows": [...]}`, at most `most` of them."""
    columns = {name: _field(name, column, contract) for name, column in asked(contract).items()}
    row = _typed("Row", columns, contract.row[0].upper() + contract.row[1:] + ".", example(contract))
    rows = Annotated[list[row], Field(min_length=1, max_length=most)]  # type: ignore[valid-type]  # made here
    return TypeAdapter(_typed("Request", {"rows": rows}, "Rows to be scored.", {"rows": [example(contract)]}))


def _typed(name: str, fields: dict[str, Any], about: str, shown: Row) -> Any:
    """A dict with these keys and no other: read quicker than a model."""
    made = DICT(name, fields)
    made.__doc__ = about
    made.__pydantic_config__ = {**STRICT, "json_schema_extra": {"example": shown}}
    return made


def asked(contract: Contract) -> dict[str, Column]:
    """The columns that a caller may name: the target is what is asked for, and what is ignored has no use."""
    return {
        n: column for n, column in contract.columns.items() if not {"target", "ignored"} & set(column.role)
    }


def _field(name: str, column: Column, contract: Contract) -> Any:
    """A column as a type: features must be there unless they may be missing; others are kept, if given.

    What is no feature is not scored, but the log holds it, and so can what is made of the log: a batch needs
    its entities and slices. A model that looks at dates needs the row's own as well.
    """
    unit = f"in {column.unit}" if column.unit else ""
    told = "; ".join(filter(None, [column.about, unit, _use(name, column, contract)]))
    kind: Any = Annotated[_type(column), Field(description=told)]
    needed = "feature" in column.role or (name == contract.time and _dated(contract))
    if needed and not column.missing:
        return Required[kind]
    return NotRequired[Annotated[kind | None, Field(description=told)]]


def _use(name: str, column: Column, contract: Contract) -> str:
    if name == contract.time:
        return "the row's time, by default that of the request"
    return "" if "feature" in column.role else "kept in the log, never used to predict"


def _type(column: Column) -> Any:
    if column.type == "datetime":
        return Time
    if column.values and column.type == "integer":
        return Literal[column.values]
    limits: dict[str, Any] = {"ge": column.range[0], "le": column.range[1]} if column.range else {}
    if column.values:
        limits |= {"examples": list(map(str, column.values))}
    return Annotated[TYPES[column.type], Field(**limits)]


def _dated(contract: Contract) -> bool:
    return any(contract.columns[name].type == "datetime" for name in contract.features)


def example(contract: Contract) -> Row:
    """A row that the contract allows, as JSON holds it."""
    return {
        name: _example(column)
        for name, column in contract.columns.items()
        if "feature" in column.role or (name == contract.time and _dated(contract))
    }


def _example(column: Column) -> Any:
    if column.values:
        return str(column.values[0]) if column.type == "category" else column.values[0]
    low, high = column.range or (0, 2)
    match column.type:
        case "number":
            return (low + high) / 2
        case "integer":
            return int(low + high) // 2
        case "boolean":
            return False
        case "datetime":
            return "2021-03-31"
        case _:
            return "A"
