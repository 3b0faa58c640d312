"""Tests of one column that keep their level, see what moved, and say NaN when there is nothing to compare."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from perenne.stats.tally import Column, Tally, cut, tally
from perenne.stats.two_sample import Test, compare, unseen

Rng: TypeAlias = np.random.Generator
Side: TypeAlias = tuple[npt.NDArray[np.generic], npt.NDArray[np.intp]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small matrices are fastest on one thread."""
    with threadpool_limits(1):
        yield


def ordered(
    reference: Column, current: Column, blocks: tuple[Column, Column] | None = None
) -> dict[str, Test]:
    """Compare two samples of an ordered column: name of the test -> the test."""
    edges = cut(reference)
    return _compared(tally(reference, edges, _block(blocks, 0)), tally(current, edges, _block(blocks, 1)))


def unordered(
    reference: Column, current: Column, blocks: tuple[Column, Column] | None = None
) -> dict[str, Test]:
    """Compare two samples of categories: name of the test -> the test."""
    return _compared(tally(reference, None, _block(blocks, 0)), tally(current, None, _block(blocks, 1)))


def _block(blocks: tuple[Column, Column] | None, side: int) -> pd.Series | None:
    return None if blocks is None else pd.Series(blocks[side])


def _compared(before: Tally, after: Tally) -> dict[str, Test]:
    return {test.name: test for test in compare(before, after)}


def rejected(pvalue: Callable[[Rng], float], *, runs: int, seed: int, level: float = 0.05) -> int:
    """Return how many of the runs find a p-value of at most the level."""
    rng = np.random.default_rng(seed)
    return sum(pvalue(rng) <= level for _ in range(runs))


def allowed(runs: int, level: float = 0.05) -> int:
    """Return the count that a test of this level exceeds once in 1,000 times."""
    return int(stats.binom.ppf(0.999, runs, level))


def days(rng: Rng, count: int, rows: int, first: int) -> Side:
    """Draw days whose rows share nine tenths of their variance."""
    day = np.repeat(np.arange(count), rows)
    return np.sqrt(0.9) * rng.normal(size=count)[day] + np.sqrt(0.1) * rng.normal(size=len(day)), day + first


# What it keeps: the level


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(size=500),
        lambda rng: rng.integers(7, size=500),
        lambda rng: rng.random(500) < 0.3,
    ],
    ids=["normal", "weekday", "boolean"],
)
def test_ordered_keeps_its_level(draw: Callable[[Rng], Column]) -> None:
    """500 rows a side without drift: p <= .05 in at most 17 of 150 (binomial, 999 in 1,000)."""
    found = rejected(lambda rng: ordered(draw(rng), draw(rng))["distribution"].pvalue, runs=150, seed=1)
    assert found <= allowed(150)


@pytest.mark.parametrize("rows", [1, 5, 20])
def test_small_batches_keep_the_level(rows: int) -> None:
    """Even a single row against 200 is judged honestly: at most 17 of 150."""
    found = rejected(
        lambda rng: ordered(rng.normal(size=200), rng.normal(size=rows))["distribution"].pvalue,
        runs=150,
        seed=2,
    )
    assert 0 < found <= allowed(150)


@pytest.mark.parametrize(("kinds", "rows"), [(2, 500), (8, 500), (50, 500), (200, 4_000), (2_000, 500)])
def test_categories_keep_their_level(kinds: int, rows: int) -> None:
    """As frequent as each other, few or too many for a cell each, either test: at most 17 of 150.

    Taking the reference as truth says p <= .05 in 99 % with 50 of them; keeping the cells that are common
    in the reference, which they are by luck, in 65 % with 200.
    """
    rng, found = np.random.default_rng(3), {"distribution": 0, "unseen": 0}
    for _ in range(150):
        tests = unordered(rng.integers(kinds, size=rows), rng.integers(kinds, size=rows))
        for name in found:
            found[name] += tests[name].pvalue <= 0.05
    assert max(found.values()) <= allowed(150)


