"""The rows that the service accepts: the contract as types, validated in C and shown in /docs."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NotRequired, Required
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import DEFAULT_REF_TEMPLATE
from pydantic_core import PydanticKnownError
from pydantic_core.core_schema import no_info_after_validator_function
from typing_extensions import TypedDict

from perenne.common.column import Column, Type, spelling
from perenne.common.contract import Contract
from perenne.common.derived import HISTORY, Derived
from perenne.common.features import needed

# The contract decides which keys a row has and what its values are: int, float, bool, str, datetime or None.
InputRow = dict[str, Any]

# What `Annotated[...]` returns. Python has no name yet for a type that is made while the program runs.
TypeForm = Any

DICT: TypeForm = TypedDict  # called with fields that only the contract knows
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
MAX_ERRORS = 20_000  # more take seconds to list
MAX_TEXT = 200  # characters of a category: the log also keeps categories that training has not seen
MAX_HISTORY = 1_000  # earlier rows that are sent with a row
EXACT = 2.0**53  # a float holds every integer below it


def category(text: str) -> str:
    """A category in the pipeline's spelling; blanks alone are not one."""
    spelled = spelling(text)
    if not spelled:
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    return spelled


def _whole(value: object) -> object:
    """A whole number as an integer, as files have it: `3.0` is 3. Everything else is returned as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def _truth(value: object) -> object:
    """A class as a boolean: 1 is true and 0 is false. Everything else is returned as it is."""
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else value


def _class_type(classes: tuple[str | int, ...]) -> TypeForm:
    """The type of one of several classes, in the pipeline's spelling. Python takes true for 1: it is none."""
    *most, last = map(repr, classes)

    def read(value: object) -> object:
        if isinstance(value, bool):
            raise PydanticKnownError("literal_error", {"expected": f"{', '.join(most)} or {last}"})
        return spelling(value) if isinstance(value, str) else _whole(value)

    # Made while the program runs: `Literal` takes the classes as they come.
    return Annotated[Literal[classes], BeforeValidator(read)]


def _words_type(column: Column, words: dict[str, bool], *, is_class: bool) -> TypeForm:
    """The type of a boolean with words of its own: they are read, and so are true and false."""
    named = column.categories
    # 1 is true and 0 is false, as for other classes, unless numbers are the words.
    numbers = {"0": False, "1": True} if is_class and not any(word.isdigit() for word in named) else {}

    def read(value: object) -> bool:
        text = spelling(str(value)).casefold() if isinstance(value, str | int | float) else ""
        found = value if isinstance(value, bool) else (numbers | words).get(text)
        if found is None or (isinstance(value, str) and text in numbers):
            raise ValueError(f"must be {' or '.join(named)}")
        return found

    # Made while the program runs: `Literal` takes the words as they come.
    shown: TypeForm = bool | Literal[named]
    return Annotated[bool, BeforeValidator(read, json_schema_input_type=shown)]


Whole = BeforeValidator(_whole, json_schema_input_type=int)
TYPES: dict[Type, TypeForm] = {
    "integer": Annotated[int, Field(ge=-(2**63), lt=2**63)],
    "number": float,
    "boolean": bool,
    "category": Annotated[str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(category)],
    "text": Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(spelling)],
}


def time(text: str, zone: str | None = None) -> datetime:
    """Read a time as the pipeline does, see `periods.times`; a date is its midnight.

    Parameters
    ----------
    text
        In ISO format; it must begin with a date such as 2021-03-31.
    zone
        The contract's. None: the reading of the clock is kept, whatever its offset.

    Returns
    -------
    datetime
        Without a zone; in UTC if the contract names one.

    Raises
    ------
    ValueError
        If the text is not such a time, or the zone's clocks skip it.

    """
    try:
        value = datetime.fromisoformat(text) if re.match(r"\d{4}-\d{2}-\d{2}", text) else None
        if value and zone:
            aware = value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone))
            moment = aware.astimezone(UTC)
            shown = moment.astimezone(aware.tzinfo)
            value = moment if shown.replace(tzinfo=None) == aware.replace(tzinfo=None) else None
    except (ValueError, OverflowError):
        value = None
    if value is None:
        skipped = f"; the clocks of {zone} may skip an hour" if zone else ""
        raise ValueError(f"must be a time such as 2021-03-31T12:00:00{skipped}")
    return value.replace(tzinfo=None)


