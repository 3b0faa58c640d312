"""Several classes on matured labels: each is watched, and the one that is wrong is named first."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from perenne.common import predicted
from perenne.common.params import Tolerance
from perenne.stats.metrics import Array, one_hot
from perenne.watch import concept
from perenne.watch.streams import ENOUGH, Rows, Subject, classified, rows_of, several
from tests import bench_classes, classes
from tests.bench_classes import PERIODS, RIGHT, WRONG, World, fields, found, walked

LOSS, RANKING = Subject("loss"), Subject("ranking")
CROPS = classes.CROPS
FRESH = 5_000  # the first seed that is not the bench's


def rows(n: int = 600, seed: int = 0) -> tuple[Array, Array]:
    """Return what came, as places, and scores that are off a little; none so sure that it would be cut."""
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet([4.0, 3.0, 2.0], n)
    scores = (scores + 0.01) / 1.03
    return (scores[:, ::-1].cumsum(axis=1) < rng.random((n, 1))).sum(axis=1).astype(float), scores


def added(y: Array, scores: Array, names: tuple[str, ...] = CROPS) -> dict[Subject, Rows]:
    """Return what rows add to each stream."""
    return several(one_hot(y.astype(np.intp), scores.shape[1]), scores, names)


def promised(score: Array) -> float:
    """Return the AUC that scores promise, by scikit-learn: each row counts as both outcomes."""
    n = len(score)
    return float(
        metrics.roc_auc_score(
            np.repeat([1, 0], n), np.tile(score, 2), sample_weight=np.concatenate([score, 1 - score])
        )
    )


def test_streams_are_known_metrics_less_their_promise() -> None:
    """The log loss less its expectation, as a share of the dummy's; the macro AUC; rows of a class."""
    y, scores = rows()
    each = added(y, scores)
    entropy = -np.sum(scores * np.log(scores), axis=1).mean()
    mean = scores.mean(axis=0)
    dummy = -np.sum(mean * np.log(mean))
    loss = (metrics.log_loss(y, scores) - entropy) / dummy
    assert each[LOSS].sums().deviation == pytest.approx(loss)
    auc = metrics.roc_auc_score(y, scores, multi_class="ovr", average="macro")
    fall = np.mean([promised(scores[:, k]) for k in range(3)]) - auc
    assert abs(fall) > 0.05
    assert each[RANKING].sums().deviation == pytest.approx(fall)
    for place, name in enumerate(CROPS):
        expected = scores[:, place].sum()
        bias = each[Subject("bias", name)].sums()
        assert bias.deviation == pytest.approx(np.sum(y == place) / expected - 1)
        assert bias.events == pytest.approx(expected)  # none is the commoner half


def test_moments_are_those_of_the_outcomes_that_the_scores_promise() -> None:
    """By hand: each row comes as each class in turn, with its chance."""
    _, scores = rows(50)
    scores = scores * np.array([1.0, 1.0, 0.05])
    scores /= scores.sum(axis=1, keepdims=True)
    said = added(np.zeros(50), scores)
    came = [added(np.full(50, float(k)), scores) for k in range(3)]
    for subject, each in said.items():
        residuals = np.column_stack([turn[subject].residuals for turn in came])
        # Of one outcome alone there is no AUC, so these are the pulls; what is the same for all is none.
        assert np.sum(scores * residuals, axis=1) == pytest.approx(np.zeros(50), abs=1e-12)
        assert np.sum(scores * residuals**2, axis=1) == pytest.approx(each.variances), subject
        assert np.sum(scores * residuals**3, axis=1) == pytest.approx(each.cubes, abs=1e-12), subject


def test_ranking_varies_as_said() -> None:
    """Drawn six hundred times from the scores: mean 0, and the variance that is said."""
    rng = np.random.default_rng(3)
    _, scores = rows(300)
    falls, variance = [], 0.0
    for _ in range(600):
        y = (scores.cumsum(axis=1) < rng.random((300, 1))).sum(axis=1).astype(float)
        sums = added(y, scores)[RANKING].sums()
        falls.append(sums.total)
        variance = sums.variance
    assert abs(np.mean(falls)) < 4 * np.std(falls) / math.sqrt(len(falls)) + 0.02 * np.std(falls)
    assert np.var(falls) == pytest.approx(variance, rel=0.2)


@pytest.mark.parametrize("chance", [0.0, 1e-5])
def test_class_that_never_comes_changes_nothing(chance: float) -> None:
    """Loss and ranking are those of two classes, and so are the figures of each of these."""
    rng = np.random.default_rng(4)
    score = rng.uniform(0.05, 0.95, 500)
    y = (rng.random(500) < score**1.2).astype(float)
    scores = np.column_stack([1 - score, score, np.zeros(500)]) * (1 - chance) + [0, 0, chance]
    three, two = added(y, scores), classified(y, score)
    assert three[Subject("bias", "maize")].sums() == pytest.approx(two["bias"].sums(), rel=1e-3)
    for name in ("loss", "ranking"):
        assert three[Subject(name)].sums() == pytest.approx(two[name].sums(), rel=0.02, abs=1e-2), name
        if not chance:
            for ours, theirs in zip(three[Subject(name)], two[name], strict=True):
                if ours is not three[Subject(name)].events:
                    assert ours == pytest.approx(theirs, abs=1e-12)


