"""Where a project is, on one screen: the step that comes next is the one that the commands then take."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perenne.common.errors import PerenneError
from perenne.documents.drift import DriftAdvice
from perenne.documents.overview import BuiltModel, ProjectStatus, ServedVersion, WorkingTree
from perenne.gate.gate import gate
from perenne.overview import project_status as overview
from perenne.release.release import release
from tests import tiny
from tests.conftest import Enter
from tests.project import Project

CLEAN = WorkingTree(commit="0" * 40, branch="main", changed=0)
MODEL = BuiltModel(sha256="1" * 64, as_of="2019Q4", metrics={"log_loss": 0.2})
PROD = ServedVersion(
    version="v1.0.0", commit="2" * 40, released="2026-01-01T00:00:00+00:00", as_of="2019Q3", here=False
)
CALM = DriftAdvice(level="none", reasons=())


def judged(answer: str, **more: Any) -> BuiltModel:
    """Return the model with what the gate said of it."""
    return MODEL.model_copy(update={"answer": answer, **more})


@pytest.mark.parametrize(
    ("found", "why", "command"),
    [
        ({"waiting": ("train", "drift")}, "what train reads or writes has changed", "dvc repro"),
        ({"model": None}, "no model yet", "dvc repro"),
        ({"tree": CLEAN.model_copy(update={"changed": 1})}, "1 file differs", "git add -A && git commit"),
        ({}, "nothing is released", "perenne gate"),
        ({"prod": PROD}, "v1.0.0 in prod is another model", "perenne gate"),
        ({"prod": PROD, "model": judged("eligible")}, "eligible", "perenne release"),
        ({"prod": PROD, "model": judged("undecided", more_blocks=1234.0)}, "1,234 more blocks", None),
        (
            {"prod": PROD, "model": judged("undecided", why="floor")},
            "undecided: floor; another experiment",
            None,
        ),
        (
            {"prod": PROD, "model": judged("rejected", why="slices")},
            "rejected: slices; another experiment",
            None,
        ),
        (
            {"prod": PROD.model_copy(update={"here": True}), "drift": None},
            "whether it is still right is not known",
            None,
        ),
        (
            {"prod": PROD.model_copy(update={"here": True})},
            "in prod, and no drift is seen; when new batches",
            None,
        ),
        (
            {
                "prod": PROD.model_copy(update={"here": True}),
                "drift": DriftAdvice(level="look", reasons=("age",)),
            },
            "data/reports/drift.html",
            None,
        ),
        (
            {
                "prod": PROD.model_copy(update={"here": True}),
                "drift": DriftAdvice(level="retrain", reasons=("y",)),
            },
            "no longer right",
            "perenne retrain",
        ),
    ],
)
def test_the_next_step_is_the_first_that_is_missing(
    found: dict[str, Any], why: str, command: str | None
) -> None:
    """Run, commit, prove, release, watch: in this order."""
    parts: dict[str, Any] = {"tree": CLEAN, "waiting": (), "model": MODEL, "prod": None, "drift": CALM}
    step = overview.following(**(parts | found))
    assert why in step.why
    assert step.command == command


def test_status_of_a_company_from_release_to_release(company: Project, enter: Enter) -> None:
    """What it names is what happens: a model is edited, run, committed, judged and released."""
    enter(company)
    begun = overview.status()
    assert begun.prod is not None
    assert (begun.prod.version, begun.prod.here, begun.waiting) == ("v1.0.0", True, ())
    company.edit(r"max_iter: \d+", "max_iter: 60")
    edited = overview.status()
    assert edited.waiting[0] == "train"
    assert edited.next.command == "dvc repro"
    company.repro()
    assert overview.status().next.command == "git add -A && git commit"
    company.commit("60 rounds")
    assert overview.status().next.command == "perenne gate"
    gate()
    judged = overview.status()
    assert judged.model is not None
    assert (judged.model.answer, judged.next.command) == ("eligible", "perenne release")
    release(stage="prod", policy_from=None, push=False, dry_run=False)
    done = overview.status()
    assert done.prod is not None
    assert (done.prod.version, done.prod.here, done.next.command) == ("v1.1.0", True, None)
    assert done.prod.commit == company.out("git rev-parse HEAD").strip()
    said = overview.text(done, datetime.fromisoformat(done.prod.released) + timedelta(hours=2))
    assert "v1.1.0 for 2 hours, as_of 2019Q4, this model" in said
    assert max(map(len, said.splitlines())) <= 110


def test_command_prints_a_screen_or_json(small: Project) -> None:
    """A project where nothing is released; the JSON is the document."""
    lines = small.out("perenne status").splitlines()
    assert [line.split()[0] for line in lines[:9]] == [
        *("case", "data", "commit", "pipeline", "model", "gate", "prod", "drift", "next")
    ]
    status = ProjectStatus.from_json(json.loads(small.out("perenne status --json")), "stdout")
    assert status.prod is None
    assert status.data is not None
    assert overview.text(status, datetime.now(UTC)).splitlines() == lines


def test_what_is_no_project_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without params, without a commit, and where DVC cannot tell."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PerenneError, match=r"^params\.yaml: no such file$"):
        overview.status()
    Path("params.yaml").write_text(tiny.PARAMS, encoding="utf-8")
    Path("data/cases/tiny").mkdir(parents=True)
    Path("data/cases/tiny/contract.yaml").write_text(tiny.CONTRACT, encoding="utf-8")
    with pytest.raises(PerenneError, match="no Git repository with a commit; git init, git add -A and git"):
        overview.status()
    who = "git -c user.name=a -c user.email=a@b"
    subprocess.run(["bash", "-c", f"git init -q . && {who} commit -q --allow-empty -m begin"], check=True)
    fresh = overview.status()
    assert (fresh.data, fresh.model, fresh.next.command) == (None, None, "dvc repro")
    Path("dvc.lock").write_text("stages: {}", encoding="utf-8")
    with pytest.raises(PerenneError, match=r"^dvc status: .*not inside of a DVC repository"):
        overview.status()
