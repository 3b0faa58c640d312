"""Gains have bounds that hold where rows share a block, blocks are skewed, or chance moves both models."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from perenne.stats.bootstrap import intervals
from perenne.stats.estimate import Estimate, Nearer
from perenne.stats.influence import INFLUENCE, Influence, bias, mae
from perenne.stats.metrics import METRICS, Array
from perenne.stats.paired import estimate, gain
from perenne.stats.sharing import coded
from tests.stats.test_memory import remembering

ALPHA = 0.05
DAYS = np.repeat(np.arange(60), 10)


def measured(values: Array) -> Influence:
    """Return a mean as an influence."""
    return Influence(float(values.mean()), values - values.mean())


def over(values: Array) -> Estimate:
    """Return the mean of values that are a block each."""
    return estimate(measured(values), np.arange(len(values)), len(values))


def models(seed: int = 1) -> tuple[Array, Array, Array]:
    """Draw outcomes of 60 days, the true probabilities, and those of a model that knows less."""
    rng = np.random.default_rng(seed)
    known = rng.normal(size=600) + 0.5 * rng.normal(size=60)[DAYS] - 1
    less = known / 2 + rng.normal(size=600)
    good, bad = 1 / (1 + np.exp(-known)), 1 / (1 + np.exp(-less))
    return (rng.random(600) < good).astype(np.float64), good, bad


def most(level: float, runs: int) -> float:
    """Return what a binomial of this chance exceeds once in 1,000 times."""
    return float(stats.binom.ppf(0.999, runs, level))


def errs(draw: Callable[[], Estimate | Nearer], truth: float, runs: int = 2_000) -> tuple[int, int]:
    """Count the lower bounds above the truth and the upper ones below it."""
    found = [draw().bounds(ALPHA) for _ in range(runs)]
    return sum(low > truth for low, _ in found), sum(high < truth for _, high in found)


def test_without_skewness_it_is_students() -> None:
    """For the mean of rows that are a block each."""
    values = np.random.default_rng(1).normal(1, 2, size=40)
    found = over(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(1 - 2 * ALPHA)
    assert found._replace(skewness=0).bounds(ALPHA) == pytest.approx((expected.low, expected.high))
    assert found.skewness == pytest.approx(stats.skew(values, bias=False))


def test_the_error_is_that_of_the_jackknife_over_blocks() -> None:
    """By how much the mean moves if a block is left out, however many rows it has."""
    values, codes = np.array([1.0, 2.0, 6.0, 3.0, 8.0, 4.0]), np.array([0, 0, 1, 1, 1, 2])
    without = np.array([values[codes != block].mean() for block in range(3)])
    found = estimate(measured(values), codes, 3)
    assert found[:3] == pytest.approx((4, math.sqrt(2 / 3 * np.sum((without - 4) ** 2)), 3))


def test_blocks_of_one_size_are_summed() -> None:
    """Their error is that of the sums, over the rows."""
    values = np.random.default_rng(12).normal(size=60)
    sums = (values - values.mean()).reshape(20, 3).sum(axis=1)
    found = estimate(measured(values), np.repeat(np.arange(20), 3), 20)
    assert found.error == pytest.approx(math.sqrt(20) * sums.std(ddof=1) / 60)
    assert (found.evenness, found.fewest) == (1, 10)


@pytest.mark.parametrize("name", INFLUENCE)
def test_the_better_model_gains(name: str) -> None:
    """Whichever way the metric goes; the other way round it loses the same; nothing on itself."""
    y, good, bad = models()
    if name == "accuracy":  # it asks for the probability of each class
        good, bad = (np.column_stack([1 - score, score]) for score in (good, bad))
    new, old = INFLUENCE[name](y, good), INFLUENCE[name](y, bad)
    found, back = gain(name, new, old, DAYS, 60), gain(name, old, new, DAYS, 60)
    assert found.value > 0
    shortfalls = [METRICS[name].goal.shortfall(each.value) for each in (old, new)]
    assert found.value == pytest.approx(shortfalls[0] - shortfalls[1])
    assert np.negative(back.bounds(ALPHA)) == pytest.approx(found.bounds(ALPHA)[::-1])
    assert gain(name, new, new, DAYS, 60).bounds(ALPHA) == (0, 0)


@pytest.mark.parametrize("name", ["log_loss", "roc_auc", "rmse", "r2"])
def test_bounds_agree_with_the_block_bootstrap(name: str) -> None:
    """Those of a difference of two models, within a fifth of their distance."""
    y, good, bad = models()
    prepare = METRICS[name].prepare
    new, old = prepare(y, good), prepare(y, bad)
    sign = 1 if METRICS[name].goal.better == "higher" else -1
    drawn = intervals({"gain": lambda w: sign * (new(w) - old(w))}, DAYS, confidence=0.9, seed=1)["gain"]
    found = gain(name, INFLUENCE[name](y, good), INFLUENCE[name](y, bad), DAYS, 60)
    reach = (drawn.high - drawn.low) / 2
    assert found.bounds(ALPHA) == pytest.approx((drawn.low, drawn.high), abs=reach / 5)


def test_a_slice_counts_its_own_blocks() -> None:
    """Rows of three of 60 days have three blocks, whatever the days' numbers."""
    y, good, bad = models()
    rows = np.isin(DAYS, [7, 8, 59])
    new, old = mae(y[rows], good[rows]), mae(y[rows], bad[rows])
    found = gain("mae", new, old, DAYS[rows], 60)
    assert found.blocks == 3
    assert found == gain("mae", new, old, np.repeat([0, 1, 2], 10), 3)


