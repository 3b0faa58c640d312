"""Estimates without labels: how right they are, when they say look, and what they cannot see.

The worlds are those of `make bench TABLES=labelfree`, the seeds are others.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from perenne.common.names import PREDICTION
from perenne.common.params import Tolerance
from perenne.documents.drift import EstimatedPerformance
from perenne.watch import chances, concept, labelfree
from perenne.watch.validated import by_period
from tests.bench_labelfree import WORLDS, World, contract, estimated, months, run

FRESH = 1_000  # the first seed that is not the bench's
RUNS = 6


def estimate(
    world: World, seed: int = FRESH, rows: int | None = None, *, labels: bool = True
) -> EstimatedPerformance | None:
    """The estimate of a batch, or of its first rows."""
    validated, batch, _ = months(world, seed)
    batch = batch[:rows] if labels else batch.assign(y=math.nan)
    return estimated(world, validated, batch)


@pytest.mark.parametrize(
    "name",
    [
        "nothing moves",
        "nothing moves, 500 rows",
        "a moves, a right model",
        "a moves, a linear model",
        "regression: nothing moves",
        "regression: a moves",
    ],
)
def test_right_models_are_within_the_interval_and_say_nothing(name: str) -> None:
    """Three of six values outside of their 95 % intervals have a chance of 1 in 450."""
    runs = [run(WORLDS[name], FRESH + seed) for seed in range(RUNS if WORLDS[name].binary else RUNS // 2)]
    assert all(told and not look for told, look, _ in runs)
    for each in zip(*(results for _, _, results in runs), strict=True):
        assert sum(not result.interval for result in each) < 3


@pytest.mark.minutes
def test_shocks_of_whole_months_widen_the_interval() -> None:
    """Known from eight months only. Six of thirty values outside have a chance of 1 in 300."""
    runs = [run(WORLDS["nothing moves, shocks of .1"], FRESH + seed) for seed in range(5 * RUNS)]
    assert not any(look for _, look, _ in runs)
    for each in zip(*(results for _, _, results in runs), strict=True):
        assert sum(not result.interval for result in each) < 6


@pytest.mark.parametrize("name", ["c moves, a linear model", "c spreads, a linear model"])
def test_weights_see_what_scores_alone_do_not(name: str) -> None:
    """Where features move to where the model was always wrong, its error is a third of CBPE's at most."""
    runs = [run(WORLDS[name], FRESH + seed) for seed in range(RUNS)]
    assert sum(look for _, look, _ in runs) >= RUNS - 1
    for place, metric in enumerate(("log_loss", "roc_auc", "observed_expected")):
        each = [results[place] for _, _, results in runs]
        assert {result.metric for result in each} == {metric}
        ours, unweighted, validation = (
            sum(abs(getattr(result, kind) - result.true) for result in each)
            for kind in ("estimate", "unweighted", "validation")
        )
        # The area under the curve has the smallest errors to begin with.
        share = 0.6 if metric == "roc_auc" else 1 / 3
        assert ours < share * min(unweighted, validation)


def test_what_is_beyond_the_tolerance_is_said() -> None:
    """In the words of the streams on labels, and as an estimate."""
    found = estimate(WORLDS["c moves, a linear model"])
    assert found is not None
    assert found.says[0].startswith("estimated without labels: more events than predicted: ")
    regression = estimate(WORLDS["regression: c moves"])
    assert regression is not None
    [sentence] = regression.says
    assert sentence.startswith("estimated without labels: y is 0.")
    assert " higher than predicted (" in sentence


def test_harder_rows_are_no_error_of_a_regression() -> None:
    """Where errors are larger the estimate is, but the model is as it was on validation."""
    still, moved = (estimate(WORLDS[f"regression: {name}"]) for name in ("nothing moves", "a moves"))
    assert still is not None
    assert moved is not None
    assert [each.metric for each in moved.metrics] == ["mae", "bias"]
    assert moved.metrics[0].low > still.metrics[0].high
    assert moved.says == ()


@pytest.mark.parametrize("name", ["the concept changes", "regression: the concept changes"])
def test_change_of_concept_is_not_seen(name: str) -> None:
    """As the docstring says: nothing is said, and what then comes lies outside of the interval."""
    found = estimate(WORLDS[name])
    assert found is not None
    assert found.says == ()
    bias = found.metrics[-1]
    assert bias.realised is not None
    assert not bias.low <= bias.realised <= bias.high


def test_outside_of_validation_there_is_no_estimate() -> None:
    """But the share of the rows that lie there is told."""
    found = estimate(WORLDS["c far outside"])
    assert found is not None
    assert found.outside > labelfree.MOST_OUTSIDE
    assert (found.metrics, found.says) == ((), ())


