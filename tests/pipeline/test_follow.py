"""Following a model: a run computes what is new, and what is kept changes no byte of the report."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.kept import Shelf
from perenne.common.names import PREDICTION
from perenne.common.params import Tolerance
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.pipeline.follow import STATE, Follower, _marks, _stretch
from perenne.pipeline.scored_files import ScoredFiles
from perenne.stats.two_sample import Test
from perenne.watch.validated import by_period
from tests.pipeline.test_drift import BEFORE, ENTITY, IMPORTANCE, NONE, SPEC, VALIDATED, older, visits

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

        follower = Follower(
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
    kept: set[int] = set()
    for batches in range(1, 400):
        kept |= {batches}
        oldest: dict[int, int] = {}
        for place in sorted(kept):
            oldest.setdefault(_stretch(batches - place), place)
        kept = {*oldest.values()}
        assert batches in kept
        assert len(kept) <= 4
    assert min(kept) < 336
    assert sorted(_marks(100)) == [36, 92, 99, 100]
