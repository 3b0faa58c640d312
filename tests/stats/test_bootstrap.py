"""Intervals that cover the truth when rows come in blocks, and say NaN when they cannot tell."""

import itertools
import math
import tracemalloc

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from perenne.common.task import BINARY
from perenne.stats.bootstrap import Interval, intervals, too_few
from perenne.stats.metrics import Array, Weighted, family, log_loss, mae, roc_auc

Rows = tuple[npt.NDArray[np.intp], Array, Array]


def mean(values: npt.ArrayLike) -> Weighted:
    """Return weights -> the mean of values."""
    column = np.asarray(values, dtype=np.float64)
    return lambda weights: float(weights @ column / weights.sum())


def clustered(rng: np.random.Generator, blocks: int) -> Rows:
    """Draw blocks of 20 rows that share a feature and a shock no model sees: labels, y, probability."""
    label = np.repeat(np.arange(blocks), 20)
    feature = rng.normal(size=blocks)[label] + rng.normal(scale=0.5, size=len(label))
    shock = rng.normal(scale=1.5, size=blocks)[label]
    y = rng.random(len(label)) < 1 / (1 + np.exp(1 - feature - shock))
    return label, y.astype(np.float64), 1 / (1 + np.exp(1 - feature))


def pair(y: Array, probability: Array) -> dict[str, Weighted]:
    """Prepare the metrics of the simulation."""
    return {"log_loss": log_loss(y, probability), "roc_auc": roc_auc(y, probability)}


def test_block_intervals_cover_and_row_intervals_do_not() -> None:
    """Of 300 nominal 95 % intervals, as many cover as a binomial of 95 % allows 998 times in 1,000.

    Row by row, as if rows did not resemble their block, not even a nominal 80 % would be kept.
    """
    simulations, rng = 300, np.random.default_rng(20210101)
    _, y, probability = clustered(rng, 50_000)
    truth = {name: metric(np.ones(len(y))) for name, metric in pair(y, probability).items()}
    covered = {(kind, name): 0 for kind in ("block", "row") for name in truth}
    for seed in range(simulations):
        label, y, probability = clustered(rng, 60)
        for kind, blocks in (("block", label), ("row", np.arange(len(label)))):
            found = intervals(pair(y, probability), blocks, resamples=300, seed=seed)
            for name, interval in found.items():
                covered[kind, name] += interval.low <= truth[name] <= interval.high
    least, most = (stats.binom.ppf(tail, simulations, 0.95) for tail in (0.001, 0.999))
    for name in truth:
        assert least <= covered["block", name] <= most
        assert covered["row", name] < stats.binom.ppf(0.001, simulations, 0.80)


def test_width_agrees_with_normal_theory() -> None:
    """For the mean of independent rows the interval is mean +- 1.96 s / sqrt(n), within 5 % of its width."""
    values = np.random.default_rng(1).normal(size=2_000)
    found = intervals({"mean": mean(values)}, np.arange(2_000), resamples=4_000, seed=1)["mean"]
    reach = 1.96 * values.std() / math.sqrt(2_000)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(
        (values.mean() - reach, values.mean() + reach), abs=0.1 * reach
    )


def test_narrower_with_less_confidence() -> None:
    """An 80 % interval lies within the 95 % one of the same resamples."""
    metrics, blocks = {"mean": mean(np.arange(50))}, np.arange(50)
    wide, narrow = (intervals(metrics, blocks, confidence=c, seed=1)["mean"] for c in (0.95, 0.8))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_whole_blocks_are_drawn() -> None:
    """Rows of one block share their weight, a whole number, and as many blocks are drawn as there are."""
    blocks, seen = np.array([7, 3, 7, 3, 3, 9, *range(10, 17)]), list[Array]()

    def spy(weights: Array) -> float:
        seen.append(weights)
        return 0.0

    intervals({"spy": spy}, blocks, resamples=50, seed=1)
    table = pd.DataFrame(np.array(seen).T).groupby(blocks)
    assert (table.nunique() == 1).all(axis=None)
    assert (table.first().sum()[:50] == 10).all()
    assert {0, 1, 2, 3} <= {*np.unique(seen)} <= {*range(11)}


def test_pinned() -> None:
    """A named stream gives the same six digits everywhere."""
    label, y, probability = clustered(np.random.default_rng(2021), 40)
    found = intervals(pair(y, probability), label, resamples=200, seed=7)
    assert found["log_loss"] == pytest.approx((0.540938, 0.444181, 0.652406), abs=1e-6)
    assert found["roc_auc"] == pytest.approx((0.713082, 0.619709, 0.815137), abs=1e-6)