def test_scores_of_other_models_are_no_other_features() -> None:
    """Validation is scored by the folds' models: that their scores have other values moves no row outside."""
    world = WORLDS["nothing moves"]
    validated, batch, _ = months(world, FRESH)

    def stepped(rows: pd.DataFrame, at: float) -> pd.DataFrame:
        return rows.assign(**{PREDICTION: (rows[PREDICTION] * 20).round() / 20 * 0.98 + at})

    found = estimated(world, stepped(validated, 0.010), stepped(batch, 0.012))
    assert found is not None
    assert found.outside < 0.01


def test_labels_of_the_batch_are_not_looked_at() -> None:
    """Without them the estimate is the same, to the bit; only what came is not known."""
    world = WORLDS["nothing moves"]
    found, without = estimate(world), estimate(world, labels=False)
    assert found is not None
    assert without is not None
    forgotten = tuple(each.model_copy(update={"realised": None}) for each in found.metrics)
    assert found.model_copy(update={"metrics": forgotten}) == without
    assert all(each.realised is not None for each in found.metrics)


def test_too_few_rows_or_events_tell_nothing() -> None:
    """Of a batch or of validation."""
    world = WORLDS["nothing moves"]
    assert estimate(world, rows=labelfree.FEWEST_ROWS - 1) is None
    validated, batch, _ = months(world, FRESH)
    assert estimated(world, validated[: labelfree.FEWEST_ROWS - 1], batch) is None
    assert estimated(world, validated.assign(y=0.0), batch) is None
    # So few events are expected of such scores that no weights make ten of them.
    halves = {"y": (np.arange(len(validated)) % 400 == 0).astype(float), PREDICTION: 0.0025}
    assert estimated(world, validated.assign(**halves), batch.assign(**{PREDICTION: 0.0025})) is None


def test_columns_that_validation_does_not_have() -> None:
    """An empty column is no error."""
    world = World()
    validated, batch, _ = months(world, FRESH)
    validated = validated.assign(b=math.nan)
    assert estimated(world, validated, batch) is not None


def test_calibrated_scores_keep_their_promises() -> None:
    """Over the weighted rows as many events come as promised, and the log loss is what is promised."""
    rng = np.random.default_rng(5)
    score, weights = rng.uniform(0.02, 0.7, 3_000), rng.uniform(0.2, 4, 3_000)
    y = (rng.random(3_000) < score**1.5).astype(float)
    chance = chances.calibrated(score, y, weights)(score)
    assert np.sum(weights * (y - chance)) == pytest.approx(0, abs=1e-5)
    assert np.sum(weights * (y - chance) * np.log(score / (1 - score))) == pytest.approx(0, abs=1e-5)


def test_latest_periods_count_where_there_are_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of early folds learned from less, so they are not like the one that is watched."""
    world = WORLDS["nothing moves"]
    validated, batch, _ = months(world, FRESH)
    monkeypatch.setattr(labelfree, "MOST_ROWS", 3_000)
    kept = labelfree.latest(by_period(validated, contract(world)), contract(world), seed=0)
    assert len(kept) == 3_000
    assert set(kept["at"].dt.month) == {7, 8}
    early = validated["at"].dt.month < 7
    wrong = validated.assign(y=validated["y"].where(~early, 1 - validated["y"]))
    found = estimated(world, wrong, batch)
    assert found is not None
    assert found.metrics[-1].estimate == pytest.approx(1, abs=0.15)


def test_constant_scores_are_calibrated() -> None:
    """A constant model has no slope, but it may promise too little."""
    y = np.repeat([0.0, 1.0], [700, 300])
    chance = chances.calibrated(np.full(1_000, 0.2), y, np.ones(1_000))
    assert chance(np.array([0.2])) == pytest.approx([0.3], abs=1e-6)


def test_bound_of_a_model_that_was_off_on_validation() -> None:
    """It is what it was there: no reason to look as long as it gets no worse."""
    world = WORLDS["nothing moves"]
    validated, batch, _ = months(world, FRESH)
    off = {PREDICTION: lambda rows: rows[PREDICTION] * 0.7}
    found = estimated(world, validated.assign(**off), batch.assign(**off))
    assert found is not None
    assert found.metrics[-1].low > 1 + Tolerance().calibration
    assert found.says == ()
    right = concept.watched(
        dict(iter(validated.groupby(validated["at"].dt.to_period("M")))),
        contract(world),
        Tolerance(),
        periods=160,
    )
    seen = by_period(validated.assign(**off), contract(world))
    late = labelfree.LabelFree(seen, right, contract(world), seed=0)
    strict = late.estimate(batch.assign(**off))
    assert strict is not None
    assert strict.says
