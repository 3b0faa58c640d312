"""How often each value of a column occurs, in bounded memory: the same result for any cut of the rows.

Values are counted in cells: all float64 that share their leading bits. A column with few distinct values has
a cell for each of them. Where there would be more than `MOST` cells, cells are joined by twos, each time by
dropping one more bit. Rows that are added never need finer cells; so the cells that remain at last, and their
counts, are a function of the values alone: of no order, and of no cut into parts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

MOST = 2**17  # cells of a column: quantiles are then right within some 1/1000 of a bin
SIGN = np.uint64(1 << 63)


class Cells(NamedTuple):
    """The cells that hold a column's values, ascending, without missing ones.

    `keys` are the leading bits of the values, of which `dropped` are left out, shape (cells,); `counts` the
    numbers of values in each, shape (cells,).
    """

    dropped: int
    keys: Keys
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, values: Array, dropped: int = 0, most: int = MOST) -> Cells:
        """The cells of some values, shape (n,); NaN is left out.

        >>> Cells.of(np.array([2.0, np.nan, -1.0, 2.0])).counts.tolist()
        [1, 2]
        """
        keys = _keys(values[~np.isnan(values)]) >> np.uint64(dropped)
        return cls(dropped, *np.unique(keys, return_counts=True))._within(most)

    def plus(self, other: Cells, most: int = MOST) -> Cells:
        """The cells of the values of both, whatever order they are added in."""
        dropped = max(self.dropped, other.dropped)
        keys = np.concatenate([each.keys >> np.uint64(dropped - each.dropped) for each in (self, other)])
        return _summed(dropped, keys, np.concatenate([self.counts, other.counts]))._within(most)

    def _within(self, most: int) -> Cells:
        """The finest cells of which there are no more than `most`."""
        dropped = self.dropped
        while _distinct(self.keys, dropped - self.dropped) > most:
            dropped += 1
        if dropped == self.dropped:
            return self
        return _summed(dropped, self.keys >> np.uint64(dropped - self.dropped), self.counts)

    def edges(self, bins: int) -> Array:
        """Where to cut the values into at most so many bins, ascending: a bin ends with its edge.

        With no more cells than bins, each has a bin of its own. Otherwise bins hold equal numbers of values,
        as far as cells allow. An edge is half way between the values at its sides.
        """
        if len(self.keys) <= bins:
            ends = np.arange(len(self.keys) - 1)
        else:
            # Whole numbers: sums and comparisons are exact.
            upto = np.cumsum(self.counts)
            ends = np.unique(np.searchsorted(upto * bins, np.arange(1, bins) * upto[-1]))
            ends = ends[ends < len(self.keys) - 1]
        shift = np.uint64(self.dropped)
        below = values_of(((self.keys[ends] + np.uint64(1)) << shift) - np.uint64(1))
        above = values_of(self.keys[ends + 1] << shift)
        middle = below / 2 + above / 2  # their sum may be infinite
        return np.where((below <= middle) & (middle < above), middle, below)


def _keys(values: Array) -> Keys:
    """Whole numbers in the order of the values: their bits, with those of negative ones turned over."""
    bits: Keys = (values + 0.0).view(np.uint64)  # -0.0 becomes 0.0
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def values_of(keys: Keys) -> Array:
    """The values that whole numbers stand for which lost no bit."""
    bits: Keys = np.where(keys & SIGN, keys & ~SIGN, ~keys)
    values: Array = bits.view(np.float64)
    return values


def _distinct(keys: Keys, dropped: int) -> int:
    if not len(keys):
        return 0
    return 1 + int(np.count_nonzero(np.diff(keys >> np.uint64(dropped))))


def _summed(dropped: int, keys: Keys, counts: npt.NDArray[Any]) -> Cells:
    """Cells of which some occur several times, as one each."""
    if not len(keys):
        return Cells(dropped, keys, counts)
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    return Cells(dropped, keys[first], np.add.reduceat(counts, first))