def test_seed_decides() -> None:
    """Same seed, same interval; another seed, another one."""
    first, again, other = (intervals({"mean": mean(range(30))}, range(30), seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_other_metrics_do_not_matter() -> None:
    """An interval is the same alone and in company."""
    label, y, probability = clustered(np.random.default_rng(1), 30)
    both = intervals(pair(y, probability), label, resamples=50, seed=1)
    alone = intervals({"roc_auc": roc_auc(y, probability)}, label, resamples=50, seed=1)
    assert alone["roc_auc"] == both["roc_auc"]


@pytest.mark.parametrize(
    "blocks",
    [
        ["b", "a", "b", "c"],
        [("b", 1), ("a", 2), ("b", 1), ("c", 0)],
        pd.Series(["b", "a", "b", "c"], dtype="category"),
        pd.period_range("2021Q1", periods=3, freq="Q")[[0, 1, 0, 2]],
        np.array([20, 10, 20, 30], dtype=np.uint8),
    ],
    ids=["text", "tuples", "category", "period", "codes"],
)
def test_labels_only_tell_blocks_apart(blocks: list[object]) -> None:
    """Any hashable will do, and the names of the blocks change nothing."""
    metrics, others = {"mean": mean([1, 2, 3, 4, *range(9)])}, [("other", place) for place in range(9)]
    named = intervals(metrics, [*blocks, *others], seed=1)
    assert named == intervals(metrics, [0, 1, 0, 2, *range(3, 12)], seed=1)


def test_paired_difference_is_one_more_metric() -> None:
    """Two models on the same resamples: a constant gap has no width, however uncertain both are."""
    y = np.random.default_rng(1).normal(size=40)
    new, old = mae(y, y + 0.25), mae(y, y + 0.5)
    found = intervals({"gap": lambda weights: new(weights) - old(weights)}, np.arange(40) // 4, seed=1)["gap"]
    assert found == pytest.approx((-0.25, -0.25, -0.25))


@pytest.mark.parametrize("blocks", [[], ["monday"], ["monday"] * 5, list("abcdefghi")])
def test_few_blocks_cannot_be_judged(blocks: list[str]) -> None:
    """Nine blocks have a value, not an interval that is too short; no rows have not even a value."""
    rows = len(blocks)
    value, low, high = intervals({"mae": mae(np.zeros(rows), np.ones(rows))}, blocks, seed=1)["mae"]
    assert value == pytest.approx(1 if rows else math.nan, nan_ok=True)
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize(("undefined", "told"), [(0, True), (5, True), (6, False), (100, False)])
def test_few_undefined_resamples_are_left_out(undefined: int, *, told: bool) -> None:
    """Up to 5 % of them may be NaN; with more, the rest is too select to speak for all."""
    calls = itertools.chain([math.nan] * undefined, itertools.repeat(0.5))
    found = intervals({"flaky": lambda _: next(calls)}, range(10), resamples=100, seed=1)["flaky"]
    assert found == pytest.approx(Interval(0.5, 0.5, 0.5) if told else (0.5, math.nan, math.nan), nan_ok=True)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_rare_class_cannot_be_judged(*, flipped: bool) -> None:
    """Nine positive rows among 300, or nine negative ones, or 30 in eight blocks: no bounds, but why."""
    rng = np.random.default_rng(1)
    for rare, blocks, told in (
        (9, np.arange(300), ""),
        (10, np.arange(300), "x"),
        (30, np.arange(300) // 4, ""),
    ):
        y = (np.arange(300) < rare) != flipped
        found = intervals(pair(y, rng.random(300)), blocks, events=y, resamples=50, seed=1)
        assert all(
            math.isnan(each.low) != bool(told) and not math.isnan(each.value) for each in found.values()
        )
        reason = too_few(blocks, y)
        if told:
            assert not reason
        else:
            assert reason.endswith(
                " blocks with a row without one are too few to tell"
                if flipped
                else " blocks with an event are too few to tell"
            )


def test_the_reason_is_said() -> None:
    """In the words of the reports."""
    assert too_few([]) == "0 blocks are too few to tell"
    assert too_few([7, 7]) == "1 block is too few to tell"
    assert too_few(range(20), np.eye(20)[0]) == "1 block with an event is too few to tell"
    assert too_few(range(10)) == ""


def test_of_several_classes_the_most_frequent_one_stands_against_the_others() -> None:
    """A mean over rows is about them; a mean over classes needs ten blocks with each that occurs."""
    enough, few = [0] * 30 + [1] * 5 + [2] * 5, [2] * 31 + [1] * 5 + [0] * 4
    assert too_few(range(40), enough) == ""
    assert too_few(range(40), few) == "9 blocks with any but the most frequent class are too few to tell"
    assert (
        too_few(range(40), enough, metric="roc_auc") == "5 blocks with the rarest class are too few to tell"
    )
    assert too_few(range(40), [0] * 30 + [2] * 10, metric="roc_auc") == "", "one class does not occur"
    assert too_few(range(40), [2] * 40) == "0 blocks with any but the most frequent class are too few to tell"
    assert too_few(range(40), [2] * 40, metric="roc_auc").startswith("0 blocks")
    y, chances = np.array(enough, dtype=float), np.tile([0.4, 0.3, 0.3], (40, 1))
    prepared = {name: make(y, chances) for name, make in family(("accuracy", "roc_auc")).items()}
    found = intervals(prepared, range(40), events=y, resamples=50, seed=1)
    assert not math.isnan(found["accuracy"].low)
    assert math.isnan(found["roc_auc"].low)
    assert found["roc_auc"].value == 0.5


@pytest.mark.parametrize("missing", [None, math.nan, pd.NaT])
def test_a_row_without_a_block_is_named(missing: object) -> None:
    """A missing label is an error, not one more block."""
    with pytest.raises(ValueError, match="row 1 has none"):
        intervals({}, ["a", missing, "b"], seed=1)


@pytest.mark.parametrize("wrong", [{"resamples": 0}, {"confidence": 0}, {"confidence": 95}])
def test_senseless_settings_are_refused(wrong: dict[str, int]) -> None:
    """No resamples, and a confidence in per cent, are mistakes."""
    with pytest.raises(ValueError, match="expected resamples >= 1 and 0 < confidence < 1"):
        intervals({}, [1, 2], seed=1, **wrong)


def test_memory_does_not_grow_with_resamples() -> None:
    """100,000 rows, all metrics: less than 20 MB, where the weights of 40 resamples would be 32."""
    rng = np.random.default_rng(1)
    score = rng.random(100_000)
    metrics = {
        name: prepare(rng.random(100_000) < score, score) for name, prepare in family(BINARY.metrics).items()
    }
    tracemalloc.start()
    intervals(metrics, np.arange(100_000), resamples=40, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6
