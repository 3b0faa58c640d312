"""What blocks have in which cells, on two sides: the sums that a test of dependent rows needs.

All of them are whole numbers that add up over blocks, so they are the same in whatever order, and in however
many parts, blocks are counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from perenne.stats.metrics import Array
from perenne.stats.tally import Members, Numbers

AT_ONCE = 2**21  # entries: more are counted in parts, each with some of the blocks
LEFT_OUT = -1  # where a cell goes that does not count

Side = Sequence[Members]
Places = npt.NDArray[np.intp]


class Crossed(NamedTuple):
    """The sums over blocks, for `cells` cells on two sides, first and second.

    `spread` is in how many blocks each cell occurs, shape (2, cells). `products` are the sums of products of
    the counts of any two cells in one block, shape (2 * cells, 2 * cells), the first side's cells before the
    second's. `sizes` are those of the powers of the rows that a block has on the sides, x and y: of x**2,
    y**2, x**4, x**2 * y**2 and y**4.
    """

    spread: Array
    products: Numbers
    sizes: Array

    def blocks(self, n: float, m: float) -> float:
        """Return how many blocks of equal size would tell as much; n and m rows are on the sides.

        That is Kish's effective number (Kish 1965, Survey Sampling, section 11.7) of their weights
        (x/n)**2 + (y/m)**2.
        """
        xx, yy, x4, xy, y4 = self.sizes
        return float((xx / n**2 + yy / m**2) ** 2 / (x4 / n**4 + 2 * xy / (n * m) ** 2 + y4 / m**4))

    def difference(self, n: int, m: int) -> Array:
        """Return the products, summed over blocks, of what cells add to the difference of shares.

        Parameters
        ----------
        n, m
            Rows of the first and of the second side.

        Returns
        -------
        Shape (cells, cells): a block with x of n rows in a cell and y of m adds y/m - x/n.

        """
        common = int(np.gcd(n, m))
        p, q = n // common, m // common
        half = len(self.products) // 2
        both = self.products.astype(np.float64)
        first, across, second = both[:half, :half], both[:half, half:], both[half:, half:]
        # With whole numbers as factors, what is the same on both sides cancels without a remainder.
        apart = float(p) ** 2 * second - float(p * q) * (across + across.T) + float(q) ** 2 * first
        return np.asarray(apart / (float(common) * p * q) ** 2)


def spread(side: Side, cells: int) -> Array:
    """Return in how many blocks each cell occurs, shape (cells,)."""
    found = np.zeros(cells)
    for blocks, where, _ in _parts([side], np.arange(cells)):
        places, most = blocks * cells + where, (int(blocks.max(initial=-1)) + 1) * cells
        if most <= 16 * len(places) + 1_000_000:
            there = np.zeros(most, dtype=bool)
            there[places] = True
            found += there.reshape(-1, cells).sum(axis=0)
        else:
            found += np.bincount(np.unique(places) % cells, minlength=cells)
    return found


def by_block(side: Side, cells: int) -> sparse.csr_array:
    """Return the counts of each block in each cell, shape (blocks, cells); blocks in order of appearance."""
    numbers = np.concatenate([each.blocks for each in side] or [np.zeros(0, np.int64)])
    where = np.concatenate([each.cells for each in side] or [np.zeros(0, np.uint8)])
    ones = (np.ones(len(each.blocks), np.int64) if each.rows is None else each.rows for each in side)
    rows = np.concatenate([*ones, np.zeros(0, np.int64)])
    codes, names = pd.factorize(numbers)
    return sparse.coo_array((rows, (codes, where.astype(np.intp))), shape=(len(names), cells)).tocsr()


def crossed(first: Side, second: Side, to: Places, cells: int) -> Crossed:
    """Sum up over blocks what two sides have in which cells.

    Parameters
    ----------
    first, second
        The entries of both sides.
    to
        The new place of each of their cells, below `cells`, or `LEFT_OUT`.
    cells
        How many cells are counted.

    """
    wide = 2 * cells
    found = Crossed(np.zeros((2, cells)), np.zeros((wide, wide), np.int64), np.zeros(5))
    for blocks, where, rows in _parts([first, second], to, cells):
        shape = (int(blocks.max(initial=-1)) + 1, wide)
        counts = sparse.csr_array((rows, (blocks, where)), shape=shape)
        counts.sum_duplicates()
        x, y = (
            np.bincount(blocks[own], rows[own], minlength=shape[0]) for own in (where < cells, where >= cells)
        )
        powers = np.array([np.sum(x**2), np.sum(y**2), np.sum(x**4), np.sum(x**2 * y**2), np.sum(y**4)])
        found = Crossed(
            found.spread + np.bincount(counts.indices, minlength=wide).reshape(2, cells),
            found.products + (counts.T @ counts).toarray(),
            found.sizes + powers,
        )
    return found


def _parts(sides: Sequence[Side], to: Places, cells: int = 0) -> Iterator[tuple[Places, Places, Numbers]]:
    """Yield the entries of some blocks after the other: number of the block, cell, and rows.

    The cells of the second side come `cells` after those of the first.
    """
    entries = sum(len(each.blocks) for side in sides for each in side)
    parts = max(-(-entries // AT_ONCE), 1)
    shifted = [np.where(to == LEFT_OUT, LEFT_OUT, to + place * cells) for place in range(len(sides))]
    for part in range(parts):
        some = [_some(each, shifted[place], part, parts) for place, side in enumerate(sides) for each in side]
        if some:
            blocks, where, rows = (np.concatenate(each) for each in zip(*some, strict=True))
            yield _compact(blocks), where, rows


def _some(members: Members, to: Places, part: int, parts: int) -> tuple[Numbers, Places, Numbers]:
    """Return the entries of those blocks that belong to a part, without the cells that are left out."""
    blocks, cells, rows = members
    if parts > 1:
        own = np.flatnonzero(blocks % parts == part)
        blocks, cells, rows = blocks[own], cells[own], None if rows is None else rows[own]
    where = to[cells]
    rows = np.ones(len(blocks), np.int64) if rows is None else rows
    if (where == LEFT_OUT).any():
        kept = np.flatnonzero(where != LEFT_OUT)
        blocks, where, rows = blocks[kept], where[kept], rows[kept]
    return blocks, where, rows


def _compact(blocks: Numbers) -> Places:
    """Return numbers from 0 for blocks, not many more than there are."""
    least = int(blocks.min(initial=0)) if len(blocks) else 0
    span = int(blocks.max(initial=0)) - least if len(blocks) else 0
    if span <= 4 * len(blocks) + 1_000:
        return (blocks - least).astype(np.intp)  # times cells, 32 bits would overflow
    return np.asarray(pd.factorize(blocks)[0])
