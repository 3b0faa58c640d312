"""The rows of some files in one table: first as their texts, then in the types that were found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from perenne.adopt import dialect, sheets
from perenne.adopt.values import Found, Kind
from perenne.adopt.wishes import Ask, Wishes
from perenne.cases import reading
from perenne.cases.reading.canonical import canonical
from perenne.cases.reading.kinds import BY_ENDING, CSV, EXCEL
from perenne.cases.reading.packed import DAMAGED, Part, parts
from perenne.cases.reading.plain import one_line
from perenne.cases.source import NULLABLE
from perenne.common.batches import typed
from perenne.common.column import Column
from perenne.common.contract import RUN
from perenne.common.errors import PerenneError
from perenne.common.names import HIDDEN, TAKEN
from perenne.common.reading import Read

LONGEST = 500  # characters of a name; a key of YAML has 1,024 at most


class Table(NamedTuple):
    """All rows of some files, texts as texts, in the order of the files; `rows` is how many each file has.

    `left_out` says which columns no contract can have, `last` the same of the last column with a name, or
    is empty.
    """

    frame: pd.DataFrame
    rows: list[int]
    read: Read
    left_out: list[str]
    last: str = ""

    @property
    def names(self) -> list[str]:
        """Of the columns."""
        return list(map(str, self.frame))

    def is_text(self, name: str) -> bool:
        """Whether a column is one of texts, whatever they say."""
        return pd.api.types.is_string_dtype(self.frame[name])


def table(paths: list[Path], wishes: Wishes, ask: Ask) -> Table:
    """Read files that are written in one way and have the same columns.

    Parameters
    ----------
    paths
        The files.
    wishes
        What the user has said of how they are written.
    ask
        Called where several sheets of a workbook hold a table.

    Raises
    ------
    PerenneError
        If one cannot be read, or has other columns.

    """
    read = Read()
    part = parts(paths[0])[0]
    if BY_ENDING.get(part.kind) is CSV:
        try:
            with part.open() as file:
                read = Read(**dialect.sniffed(file, part.name, wishes.encoding)._asdict())
        except DAMAGED as error:
            raise PerenneError(
                f"{part.name}: {one_line(error)}; is it damaged, or of another kind?"
            ) from error
    if BY_ENDING.get(part.kind) is EXCEL:
        reading.header(paths[0], read)  # it says what is wrong with a file that is no workbook
        sheet, above = sheets.of(part, wishes.sheet, ask)
        read = Read(sheet=sheet, above=above)
    elif wishes.sheet is not None:
        raise PerenneError(f"--sheet {wishes.sheet}: {part.name} is no Excel file; leave it out")
    first = reading.header(paths[0], read)
    usable = [name for name in first if not _why_not(name)]
    if not usable:
        raise PerenneError(f"{paths[0]}: its first line names no column; remove what stands above the names")
    tables: list[pa.Table] = []
    rows = []
    for path in paths:
        for inner in parts(path):  # a zip may hold several files
            _must_be_alike(inner, BY_ENDING[inner.kind].header(inner, read), part, first)
        own = list(reading.pieces(path, read, usable))
        rows.append(sum(map(len, own)))
        tables += own
    if not sum(rows):
        raise PerenneError(f"{paths[0]}: has a header and no row")
    whole = pa.concat_tables(_alike(tables, usable), promote_options="default")
    left_out = [
        f"column {name[:LONGEST]!r} {why}; left out"
        for name in dict.fromkeys(first)
        if (why := _why_not(name))
    ]
    last = [name for name in first if name.strip()][-1]
    # An index that pandas has noted in the file is a column like others.
    frame = whole.to_pandas(types_mapper=NULLABLE.get, ignore_metadata=True)
    return Table(frame, rows, read, left_out, f"column {last!r} {_why_not(last)}" if _why_not(last) else "")


def _must_be_alike(part: Part, names: list[str], other: Part, first: list[str]) -> None:
    """Refuse a file with other columns than the first: what it has more would be lost."""
    if not names:
        raise PerenneError(f"{part.name}: is empty; all files of a case need the same columns")
    if set(names) != set(first):
        odd = min(set(names) ^ set(first))
        raise PerenneError(
            f"{part.name}: column {odd!r} is not in all files; {other.name} has {', '.join(first)}: all "
            "files of a case need the same columns, separated in the same way"
        )


def _alike(tables: list[pa.Table], names: list[str]) -> list[pa.Table]:
    """The tables with columns as texts where their types differ from file to file."""
    for name in names:
        if len({t.schema.field(name).type for t in tables} - {pa.null()}) > 1:
            place = names.index(name)
            tables = [t.set_column(place, name, t[name].cast(pa.string())) for t in tables]
    return tables


def _why_not(name: str) -> str:
    """Why a contract can have no column of this name; empty if it can."""
    if name in TAKEN:
        return f"is {TAKEN[name]} by its name"
    if not name.strip():
        return "has no name"
    if name.startswith(HIDDEN):
        return f"begins with {HIDDEN}, as names of our own do"
    if len(name) > LONGEST:
        return f"has a name of {len(name):,} characters"
    if min(name) < " ":
        return "has a line break or a tab in its name"
    return f"has {run[0]} in its name, which stands for many columns" if (run := RUN.search(name)) else ""


def kind(column: pd.Series) -> Kind:
    """The type of a column that its file has typed."""
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    if pd.api.types.is_integer_dtype(column):
        return "integer"
    if pd.api.types.is_datetime64_any_dtype(column):
        return "datetime"
    return "number" if pd.api.types.is_numeric_dtype(column) else "category"


def in_types(frame: pd.DataFrame, found: Mapping[str, Found], read: Read, zone: str | None) -> pd.DataFrame:
    """The rows in the types that were found, by the functions that the stages use; shape (n, columns).

    Parameters
    ----------
    frame
        As of a `Table`.
    found
        What each column is.
    read, zone
        How values are written, and by which clocks times are read.

    """
    done = {}
    for name, one in found.items():
        column = Column(type=one.kind, role=("ignored",), values=one.words)
        given = pa.chunked_array([pa.array(frame[name], from_pandas=True)])
        if pa.types.is_large_string(given.type):
            given = given.cast(pa.string())
        plain = canonical(given, column, read)
        done[name] = typed(frame[name] if plain is given else plain.to_pandas(), column, zone)
    return pd.DataFrame(done)
