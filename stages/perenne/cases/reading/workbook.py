"""Excel: one sheet of a workbook, its first row the header, or the first below `read.above` others."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd
import pyarrow as pa

from perenne.cases.reading import plain
from perenne.cases.reading.packed import DAMAGED, Part
from perenne.common import extras
from perenne.common.errors import PerenneError, hint
from perenne.common.reading import Read


def header(part: Part, read: Read) -> list[str]:
    """The names of the columns, from the first row; empty without one.

    Raises
    ------
    PerenneError
        If the file cannot be read, or has no such sheet.

    """
    return _names(_sheet(part, read, rows=1))


def pieces(part: Part, read: Read, columns: list[str] | None, needed: list[str]) -> Iterator[pa.Table]:
    """The rows of the sheet; see `delimited.pieces`. Excel's limit is a million: they are one piece."""
    cells = _sheet(part, read)
    names = _names(cells)
    if not names:
        raise PerenneError(f"{part.name}: is empty; must hold at least the columns {', '.join(needed)}")
    plain.check(part.name, names, needed or names)
    rows = cells.iloc[1:]
    rows = rows[rows.notna().any(axis=1)]
    made = {}
    for name in columns or names:
        values = rows.iloc[:, names.index(name)]
        made[name] = plain.column(
            values.where(values.notna(), None).tolist(), f"{part.name}: column {name!r}", read
        )
    yield pa.table(made)


def sheets(part: Part, rows: int) -> dict[str, pd.DataFrame]:
    """The first cells of each sheet, by its name.

    Raises
    ------
    PerenneError
        If the file cannot be read.

    """
    with _opened(part) as book:
        return {str(sheet): _cells(book, sheet, rows) for sheet in book.sheet_names}


def _sheet(part: Part, read: Read, rows: int | None = None) -> pd.DataFrame:
    """The cells of the sheet as Python's values, from the row of names on."""
    with _opened(part) as book:
        sheet = read.sheet if read.sheet is not None else book.sheet_names[0]
        if sheet not in book.sheet_names:
            raise PerenneError(f"{part.name}: no sheet {sheet!r}; {hint(sheet, book.sheet_names)}")
        return _cells(book, sheet, None if rows is None else read.above + rows).iloc[read.above :]


@contextmanager
def _opened(part: Part) -> Iterator[pd.ExcelFile]:
    try:
        with warnings.catch_warnings(), pd.ExcelFile(part.path, engine="openpyxl") as book:
            warnings.simplefilter("ignore")  # openpyxl's, of what a table does not need, such as styles
            yield book
    except ImportError as error:
        raise PerenneError(
            f"{part.name}: needs openpyxl, which is not installed; {extras.install('excel')}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError, *DAMAGED) as error:
        raise PerenneError(
            f"{part.name}: not a readable Excel file (truncated, or another format?): {plain.one_line(error)}"
        ) from error


def _cells(book: pd.ExcelFile, sheet: str | int, rows: int | None) -> pd.DataFrame:
    found: pd.DataFrame = book.parse(
        sheet, header=None, dtype=object, nrows=rows, keep_default_na=False, na_values=[""]
    )
    return found


def _names(cells: pd.DataFrame) -> list[str]:
    """The names in the first row, up to the last one."""
    if cells.empty:
        return []
    first = [None if pd.isna(value) else value for value in cells.iloc[0]]
    while first and first[-1] is None:
        first.pop()
    return ["" if value is None else str(value) for value in first]
