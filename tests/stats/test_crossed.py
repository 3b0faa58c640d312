"""What blocks have in which cells: the same sums however blocks are numbered, and in however many parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from perenne.stats import crossed
from perenne.stats.crossed import LEFT_OUT, Crossed
from perenne.stats.tally import Members, block_numbers, tally

CELLS = 4
TO = np.array([LEFT_OUT, 0, 1, 2, 2])  # of five cells the first does not count, and two share a place


def members(rng: np.random.Generator, rows: int, blocks: int) -> Members:
    """Return rows at random."""
    return Members(rng.integers(0, blocks, rows), rng.integers(0, 5, rows).astype(np.uint8), None)


def dense(side: list[Members], blocks: int) -> npt.NDArray[np.int64]:
    """Return the counts of each block in each cell, row by row."""
    found = np.zeros((blocks, 3), np.int64)
    for each in side:
        for row, (block, cell) in enumerate(zip(each.blocks, each.cells, strict=True)):
            if TO[cell] != LEFT_OUT:
                found[block, TO[cell]] += 1 if each.rows is None else each.rows[row]
    return found


def same(one: Crossed, other: Crossed) -> bool:
    """Whether all sums are equal."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


FIRST, SECOND = ([members(np.random.default_rng(k), 300, 40)] * (k + 1) for k in range(2))


def test_sums_are_those_of_the_blocks() -> None:
    """Products of any two cells, spreads and powers, against the table of blocks and cells."""
    found = crossed.crossed(FIRST, SECOND, TO, 3)
    first, second = (dense(side, 40) for side in (FIRST, SECOND))
    both = np.hstack([first, second])
    assert np.array_equal(found.products, both.T @ both)
    assert np.array_equal(found.spread, [(first > 0).sum(axis=0), (second > 0).sum(axis=0)])
    x, y = first.sum(axis=1), second.sum(axis=1)
    assert found.sizes.tolist() == [np.sum(each) for each in (x**2, y**2, x**4, x**2 * y**2, y**4)]
    n, m = int(x.sum()), int(y.sum())
    apart = second / m - first / n
    assert found.difference(n, m) == pytest.approx(apart.T @ apart)
    sizes = (x / n) ** 2 + (y / m) ** 2
    assert found.blocks(n, m) == pytest.approx(sizes.sum() ** 2 / np.sum(sizes**2))


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_parts_give_the_same_sums(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """Memory bounds how many entries are counted at once; what comes out does not depend on it."""
    whole, often = crossed.crossed(FIRST, SECOND, TO, 3), crossed.spread(SECOND, 5)
    monkeypatch.setattr(crossed, "AT_ONCE", at_once)
    assert same(crossed.crossed(FIRST, SECOND, TO, 3), whole)
    assert np.array_equal(crossed.spread(SECOND, 5), often)


@pytest.mark.parametrize("far", [1, 10**15])
def test_numbers_of_blocks_do_not_matter(far: int) -> None:
    """Near to each other or far apart: a block is its rows."""
    first, second = (
        [each._replace(blocks=each.blocks * far - far) for each in side] for side in (FIRST, SECOND)
    )
    assert same(crossed.crossed(first, second, TO, 3), crossed.crossed(FIRST, SECOND, TO, 3))
    assert np.array_equal(crossed.spread(first, 5), crossed.spread(FIRST, 5))


def test_small_numbers_of_many_blocks_and_categories_do_not_overflow() -> None:
    """Fifty thousand blocks by a hundred thousand categories are more places than 32 bits can number."""
    blocks, last = np.arange(50_000, dtype=np.int32), np.full(50_000, 99_999, dtype=np.uint32)
    often = crossed.spread([Members(blocks, last, None)], 100_000)
    assert np.flatnonzero(often).tolist() == [99_999]
    assert often[-1] == 50_000


def test_what_is_the_same_on_both_sides_cancels() -> None:
    """To the last bit, though the sides differ in size: else a constant column would seem to vary."""
    twice = [*FIRST, *FIRST]
    found = crossed.crossed(FIRST, twice, TO, 3)
    rows = int(dense(FIRST, 40).sum())
    assert not found.difference(rows, 2 * rows).any()


def test_many_rows_of_few_blocks_are_entries_with_a_number() -> None:
    """A hundred thousand rows of three days take as many entries as days have cells; and count alike."""
    rng = np.random.default_rng(5)
    values, days = rng.normal(size=100_000).round(1), rng.integers(18_000, 18_003, 100_000)
    edges = np.array([-1.0, 0.0, 1.0])
    [each] = tally(values, edges, days).members or ()
    assert len(each.blocks) <= 3 * 5
    assert set(each.blocks.tolist()) == {18_000, 18_001, 18_002}
    assert each.rows is not None
    assert int(each.rows.sum()) == 100_000
    codes = 1 + np.searchsorted(edges, values)
    rowwise = Members(days, codes.astype(np.uint8), None)
    assert same(crossed.crossed([each], [each], TO, 3), crossed.crossed([rowwise], [rowwise], TO, 3))


@pytest.mark.parametrize(
    ("labels", "others"),
    [(["ann", "bob"], ["bob", "ann"]), ([3, 7], [7, 3]), ([0.5, 1.5], [1.5, 0.5])],
    ids=["text", "whole numbers", "numbers"],
)
def test_equal_labels_have_equal_numbers(labels: list[Any], others: list[Any]) -> None:
    """In any batch, in any order; and different ones different numbers."""
    first, second = block_numbers(labels), block_numbers(others)
    assert first.tolist() == second.tolist()[::-1]
    assert first[0] != first[1]
