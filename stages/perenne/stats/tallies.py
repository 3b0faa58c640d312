"""One column counted batch by batch, and what any of the batches add up to."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from perenne.stats.tally import Members, Numbers, Tally

Batch = TypeVar("Batch", bound=Hashable)


class Tallies(Mapping[Batch, Tally]):
    """The tallies of one column by batch, all by the same cells.

    Categories keep the order in which they appeared, and only cells with rows take memory: a name for every
    row, or a hundred rows in each of thirty thousand batches, is no trouble.
    """

    def __init__(self, tallies: Iterable[tuple[Batch, Tally]] = ()) -> None:
        self._places: dict[Batch, int] = {}
        self._cells: list[npt.NDArray[np.int32]] = []
        self._rows: list[Numbers] = []
        self._members: list[tuple[Members, ...] | None] = []
        self._labels: pd.Index | None = None
        self._width = 1
        for batch, one in tallies:
            self.add(batch, one)

    def __getstate__(self) -> dict[str, object]:
        """All cells as one table: thirty thousand small arrays take seconds to store and to load."""
        table = self._table
        return self.__dict__ | {"_table": table, "_cells": [], "_rows": []}

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._places)

    def __getitem__(self, batch: Batch) -> Tally:
        return self.total([batch])

    def add(self, batch: Batch, one: Tally) -> None:
        """Add a further batch; all of them must be counted alike, before any is asked for."""
        cells = self._cells_of(one)
        used = np.flatnonzero(one.counts)
        self._places[batch] = len(self._places)
        self._cells.append(cells[used].astype(np.int32))
        self._rows.append(one.counts[used])
        if one.members is None or one.labels is None:
            self._members.append(one.members)
        else:
            small = cells.astype(np.min_scalar_type(self._width))
            self._members.append(tuple(each._replace(cells=small[each.cells]) for each in one.members))

    def total(self, batches: Iterable[Batch]) -> Tally:
        """Return what some batches hold together; one that is named twice counts twice."""
        places = [self._places[batch] for batch in batches]
        counts = np.asarray(self._table[places].sum(axis=0), dtype=np.int64)
        members = [found for place in places if (found := self._members[place]) is not None]
        return Tally(counts, self._labels, tuple(chain.from_iterable(members)) if members else None)

    def cells(self) -> dict[Batch, int]:
        """Return in how many cells each batch has rows."""
        used = np.diff(self._table.indptr).tolist()
        return {batch: used[place] for batch, place in self._places.items()}

    def without_blocks(self) -> Tallies[Batch]:
        """Return the same counts, as of independent rows."""
        return Tallies((batch, replace(self[batch], members=None)) for batch in self)

    @cached_property
    def _table(self) -> sparse.csr_array:
        ends = np.cumsum([0, *(len(cells) for cells in self._cells)])
        cells, rows = (np.concatenate(each or [np.zeros(0, np.int64)]) for each in (self._cells, self._rows))
        return sparse.csr_array((rows, cells, ends), shape=(len(self._places), self._width))

    def _cells_of(self, one: Tally) -> npt.NDArray[np.intp]:
        """The place of each of a tally's cells among all that have appeared."""
        if one.labels is None:
            self._width = len(one.counts)
            return np.arange(self._width)
        known = pd.Index([], dtype=object) if self._labels is None else self._labels
        places = known.get_indexer(one.labels)
        new = places < 0
        places[new] = len(known) + np.arange(new.sum())
        self._labels = known.append(one.labels[new]) if new.any() or self._labels is None else known
        self._width = 1 + len(self._labels)
        return np.append(0, 1 + places)