def test_rows_that_share_their_block_are_not_as_many() -> None:
    """Over blocks the bounds err as seldom as they should; over rows, four times as often."""
    rng, codes, rows = np.random.default_rng(3), np.repeat(np.arange(40), 20), np.arange(800)

    def drawn() -> Influence:
        return measured(rng.normal(size=40)[codes] + rng.normal(size=800))

    assert max(errs(lambda: estimate(drawn(), codes, 40), 0)) <= most(ALPHA, 2_000)
    assert min(errs(lambda: estimate(drawn(), rows, 800), 0)) > most(4 * ALPHA, 2_000)


def test_skewed_blocks_need_hall() -> None:
    """With 30 blocks of skewness -2 Student's lower bound errs almost twice too often, ours 1.3 times."""
    rng = np.random.default_rng(4)
    found = [over(1 - rng.exponential(size=30)) for _ in range(4_000)]
    ours, students = (
        sum(each.bounds(ALPHA)[0] > 0 for each in estimates)
        for estimates in (found, [each._replace(skewness=0) for each in found])
    )
    assert ours <= most(1.3 * ALPHA, 4_000)
    assert students > most(1.6 * ALPHA, 4_000)


def test_long_tails_do_not_mislead() -> None:
    """With tails long to both sides the skewness seen is chance, and only ever makes bounds more careful."""
    rng = np.random.default_rng(5)
    assert max(errs(lambda: over(rng.standard_t(3, size=30)), 0, 4_000)) <= most(ALPHA, 4_000)


def test_days_that_remember_count_for_fewer() -> None:
    """Of 60 days with an autocorrelation of .6 the bounds err as they should, not thrice as often.

    The order is that of the labels, whatever the order of the rows.
    """
    rng = np.random.default_rng(10)
    drawn = [remembering(rng, 0.6, 60) for _ in range(2_000)]
    day, count = coded(DAYS, ordered=True)
    found = [estimate(measured(series[DAYS]), day, count, ordered=True) for series in drawn]
    assert sum(each.bounds(ALPHA)[0] > 0 for each in found) <= most(1.3 * ALPHA, 2_000)
    plain = [estimate(measured(series[DAYS]), day, count) for series in drawn]
    assert sum(each.bounds(ALPHA)[0] > 0 for each in plain) > most(3 * ALPHA, 2_000)
    shuffled = rng.permutation(600)
    codes, count = coded(DAYS[shuffled], ordered=True)
    again = estimate(measured(drawn[0][DAYS[shuffled]]), codes, count, ordered=True)
    assert again == pytest.approx(found[0])


def test_a_slice_of_ordered_days_skips_those_without_rows() -> None:
    """Days that do not occur are not days without a sum."""
    rng = np.random.default_rng(11)
    series, whole = remembering(rng, 0.6, 60), np.arange(60)
    apart = estimate(measured(series), whole * 3, 200, ordered=True)
    assert apart == estimate(measured(series), whole, 60, ordered=True)
    assert apart.effect > 1


@pytest.mark.parametrize(("ordered", "fewest"), [(False, 10), (True, 11)])
def test_few_blocks_have_no_bounds(fewest: int, *, ordered: bool) -> None:
    """Of ten days nobody can see how much neighbours resemble each other; one block fewer, no bound."""
    rng = np.random.default_rng(13)
    for count in (fewest - 1, fewest):
        codes = np.repeat(np.arange(count), 5)
        found = estimate(measured(1 + 0.1 * rng.normal(size=len(codes))), codes, count, ordered=ordered)
        assert math.isinf(found.bounds(ALPHA)[0]) == (count < fewest)
        assert bool(found.few) == (count < fewest)


@pytest.mark.parametrize("share", [0.2, 0.3])
def test_a_block_with_many_rows_does_not_decide(share: float) -> None:
    """Among 29 others one has a fifth of the rows: the bounds err as they should. With more there are none.

    Before, they erred in .07 and .10 of all cases.
    """
    rng = np.random.default_rng(14)
    large = round(share * 10 * 29 / (1 - share))
    codes = np.repeat(np.arange(30), [large, *[10] * 29])

    def drawn() -> Estimate:
        return estimate(measured(rng.normal(size=30)[codes] + rng.normal(size=len(codes))), codes, 30)

    found = drawn()
    assert found.evenness == pytest.approx(1 / (30 * (share**2 + (1 - share) ** 2 / 29)), rel=0.01)
    assert bool(found.few) == (share > 0.25)
    assert max(errs(drawn, 0)) <= (0 if found.few else most(ALPHA, 2_000))
    bounds = [drawn()._replace(fewest=2).bounds(ALPHA) for _ in range(2_000)]
    assert sum(low > 0 for low, _ in bounds) <= most(ALPHA, 2_000)


