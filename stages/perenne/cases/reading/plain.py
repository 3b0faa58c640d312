"""Columns as batches have them: of one of a few plain types, whatever the file's own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from perenne.common.errors import PerenneError, hint
from perenne.common.reading import Read

PIECE = 16 * 2**20  # bytes of CSV, or rows of other files times 256, read at a time
NESTED = (dict, list, tuple, set)


def rows_a_piece() -> int:
    """How many rows of a file that is not read by bytes make a piece."""
    return max(1, PIECE // 256)


def one_line(error: Exception) -> str:
    """What an error of a library says, in one line."""
    return " ".join(str(error).split())


def check(name: str, header: Sequence[str], needed: Iterable[str], more: str = "") -> None:
    """Refuse a file that lacks a column or has it twice.

    Parameters
    ----------
    name
        What errors call the file.
    header
        The names of its columns.
    needed
        Those that it must have, each once.
    more
        What a missing column may be due to, as the end of a sentence.

    """
    for column in needed:
        if column not in header:
            raise PerenneError(f"{name}: no column {column!r}; {hint(column, header)}{more}")
        if header.count(column) > 1:
            raise PerenneError(f"{name}: {header.count(column)} columns have the name {column!r}; keep one")


def plain(values: pa.ChunkedArray, name: str, read: Read) -> pa.ChunkedArray:
    """Values as one of the few types that batches are made of: integer, number, boolean, time, text.

    A decimal is text until the contract says what it is: as a float, two long identifiers could be one. That
    text is written as the file's other numbers are.

    Parameters
    ----------
    values
        Of any type.
    name
        What errors call the column.
    read
        How texts of the file are written.

    Raises
    ------
    PerenneError
        If the values are of none of these types, or do not fit into one.

    """
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    to = pa.string()
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        to = pa.int64()
    elif pa.types.is_floating(kind):
        to = pa.float64()
    elif pa.types.is_boolean(kind) or pa.types.is_null(kind):
        to = kind
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        to = pa.timestamp("us", getattr(kind, "tz", None))
    if pa.types.is_duration(kind):  # of which unit a number would be, nobody could see
        raise PerenneError(f"{name}: is {values.type}; use a number, a boolean, a time or text")
    options = pc.CastOptions(to, allow_time_truncate=True, allow_float_truncate=True)
    try:
        given = values.cast(kind).cast(options=options)
        given.validate(full=True)
    except pa.ArrowException as error:
        raise PerenneError(
            f"{name}: is {values.type}; use a number, a boolean, a time or text: {one_line(error)[:200]}"
        ) from error
    if not pa.types.is_decimal(kind):
        return given
    return pc.replace_substring(pc.replace_substring_regex(given, r"\.0+$", ""), ".", read.decimal)


def column(values: Sequence[object], name: str, read: Read, first: int = 1) -> pa.ChunkedArray:
    """Python's values as a column: of one type if they have one, else as text.

    Parameters
    ----------
    values
        None and NaN are missing.
    name
        What errors call the file and the column.
    read
        How texts of the file are written: a number among texts is written so.
    first
        The number of the first row.

    Raises
    ------
    PerenneError
        Names the row if a value is nested, such as a list.

    """
    kinds = {type(value) for value in values} - {type(None)}
    if any(issubclass(kind, NESTED) for kind in kinds):
        row, value = next((n, v) for n, v in enumerate(values, first) if isinstance(v, NESTED))
        raise PerenneError(
            f"{name}: row {row}: {value!r:.80} is a value within a value; use a number, a boolean or text"
        )
    if len(kinds) <= 1 or kinds == {int, float}:
        try:
            return plain(pa.chunked_array([pa.array(values, from_pandas=True)]), name, read)
        except (pa.ArrowException, OverflowError):
            pass  # an integer that no type of Arrow holds: its digits are kept
    return pa.chunked_array([pa.array([_text(value, read) for value in values], pa.string())])


def _text(value: object, read: Read) -> str | None:
    """A value among values of other types, as Arrow would write it."""
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case float():
            text: str = pa.scalar(value).cast(pa.string()).as_py()
            return None if math.isnan(value) else text.replace(".", read.decimal)
        case datetime():
            return value.isoformat(" ", "microseconds")
        case _:
            return str(value)


def extended(table: pa.Table, more: dict[str, pa.Array]) -> pa.Table:
    """The table with more columns."""
    for name, values in more.items():
        table = table.append_column(name, values)
    return table


def replaced(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    """The table with other values in a column."""
    return table.set_column(table.schema.get_field_index(name), name, values)
