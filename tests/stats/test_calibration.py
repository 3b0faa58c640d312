"""Bounded increments whose mean says how wrong, how miscalibrated and how ill ranked the labels are."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from perenne.stats.calibration import (
    LOG_LOSS_CAP,
    block_means,
    discordance,
    excess,
    in_order,
    log_losses,
    squared_errors,
)
from perenne.stats.metrics import METRICS, Array
from perenne.stats.sequential import State, gains, refer, update

rows = st.lists(st.tuples(st.booleans(), st.sampled_from([0.1, 0.3, 0.5, 0.9])), max_size=40)


def drawn(seed: int, count: int, ratio: float = 1) -> tuple[Array, Array]:
    """Draw outcomes ``ratio`` times as frequent as expected, 10 % on average, and what was expected."""
    rng = np.random.default_rng(seed)
    expected = special.expit(rng.normal(-2.786, 1.3, count))
    return (rng.random(count) < ratio * expected).astype(np.float64), expected


@pytest.mark.parametrize(("name", "function"), [("log_loss", log_losses), ("brier", squared_errors)])
def test_their_mean_is_the_metric(name: str, function: Callable[[Array, Array], Array]) -> None:
    """Where no loss is capped."""
    y, p = drawn(1, 500)
    p = p.clip(0.02, 0.98)
    assert function(y, p).mean() == pytest.approx(METRICS[name].prepare(y, p)(np.ones(500)))


def test_log_loss_is_capped() -> None:
    """Certainties and one per cent cost the same if wrong."""
    found = log_losses([1, 1, 0, 0], [0.0, 0.01, 1.0, 0.0])
    assert found == pytest.approx([LOG_LOSS_CAP, LOG_LOSS_CAP, LOG_LOSS_CAP, 0])


def test_excess_sums_to_observed_less_expected() -> None:
    """Event by event."""
    y, p = drawn(1, 500)
    assert excess(y, p).sum() == pytest.approx(y.sum() - p.sum())


@pytest.mark.parametrize(
    ("ratio", "more", "fewer"), [(1.0, None, None), (1.15, 3124, None), (0.85, None, 8137), (1.5, 529, None)]
)
def test_both_sides_of_calibration(ratio: float, more: int | None, fewer: int | None) -> None:
    """Where more happens than expected one detector speaks, where less the other, else neither."""
    before, after = excess(*drawn(2, 20_000)), excess(*drawn(3, 10_000, ratio))
    found = [
        update(State(), gains(side * after, refer(side * before, low=-1, high=1)), alpha=1e-5).alarm
        for side in (1, -1)
    ]
    assert found == [more, fewer]


@given(rows)
def test_discordance_is_what_it_says(table: list[tuple[bool, float]]) -> None:
    """Group by group: the share of pairs of its positives and negatives that are the wrong way round."""
    y, score = [row[0] for row in table], [row[1] for row in table]
    begin, values, ends = 0, list[float](), list[int]()
    for end in range(len(y)):
        group = range(begin, end + 1)
        pairs = [(score[i], score[j]) for i in group for j in group if y[i] and not y[j]]
        if pairs:
            values.append(sum((high < low) + (high == low) / 2 for high, low in pairs) / len(pairs))
            ends.append(end)
            begin = end + 1
    found = discordance(y, score)
    assert found.values == pytest.approx(values)
    assert found.ends.tolist() == ends


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 0.95])
def test_discordance_estimates_one_minus_auc(rate: float) -> None:
    """At any base rate, within three standard errors."""
    rng = np.random.default_rng(5)
    y = rng.random(200_000) < rate
    values = discordance(y, rng.normal(size=200_000) + math.sqrt(2) * special.ndtri(0.86) * y).values
    assert values.mean() == pytest.approx(0.14, abs=3 * values.std() / math.sqrt(len(values)))


def test_constant_scores_rank_nothing() -> None:
    """All ties: one half each."""
    assert set(discordance([0, 1] * 5, np.full(10, 0.3)).values) == {0.5}


@pytest.mark.parametrize("y", [[], [1], [0, 0, 0]])
def test_one_class_has_no_group(y: list[int]) -> None:
    """No pair, no increment."""
    assert [len(each) for each in discordance(y, np.zeros(len(y)))] == [0, 0]


@pytest.mark.parametrize("function", [log_losses, squared_errors, excess, discordance])
def test_bad_rows_are_named(function: Callable[[list[float], list[float]], object]) -> None:
    """An error says which row and what it holds."""
    with pytest.raises(ValueError, match=r"y must be 0 or 1, but row 1 holds 2\.0"):
        function([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="prediction must be finite, but row 0 holds nan"):
        function([0, 1], [math.nan, 0.2])


def test_order_keeps_blocks() -> None:
    """Blocks stay in the order of their first row, every row once; the seed decides the rest."""
    blocks = np.array(["b", "a", "b", "c", "a"] * 20)
    place = in_order(blocks, seed=1)
    assert "".join(blocks[place]) == "b" * 40 + "a" * 40 + "c" * 20
    assert sorted(place) == list(range(100))
    assert (place == in_order(blocks, seed=1)).all()
    assert (place != in_order(blocks, seed=2)).any()


def test_block_means_in_order() -> None:
    """Blocks need not be contiguous."""
    assert block_means([1, 5, 3, 7], ["b", "a", "b", "c"]).tolist() == [2, 5, 7]
