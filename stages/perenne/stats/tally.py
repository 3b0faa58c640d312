"""A column counted cell by cell: all that a two-sample test needs of a batch, and what batches add up to.

The reference says once how a column is cut (:func:`cut`); every batch is then counted by it (:func:`tally`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from perenne.stats.metrics import Array

CELLS = 100  # to which a column is cut: distances between distributions are then exact to 0.01

Column: TypeAlias = pd.Series | npt.ArrayLike | Iterable[object]


def cut(reference: Column) -> Array:
    """Return the edges that cut an ordered column into the percentiles of its reference.

    Cells are open below and closed above. The first holds what lies under every reference value, the last
    what lies over them; infinite values are ordered like any other. Missing values are left out.

    Parameters
    ----------
    reference
        Numbers, dates or booleans of shape (rows,), in any order.

    Returns
    -------
    Array
        Rising edges, float64 of shape (at most 102,); none if every value is missing.

    """
    values = numbers(reference)
    values = np.sort(values[~np.isnan(values)])
    if not len(values):
        return values
    # Order statistics, not interpolated ones: they stay what they are if some are infinite.
    places = np.ceil(np.linspace(0, 1, CELLS + 1) * len(values)).astype(np.intp) - 1
    below = np.nextafter(values[:1], -np.inf)
    return np.unique(np.concatenate([below, values[np.maximum(places, 0)]]))


@dataclass(frozen=True)
class Tally:
    """How many rows of each block are in each cell; what :func:`compare` needs of a batch, and no more.

    `counts` has shape (blocks, 1 + cells), missing values first. `blocks` are the labels of its rows, None
    if rows are independent and counted together; `labels` those of its cells, None if they are ordered.
    """

    counts: sparse.csr_array
    blocks: pd.Index | None
    labels: pd.Index | None

    def __add__(self, other: Tally) -> Tally:
        """Count the rows of two batches together, cut by the same edges."""
        return total([self, other])


def tally(
    values: Column, edges: Array | None = None, blocks: pd.Series | Iterable[Hashable] | None = None
) -> Tally:
    """Count a column's rows by cell, and by block if rows of a block resemble each other.

    Parameters
    ----------
    values
        Shape (rows,): numbers, dates or booleans if there are edges, otherwise any hashable.
    edges
        What :func:`cut` returned for the reference; None for categories, each of which is a cell.
    blocks
        The label of each row's block, shape (rows,); None if rows are independent.

    Returns
    -------
    Tally
        Counts of shape (blocks, 1 + cells), a single row of them if rows are independent.

    Raises
    ------
    ValueError
        If a row has no block, or there is not one label for each row.

    """
    if blocks is None and edges is not None:
        return Tally(sparse.csr_array(_counts(numbers(values), edges)[None]), None, None)
    codes, labels, cells = _categories(values) if edges is None else _places(numbers(values), edges)
    if blocks is None:
        return Tally(sparse.csr_array(np.bincount(codes, minlength=cells)[None]), None, labels)
    rows, names = pd.factorize(pd.Series(blocks))
    if len(rows) != len(codes) or (rows < 0).any():
        raise ValueError(f"expected a block for each of {len(codes)} rows, received {(rows >= 0).sum()}")
    ones = np.ones(len(rows), np.int64)
    counts = sparse.coo_array((ones, (rows, codes)), shape=(len(names), cells)).tocsr()
    return Tally(counts, pd.Index(names), labels)


def total(tallies: Sequence[Tally]) -> Tally:
    """Return the counts of one or more batches together, cut by the same edges.

    Raises
    ------
    ValueError
        If the tallies were not counted alike: by the same edges, and either all by block or none.

    """
    first = tallies[0]
    for other in tallies[1:]:
        _alike(first, other)
    if first.blocks is None and first.labels is None:
        return Tally(
            sparse.csr_array(np.sum([each.counts.toarray() for each in tallies], axis=0)), None, None
        )
    parts = [sparse.coo_array(each.counts) for each in tallies]
    blocks, rows = _joined([each.blocks for each in tallies])
    labels, cells = _joined([each.labels for each in tallies])
    row = [part.row if rows is None else rows[k][part.row] for k, part in enumerate(parts)]
    col = [
        part.col if cells is None else np.append(0, 1 + cells[k])[part.col] for k, part in enumerate(parts)
    ]
    shape = (
        1 if blocks is None else len(blocks),
        first.counts.shape[1] if labels is None else 1 + len(labels),
    )
    data = np.concatenate([part.data for part in parts])
    counts = sparse.coo_array((data, (np.concatenate(row), np.concatenate(col))), shape=shape).tocsr()
    return Tally(counts, blocks, labels)


def _joined(indices: list[pd.Index | None]) -> tuple[pd.Index | None, list[npt.NDArray[np.intp]] | None]:
    """Return all labels in order of appearance, and the places among them of each index's."""
    known = [index for index in indices if index is not None]
    if not known:
        return None, None
    codes, labels = pd.factorize(known[0].append(known[1:]))
    return pd.Index(labels), np.split(codes, np.cumsum([len(index) for index in known])[:-1])


