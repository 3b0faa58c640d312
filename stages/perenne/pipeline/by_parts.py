"""Train from a file that need not fit into memory: in parts, each in a process of its own.

A part reads its rows some at a time, and keeps them as codes of a byte for each feature. The model has the
same bytes as one that is fitted on all rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perenne.common import batches, model, predicted
from perenne.common.binned.codes import RowBlock
from perenne.common.binned.gang import Gang
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.pipeline.encoding import FrameEncoder

ROWS_AT_ONCE = 2**17  # that are read and encoded: some 10 MB for each 10 features


class Span(NamedTuple):
    """Some rows of a Parquet file, from `first` up to `end`, exclusive."""

    path: Path
    first: int
    end: int

    def frames(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Some rows at a time, with these columns."""
        try:
            with pq.ParquetFile(self.path) as file:
                start = 0
                for group in range(file.num_row_groups):
                    rows = file.metadata.row_group(group).num_rows
                    if start < self.end and self.first < start + rows:
                        yield from self._of_group(file, group, start, columns)
                    start += rows
        except (pa.ArrowInvalid, OSError) as error:
            raise PerenneError(f"{self.path}: not a readable Parquet file (truncated?): {error}") from error
        finally:
            pa.default_memory_pool().release_unused()  # Arrow keeps some 150 MB

    def _of_group(
        self, file: pq.ParquetFile, group: int, start: int, columns: Sequence[str]
    ) -> Iterator[pd.DataFrame]:
        for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=columns):
            first, end = max(self.first - start, 0), min(self.end - start, len(batch))
            if first < end:
                table = pa.Table.from_batches([batch.slice(first, end - first)])
                yield batches.as_read(table, nullable=False)
            start += len(batch)


class Survey(NamedTuple):
    """What a part is asked first: which features have a value, and which categories there are."""

    span: Span
    contract: Contract
    columns: tuple[str, ...]


class Surveyed(NamedTuple):
    """The features that have a value, and the values of each category, None for a missing one."""

    valued: frozenset[str]
    categories: dict[str, frozenset[str | None]]

    def shown(self) -> dict[str, list[str | float]]:
        """The values of each category, NaN for a missing one."""
        known = self.known()
        return {
            name: [*known[name], *([np.nan] if None in found else [])]
            for name, found in self.categories.items()
        }

    def known(self) -> dict[str, list[str]]:
        """The values of each category, in their order."""
        return {
            name: sorted(value for value in values if value is not None)
            for name, values in self.categories.items()
        }

    def plus(self, other: Surveyed) -> Surveyed:
        """That of two parts together."""
        both = {name: values | other.categories[name] for name, values in self.categories.items()}
        return Surveyed(self.valued | other.valued, both)


def survey(item: Survey) -> Surveyed:
    """Look at the features of a part, in any process."""
    contract, valued = item.contract, set[str]()
    categories = {name: set[str | None]() for name in contract.features if _is_category(name, contract)}
    for frame in item.span.frames(item.columns):
        for name in contract.features:
            if name in categories:
                values = frame[name].unique()
                categories[name].update(None if pd.isna(value) else value for value in values)
            elif name not in valued and model.feature(frame, name, contract).notna().any():
                valued.add(name)
    valued.update(name for name, values in categories.items() if values - {None})
    return Surveyed(frozenset(valued), {name: frozenset(values) for name, values in categories.items()})


def _is_category(name: str, contract: Contract) -> bool:
    return contract.columns[name].type == "category"


class FilePart(NamedTuple):
    """Rows of a file, encoded as they are read: see `perenne.common.binned.codes.RowPart`."""

    span: Span
    frames: FrameEncoder
    columns: tuple[str, ...]

    @property
    def first(self) -> int:
        """The number of its first row."""
        return self.span.first

    def blocks(self) -> Iterator[RowBlock]:
        """Its rows, some at a time."""
        for frame in self.span.frames(self.columns):
            yield RowBlock(self.frames.encoded(frame), learned_values(frame, self.frames.contract))


def surveyed(spans: Sequence[Span], contract: Contract, columns: Sequence[str], gang: Gang) -> Surveyed:
    """What all parts of a file have."""
    found = gang.run_together(survey, [Survey(span, contract, tuple(columns)) for span in spans])
    return reduce(Surveyed.plus, found)


def learned_values(rows: pd.DataFrame, contract: Contract) -> npt.NDArray[np.generic]:
    """The outcomes of some rows as an estimator learns them, shape (rows,)."""
    if contract.task.outcome != "class":
        return rows[contract.target].to_numpy()
    return predicted.outcomes(rows, contract).astype(np.int64)


def spanned(path: Path, parts: int) -> list[Span]:
    """A file's rows in at most so many equal parts, in their order."""
    try:
        rows = pq.read_metadata(path).num_rows
    except (pa.ArrowInvalid, OSError) as error:
        raise PerenneError(f"{path}: not a readable Parquet file (truncated?): {error}") from error
    places = np.linspace(0, rows, min(parts, rows) + 1).astype(int).tolist()
    return [Span(path, first, end) for first, end in pairwise(places)]
