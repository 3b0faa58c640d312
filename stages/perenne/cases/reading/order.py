"""Times for rows without a column of them: parts of a time in several, or the order of the rows."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from perenne.common.reading import Parts

BEGINS = datetime(2000, 1, 1)  # the day of the first batch


class Order:
    """The days of rows in one pass over all files, in the order of their names.

    Parameters
    ----------
    batch
        So many rows are a day, or `file`: those of each file are.

    Examples
    --------
    >>> order = Order(2)
    >>> order.begin()
    >>> [str(day)[:10] for day in order.days(3).to_pylist()]
    ['2000-01-01', '2000-01-01', '2000-01-02']

    """

    def __init__(self, batch: int | str) -> None:
        self.batch = batch
        self.files, self.rows = -1, 0

    def begin(self) -> None:
        """The next file begins."""
        self.files += 1

    def days(self, count: int) -> pa.ChunkedArray:
        """The days of the next rows, shape (count,)."""
        if isinstance(self.batch, int):
            number = (self.rows + np.arange(count)) // self.batch
        else:
            number = np.full(count, self.files)
        self.rows += count
        moments = np.datetime64(BEGINS, "us") + number * np.timedelta64(86_400_000_000, "us")
        return pa.chunked_array([pa.array(moments, pa.timestamp("us"))])


def joined(table: pa.Table, parts: Parts) -> pa.ChunkedArray:
    """The times that several columns say together, as texts; missing where one of them is.

    Parameters
    ----------
    table
        Rows with the columns of the parts.
    parts
        Which column says what.

    Examples
    --------
    >>> table = pa.table({"y": ["2021", "2021", None], "q": [2, 5, 1]})
    >>> joined(table, Parts(year="y", quarter="q")).to_pylist()
    ['2021-04-01', '2021-quarter 5', None]

    """
    columns = parts.named
    rows = list(zip(*(_texts(table[name]) for name in columns.values()), strict=True))
    said = {row: _said(dict(zip(columns, row, strict=True))) for row in set(rows)}
    return pa.chunked_array([pa.array([said[row] for row in rows], pa.string())])


def _texts(values: pa.ChunkedArray) -> list[str]:
    """Whole numbers without decimals, as texts; empty where one is missing."""
    trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
    texts = pc.replace_substring_regex(trimmed, r"\.0+$", "").to_pylist()
    return ["" if text is None else text for text in texts]


def _said(parts: dict[str, str]) -> str | None:
    """One time, as ISO 8601 writes it; where there is none, what its parts are."""
    if not all(parts.values()):
        return None
    try:
        numbers = {part: int(text) for part, text in parts.items()}
        if "week" in numbers:
            moment = datetime.fromisocalendar(numbers["year"], numbers["week"], 1)
        else:
            month = numbers.get("month", 3 * numbers.get("quarter", 1) - 2)
            moment = datetime(numbers["year"], month, numbers.get("day", 1), numbers.get("hour", 0))
    except (ValueError, OverflowError):
        return "-".join(text if part == "year" else f"{part} {text}" for part, text in parts.items())
    return f"{moment:%Y-%m-%d %H:%M}" if "hour" in numbers else f"{moment:%Y-%m-%d}"
