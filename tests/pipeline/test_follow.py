"""Following a model: a run computes what is new, and what is kept changes no byte of the report."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perenne.common import batches, kept
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.kept import Shelf
from perenne.common.names import CLEAN, DRIFT, DRIFT_PAGE, DRIFT_TIMELINE, PREDICTION
from perenne.common.params import Tolerance
from perenne.pages import evidently
from perenne.pipeline import drift as stage
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.pipeline.follow import STATE, DriftFollower, _marks, _stretch
from perenne.pipeline.scored_files import ScoredFiles
from perenne.stats.two_sample import Test
from perenne.watch.validated import by_period
from tests.conftest import Enter
from tests.pipeline.test_drift import BEFORE, ENTITY, IMPORTANCE, NONE, SPEC, VALIDATED, older, visits
from tests.project import Project

LATER = pd.period_range("2020Q1", "2020Q4", freq="Q")
FEW = 150  # rows: too few to estimate anything without labels, which takes time
KEPT = Path(".git/perenne/kept/drift/abc")


@dataclass
class World:
    """Batches as they are delivered; `read` lists the periods that a run has read."""

    contract: Contract
    changed: dict[pd.Period, str] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def rows(self, period: pd.Period) -> pd.DataFrame:
        """The rows of a period; those of an amended one are others."""
        rows = visits(period).drop(columns=PREDICTION)[:FEW]
        return rows.assign(**older(rows)) if period in self.changed or period == LATER[2] else rows

    def follow(self, through: pd.Period) -> tuple[str, Mapping[pd.Period, int]]:
        """Return the report on all batches up to a period as JSON, and what was noted beside it."""
        files = dict.fromkeys([*BEFORE, *(one for one in LATER if one <= through)], Path(__file__))
        self.read.clear()

        def read(period: pd.Period, _: object) -> pd.DataFrame:
            self.read.append(str(period))
            return self.rows(period)

        history = ScoredFiles(
            files,
            read,
            lambda rows: visits(rows["at"].dt.to_period("Q").iloc[0])[PREDICTION].to_numpy()[:FEW],
            Cut(BEFORE[-1], window=2, holdout=2, label_delay=1),
            self.contract,
        )

        def note(batch: ScoredBatch) -> int | None:
            return len(batch.rows) if batch.matured else None

        follower = DriftFollower(
            history,
            by_period(VALIDATED, self.contract),
            IMPORTANCE,
            SPEC,
            Tolerance(),
            beside=note,
            shelf=Shelf("drift", "abc"),
            signature=lambda period: self.changed.get(period, ""),
            title="test",
        )
        report, noted = follower.run()
        return json.dumps(report.to_json()), noted

    def anew(self, through: pd.Period) -> tuple[str, Mapping[pd.Period, int]]:
        """The same with nothing kept, which stays so."""
        hidden = KEPT.rename(KEPT.with_name("hidden")) if KEPT.exists() else None
        found = self.follow(through)
        subprocess.run(["rm", "-rf", str(KEPT)], check=True)
        if hidden:
            hidden.rename(KEPT)
        return found


def told_apart(before: pd.DataFrame, now: pd.DataFrame, *_: object, seed: int) -> Test:  # noqa: ARG001
    """A joint test that takes no time: it has tests of its own, and is most of a batch's work."""
    apart = abs(float(now["age"].mean() - before["age"].mean()))
    return Test("joint", apart, math.exp(-10 * apart), apart)


@pytest.fixture(params=[NONE, ENTITY], ids=["rows", "blocks"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world of batches, with an empty Git repository as the current folder."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("perenne.watch.covariates.joint", told_apart)
    return World(request.param)


def test_run_reads_what_is_new(world: World) -> None:
    """Of a run after one more batch: that one, and the one whose labels have come by it."""
    world.follow(LATER[2])
    found = world.follow(LATER[3])
    assert world.read == [str(LATER[2]), str(LATER[3])]
    assert world.follow(LATER[3]) == found
    assert world.read == ([] if world.contract is NONE else [str(LATER[3])])  # blocks are numbered in order
    assert found == world.anew(LATER[3])


def test_amended_batch_is_found_out(world: World) -> None:
    """It and those after it are computed anew."""
    first = world.follow(LATER[3])
    world.changed[LATER[1]] = "amended"
    found = world.follow(LATER[3])
    assert {str(LATER[1]), str(LATER[2])} <= {*world.read}
    assert (str(LATER[3]) in world.read) is (world.contract is ENTITY), "it waits, and is what it was"
    assert found == world.anew(LATER[3])
    assert found != first


@pytest.mark.parametrize("world", [NONE], indirect=True)
def test_any_part_may_be_torn_or_missing(world: World) -> None:
    """It is computed again; for a state, from the one before it."""
    first = world.follow(LATER[3])
    latest = max(KEPT.glob(f"{STATE}-*"))
    latest.write_bytes(latest.read_bytes()[:100])
    (KEPT / "reference").unlink()
    assert world.follow(LATER[3]) == first
    assert world.read[-1] == str(LATER[2])
    assert str(LATER[1]) not in world.read
    (KEPT / "waiting").unlink()
    assert world.follow(LATER[3]) == first
    assert world.read == [str(LATER[3])]


def test_states_are_few_and_some_are_old() -> None:
    """After any number of batches a state is kept of the latest, and of some farther and farther back."""
    there: set[int] = set()
    for last in range(1, 400):
        there |= {last}
        oldest: dict[int, int] = {}
        for place in sorted(there):
            oldest.setdefault(_stretch(last - place), place)
        there = {*oldest.values()}
        assert last in there
        assert len(there) <= 4
    assert min(there) < 336
    assert sorted(_marks(100)) == [36, 92, 99, 100]


def test_stage_writes_the_same_bytes(project: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is kept; of an amended batch, another param or other code, nothing old is used."""
    enter(project)
    read: list[str] = []
    whole = ScoredFiles.batch

    def batch(history: ScoredFiles, period: pd.Period) -> ScoredBatch:
        read.append(str(period))
        return whole(history, period)

    def page(*given: Any, rows: int, seed: int) -> str:
        sides = (evidently.sampled(given[0], rows, seed), given[1], evidently.sampled(given[2], rows, seed))
        drawn = [int(pd.util.hash_pandas_object(side).sum()) for side in sides]
        return f"{drawn} {given[4]}"  # Evidently itself takes seconds

    monkeypatch.setattr(ScoredFiles, "batch", batch)
    monkeypatch.setattr(evidently, "page", page)

    def written() -> list[bytes]:
        read.clear()
        stage.main()
        return [path.read_bytes() for path in (DRIFT, DRIFT_TIMELINE, DRIFT_PAGE)]

    by_repro = [path.read_bytes() for path in (DRIFT, DRIFT_TIMELINE)]
    before = written()
    assert before[:2] == by_repro
    assert read == ["2020Q4"], "it waits for labels"
    path = CLEAN / "2020Q2.parquet"
    rows = batches.read_table(path)
    path.unlink()
    batches.write_parquet(path, rows.slice(100))
    amended = written()
    assert "2020Q2" in read
    assert amended[0] != before[0]
    project.run("rm -rf .git/perenne")
    assert written() == amended
    for change in ("param", "code"):
        if change == "param":
            project.edit("min_effect: 0.05", "min_effect: 0.06")
        else:
            monkeypatch.setattr(kept, "code", lambda *_: "other")
        written()
        assert read == ["2019Q4", "2020Q1", "2020Q2", "2020Q3", "2020Q4"], change
