"""The e-detector keeps its promise of few false alarms, finds changes in their batch, and dates them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from perenne.stats.sequential import Wealth, alarms, began, limit, update

ALPHA = 1 / 200
BATCHES = 40


def watched(scores: np.ndarray, alpha: float = ALPHA) -> list[Wealth]:
    """The wealth after each batch."""
    found, wealth = [], Wealth()
    for score in scores.tolist():
        wealth = update(wealth, score, score, alpha=alpha)
        found.append(wealth)
    return found


def first(scores: np.ndarray, alpha: float = ALPHA) -> int | None:
    """The place of the first batch in alarm."""
    threshold = math.log(1 / alpha)
    return next((k for k, wealth in enumerate(watched(scores, alpha)) if wealth.log_e >= threshold), None)


def test_false_alarms_keep_the_promise() -> None:
    """At the bound: the chance of an alarm within n batches is at most n * alpha, here .2."""
    rng = np.random.default_rng(1)
    runs = 400
    alarmed = sum(first(rng.normal(size=BATCHES)) is not None for _ in range(runs))
    assert stats.binomtest(alarmed, runs, BATCHES * ALPHA, alternative="greater").pvalue > 0.01
    assert alarmed, "a detector that never alarms promises nothing"


def test_sudden_change_is_seen_in_its_batch() -> None:
    """A batch five standard deviations off alarms by itself, after any calm."""
    rng = np.random.default_rng(2)
    runs = [first(np.append(rng.normal(-0.5, 1, 10), rng.normal(5.0))) for _ in range(200)]
    assert sum(run == 10 for run in runs) >= 180


def test_small_lasting_change_is_seen_in_the_end() -> None:
    """One standard deviation a batch shows in none of them, and in twenty together."""
    rng = np.random.default_rng(3)
    runs = [first(rng.normal(1.0, 1, 25)) for _ in range(200)]
    assert sum(run is not None for run in runs) >= 190


def test_batch_in_alarm_by_itself_is_no_evidence_for_the_next() -> None:
    """What was staked on the one batch is not carried on: a single storm is over when it is over."""
    wealth = watched(np.array([0.0, limit(ALPHA) + 0.01, -1.0, -1.0]))
    assert [w.log_e >= math.log(1 / ALPHA) for w in wealth] == [False, True, False, False]


def test_limit_is_where_a_batch_alarms_by_itself() -> None:
    """Just below it nothing, at it the alarm."""
    assert first(np.array([limit(ALPHA) - 1e-6])) is None
    assert first(np.array([limit(ALPHA)])) == 0


def test_calm_has_no_evidence() -> None:
    """Before any batch, and after many calm ones, the evidence is a number that JSON has."""
    assert math.isfinite(Wealth().log_e)
    assert watched(np.full(50, -3.0))[-1].log_e < 0


@pytest.mark.parametrize(
    ("scores", "place"),
    [
        ([4.0], 0),
        ([0.0, -1.0, 4.0], 2),
        ([0.3, 2.0, 2.5, 3.0], 1),
        ([-1.0, -1.0, -1.0], 2),  # nothing began: the last batch is as good as any
    ],
)
def test_change_is_dated(scores: list[float], place: int) -> None:
    """It began with the batch from which on the scores are most unlike none."""
    assert began(scores) == place


def test_streams_that_share_alpha_help_each_other() -> None:
    """e-BH: what is not enough alone is enough beside others; a stream without evidence is never named."""
    shares = [0.25] * 4
    one = math.log(4 / 0.1)
    assert alarms([one, 0, 0, 0], shares, 0.1) == [True, False, False, False]
    assert alarms([one - 0.1, 0, 0, 0], shares, 0.1) == [False] * 4
    both = one - math.log(2)
    assert alarms([both, both, 0, 0], shares, 0.1) == [True, True, False, False]


def test_share_of_wrongly_named_streams() -> None:
    """Of ten streams three are wrong: on average at most a share alpha of those named is named wrongly."""
    rng = np.random.default_rng(4)
    alpha, shares, wrongly = 0.1, [0.1] * 10, []
    for _ in range(300):
        scores = rng.normal(size=10) + np.where(np.arange(10) < 3, 5.0, 0.0)
        log_e = [update(Wealth(), score, score, alpha=alpha / 10).log_e for score in scores.tolist()]
        named = np.flatnonzero(alarms(log_e, shares, alpha))
        wrongly.append(float(np.mean(named >= 3)) if len(named) else 0.0)
    assert np.mean(wrongly) < alpha
