"""The rows that were predicted without being seen, from their file: one period at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perenne.common import batches, periods, predicted
from perenne.common.contract import Contract
from perenne.common.names import PREDICTIONS
from perenne.watch.reference import ReferenceRows, only

AT_ONCE = 2**16  # rows that are read together


def by_period(rows: pd.DataFrame, contract: Contract) -> dict[pd.Period, pd.DataFrame]:
    """The rows of each period, oldest first."""
    when = periods.of(rows[contract.time], contract.period, contract.zone)
    return dict(iter(rows.groupby(when)))


def predictions(contract: Contract, source: Path | bytes = PREDICTIONS) -> ReferenceRows:
    """The rows of `predictions.parquet` by period, oldest first.

    Parameters
    ----------
    contract
        What the rows are.
    source
        The file, or its content.

    Raises
    ------
    PerenneError
        If there is no such file, or it cannot be read.

    """
    file = _Rows(source, contract)
    return ReferenceRows(list(file.spans), file.read, keep=False)


class _Rows:
    """A Parquet file whose rows lie period by period; one that has them in disorder is held, in order."""

    def __init__(self, source: Path | bytes, contract: Contract) -> None:
        if isinstance(source, Path):
            times = batches.read_table(source, [contract.time])
            self._file = pq.ParquetFile(source)
        else:
            self._file = pq.ParquetFile(pa.BufferReader(source))
            times = self._file.read([contract.time])
        when = pd.PeriodIndex(periods.of(times.to_pandas()[contract.time], contract.period, contract.zone))
        self._whole: pa.Table | None = None
        if not when.is_monotonic_increasing:
            order = np.argsort(when.asi8, kind="stable")
            self._whole, when = self._file.read().take(order), pd.PeriodIndex(when[order])
        starts = np.flatnonzero(np.diff(when.asi8, prepend=when.asi8[:1] - 1)).tolist()
        spans = zip(starts, [*starts[1:], len(when)], strict=True)
        self.spans: dict[pd.Period, tuple[int, int]] = {when[span[0]]: span for span in spans}
        sizes = [self._file.metadata.row_group(k).num_rows for k in range(self._file.num_row_groups)]
        self._groups = np.cumsum([0, *sizes])
        self._names: list[str] | None = None
        self._place = -1
        self._stream: Iterator[pa.RecordBatch] = iter(())
        self._left: list[pa.RecordBatch] = []

    def read(self, period: pd.Period, names: Sequence[str] | None) -> pd.DataFrame:
        """The rows of a period: all columns, or those that are named."""
        start, end = self.spans[period]
        chosen = None if names is None else list(names)
        if self._whole is not None:
            table = self._whole if chosen is None else self._whole.select(chosen)
            return batches.as_read(table.slice(start, end - start), nullable=False)
        if (self._place, self._names) != (start, chosen):  # one period after the other needs no new start
            first = int(np.searchsorted(self._groups, start, side="right")) - 1
            groups = range(first, len(self._groups) - 1)
            self._stream = self._file.iter_batches(AT_ONCE, row_groups=groups, columns=chosen)
            self._left, self._names = [], chosen
            self._take(start - int(self._groups[first]))
        self._place = end
        return batches.as_read(pa.Table.from_batches(self._take(end - start)), nullable=False)

    def _take(self, rows: int) -> list[pa.RecordBatch]:
        """The next rows of the stream."""
        taken: list[pa.RecordBatch] = []
        while rows > 0:
            batch = self._left.pop() if self._left else next(self._stream)
            taken.append(batch.slice(0, rows))
            if len(batch) > rows:
                self._left.append(batch.slice(rows))
            rows -= len(batch)
        return taken


def shown(validated: Mapping[pd.Period, pd.DataFrame], contract: Contract) -> pd.DataFrame:
    """Labels and predictions of all rows, for those who draw some of them."""
    names = [contract.target, *predicted.columns(contract)]
    some = (only(validated, period, names)[names] for period in validated)
    return pd.concat(some, ignore_index=True)
