"""How right estimates without labels were: before the law, and after it."""

from __future__ import annotations

import pytest

from perenne.documents.replay import EstimateErrors
from perenne.replay import estimates
from perenne.replay.world import World

NAMES = ["log_loss", "roc_auc", "observed_expected"]


def test_estimates_are_right_until_the_law(world: World) -> None:
    """After the law outcomes depend on age in a new way, which no estimate can see."""
    found = {(each.when, each.metric): each for each in estimates.errors(world)}
    assert list(found) == [(when, name) for when in ("before", "after") for name in NAMES]
    before, after = (found[when, "observed_expected"] for when in ("before", "after"))
    quarters = [q for q in world.files if world.plan.cut(world.first).first_news <= q <= world.last]
    assert before.batches + after.batches == len(quarters)
    assert before.covered >= 0.7
    assert after.error > 3 * before.error
    assert after.covered < 0.3


def test_labels_that_are_never_late_need_no_estimates(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the drift stage."""
    monkeypatch.setattr(world, "contract", world.contract.model_copy(update={"label_delay": 0}))
    assert estimates.errors(world) == ()


def test_histories_count_by_their_batches() -> None:
    """Means over all batches of all histories."""

    def history(batches: int, error: float) -> tuple[EstimateErrors, ...]:
        return (
            EstimateErrors(
                when="before",
                metric="mae",
                batches=batches,
                error=error,
                of_validation=2 * error,
                covered=1.0,
            ),
        )

    [whole] = estimates.pooled([history(1, 0.4), history(3, 0.8)])
    assert whole.batches == 4
    assert [whole.error, whole.of_validation] == pytest.approx([0.7, 1.4])
