"""A column counted cell by cell: all that a two-sample test needs of a batch, and what batches add up to.

The reference says once how a column is cut (:func:`cut`); every batch is then counted by it (:func:`tally`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.stats.metrics import Array

CELLS = 100  # to which a column is cut: distances between distributions are then exact to 0.01

Column: TypeAlias = pd.Series | npt.ArrayLike | Iterable[object]
Numbers: TypeAlias = npt.NDArray[np.signedinteger[Any]]
Codes: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]


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


class Members(NamedTuple):
    """Which block has rows in which cell, where rows of a block resemble each other; each (entries,).

    `blocks` are numbers, the same for one block in every batch. `rows` is how many rows an entry stands for;
    None: one. Two entries may be of the same block and cell.
    """

    blocks: Numbers
    cells: Codes
    rows: Numbers | None


@dataclass(frozen=True)
class Tally:
    """How many rows are in each cell; what :func:`compare` needs of a batch, and no more.

    `counts` has shape (1 + cells,), missing values first. `labels` are those of its cells, None if they are
    ordered. `members` are None if rows are independent.
    """

    counts: Numbers
    labels: pd.Index | None
    members: tuple[Members, ...] | None

    def __add__(self, other: Tally) -> Tally:
        """Count the rows of two batches together, cut by the same edges."""
        return total([self, other])


def tally(
    values: Column,
    edges: Array | None = None,
    blocks: Numbers | pd.Series | Iterable[Hashable] | None = None,
) -> Tally:
    """Count a column's rows by cell, and by block if rows of a block resemble each other.

    Parameters
    ----------
    values
        Shape (rows,): numbers, dates or booleans if there are edges, otherwise any hashable.
    edges
        What :func:`cut` returned for the reference; None for categories, each of which is a cell.
    blocks
        The label of each row's block, or what :func:`block_numbers` made of it, shape (rows,); None if rows
        are independent.

    Raises
    ------
    ValueError
        If a row has no block, or there is not one label for each row.

    """
    if blocks is None and edges is not None:
        return Tally(_counts(numbers(values), edges), None, None)
    codes, labels, cells = _categories(values) if edges is None else _places(numbers(values), edges)
    counts = np.bincount(codes, minlength=cells)
    if blocks is None:
        return Tally(counts, labels, None)
    given = blocks if isinstance(blocks, np.ndarray) else block_numbers(blocks)
    if len(given) != len(codes):
        raise ValueError(f"expected a block for each of {len(codes)} rows, received {len(given)}")
    return Tally(counts, labels, (_members(codes, given, cells),))


def block_numbers(labels: pd.Series | Iterable[Hashable]) -> Numbers:
    """Return a number for each row's block, shape (rows,), the same for equal labels of any batch.

    Integers and dates are numbers already. Others are hashed to 64 bits: of ten million different labels, two
    get the same number with a chance of one in 400,000, and then count as one block.

    Raises
    ------
    ValueError
        If a row has no block.

    """
    series = pd.Series(labels)
    if series.isna().any():
        there = int(series.notna().sum())
        raise ValueError(f"expected a block for each of {len(series)} rows, received {there}")
    if series.dtype.kind in "iub":
        return series.to_numpy(dtype=np.int64)
    if isinstance(series.dtype, pd.DatetimeTZDtype) or series.dtype.kind == "M":
        return np.asarray(pd.DatetimeIndex(series).as_unit("us").asi8)
    return pd.util.hash_pandas_object(series, index=False).to_numpy().view(np.int64)


class BlockRegistry:
    """Small numbers for blocks, from 0: those of the blocks that come first, and of others as they come.

    What is counted by small numbers needs no search for equal ones when it is compared.
    """

    def __init__(self, known: Numbers) -> None:
        """Begin with the numbers of some blocks, as `block_numbers` gives them, each once."""
        self._known = pd.Index(known)

    def of(self, blocks: Numbers) -> Numbers:
        """Return the small number of each row's block, shape (rows,)."""
        places = self._known.get_indexer(pd.Index(blocks))
        if (places < 0).any():
            new = pd.unique(blocks[places < 0])
            self._known = self._known.append(pd.Index(new))
            places = self._known.get_indexer(pd.Index(blocks))
        return np.asarray(places, dtype=np.int32)


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
    if first.labels is not None:
        tallies = aligned(tallies)
    members = [each.members for each in tallies if each.members is not None]
    counts = np.sum([each.counts for each in tallies], axis=0)
    return Tally(counts, tallies[0].labels, tuple(chain.from_iterable(members)) if members else None)


def _alike(first: Tally, second: Tally) -> None:
    if (first.members is None) != (second.members is None) or (first.labels is None) != (
        second.labels is None
    ):
        raise ValueError("expected two tallies of one column, either both by block or neither")
    if first.labels is None and len(first.counts) != len(second.counts):
        raise ValueError("expected two tallies cut by the same edges")


def aligned(tallies: Sequence[Tally]) -> list[Tally]:
    """Return tallies of one column over the same cells: of categories, all labels in order of appearance.

    Raises
    ------
    ValueError
        If only one of two is by block, only one is by category, or the numbers of their edges differ.

    """
    first = tallies[0]
    for other in tallies[1:]:
        _alike(first, other)
    if first.labels is None or all(other.labels is first.labels for other in tallies):
        return list(tallies)
    indices = [each.labels for each in tallies if each.labels is not None]
    codes, labels = pd.factorize(indices[0].append(indices[1:]))
    ends = np.cumsum([len(index) for index in indices])[:-1]
    return [
        _renamed(each, pd.Index(labels), places)
        for each, places in zip(tallies, np.split(codes, ends), strict=True)
    ]


def _renamed(one: Tally, labels: pd.Index, places: npt.NDArray[np.intp]) -> Tally:
    """Return a tally over other labels; `places` are those of its own among them, shape (cells,)."""
    cells = np.append(0, 1 + places)
    counts = np.zeros(1 + len(labels), np.int64)
    counts[cells] = one.counts
    if one.members is None:
        return Tally(counts, labels, None)
    smallest = cells.astype(np.min_scalar_type(len(labels)))
    members = (each._replace(cells=smallest[each.cells]) for each in one.members)
    return Tally(counts, labels, tuple(members))


def _members(codes: npt.NDArray[np.intp], blocks: Numbers, cells: int) -> Members:
    """Return the entries of rows: one each, or one for each block and cell if those are far fewer."""
    small = np.min_scalar_type(max(cells - 1, 0))
    first = int(blocks.min()) if len(blocks) else 0
    span = int(blocks.max()) - first + 1 if len(blocks) else 0
    if not 2 * span * cells <= len(codes):
        return Members(blocks, codes.astype(small), None)
    counts = np.bincount((blocks - first) * cells + codes)
    used = np.flatnonzero(counts)
    return Members(used // cells + first, (used % cells).astype(small), counts[used])


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