def time_type(column: Column, zone: str | None) -> TypeForm:
    """The type of a time: a string in JSON, a datetime without a zone in Python."""
    allowed = column.moments(zone)

    def read(text: str) -> datetime:
        value = time(text, zone)
        if allowed and not allowed[0] <= value <= allowed[1]:
            raise ValueError(f"must be in the range {list(column.range or ())}")
        return value

    return Annotated[
        datetime,
        GetPydanticSchema(lambda _, handler: no_info_after_validator_function(read, handler(str))),
        WithJsonSchema({"type": "string", "format": "date-time"}),
    ]


# Of an event, whatever the contract: a string in JSON, a datetime in UTC without a zone in Python.
Time = time_type(Column(type="datetime", role=("ignored",)), "UTC")


class PredictRequest(TypedDict):
    """The body of a request for predictions, after validation."""

    rows: list[InputRow]


class PredictAdapter:
    """The validator of `{"rows": [...]}`.

    Parameters
    ----------
    contract
        Its columns are the keys of a row; times become datetimes without a zone, as batches have them.
    max_rows
        A longer list is an error of type `too_long`, an empty one of type `too_short`.

    """

    def __init__(self, contract: Contract, max_rows: int) -> None:
        self.max_rows = max_rows
        # Few callers write integers as floats, and to look for them takes twice as long as all the rest.
        quick, full = (_row(contract, whole=whole) for whole in (False, True))
        self._quick, self._full = (_request(contract, max_rows, row) for row in (quick, full))
        self._quick_list, self._full_list = _list(quick), _list(full)

    def validate_json(self, body: str | bytes) -> PredictRequest:
        """The rows of a body, or a `ValidationError`."""
        try:
            return self._quick.validate_json(body)
        except ValidationError as error:
            if error.error_count() > MAX_ERRORS:  # a flood of them takes long enough once
                raise
            return self._full.validate_json(body)

    def validate_list(self, rows: bytes) -> list[InputRow]:
        """The rows of a list in JSON, of any length, or a `ValidationError`."""
        try:
            return self._quick_list.validate_json(rows)
        except ValidationError:
            return self._full_list.validate_json(rows)

    # JSON schema is anybody's: pydantic makes it as a plain dictionary.
    def json_schema(self, ref_template: str = DEFAULT_REF_TEMPLATE) -> dict[str, Any]:
        """What a body may be."""
        return self._quick.json_schema(ref_template=ref_template)


def _row(contract: Contract, *, whole: bool) -> TypeForm:
    """The type of a row; `whole`: with floats, too, where the contract has integers."""
    columns = {
        name: _field(name, column, contract, whole=whole) for name, column in input_columns(contract).items()
    }
    if contract.remembered:
        columns[HISTORY] = _history(contract, whole=whole)
    about = contract.row[0].upper() + contract.row[1:] + "."
    return typed_dict("Row", columns, about, example(contract))


def _request(contract: Contract, max_rows: int, row: TypeForm) -> TypeAdapter[PredictRequest]:
    rows = Annotated[list[row], Field(min_length=1, max_length=max_rows)]
    return TypeAdapter(typed_dict("Request", {"rows": rows}, "Rows to score.", {"rows": [example(contract)]}))


def _list(row: TypeForm) -> TypeAdapter[list[InputRow]]:
    return TypeAdapter(list[row])


def typed_dict(name: str, fields: dict[str, TypeForm], about: str, shown: InputRow | None = None) -> TypeForm:
    """A dict with these keys and no other: faster to validate than a model.

    Parameters
    ----------
    name
        What the schema calls it.
    fields
        The type of each key.
    about
        What it is.
    shown
        An example.

    """
    made = DICT(name, fields)
    made.__doc__ = about
    made.__pydantic_config__ = {**STRICT, **({"json_schema_extra": {"example": shown}} if shown else {})}
    return made