def test_ranking_leaves_out_rare_classes_unless_all_are() -> None:
    """A class of two rows would hide the others; a hundred classes of six rows each are six hundred rows."""
    y, scores = rows()
    rare = np.column_stack([scores * (1 - 2 / 600), np.full(600, 2 / 600)])
    names = (*CROPS, "oats")
    with_it = added(y, rare, names)[RANKING].sums()
    assert with_it.deviation == pytest.approx(added(y, scores)[RANKING].sums().deviation, rel=0.02)
    many = np.random.default_rng(5).dirichlet(np.ones(100), 600)
    assert (many.sum(axis=0) < ENOUGH).any()
    drawn = added(np.arange(600.0) % 100, many, tuple(map(str, range(100))))[RANKING].sums()
    assert drawn.variance > 0
    assert drawn.events > 500
    none = added(np.zeros(9), np.tile([1.0, 0.0, 0.0], (9, 1)))[RANKING].sums()
    assert (none.size, none.variance) == (0, 0)


def test_classes_share_the_false_alarms() -> None:
    """However many there are, on all soils, all streams together have one budget."""
    for world in (RIGHT["three crops"], RIGHT["eight, one of 1 %"]):
        streams = watched(world).streams
        assert len(streams) == 2 * len(world.names) * 3 + 2
        assert sum(stream.alpha for stream in streams) == pytest.approx(1 / PERIODS)


def watched(world: World, seed: int = FRESH) -> concept.WatchedStreams:
    """Return what ten months show of a right model."""
    months = pd.period_range("2021-01", periods=10, freq="M")
    before = {period: fields(world, period, seed) for period in months}
    return concept.watched(before, bench_classes.contract(world), Tolerance(), periods=PERIODS)


@pytest.mark.parametrize("name", RIGHT)
def test_right_models_are_left_alone(name: str) -> None:
    """Two histories of two years; `make bench TABLES=classes` watches two hundred."""
    assert not any(bench_classes.falsely(RIGHT[name], FRESH + seed) for seed in range(2))


def test_class_that_is_rarer_is_named_first() -> None:
    """In its first month or the second, and dated to the first; others have got what it lost."""
    for seed in range(4):
        alarms = walked(WRONG["three crops: wheat falls by a third"], FRESH + seed, changed=True, months=2)
        first, *_ = next(states for states in alarms if states)
        assert (first.of_class, first.stream, first.since) == ("wheat", "below", "2021-11")
        assert first.says.startswith("wheat: fewer than predicted: ")
        assert alarms[1], "it does not go away"


def test_classes_that_are_mixed_up_at_equal_shares_are_seen() -> None:
    """By the loss or the ranking: no class came too often."""
    for seed in range(4):
        seen = found(WRONG["three crops: two mixed up"], FRESH + seed, months=2)
        assert seen.named in ("loss", "ranking")


def test_two_soils_that_are_wrong_in_opposite_ways_are_named() -> None:
    """Wheat is as frequent as predicted, but too frequent on sand and too rare on clay."""
    task, months = classes.contract(), pd.period_range("2021-11", periods=3, freq="M")
    detectors = concept.Detectors(watched(World()), task)
    alarms = set()
    for month in months:
        drawn = classes.fields(str(month), FRESH)
        by = np.where(drawn["soil"] == "sand", 1.0, -1.0)[:, None] * np.array([1.0, 0.0, 0.0])
        states = detectors.update(month, classes.right(classes.fields(str(month), FRESH, shift=by), task))
        alarms |= {(s.slice, s.of_class, s.stream) for s in states if s.alarm}
        said = [s.says for s in states if s.alarm and s.slice]
    assert {("soil=sand", "wheat", "above"), ("soil=clay", "wheat", "below")} <= alarms
    assert not {name for where, name, _ in alarms if where is None and name == "wheat"}
    assert any(text.startswith("soil=sand: wheat: more than predicted: ") for text in said)


def test_rare_class_is_too_rare_to_tell_and_waits() -> None:
    """Six rows of it a month tell nothing; two months do."""
    world = RIGHT["eight, one of 1 %"]
    detectors = concept.Detectors(watched(world), bench_classes.contract(world))
    months = pd.period_range("2021-11", periods=2, freq="M")
    drawn = [fields(world, month, FRESH) for month in months]
    expected = [float(each["prediction: hops"].sum()) for each in drawn]
    assert max(expected) < ENOUGH < sum(expected)
    values = []
    for month, each in zip(months, drawn, strict=True):
        states = {(s.of_class, s.stream): s.value for s in detectors.update(month, each) if not s.slice}
        values.append(states["hops", "above"])
        assert states["wheat", "above"] is not None
        assert states[None, "ranking"] is not None
    came = sum(int((each["crop"] == "hops").sum()) for each in drawn)
    assert values == [None, pytest.approx(came / sum(expected))]


def test_streams_of_a_frame_are_named_as_the_contract_names_them() -> None:
    """Whole numbers may be classes too; rows without a label take no part."""
    task = classes.contract("{type: category, role: target, values: [wheat, maize, rye]}",
                            "{type: integer, role: target, values: [3, 1, 2]}")  # fmt: skip
    drawn = classes.fields("2021-01", 1)
    numbers = drawn["crop"].map({"wheat": 3, "maize": 1, "rye": 2})
    frame = predicted.assign(drawn.assign(crop=numbers), classes.chances(drawn), task)
    each = rows_of(frame, task, None)
    assert {subject.of_class for subject in each} == {None, "3", "1", "2"}
    bias = each[Subject("bias", "3")].sums()
    assert bias.total + bias.size == pytest.approx((drawn["crop"] == "wheat").sum())
    some = frame.assign(crop=frame["crop"].astype("Int64").mask(frame["id"] % 2 == 0))
    assert len(concept.labelled(some, task)) == 300
