"""A classifier that finds what no single column shows, and is not fooled by rows that resemble each other."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from perenne.stats.joint import joint, quantiles
from perenne.stats.tally import cut, tally
from perenne.stats.two_sample import compare


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small trees are fastest on one thread."""
    with threadpool_limits(1):
        yield


def correlated(rng: np.random.Generator, rows: int, by: float = 0.0, columns: int = 5) -> pd.DataFrame:
    """Draw standard normal columns, the first two of which correlate."""
    x = rng.normal(size=(rows, columns))
    x[:, 1] = by * x[:, 0] + math.sqrt(1 - by**2) * x[:, 1]
    return pd.DataFrame(x, columns=[f"x{k}" for k in range(columns)])


def test_a_correlation_is_found_that_no_column_shows() -> None:
    """Correlation 0, then .6, 2,000 rows a side of 20 columns: p < .001, though no column alone says so."""
    rng = np.random.default_rng(1)
    reference, current = correlated(rng, 2_000, columns=20), correlated(rng, 2_000, by=0.6, columns=20)
    test = joint(reference, current, seed=1)
    assert test.pvalue < 0.001
    assert test.effect > 0.08
    for name in ("x0", "x1"):
        edges = cut(reference[name])
        assert compare(tally(reference[name], edges), tally(current[name], edges))[0].pvalue > 0.001


def test_keeps_its_level() -> None:
    """Of 80 comparisons without drift at most 11 (binomial, 999 in 1,000) say p <= .05."""
    rng = np.random.default_rng(2)
    sides = ((correlated(rng, 200, columns=3), correlated(rng, 300, columns=3)) for _ in range(80))
    found = sum(joint(*pair, seed=1).pvalue <= 0.05 for pair in sides)
    assert found <= stats.binom.ppf(0.999, 80, 0.05)


def test_days_keep_the_level_and_rows_alone_would_not() -> None:
    """59 days against 31 with most variance between them: at most 8 of 50; as rows, most of 10."""
    rng, by_day, by_row = np.random.default_rng(3), 0, 0
    for seed in range(50):
        day = np.repeat(np.arange(90), 10)
        frame = correlated(rng, 90, columns=3).iloc[day].reset_index(drop=True)
        frame += 0.3 * correlated(rng, len(day), columns=3)
        a, b = frame[day < 59], frame[day >= 59]
        by_day += joint(a, b, (day[day < 59], day[day >= 59]), seed=seed).pvalue <= 0.05
        by_row += seed < 10 and joint(a, b, seed=seed).pvalue <= 0.05
    assert by_day <= stats.binom.ppf(0.999, 50, 0.05)
    assert by_row >= 6


def test_columns_of_every_type() -> None:
    """Categories, dates, booleans and missing values are all features, and a swapped pairing is found."""
    rng = np.random.default_rng(4)
    kind, flag = rng.integers(3, size=2_000), rng.random(2_000) < 0.5
    start = pd.Timestamp("2020-01-01")
    frame = pd.DataFrame(
        {
            "site": pd.Series(np.array(["Lille", "Lyon", None], dtype=object)[kind]),
            "flag": flag,
            "since": start + pd.to_timedelta(rng.integers(900, size=2_000), unit="D"),
            "id": [f"n{k}" for k in rng.integers(500, size=2_000)],
        }
    )
    other = frame.assign(flag=(kind == 1) ^ (rng.random(2_000) < 0.1))
    assert joint(frame[:1_000], frame[1_000:], seed=1).pvalue > 0.01
    assert joint(frame[:1_000], other[1_000:], seed=1).pvalue < 0.001


def test_seed_decides() -> None:
    """Same seed, same answer, also on a sample; another seed, another one."""
    rng = np.random.default_rng(5)
    sides = correlated(rng, 600), correlated(rng, 600)
    first, again, other = (joint(*sides, seed=s, rows=300) for s in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_are_not_judged(rows: int) -> None:
    """A side that cannot be cut in two is NaN, not a p-value."""
    rng = np.random.default_rng(6)
    assert math.isnan(joint(correlated(rng, 100), correlated(rng, rows), seed=1).pvalue)
    assert math.isnan(joint(correlated(rng, rows), correlated(rng, 100), seed=1).pvalue)


def test_identical_constants_cannot_be_told_apart() -> None:
    """All scores tie: the area is 1/2 and there is nothing to test."""
    same = pd.DataFrame({"x": np.ones(100), "gone": np.full(100, np.nan)})
    test = joint(same, same, seed=1)
    assert test.effect == 0
    assert math.isnan(test.pvalue)


def test_a_block_on_both_sides_counts_once() -> None:
    """The same employees on both sides, the same values: nothing to find."""
    rng = np.random.default_rng(7)
    frame, who = correlated(rng, 300), np.arange(300)
    assert not joint(frame, frame, (who, who), seed=1).pvalue < 0.5


def test_mistakes_are_named() -> None:
    """Other columns, and a row without a block, are refused."""
    frame = correlated(np.random.default_rng(8), 10)
    with pytest.raises(ValueError, match=r"expected columns \['x0'"):
        joint(frame, frame[["x1", "x0"]], seed=1)
    with pytest.raises(ValueError, match="every row needs a block"):
        joint(frame, frame, ([None] * 10, range(10)), seed=1)


@pytest.mark.parametrize("sizes", [(40, 40), (41, 90), (7, 300), (0, 90)])
@pytest.mark.parametrize("digits", [0, 1, 6])
def test_quantiles_weigh_both_sides_alike(sizes: tuple[int, int], digits: int) -> None:
    """By their definition, in fractions: the least value with so much weight, or the mean with the next."""
    rng = np.random.default_rng(sizes)
    sides = [np.sort((3 * rng.normal(size=size)).round(digits)) for size in sizes]
    sides[1][-2:] = np.nan  # missing values weigh, and lie behind all others
    values = sorted(set(sides[0]) | set(sides[1][:-2]))
    by_value = [sum(Fraction(int((s <= v).sum()), max(len(s), 1)) for s in sides) for v in values]
    expected = []
    for k in range(1, 8):
        wanted = Fraction(k, 8) * by_value[-1]
        at = next(i for i, weight in enumerate(by_value) if weight >= wanted)
        between = by_value[at] == wanted
        expected.append((values[at] + values[at + 1]) / 2 if between else values[at])
    assert quantiles(sides[0], sides[1], bins=8) == pytest.approx(sorted(set(expected)), abs=1e-12)
    assert quantiles(sides[0], sides[1], bins=len(values)) is None


def test_bins_are_those_of_the_estimator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same p-value to the bit as if it had made them of the values, which takes many times as long."""
    rng = np.random.default_rng(3)
    reference, current = correlated(rng, 1_501), correlated(rng, 401, by=0.3)
    reference["x3"], current["x4"] = reference["x3"].round(1), current["x4"].where(current["x4"] < 1)
    binned = joint(reference, current, seed=1)
    monkeypatch.setattr("perenne.stats.joint.quantiles", lambda *_: None)
    assert joint(reference, current, seed=1) == binned
