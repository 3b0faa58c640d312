"""CSV and its relatives: values with a delimiter between them, read in pieces, every value as text."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv

from perenne.cases.reading import encoded, plain
from perenne.cases.reading.packed import DAMAGED, Part
from perenne.common.errors import PerenneError
from perenne.common.reading import Read

NAMED = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "blanks", "|": "bars"}


def header(part: Part, read: Read) -> list[str]:
    """The names of the columns, from the first line; empty without one.

    Raises
    ------
    PerenneError
        If the line cannot be read.

    """
    return _begins(part, read)[0]


def pieces(part: Part, read: Read, columns: list[str] | None, needed: list[str]) -> Iterator[pa.Table]:
    """The rows in pieces: what does not fit the contract is `validate`'s to say, row by row.

    Parameters
    ----------
    part
        The file.
    read
        How it is written.
    columns
        Those to read, by default all.
    needed
        Those that it must have.

    Raises
    ------
    PerenneError
        Names the line that cannot be read, or a column that is not there.

    """
    names, has_rows = _begins(part, read)
    if not names:
        raise PerenneError(f"{part.name}: is empty; must hold at least the columns {', '.join(needed)}")
    delimiter = read.delimiter_of(part.name)
    said = f"; values are separated by {_named(delimiter)} (read.delimiter in the contract)"
    plain.check(part.name, names, needed or names, said if len(names) == 1 else "")
    if not has_rows:
        return  # a header alone: a period without rows
    only = columns or names
    options = (
        pcsv.ReadOptions(block_size=plain.PIECE, encoding=read.codec),
        pcsv.ParseOptions(
            delimiter=delimiter, quote_char=read.quote or False, newlines_in_values=bool(read.quote)
        ),
        pcsv.ConvertOptions(column_types=dict.fromkeys(only, pa.string()), include_columns=only),
    )
    try:
        with part.stream() as stream:
            for batch in pcsv.open_csv(stream, *options):
                yield pa.Table.from_batches([batch])
    except (pa.ArrowException, UnicodeError, *DAMAGED) as error:
        raise PerenneError(f"{part.name}: {_fault(part, read) or plain.one_line(error)}") from error


def _begins(part: Part, read: Read) -> tuple[list[str], bool]:
    """The first line's values, and whether there are rows below it."""
    try:
        with part.open() as file:
            lines = encoded.lines(file, read)
            rows = _rows(encoded.decoded(lines, part.name, read), part, read)
            names: list[str] = next(
                (row for row in rows if row), []
            )  # blank lines are nothing, at the top too
            return names, any(line.strip() for line in lines)
    except csv.Error as error:
        why = "a line ends with \\r alone" if "new-line" in str(error) else str(error)
        raise PerenneError(
            f"{part.name}: its first line cannot be read: {why}; end lines with \\n"
        ) from error
    except DAMAGED as error:
        raise PerenneError(f"{part.name}: {plain.one_line(error)}") from error


def _rows(lines: Iterable[str], part: Part, read: Read, *, strict: bool = False) -> Any:
    """Python's reader of CSV: slower than Arrow's, and it says which line is wrong."""
    return csv.reader(
        lines,
        delimiter=read.delimiter_of(part.name),
        quotechar=read.quote or None,
        quoting=csv.QUOTE_MINIMAL if read.quote else csv.QUOTE_NONE,
        strict=strict,
    )


def _named(delimiter: str) -> str:
    return NAMED.get(delimiter, repr(delimiter))


def _fault(part: Part, read: Read) -> str | None:
    """What is wrong with the first line that has too many or too few values; None: no such line."""
    delimiter = read.delimiter_of(part.name)
    try:
        with part.open() as file:
            rows = _rows(encoded.decoded(encoded.lines(file, read), part.name, read), part, read, strict=True)
            names, begins = next(row for row in rows if row), rows.line_num + 1
            for row in rows:
                if row and len(row) != len(names):
                    a = {",": "a comma", ";": "a semicolon", "\t": "a tab"}.get(delimiter, repr(delimiter))
                    return (
                        f"line {begins}: {len(row)} fields, must be {len(names)} ({', '.join(names)}), "
                        f"found {delimiter.join(row)[:80]!r}; a value with {a} needs quotes"
                    )
                begins = rows.line_num + 1
    except csv.Error as error:
        return f"line {begins}: {error}; is a quote not closed?"
    except (StopIteration, *DAMAGED):
        pass  # what Arrow said will do
    return None