def test_the_long_tail_keeps_its_level() -> None:
    """5,000 categories of Zipf's frequencies, 2,000 rows against 50: at most 17 of 150, either test.

    Were rare ones cells of their own, chi-squared would say p <= .05 in a fifth.
    """
    share = 1 / np.arange(1, 5_001)
    share /= share.sum()
    rng, found = np.random.default_rng(4), {"distribution": 0, "unseen": 0}
    for _ in range(150):
        tests = unordered(rng.choice(5_000, 2_000, p=share), rng.choice(5_000, 50, p=share))
        for name in found:
            found[name] += tests[name].pvalue <= 0.05
    assert max(found.values()) <= allowed(150)


@pytest.mark.parametrize(("reference", "current"), [(59, 31), (10, 5)])
def test_days_keep_the_level(reference: int, current: int) -> None:
    """Days whose rows share nine tenths of their variance: at most 17 of 150, where rows alone say most."""

    def pvalue(rng: Rng, *, by_block: bool) -> float:
        (x, a), (y, b) = days(rng, reference, 40, 0), days(rng, current, 40, 1_000)
        return ordered(x, y, (a, b) if by_block else None)["distribution"].pvalue

    assert rejected(lambda rng: pvalue(rng, by_block=True), runs=150, seed=5) <= allowed(150)
    assert rejected(lambda rng: pvalue(rng, by_block=False), runs=50, seed=5) > 45


@pytest.mark.parametrize("kinds", [3, 20, 100])
def test_days_of_categories_keep_the_level_and_use_it(kinds: int) -> None:
    """59 days against 31 with shares that vary by day: 2 to 17 of 150, also with more cells than days."""

    def side(rng: Rng, count: int, first: int) -> Side:
        shares = rng.dirichlet(np.full(kinds, 5.0), size=count)
        rows = np.concatenate([rng.choice(kinds, size=40, p=share) for share in shares])
        return rows, np.repeat(np.arange(count) + first, 40)

    def pvalue(rng: Rng) -> float:
        (x, a), (y, b) = side(rng, 59, 0), side(rng, 31, 1_000)
        return unordered(x, y, (a, b))["distribution"].pvalue

    assert 2 <= rejected(pvalue, runs=150, seed=6) <= allowed(150)


@pytest.mark.parametrize("overlap", [0.0, 0.8, 1.0])
def test_employees_on_both_sides_keep_the_level_and_use_it(overlap: float) -> None:
    """1,000 employees of 3 rows, none, most or all on both sides: 2 to 17 of 150.

    With all on both sides, rows taken for independent would find nothing, ever.
    """

    def pvalue(rng: Rng) -> float:
        own, who = rng.normal(size=2_000), np.repeat(np.arange(1_000), 3)
        later = who + int(1_000 * (1 - overlap))
        x, y = (own[w] + 0.3 * rng.normal(size=3_000) for w in (who, later))
        return ordered(x, y, (who, later))["distribution"].pvalue

    assert 2 <= rejected(pvalue, runs=150, seed=7) <= allowed(150)


# What it finds


def test_agrees_with_scipy_where_scipy_has_the_test() -> None:
    """Chi-squared is chi2_contingency's; Anderson-Darling's p-value is anderson_ksamp's, within its table."""
    rng = np.random.default_rng(8)
    x, y = rng.integers(6, size=400), rng.integers(6, size=300)
    table = np.array([np.bincount(x), np.bincount(y)])
    known = stats.chi2_contingency(table, correction=False)
    found = unordered(x, y)["distribution"]
    # scipy divides by N, the permutation variance by N - 1
    assert found.statistic == pytest.approx(known.statistic / known.dof * 699 / 700)
    assert found.pvalue == pytest.approx(known.pvalue, rel=0.02)
    u, v = rng.normal(size=400), rng.normal(0.2, size=300)
    ks = stats.ks_2samp(u, v).statistic
    assert ordered(u, v)["distribution"].effect == pytest.approx(ks, abs=0.011)


def test_a_day_that_differs_is_no_drift_a_month_is() -> None:
    """59 days against 31 that lie one standard deviation higher: found in at least 90 of 100."""

    def pvalue(rng: Rng) -> float:
        (x, a), (y, b) = days(rng, 59, 50, 0), days(rng, 31, 50, 1_000)
        return ordered(x, y + 1.0, (a, b))["distribution"].pvalue  # type: ignore[operator]  # both are arrays here

    assert rejected(pvalue, runs=100, seed=9, level=0.01) >= 90


