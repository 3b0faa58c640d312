"""JSON: a list of objects, an object of columns, or an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from perenne.cases.reading import encoded, plain
from perenne.cases.reading.packed import DAMAGED, Part
from perenne.common.errors import PerenneError
from perenne.common.reading import Read

LINES = (".jsonl", ".ndjson")
WANTED = 'must be a list of objects, such as [{"id": 1}], or an object of columns, such as {"id": [1]}'
BY_LINE = "an object a line has the ending .jsonl; else it " + WANTED

# A row of a JSON file: its keys are anybody's.
Row = dict[str, Any]


def header(part: Part, read: Read) -> list[str]:
    """The names of the columns: the keys of all rows, in order of their appearance.

    Raises
    ------
    PerenneError
        If the file is not JSON, or not of rows.

    """
    names: dict[str, None] = {}
    for rows in _read(part, read):
        names |= _names(rows)
    return list(names)


def pieces(part: Part, read: Read, columns: list[str] | None, needed: list[str]) -> Iterator[pa.Table]:
    """The rows in pieces, with the types that JSON has; see `delimited.pieces`.

    A key that a row lacks is a missing value; one that all rows of a file lack is a missing column.
    """
    only = columns or header(part, read)
    seen: dict[str, None] = {}
    first = 1
    for rows in _read(part, read):
        seen |= _names(rows)
        values = {name: [row.get(name) for row in rows] for name in only}
        named = {name: f"{part.name}: column {name!r}" for name in only}
        yield pa.table({name: plain.column(values[name], named[name], read, first) for name in only})
        first += len(rows)
    if seen:  # no rows: a period without any
        plain.check(part.name, list(seen), needed)


def _names(rows: list[Row]) -> dict[str, None]:
    names: dict[str, None] = {}
    for row in rows:
        if row.keys() - names.keys():
            names |= dict.fromkeys(row)
    return names


def _read(part: Part, read: Read) -> Iterator[list[Row]]:
    try:
        with part.open() as file:
            if part.kind in LINES:
                yield from _by_line(part, encoded.decoded(encoded.lines(file, read), part.name, read))
            else:
                yield _rows(part, json.loads(encoded.whole(file, part.name, read), object_pairs_hook=_once))
    except json.JSONDecodeError as error:
        wanted = BY_LINE if error.msg == "Extra data" else WANTED
        raise PerenneError(f"{part.name}: line {error.lineno}: not JSON: {error.msg}; {wanted}") from error
    except (ValueError, RecursionError, *DAMAGED) as error:
        raise PerenneError(f"{part.name}: {plain.one_line(error) or 'nested too deeply'}") from error


def _by_line(part: Part, lines: Iterator[str]) -> Iterator[list[Row]]:
    numbered = enumerate(map(str.strip, lines), 1)
    while some := list(islice(numbered, plain.rows_a_piece())):
        yield [_row(part, number, text) for number, text in some if text]


def _row(part: Part, number: int, text: str) -> Row:
    try:
        row = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise PerenneError(
            f"{part.name}: line {number}: not JSON: {error.msg}, found {text[:80]!r}; must be an object, "
            'such as {"id": 1}'
        ) from error
    if not isinstance(row, dict):
        raise PerenneError(
            f'{part.name}: line {number}: found {text:.80}, must be an object, such as {{"id": 1}}'
        )
    return row


def _once(pairs: list[tuple[str, Any]]) -> Row:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(key for n, (key, _) in enumerate(pairs) if key in dict(pairs[:n]))
        raise ValueError(f"an object has the key {twice!r} twice; keep one")
    return row


def _rows(part: Part, content: Any) -> list[Row]:
    """The rows of a list of objects or of an object of columns."""
    if isinstance(content, list):
        for number, row in enumerate(content, 1):
            if not isinstance(row, dict):
                raise PerenneError(f"{part.name}: row {number}: found {json.dumps(row):.80}; {WANTED}")
        return content
    columns = list(content.values()) if isinstance(content, dict) else []
    if columns and all(isinstance(values, dict) for values in columns):  # as pandas writes them
        index = dict.fromkeys(key for values in columns for key in values)
        return [{name: values.get(key) for name, values in content.items()} for key in index]
    if not columns or not all(isinstance(values, list) for values in columns):
        raise PerenneError(f"{part.name}: found {json.dumps(content):.80}; {WANTED}")
    begins, length = next(iter(content)), len(columns[0])
    for name, values in content.items():
        if len(values) != length:
            raise PerenneError(
                f"{part.name}: column {name!r}: has {len(values)} values, but {begins!r} has {length}"
            )
    return [dict(zip(content, row, strict=True)) for row in zip(*columns, strict=True)]
