"""The job that scores: what it brings, writes and says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from perenne.actions import predict_job
from perenne.actions.predict_job import SCORES
from perenne.common import names
from tests.actions.running import Runner
from tests.conftest import Enter
from tests.project import Project


@pytest.fixture
def job(company: Project, enter: Enter, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a checkout of the released company as the job has it: with DVC's cache and without its files."""
    assert runner.folder.exists()
    monkeypatch.delenv("GH_TOKEN")  # the origin is a folder
    enter(company)
    shutil.rmtree(names.CLEAN)
    return company


def test_newest_batch_is_brought_and_scored(job: Project, runner: Runner) -> None:
    """Without files, and with what the run's page shows."""
    message = job.out("perenne github predict")
    batch = pq.read_table(max((job.path / names.CLEAN).glob("*.parquet")))
    assert pq.read_table(SCORES)["employee"].to_pylist() == batch["employee"].to_pylist()
    assert message.startswith(f"{SCORES}: {len(batch)} rows = {len(batch)} scored by retirement@v1.0.0 + 0 ")
    assert runner.written("summary") == message


def test_files_are_brought_by_dvc_or_are_there(job: Project) -> None:
    """One that DVC keeps and one of the commit. Too many bad rows fail the run; the scores are there."""
    job.run("dvc pull -q data/clean")
    batch = pq.read_table(max(names.CLEAN.glob("*.parquet")))
    pq.write_table(batch, "kept.parquet")
    old = pa.array([99.0] * len(batch))
    pq.write_table(batch.set_column(batch.schema.get_field_index("age"), "age", old), "there.parquet")
    job.run("dvc add -q kept.parquet && rm kept.parquet")
    failed = job.run("perenne github predict", status=1, FILES="kept.parquet there.parquet")
    assert f"{len(batch)} of {2 * len(batch)} rows (50.0%) break the contract" in failed.stderr
    scored = pq.read_table(SCORES)
    assert len(scored) == len(batch)
    assert pc.count_distinct(scored["id"]).as_py() == len(batch)
    assert len(pq.read_table(Path("scores/scores.rejected.parquet"))) == len(batch)


def test_file_that_nobody_keeps_is_named(job: Project) -> None:
    """In one line, with what DVC says."""
    failed = job.run("perenne github predict", status=1, FILES="none.csv")
    assert failed.stderr.splitlines()[-1].startswith("error: none.csv: ")
    assert not SCORES.exists()


def test_nothing_is_scored_before_the_first_release(
    small: Project, enter: Enter, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule runs in a new project, too."""
    monkeypatch.delenv("GH_TOKEN")
    enter(small)
    assert predict_job.predict() == "retirement: nothing is in prod yet"
    assert runner.written("summary") == "retirement: nothing is in prod yet\n"
    assert not SCORES.exists()