def target_type(contract: Contract) -> TypeForm:
    """The type of the target: a class if it has classes, else a number that the contract allows."""
    column = contract.columns[contract.target]
    if contract.task.outcome == "class":
        return _class_type(contract.classes)
    if column.words:
        return _words_type(column, column.words, is_class=True)
    return (
        Annotated[bool, BeforeValidator(_truth)]
        if column.type == "boolean"
        else _type(column, contract.zone, whole=True)
    )


def input_columns(contract: Contract) -> dict[str, Column]:
    """The columns that a row may have: all but the target and the ignored ones.

    Of the derived features those that are made of earlier rows: who knows their values may send them. All
    others are made of the row.
    """
    given = [*contract.raw, *contract.remembered]
    return {
        name: contract.columns[name]
        for name in given
        if name not in contract.raw or not {"target", "ignored"} & set(contract.columns[name].role)
    }


def request_keys(contract: Contract) -> list[str]:
    """The keys that a row of a request may have."""
    return [*input_columns(contract), *([HISTORY] if contract.remembered else [])]


def _history(contract: Contract, *, whole: bool) -> TypeForm:
    """Earlier rows of the entity: a time, and what the features are made of; the target if it is known."""
    fields: dict[str, TypeForm] = {}
    for name in needed(contract):
        column = contract.columns[name]
        kind = target_type(contract) if name == contract.target else _type(column, contract.zone, whole=whole)
        fields[name] = Required[kind] if name == contract.time else NotRequired[kind | None]
    row = typed_dict("EarlierRow", fields, "An earlier row of the same entity.")
    about = (
        "earlier rows of the same entity, in any order; those that are not earlier, or name another entity, "
        "do not count. "
        "Default: those that the version knows"
    )
    many = Annotated[list[row], Field(max_length=MAX_HISTORY, description=about)]  # type: ignore[valid-type]  # made here
    return NotRequired[many]


def _field(name: str, column: Column, contract: Contract, *, whole: bool) -> TypeForm:
    """The type of a column. Features are required unless the contract allows them to be missing.

    So is what features are made of, and the time if a feature depends on it. Other columns are optional. They
    are not scored but logged, because a batch that is exported from the log needs its entities and slices.
    """
    unit = f"in {column.unit}" if column.unit else ""
    about = "; ".join(filter(None, [column.about, unit, _purpose(name, contract)]))
    kind: TypeForm = Annotated[_type(column, contract.zone, whole=whole), Field(description=about)]
    if name in contract.required and not column.missing:
        return Required[kind]
    return NotRequired[Annotated[kind | None, Field(description=about)]]


def _purpose(name: str, contract: Contract) -> str:
    if name == contract.time:
        return "the row's time; default: the time of the request"
    if name in contract.remembered:
        return "default: by the earlier rows of the entity"
    if name in contract.required or any(name in (s.by or contract.entity) for s in _looking(contract)):
        return ""
    return "logged, not used to predict"


def _looking(contract: Contract) -> list[Derived]:
    """The features that are made of earlier rows."""
    return [contract.derived[name] for name in contract.remembered]


def _type(column: Column, zone: str | None, *, whole: bool) -> TypeForm:
    if column.type == "datetime":
        return time_type(column, zone)
    if column.words:
        return _words_type(column, column.words, is_class=False)
    if column.values and column.type == "integer":
        kind: TypeForm = Literal[column.values]
    else:
        low, high = column.limits or (None, None)
        examples = list(column.categories) or None
        kind = Annotated[TYPES[column.type], Field(ge=low, le=high, examples=examples)]
    return Annotated[kind, Whole] if whole and column.type == "integer" else kind


def example(contract: Contract) -> InputRow:
    """A row that the contract allows, with values as JSON has them."""
    return {name: _example(contract.columns[name]) for name in contract.required}


def _example(column: Column) -> str | int | float | bool:
    if column.values:
        return column.values[0] if column.type == "integer" else column.categories[0]
    low, high = column.limits or (0, 2)
    match column.type:
        case "number":
            return (low + high) / 2
        case "integer":
            return int(low + high) // 2
        case "boolean":
            return False
        case "datetime":
            return str(column.range[0]) if column.range else "2021-03-31"
        case _:
            return "A"
