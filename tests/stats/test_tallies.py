"""A column counted batch by batch: what batches add up to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perenne.stats.tallies import Tallies
from perenne.stats.tally import BlockRegistry, Tally, cut, tally
from perenne.stats.two_sample import compare

RNG = np.random.default_rng(3)
BATCHES = {place: [None, *RNG.choice(list("abcdefgh")[: 3 + 2 * place], 49).tolist()] for place in range(3)}
BLOCKS = {place: RNG.integers(0, 20, 50) for place in range(3)}


def counted(*, by_block: bool) -> Tallies[int]:
    """Return three batches, each with categories that the one before did not have."""
    return Tallies(
        (place, tally(values, None, BLOCKS[place] if by_block else None)) for place, values in BATCHES.items()
    )


def told(before: Tally, after: Tally) -> list[tuple[object, ...]]:
    """Return what a comparison says, as numbers that can be compared."""
    return [(test.name, *(round(value, 12) for value in test[1:])) for test in compare(before, after)]


@pytest.mark.parametrize("by_block", [False, True], ids=["rows", "blocks"])
@pytest.mark.parametrize("batches", [[0], [2, 0], [1, 1, 2]])
def test_total_is_that_of_the_rows_together(batches: list[int], *, by_block: bool) -> None:
    """Also in another order, and of a batch that counts twice."""
    values = [value for batch in batches for value in BATCHES[batch]]
    blocks = np.concatenate([BLOCKS[batch] for batch in batches]) if by_block else None
    other = tally([*"abch", None], None, np.arange(5) if by_block else None)
    found = counted(by_block=by_block).total(batches)
    assert told(found, other) == told(tally(values, None, blocks), other)
    by_label = pd.Series(found.counts[1:], index=found.labels)
    assert by_label[by_label > 0].to_dict() == pd.Series(values, dtype=object).value_counts().to_dict()


def test_batches_are_a_mapping_to_their_own_counts() -> None:
    """A batch alone is what was added, over the categories of all."""
    tallies = counted(by_block=True)
    assert list(tallies) == [0, 1, 2]
    assert len(tallies) == 3
    assert [int(tallies[place].counts.sum()) for place in tallies] == [50] * 3
    assert tallies.cells() == {place: len(set(values)) for place, values in BATCHES.items()}
    assert tallies.without_blocks()[1].members is None
    assert tallies.without_blocks()[1].counts.tolist() == tallies[1].counts.tolist()


def test_ordered_columns_keep_their_cells() -> None:
    """Missing values come first, and what lies beyond the edges last."""
    edges = cut([1.0, 2.0, 3.0])
    found = Tallies({"one": tally([1.0, np.nan], edges), "two": tally([9.0, np.nan], edges)}.items())
    assert found.total(["one", "two"]).counts.tolist() == [2, 0, 1, 0, 0, 1]


def test_no_batch_holds_nothing() -> None:
    """A column that no period has."""
    assert len(Tallies[int]()) == 0
    assert Tallies[int]().total([]).counts.sum() == 0


def test_registry_numbers_blocks_in_order_of_appearance() -> None:
    """Those that are known, then others; and each keeps its number."""
    registry = BlockRegistry(np.array([70, 50]))
    assert registry.of(np.array([50, 90, 70, 90])).tolist() == [1, 2, 0, 2]
    assert registry.of(np.array([10, 90])).tolist() == [3, 2]
