"""Design effects are those of theory, and chance finds one as seldom as it says."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from perenne.stats.metrics import Array
from perenne.stats.sharing import Sharing, sharing

DAYS = np.repeat(np.arange(60), 30)
MONTHS = DAYS // 30


def drawn(kind: str, rng: np.random.Generator) -> tuple[Array, npt.NDArray[np.intp]]:
    """Draw independent residuals, and the day of each."""
    normal: Array = rng.normal(size=len(DAYS))
    tails: Array = np.asarray(rng.standard_t(2.5, size=len(DAYS)), dtype=np.float64)
    if kind == "pairs":
        return normal[:400], np.repeat(np.arange(200), 2)
    if kind == "weekends vary thrice as much":
        return np.asarray(np.where(DAYS % 7 > 4, 3.0, 1.0) * normal), DAYS
    if kind == "five rare events":
        return rng.binomial(1, 5 / len(DAYS), len(DAYS)).astype(np.float64) - 5 / len(DAYS), DAYS
    return (tails if kind == "long tails" else normal), DAYS


@pytest.mark.parametrize(
    "kind", ["equal rows", "weekends vary thrice as much", "five rare events", "long tails", "pairs"]
)
def test_independent_rows_share_nothing(kind: str) -> None:
    """Whatever their sizes: p is below .05 in at most one of twenty cases."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(1_000):
        values, labels = drawn(kind, rng)
        hits += sharing(values, labels, labels // 30).p < 0.05
    assert hits <= stats.binom.ppf(0.999, 1_000, 0.05)


def test_effects_are_those_of_theory() -> None:
    """With a correlation of .1 between thirty rows of a day: 1 + 29 * .1, and its interval covers that."""
    rng, found = np.random.default_rng(2), list[Sharing]()
    for _ in range(300):
        shock = rng.normal(size=60)[DAYS]
        found.append(sharing(math.sqrt(0.1) * shock + math.sqrt(0.9) * rng.normal(size=1_800), DAYS, MONTHS))
    assert np.mean([each.correlation for each in found]) == pytest.approx(0.1, abs=0.005)
    assert np.mean([each.effect for each in found]) == pytest.approx(3.9, abs=0.1)
    covered = sum(each.low < 3.9 < each.high for each in found)
    assert stats.binom.ppf(0.001, 300, 0.9) <= covered <= stats.binom.ppf(0.999, 300, 0.9)
    assert all(each.p < 0.001 for each in found)


def test_what_periods_share_is_not_what_days_share() -> None:
    """A month that is off by three, all its days alike, changes nothing."""
    values = np.random.default_rng(3).normal(size=1_800)
    off = sharing(values + 3 * MONTHS, DAYS, MONTHS)
    assert off == pytest.approx(sharing(values, DAYS, MONTHS))
    assert sharing(values + 3 * MONTHS, DAYS, np.zeros(1_800)).effect > 20


def test_labels_may_cross_periods() -> None:
    """Employees who stay: what one shares over the quarters is seen, whatever the order of rows."""
    rng = np.random.default_rng(4)
    who, quarter = np.tile(np.arange(500), 6), np.repeat(np.arange(6), 500)
    values = rng.normal(size=500)[who] + rng.normal(size=3_000)
    found = sharing(values, who, quarter)
    assert found.correlation == pytest.approx(0.5, abs=0.05)
    shuffled = rng.permutation(3_000)
    assert sharing(values[shuffled], who[shuffled], quarter[shuffled]) == pytest.approx(found)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (np.ones(90), np.repeat(np.arange(30), 3)),  # a model without any error
        (np.arange(90.0), np.arange(90)),  # nobody has two rows
        (np.arange(90.0), np.repeat(np.arange(9), 10)),  # nine days
        (np.array([]), np.array([])),
    ],
)
def test_too_few_to_tell(values: Array, labels: Array) -> None:
    """Then there is no number."""
    assert np.isnan(sharing(values, labels, np.zeros(len(values)))[1:]).all()


def test_bad_rows_are_named() -> None:
    """As in the metrics."""
    with pytest.raises(ValueError, match="row 1 has no residual"):
        sharing(np.array([0, math.nan]), np.arange(2), np.arange(2))
    with pytest.raises(ValueError, match="a label for each of 2 rows, received 3"):
        sharing(np.zeros(2), np.arange(3), np.arange(2))
