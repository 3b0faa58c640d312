"""Times for rows that have none: their order, or the file that they are in, stands for time."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa

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