def test_unseen_categories_are_found_beyond_what_chance_brings() -> None:
    """8 % of rows of a new category are found, 1 % of singletons where 1 % is usual are not."""
    usual = np.r_[np.arange(10).repeat(99), 1_000:1_010]
    new = np.r_[np.arange(10).repeat(92), np.full(80, 77)]
    test = unordered(usual, new)["unseen"]
    assert test.pvalue < 1e-10
    assert test.effect == pytest.approx(0.08, abs=0.005)
    assert unordered(usual, np.r_[np.arange(10).repeat(99), 2_000:2_010])["unseen"].pvalue > 0.2


def test_one_busy_block_is_not_many_unseen_rows() -> None:
    """A new category in all rows of one of 50 days is one accident, not 20."""
    x, y = np.zeros(1_000, int), np.where(np.arange(1_000) < 20, 7, 0)
    day = np.arange(1_000) // 20
    assert unordered(x, y)["unseen"].pvalue < 1e-4
    assert unordered(x, y, (day, day + 100))["unseen"].pvalue > 0.2


def test_missing_values_are_a_test_of_their_own() -> None:
    """Values that go missing at random leave the distribution alone and are found by their share."""
    rng = np.random.default_rng(10)
    x, y = rng.normal(size=2_000), rng.normal(size=2_000)
    tests = ordered(x, np.where(rng.random(2_000) < 0.08, np.nan, y))
    assert tests["missing"].pvalue < 1e-10
    assert tests["missing"].effect == pytest.approx(0.08, abs=0.02)
    assert tests["distribution"].pvalue > 0.05


def test_few_missing_values_are_judged_exactly() -> None:
    """Three missing of 500 against none: the binomial's .25, where chi-squared would say .08."""
    test = ordered(np.zeros(500), [None] * 3 + [0.0] * 497)["missing"]
    assert test.pvalue == pytest.approx(0.25)


def test_values_beyond_the_reference_have_cells_of_their_own() -> None:
    """A fifth of the reference is at its least value, and a fifth at its greatest: just beyond is new."""
    x = np.clip(np.arange(1_000.0), 200, 800)
    for old, new in ((200, 199), (800, 801)):
        effect = ordered(x, np.where(x == old, new, x))["distribution"].effect
        assert effect == pytest.approx(0.2, abs=0.011)


# Edges


def test_identical_samples_differ_in_nothing() -> None:
    """No effect and no evidence, whatever the type; but something was compared."""
    for tests in (ordered(range(100), range(100)), unordered(list("ab") * 50, list("ab") * 50)):
        assert tests["distribution"].effect == 0
        assert tests["distribution"].pvalue > 0.99


@pytest.mark.parametrize("compared", [ordered, unordered])
def test_nothing_to_compare_is_nan(compared: Callable[..., dict[str, Test]]) -> None:
    """A constant column, an empty side and missing values on a whole side have no distribution to test."""
    nothing: Sequence[float] = []
    for x, y in (([1.0] * 9, [1.0] * 9), (nothing, [1.0]), ([1.0], nothing), ([math.nan] * 9, [1.0, 2.0])):
        assert math.isnan(compared(x, y)["distribution"].pvalue)
    assert math.isnan(compared([1.0, 2.0], nothing)["missing"].pvalue)
    assert math.isnan(compared([math.nan] * 9, [math.nan] * 5)["missing"].pvalue)
    assert math.isnan(compared([1.0] * 9, [2.0] * 9)["missing"].pvalue)


@pytest.mark.parametrize("compared", [ordered, unordered])
@pytest.mark.parametrize("blocks", [None, (range(60), range(60, 120))], ids=["rows", "blocks"])
def test_a_constant_that_becomes_another(
    compared: Callable[..., dict[str, Test]], blocks: tuple[range, range] | None
) -> None:
    """Everything has changed, and that is said, though neither side varies; likewise if all goes missing."""
    test = compared([1.0] * 60, [2.0] * 60, blocks)["distribution"]
    assert test.effect == 1
    assert test.pvalue < 1e-6
    gone = compared([1.0] * 60, [math.nan] * 60, blocks)["missing"]
    assert gone.effect == 1
    assert gone.pvalue < 1e-6


def test_infinite_values_are_the_largest() -> None:
    """They are ordered, on either side, and none is missing."""
    x = np.r_[np.full(30, -np.inf), np.arange(100.0), np.full(30, np.inf)]
    tests = ordered(x, np.r_[np.arange(100.0), np.full(60, np.inf)])
    assert tests["distribution"].effect == pytest.approx(30 / 160, abs=0.011)
    assert math.isnan(tests["missing"].pvalue)


