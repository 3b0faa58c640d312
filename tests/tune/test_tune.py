"""`perenne tune`, end to end: real Git, real DVC, real processes that are killed."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from perenne.cli import app
from perenne.common.errors import PerenneError
from perenne.review.tried import tried
from perenne.tune import objective
from perenne.tune.journal import Trial
from tests.conftest import Enter
from tests.project import ROOT, Project
from tests.tune.conftest import TRIALS

HEAD = "git log -1 --format=%H%n%B"


def tune(*options: str) -> Result:
    """Run the command in this process; an error is raised."""
    return CliRunner().invoke(app, ["tune", *options], catch_exceptions=False)


def record(project: Project) -> Path:
    """Return the file of the trials."""
    (path,) = (project.path / "tune").glob("*.jsonl")
    return path


def test_killed_search_ends_as_one_that_was_not(searchable: Project, enter: Enter, tmp_path: Path) -> None:
    """The same table, the same commit; killed in the middle of a line, between trials, before the commit.

    The commit changes params.yaml alone, keeps its comments, and says how many were tried: the review counts
    them. Nothing is read of the holdout, for there is none to read. A search that is over costs no trial.
    """
    other = searchable.copy(tmp_path / "other" / "project")
    for name in ("holdout", "refit"):
        poisoned = searchable.path / "data" / "split" / f"{name}.parquet"
        poisoned.unlink()
        poisoned.write_bytes(b"whoever reads this fails")
        (other.path / "data" / "split" / f"{name}.parquet").unlink()
    enter(searchable)
    whole = tune()
    for moment in ("0", "4", "4", "commit"):
        done = other.run(f"PYTHONPATH=$PYTHONPATH:{ROOT} python -m tests.tune.killed {moment}", status=None)
        assert done.returncode == -signal.SIGKILL or done.returncode == 128 + signal.SIGKILL, done.stderr
        if moment == "4":
            lines = record(other).read_bytes().split(b"\n")
            assert len(lines) == 6
            assert lines[-1], "not killed in the middle of a line"
    assert other.out("git status --porcelain -- params.yaml").startswith("M"), "not killed before the commit"
    again = other.run("perenne tune")
    assert again.stdout == whole.stdout
    assert f"{TRIALS} of {TRIALS} trials are known" in again.stderr
    assert other.out(HEAD) == searchable.out(HEAD)
    assert searchable.out("git diff --stat HEAD~1").count("|") == 1
    assert re.findall(r"^([-+]) +params: (.*)$", searchable.out("git diff HEAD~1"), re.MULTILINE) == [
        ("-", "{C: 0.0001} # weak"),
        ("+", searchable.read("params.yaml").partition("  params: ")[2].partition("\n")[0]),
    ]
    assert " # weak" in searchable.read("params.yaml")
    assert other.out("git status --porcelain --untracked-files=all") == ""
    assert f"Tuned-Trials: {TRIALS}\n" in searchable.out(HEAD)
    assert tried("HEAD~1", "HEAD") == TRIALS
    assert record(other).read_bytes() == record(searchable).read_bytes()


def test_first_trial_is_what_evaluate_reports(
    searchable: Project, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The params as they stand, on the very rows and folds that `evaluate` measures; then Ctrl-C.

    What was tried is kept, and the line says how to go on. Changed params begin a new search; that is said.
    """
    searchable.repro("evaluate")
    searchable.commit("evaluated")
    enter(searchable)

    def interrupted(self: objective.Objective, number: int, settings: dict[str, object]) -> Trial:
        if number == 2:
            raise KeyboardInterrupt
        return whole(self, number, settings)

    whole = objective.Objective.trial
    monkeypatch.setattr(objective.Objective, "trial", interrupted)
    with pytest.raises(
        PerenneError, match=r"interrupted after 2 of 12 trials; they are in .*goes on from there"
    ):
        tune()
    first = json.loads(record(searchable).read_bytes().split(b"\n")[1])
    measured = json.loads(searchable.read("data/reports/metrics.json"))
    assert first["value"] == pytest.approx(measured["log_loss"], rel=1e-5)
    assert first["settings"] == {"train.params.C": 0.0001, "train.params.class_weight": None}
    assert searchable.out("git status --porcelain") == ""
    searchable.edit("folds: .*,|confidence: 0.95", "confidence: 0.9")
    searchable.commit("another yardstick")
    result = CliRunner().invoke(app, ["tune"])
    assert "a new search, for params.yaml evaluate changed since the last one" in result.stderr


def test_nothing_changes_where_nothing_is_clearly_better(searchable: Project, enter: Enter) -> None:
    """Nor with --dry-run; --take-best commits the best all the same, and its message says so."""
    searchable.edit("C: 0.0001", "C: 1.0")
    searchable.edit("trials: .*", "trials: 4")
    searchable.commit("a good start")
    enter(searchable)
    before = searchable.out(HEAD)
    assert "no trial is clearly better" in (said := tune()).output
    assert "params.yaml stays as it is" in said.output
    assert "would be committed" in tune("--dry-run", "--take-best").output
    assert searchable.out(HEAD) == before
    assert searchable.out("git status --porcelain") == ""
    tune("--take-best")
    assert "Not clearly better than what stood" in searchable.out(HEAD)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sed -i 's/window: 2/window: 1/' params.yaml", "data/split/train.parquet: not of these params"),
        ("rm data/split/train.parquet", "data/split/train.parquet: no such file; run dvc repro first"),
        ("rm dvc.lock", "dvc.lock: no such file; dvc repro makes it"),
        ("echo x > note", "note: not committed"),
        ("git checkout -q --detach", "git: no branch is checked out"),
        (
            "cp data/split/holdout.parquet h; rm data/split/train.parquet; mv h data/split/train.parquet",
            "data/",
        ),
    ],
    ids=["params", "no rows", "no lock", "dirty", "detached", "other rows"],
)
def test_search_does_not_begin_on_what_is_not_current(
    searchable: Project, enter: Enter, change: str, said: str
) -> None:
    """One line that says what to do, before anything is tried."""
    searchable.run(change)
    if said.startswith("data"):
        searchable.run("git add -A; git commit -q --allow-empty -m changed")
    enter(searchable)
    options = ["--dry-run"] if said.startswith("dvc.lock") else []
    with pytest.raises(PerenneError, match="^" + re.escape(said)):
        tune(*options)
    assert not (searchable.path / "tune").exists()


def test_settings_that_are_refused_count_and_the_search_goes_on(searchable: Project, enter: Enter) -> None:
    """With the reason in the table; if all are refused, that is one line. A small space ends early."""
    searchable.edit("(?s)^    train.params.class.*", "    train.params.C: {values: [0.0001, -1.0, 2.0]}\n")
    searchable.commit("half of it is refused")
    enter(searchable)
    table = tune("--dry-run").output
    assert re.search(
        r"^\d +-1\.0 +failed +train\.params: The 'C' parameter of LogisticRegression must be",
        table,
        re.MULTILINE,
    )
    assert table.count("\n0 (stands)") == 1
    searchable.edit("values: .*", "values: [-2.0, -1.0]}")
    with pytest.raises(PerenneError, match=r"^tune: none of 2 settings could be fitted; the first: .*'C'"):
        tune("--dry-run")
