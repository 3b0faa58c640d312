"""A project of one's own with several classes: from files to a release, and what its verdict tells."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from perenne.common import batches, names
from perenne.gate.gate import gate
from perenne.registry import tags
from tests import classes, tiny
from tests.conftest import Enter, once
from tests.project import Project, clone

MONTHS = classes.MONTHS[:6]
PARAMS = (
    (
        tiny.PARAMS.replace("case: tiny", "case: crops")
        .replace("2021-04", MONTHS[-1])
        .replace("window: 2", "window: 4")
        .replace("holdout: 1", "holdout: 2")
    )
    + """\
gate:
  metric: log_loss
  rules: {floor: {min_gain: 0}, improvement: {}, slices: {min_blocks: 20}, calibration: {}}
tolerance: {calibration: 0.2}
"""
)
TURNED = {"wheat": "maize", "maize": "rye", "rye": "wheat"}


def make_crops(folder: Path) -> None:
    """Make the project; what watches the model takes longer than all that makes it."""
    made = clone(folder / "project")
    for path, text in {
        "data/cases/crops/contract.yaml": classes.CONTRACT,
        "data/cases/crops/params.yaml": PARAMS,
        "params.yaml": PARAMS,
        "data/incoming/crops/fields.csv": pd.concat(
            classes.fields(month, 3, 1500) for month in MONTHS
        ).to_csv(index=False),
    }.items():
        made.write(path, text)
    made.edit(r"(?s)^  drift:\n.*?(?=^(  )?\S|\Z)", "", "dvc.yaml")
    made.run("rm -rf data/raw dvc.lock")
    made.repro()
    made.commit("crops")


@pytest.fixture
def crops(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Project:
    """Return a copy of the project, reproduced and committed, without a version."""
    made = Project(once(tmp_path_factory, "crops", make_crops) / "project")
    return made.copy(tmp_path / "project")


def test_model_of_classes_is_released(crops: Project, enter: Enter) -> None:
    """It is eligible, and its tag holds the proof; then the same model has nothing to prove."""
    enter(crops)
    verdict = gate()
    assert verdict.answer == "eligible"
    assert {finding.rule for finding in verdict.rules} == {"floor", "calibration"}
    crops.run("perenne release")
    champion = tags.read("crops").in_stage("prod")
    assert champion is not None
    assert champion.proof is not None
    assert (champion.proof.metrics or {}).keys() >= {"log_loss", "accuracy"}
    assert gate().answer == "unchanged"


def test_verdict_tells_nothing_of_the_classes(
    crops: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all labels turned round a model that is not eligible has the same verdict, to the last digit."""
    crops.edit("floor: {min_gain: 0}", "floor: {min_gain: 0.9}")
    enter(crops)
    read = batches.read_parquet

    def turned(path: Path) -> pd.DataFrame:
        rows = read(path)
        return rows.assign(crop=rows["crop"].map(TURNED)) if path == names.HOLDOUT else rows

    verdicts = [gate()]
    crops.run("git update-ref -d refs/perenne/notes")  # the clone forgets
    crops.run("git update-ref -d refs/notes/perenne")  # the same number of looks, so the same alpha
    monkeypatch.setattr(batches, "read_parquet", turned)
    verdicts.append(gate())
    hidden = [verdict.to_json() for verdict in verdicts]
    for content in hidden:
        del content["holdout"]["batches"], content["holdout"]["sketch"]
    assert verdicts[0].holdout.batches != verdicts[1].holdout.batches
    assert verdicts[0].answer == "rejected"
    assert hidden[0] == hidden[1]
    assert not any(name in str(content["rules"]) for content in hidden for name in TURNED)
