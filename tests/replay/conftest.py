"""A small company's history, walked in seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.replay import plan
from perenne.replay.plan import Plan
from perenne.replay.world import World
from tests.project import ROOT

SCALE = 0.1  # some 950 employees a quarter


def small_plan(seed: int = 0) -> Plan:
    """Return the default case on a small company, with a small model and a gate to match."""
    found = plan.load("retirement", seed)
    shorter = {"start": "2013Q1", "as_of": "2018Q4", "through": "2022Q4"}
    source = found.params.ingest.model_copy(update={"scale": SCALE, "start": "2013Q1", "through": "2023Q1"})
    trained = found.params.train.model_copy(update={"params": {"max_iter": 10, "min_samples_leaf": 20}})
    lenient = {"margin": 2.0, "min_blocks": 20}
    rules = found.gate.rules.model_copy(
        update={
            "slices": None
            if found.gate.rules.slices is None
            else found.gate.rules.slices.model_copy(update=lenient),
            "calibration": None,
        }
    )
    return found._replace(
        settings=found.settings.model_copy(update=shorter),
        params=found.params.model_copy(update={"ingest": source, "train": trained}),
        gate=found.gate.model_copy(update={"rules": rules}),
    )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return a history of 41 quarters with the law in it. Shared: it only ever grows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return World(small_plan(), tmp_path_factory.mktemp("replay"))


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Return an empty folder for another history."""
    return tmp_path / "replay"