def test_one_row_cannot_prove_much() -> None:
    """A single unremarkable row is compared, without alarm."""
    assert ordered(range(1_000), [500])["distribution"].pvalue > 0.5
    assert unordered(list("abcd") * 250, ["a"])["distribution"].pvalue > 0.2


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        (pd.Series([1, 2, None], dtype="Int64"), pd.Series([2, 2, 2], dtype="uint8")),
        (pd.Series([True, False, None], dtype="boolean"), pd.Series([True, True, False])),
        (
            pd.Series(pd.DatetimeIndex(["2020-01-01", "2021-01-01", pd.NaT])),
            pd.Series(pd.to_datetime(["2021-01-01"] * 2)).astype("datetime64[s]"),
        ),
    ],
    ids=["integer", "boolean", "datetime"],
)
def test_types_that_have_an_order(reference: pd.Series, current: pd.Series) -> None:
    """Nullable, boolean and date columns are numbers, whatever their unit; what is missing stays missing."""
    tests = ordered(reference, current)
    assert tests["missing"].effect == pytest.approx(-1 / 3)
    assert tests["distribution"].effect in (pytest.approx(1 / 2), pytest.approx(1 / 6))


def test_a_hundred_thousand_categories() -> None:
    """1e5 equally frequent categories: no alarm without drift, and one when a tenth of them takes half."""
    rng = np.random.default_rng(11)
    names = np.array([f"id{k}" for k in range(100_000)], dtype=object)
    x, y = (names[rng.integers(100_000, size=200_000)] for _ in range(2))
    calm, loud = unordered(x, y), unordered(x, np.r_[y[:100_000], names[rng.integers(20, size=100_000)]])
    assert calm["distribution"].pvalue > 0.01
    assert calm["unseen"].pvalue > 0.01
    assert loud["distribution"].pvalue < 1e-10


# Counting


@pytest.mark.parametrize("by_block", [False, True], ids=["rows", "blocks"])
def test_tallies_add_up(*, by_block: bool) -> None:
    """Two batches counted apart and added are one batch: a map, then a small reduce."""
    rng = np.random.default_rng(12)
    x, y, z = (rng.choice(list("abcdef"), size=300, p=p) for p in rng.dirichlet(np.ones(6), size=3))
    a, b, c = (pd.Series(rng.integers(30, size=300)) if by_block else None for _ in range(3))
    both = None if b is None or c is None else pd.concat([b, c])
    apart = _compared(tally(x, None, a), tally(y, None, b) + tally(z, None, c))
    together = _compared(tally(x, None, a), tally(np.r_[y, z], None, both))
    for name, test in apart.items():
        assert test[1:] == pytest.approx(together[name][1:], nan_ok=True)


def test_the_order_of_rows_and_the_names_of_blocks_do_not_matter() -> None:
    """A comparison sees which rows share a block, nothing else."""
    rng = np.random.default_rng(13)
    (x, a), (y, b) = days(rng, 20, 9, 0), days(rng, 10, 9, 15)
    order = rng.permutation(len(x))
    plain = ordered(x, y, (a, b))
    mixed = ordered(x[order], y, ([f"day {d}" for d in a[order]], [f"day {d}" for d in b]))
    assert mixed["distribution"][1:] == pytest.approx(plain["distribution"][1:])


def test_rows_by_block_and_alone_are_not_mixed() -> None:
    """Two tallies that were counted differently are refused, and so is a row without a block."""
    with pytest.raises(ValueError, match="either both by block or neither"):
        compare(tally([1], cut([1])), tally([1], cut([1]), ["monday"]))
    with pytest.raises(ValueError, match="cut by the same edges"):
        compare(tally([1], cut([1])), tally([1], cut([1, 2])))
    with pytest.raises(ValueError, match="a block for each of 2 rows, received 1"):
        tally(["a", "b"], None, ["monday", None])


def test_unseen_needs_two_sides() -> None:
    """Without rows on a side there is no share."""
    assert math.isnan(unseen([0, 0], [1, 2]).pvalue)
    assert math.isnan(unseen([1, 2], [0, 0]).pvalue)