def missed(
    rng: np.random.Generator, old: float, new: float, own: float, count: int = 200
) -> tuple[Influence, Influence]:
    """Draw deviations of two models that chance moves together, by 1, and each by itself."""
    common = rng.normal(size=count)
    deviations = [miss + common + own * rng.normal(size=count) for miss in (new, old)]
    new_one, old_one = (bias(np.zeros(count), each) for each in deviations)
    return new_one, old_one


@pytest.mark.parametrize("own", [0.1, 0.5])
@pytest.mark.parametrize(
    ("old", "new"), [(0, 0), (0.02, -0.02), (0.1, -0.1), (0.3, 0.3), (0.02, -0.03), (0, 0.1), (0.1, 0)]
)
def test_nearer_errs_seldom_wherever_the_models_are(old: float, new: float, own: float) -> None:
    """Both right, to one side, to two sides, one of them right: never more often than alpha."""
    rng, codes = np.random.default_rng(6), np.arange(200)
    draws = errs(lambda: gain("bias", *missed(rng, old, new, own), codes, 200), abs(old) - abs(new))
    assert max(draws) <= most(ALPHA, 2_000)


def test_the_signs_that_are_seen_mislead() -> None:
    """Two models that miss by as much to opposite sides: at the signs seen, 5 % would be over 30 %."""
    rng, wrong = np.random.default_rng(7), 0
    for _ in range(1_000):
        new, old = missed(rng, 0.02, -0.02, 0.1)
        rows = np.sign(old.value) * old.rows - np.sign(new.value) * new.rows
        naive = estimate(Influence(abs(old.value) - abs(new.value), rows), np.arange(200), 200)
        wrong += naive.bounds(ALPHA)[0] > 0
    assert wrong > 300


def test_far_from_the_best_nearer_is_a_difference() -> None:
    """Where both surely miss to one side, its bounds are those of the difference, at half of alpha."""
    new, old = missed(np.random.default_rng(8), 3.0, 2.5, 0.5)
    found = gain("bias", new, old, np.arange(200), 200)
    assert isinstance(found, Nearer)
    assert found.bounds(ALPHA) == found.apart.bounds(ALPHA / 2)
    assert (found.value, found.error, found.blocks) == pytest.approx(found.apart[:3])


@pytest.mark.parametrize("codes", [[], [2], [2, 2, 2]])
def test_one_block_cannot_tell(codes: list[int]) -> None:
    """A single block has a value without an error, and ten might tell; no rows have not even a value."""
    y = np.ones(len(codes))
    found = gain("mae", mae(y, y), mae(y, 0 * y), np.array(codes, dtype=np.intp), 3)
    assert found.value == pytest.approx(1 if codes else math.nan, nan_ok=True)
    assert found.blocks == len(set(codes))
    assert np.isnan([found.error, *found.bounds(ALPHA)]).all()
    assert found.blocks_to_decide(0, ALPHA) == pytest.approx(10 if codes else math.nan, nan_ok=True)


@pytest.mark.parametrize("metric", ["roc_auc", "observed_expected"])
def test_undefined_stays_undefined(metric: str) -> None:
    """A slice without positives, or one where nothing is expected, has no bounds."""
    nothing = INFLUENCE[metric](np.zeros(600), np.zeros(600))
    found = gain(metric, nothing, nothing, DAYS, 60)
    assert found.blocks == 60
    assert np.isnan([found.value, found.error, *found.bounds(ALPHA), found.blocks_to_decide(0, ALPHA)]).all()


def test_the_blocks_foretold_are_about_right() -> None:
    """With so many, half of the samples decide."""
    rng = np.random.default_rng(9)
    count = round(Estimate(0.2, 1 / math.sqrt(50), 50).blocks_to_decide(0, ALPHA))
    decided = sum(over(rng.normal(0.2, 1, size=count)).bounds(ALPHA)[0] > 0 for _ in range(1_000))
    assert decided == pytest.approx(500, abs=60)


@pytest.mark.parametrize("missing", [None, math.nan, pd.NaT])
def test_a_row_without_a_block_is_named(missing: object) -> None:
    """A missing label is an error, not one more block."""
    with pytest.raises(ValueError, match="row 1 has none"):
        coded(["a", missing, "b"])


def test_every_row_needs_a_block() -> None:
    """The blocks of all rows do not do for a slice."""
    with pytest.raises(ValueError, match="a block for each of 3 rows, received 600"):
        estimate(mae([1, 2, 3], [1, 2, 6]), DAYS, 60)
