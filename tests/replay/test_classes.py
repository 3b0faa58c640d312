"""A history with several classes, replayed: each is counted by itself, and comes back from disk as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from perenne.documents.replay import Figures, Step, WalkRecord
from perenne.gate.ledger import Family
from perenne.replay import plan
from perenne.replay.batch_figures import about, ratio
from perenne.replay.costs import right
from perenne.replay.judging import Gate
from perenne.replay.policies import make
from perenne.replay.report import timeline
from perenne.replay.walk import recorded, restored, walk
from perenne.replay.world import World
from tests import classes, tiny

CROPS = classes.contract("label_delay: 0", "label_delay: 0\nblock: none")
GATE = """\
gate:
  metric: log_loss
  rules: {floor: {min_gain: 0.05}, improvement: {}, calibration: {}}
tolerance: {calibration: 0.2, loss: 0.05}
"""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return six months of fields, the first four of them known to the first model."""
    monkeypatch.chdir(tmp_path)
    months = list(classes.MONTHS[:6])
    params = tiny.PARAMS.replace("case: tiny", "case: crops").replace("2021-04", months[-1])
    params = params.replace("window: 2", "window: 3") + GATE
    contract = classes.CONTRACT.replace("label_delay: 0", "label_delay: 0\nblock: none")
    rows = pd.concat([classes.fields(month, 3, 1500) for month in months])
    files = {
        "data/cases/crops/contract.yaml": contract,
        "data/cases/crops/params.yaml": params,
        "params.yaml": params,
        "data/incoming/crops/fields.csv": rows.to_csv(index=False),
    }
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    return World(plan.load("crops"), tmp_path / "replay")


def test_figures_are_those_of_each_class(world: World, tmp_path: Path) -> None:
    """By hand, and the same when they are read back from disk."""
    cut, month = world.plan.cut(world.first), world.first + 1
    scores, rows = world.scores(cut, month), world.rows(month)
    assert scores.shape == (1500, 3)
    found = world.figures(cut, month)
    assert found.observed == tuple((rows["crop"] == name).sum() for name in classes.CROPS)
    assert found.expected == pytest.approx(scores.sum(axis=0))
    assert sum(found.expected if isinstance(found.expected, tuple) else ()) == pytest.approx(1500)
    assert found.loss == pytest.approx(
        log_loss(rows["crop"], scores[:, [1, 2, 0]], labels=["maize", "rye", "wheat"])
    )
    likely = np.array(classes.CROPS)[scores.argmax(axis=1)]
    assert found.headline_observed == pytest.approx((rows["crop"] == likely).mean())
    assert found.headline_predicted == pytest.approx(scores.max(axis=1).mean())
    again = World(world.plan, tmp_path / "replay")
    assert again.figures(cut, month) == found


def test_walk_is_kept_with_the_numbers_of_each_class(world: World) -> None:
    """And its lines have one ratio a batch: that of the class farthest off."""
    done = walk(world, make("every 1")(world))
    record = recorded(done)
    assert restored(WalkRecord.model_validate_json(record.model_dump_json()), world.first.freqstr) == done
    lines = timeline([done])
    assert lines["observed_expected"].tolist() == [ratio(step.figures) for step in done.steps]
    assert about(world.contract) == "share of rows whose most probable class came"


def test_fresher_model_is_judged_as_in_the_gate(world: World) -> None:
    """The same recipe on newer data is not worse, and right for each class."""
    now = world.first + 2
    verdict = Gate(world, {}).judge(world.plan.cut(now), world.plan.cut(world.first), Family("one", 1))
    assert verdict.answer == "eligible"


@pytest.mark.parametrize(
    ("observed", "expected", "is_right", "farthest"),
    [
        ((500.0, 350.0, 150.0), (500.0, 350.0, 150.0), True, 1.0),
        ((500.0, 320.0, 180.0), (500.0, 350.0, 150.0), False, 1.2),
        ((520.0, 475.0, 5.0), (500.0, 490.0, 10.0), True, 1.04),  # ten rows tell nothing
        ((5.0, 4.0, 3.0), (4.0, 4.0, 4.0), True, None),
        ((400.0, 500.0, 100.0), (500.0, 500.0, 0.0), False, 0.8),
    ],
)
def test_batch_is_wrong_if_one_class_is(
    observed: tuple[float, ...], expected: tuple[float, ...], *, is_right: bool, farthest: float | None
) -> None:
    """By the band of the report, where there are rows enough that chance is smaller than it."""
    step = Step("2021-05", "2021-04", Figures(1000, 0.9, observed, expected, 0.6, 0.6))
    assert right(step) == is_right
    found = ratio(step.figures)
    assert np.isnan(found) if farthest is None else found == pytest.approx(farthest)