def _alike(first: Tally, second: Tally) -> None:
    if (first.blocks is None) != (second.blocks is None) or (first.labels is None) != (second.labels is None):
        raise ValueError("expected two tallies of one column, either both by block or neither")
    if first.labels is None and first.counts.shape[1] != second.counts.shape[1]:
        raise ValueError("expected two tallies cut by the same edges")


def aligned(
    first: Tally, second: Tally
) -> tuple[sparse.csr_array, sparse.csr_array, pd.Index | None, pd.Index | None]:
    """Return the counts of both over the same blocks and cells, with the labels of these.

    Parameters
    ----------
    first, second
        Two tallies of one column.

    Returns
    -------
    first, second : csr_array
        The counts of each, both of shape (blocks, 1 + cells), missing values in the first column.
    blocks, labels : Index or None
        The labels of the blocks and of the cells, None as in :class:`Tally`.

    Raises
    ------
    ValueError
        If only one tally is by block, only one is by category, or the numbers of their edges differ.

    """
    _alike(first, second)
    blocks, rows = _union(first.blocks, second.blocks)
    labels, cells = _union(first.labels, second.labels)
    shape = (
        1 if blocks is None else len(blocks),
        first.counts.shape[1] if labels is None else 1 + len(labels),
    )
    columns = None if cells is None else np.append(0, 1 + cells)
    old = sparse.coo_array(first.counts)
    new = sparse.coo_array(second.counts)
    row = new.row if rows is None else rows[new.row]
    col = new.col if columns is None else columns[new.col]
    return (
        sparse.coo_array((old.data, (old.row, old.col)), shape=shape).tocsr(),
        sparse.coo_array((new.data, (row, col)), shape=shape).tocsr(),
        blocks,
        labels,
    )


def _union(
    first: pd.Index | None, second: pd.Index | None
) -> tuple[pd.Index | None, npt.NDArray[np.intp] | None]:
    """Return the labels of the first, then those of the second alone; and the places of the second's."""
    if first is None or second is None:
        return None, None
    places = first.get_indexer(second)
    new = places < 0
    places[new] = len(first) + np.arange(new.sum())
    return first.append(second[new]), places


def numbers(values: Column) -> Array:
    """Return an ordered column as float64; dates become microseconds, what is missing NaN.

    Parameters
    ----------
    values
        Numbers, dates or booleans, shape (rows,).

    Returns
    -------
    Array
        Float64 of shape (rows,). Dates are counted from 1970, those with a time zone in UTC; True is 1.

    """
    series = pd.Series(values)
    if isinstance(series.dtype, pd.DatetimeTZDtype) or series.dtype.kind == "M":
        moments = pd.DatetimeIndex(series).as_unit("us")
        return np.where(moments.isna(), np.nan, moments.asi8)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def _counts(values: Array, edges: Array) -> npt.NDArray[np.int64]:
    """Return how many are missing, then how many are in each cell: sorting beats a search for each row."""
    present = np.sort(values[~np.isnan(values)])
    below = np.searchsorted(present, edges, side="right")
    cells = np.diff(below, prepend=0, append=len(present))
    return np.append(len(values) - len(present), cells)


def _places(values: Array, edges: Array) -> tuple[npt.NDArray[np.intp], None, int]:
    codes = np.where(np.isnan(values), 0, 1 + np.searchsorted(edges, values, side="left"))
    return codes, None, len(edges) + 2


def _categories(values: Column) -> tuple[npt.NDArray[np.intp], pd.Index, int]:
    codes, labels = pd.factorize(pd.Series(values))
    return codes + 1, pd.Index(labels).astype(object), 1 + len(labels)
