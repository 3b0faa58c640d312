"""Retrain: what the monitor calls for is made, judged and released, or people are asked; and never twice."""

from __future__ import annotations

import fcntl
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from perenne.common import git, notes
from perenne.common.errors import PerenneError
from perenne.documents.decision import MonitorDecision
from perenne.loop import attempt, history, monitor, retrain, worktree
from perenne.loop.retrain import RetrainOutcome
from perenne.registry import tags
from tests.conftest import Enter
from tests.loop.conftest import LAW
from tests.project import Project

NOW = datetime(2030, 1, 1)
BRANCH = f"retrain/retirement-{LAW}"
Ref = dict[str, str]


def retrained(*, push: bool = True) -> RetrainOutcome:
    """Return what comes of a retraining."""
    return retrain.retrain(NOW, push=push)


def origin(project: Project) -> Ref:
    """Return what the origin has: its branches and tags, but not the notes."""
    lines = project.out("git ls-remote origin").splitlines()
    found = dict(line.split("\t")[::-1] for line in lines)
    return {ref: name for ref, name in found.items() if "notes" not in ref and not ref.endswith("^{}")}


def test_eligible_model_is_released(lenient: Project) -> None:
    """On a branch of its own; nothing here is touched, and the main branch of the origin follows."""
    before = lenient.out("git rev-parse HEAD main && git status --porcelain && ls -lR data dvc.lock")
    found = retrained()
    assert found.answer == "eligible", found.lines
    assert lenient.out("git rev-parse HEAD main && git status --porcelain && ls -lR data dvc.lock") == before
    assert lenient.out("git worktree list").count("\n") == 1
    there = origin(lenient)
    commit = there[f"refs/heads/{BRANCH}"]
    assert commit == there["refs/heads/main"]
    champion = tags.read("retirement").in_stage("prod")
    assert champion is not None
    assert (champion.version, champion.commit) == ("v1.0.1", commit)
    assert champion.proof is not None
    assert champion.proof.intent == "fresher"
    assert {"refs/tags/retirement@v1.0.1", "refs/tags/retirement#prod#2"} <= there.keys()


def test_commit_moves_lines_and_keeps_comments(lenient: Project) -> None:
    """What changed can be read in the diff; the commit says why, and that it is no longer right."""
    retrained(push=False)
    diff = lenient.out(f"git diff -U0 main {BRANCH} -- params.yaml").splitlines()
    added = [line[1:].strip() for line in diff if line.startswith("+") and not line.startswith("+++")]
    assert added == [
        f"through: {LAW} # the last quarter to read",
        f"as_of: {LAW} # the last quarter the model may know; moving it retrains",
        "since: 2020Q4 # a retraining sets it after a change: nothing before it is learned from",
        "recalibrated: 2014Q1..2018Q4 # and this: the window FIRST..LAST of an older model, whose scores "
        "what came since corrects",
    ]
    assert sorted(lenient.out(f"git diff --name-only main {BRANCH}").split()) == ["dvc.lock", "params.yaml"]
    message = lenient.out(f"git show -s --format=%B {BRANCH}")
    assert message.startswith(
        f"Retrain retirement on the data through {LAW}\n\nv1.0.0 is no longer right:\n- "
    )
    assert origin(lenient).keys() == {"HEAD", "refs/heads/main", "refs/tags/retirement#prod#1"} | {
        "refs/tags/retirement@v1.0.0"
    }, "nothing is shared without being asked to"


def test_rejected_model_asks_for_experiments(stale: Project) -> None:
    """The version in prod is marked, once, and what there is to know is told."""
    found = retrained()
    assert found.answer == "rejected"
    issue = found.lines[-1]
    for part in (
        "since 2020Q4: rejected: ",
        "long\\_career=False",
        "dvc exp run",
        "fewer events than predicted: ",
    ):
        assert part in issue
    registry = tags.read("retirement")
    prod = registry.in_stage("prod")
    assert prod is not None
    assert registry.stages(prod) == ["degraded", "prod"]
    assert "refs/tags/retirement#degraded#2" in origin(stale)
    assert f"refs/heads/{BRANCH}" not in origin(stale), "there is nothing to merge"
    again = retrained()
    assert again.lines == found.lines
    assert tags.read("retirement").events == registry.events


def test_what_was_rejected_is_not_trained_again(stale: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes know it, in another clone too."""
    assert retrained().answer == "rejected"
    stale.run("git clone -q ../origin.git ../bob && cp .dvc/config.local ../bob/.dvc/ 2>/dev/null || true")
    monkeypatch.chdir(stale.path.parent / "bob")
    notes.fetch()
    monkeypatch.setattr(attempt, "attempt", lambda *_, **__: pytest.fail("it was made again"))
    assert retrained().answer == "rejected"


def test_release_clears_degraded(stale: Project) -> None:
    """Whichever way another version came to prod, the one before is no longer the one to worry about."""
    retrained()
    stale.edit(r"floor: {min_gain: 0.9}", "floor: {min_gain: 0}")
    stale.edit(r"max_iter: .*", "max_iter: 60")
    stale.repro()
    stale.commit("an experiment that was worth it")
    stale.run("perenne gate --push && perenne release --push")
    registry = tags.read("retirement")
    assert registry.in_stage("degraded") is None
    assert "refs/tags/retirement#degraded!#4" in origin(stale)
    assert stale.out("gto show retirement").count("degraded") == 0


def test_undecided_model_waits(stale: Project) -> None:
    """It is noted, nothing else happens, and it is said for how many labels."""
    stale.edit(r"floor: {min_gain: 0.9}", "floor: {min_gain: 0}")
    stale.commit("a policy that takes more labels")
    stale.run("git push -q")
    before = origin(stale)
    found = retrained()
    assert found.answer == "undecided", found.lines
    assert "more blocks with labels would decide" in found.lines[-1]
    assert origin(stale) == before
    (tried,) = history.attempts("retirement", "v1.0.0")
    assert (tried.as_of, tried.answer) == (LAW, "undecided")


def test_too_early_is_said(stale: Project, decision: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is nothing to learn from yet, nothing is tried, and nothing noted."""
    early = MonitorDecision.load(decision).model_copy(update={"candidates": (), "wait_for": "2021Q3"})
    monkeypatch.setattr(monitor, "monitor", lambda *_: early)
    found = retrained()
    assert found.answer == "undecided"
    assert "earliest as_of with enough labels to train and evaluate: 2021Q3" in found.lines[0]
    assert history.attempts("retirement", "v1.0.0") == []
    assert origin(stale).keys() == {"HEAD", "refs/heads/main", "refs/tags/retirement#prod#1"} | {
        "refs/tags/retirement@v1.0.0"
    }


@pytest.mark.minutes
@pytest.mark.parametrize("world", ["stale", "lenient"])
def test_killed_after_each_step_it_ends_in_the_same_state(
    world: str, decision: Path, tmp_path: Path, request: pytest.FixtureRequest, enter: Enter
) -> None:
    """Killed without a word after every step in turn and begun again each time, as if nothing had been."""
    killed: Project = request.getfixturevalue(world)
    shutil.copytree(killed.path.parent, tmp_path / "undisturbed", symlinks=True)
    undisturbed = Project(tmp_path / "undisturbed" / killed.path.name)
    command = f"python -m tests.loop.kill {decision}"
    steps = list(dict.fromkeys(re.findall(r"^([a-z]+): ", undisturbed.out(f"{command} never"), re.MULTILINE)))
    assert steps[:4] == ["monitor", "validated", "gate", "noted"]
    for last in steps:
        assert killed.run(f"{command} {last}", status=None).returncode in (-9, 137), "it was not killed"
    killed.run(f"{command} never")
    assert state(killed, enter) == state(undisturbed, enter)


def state(project: Project, enter: Enter) -> dict[str, Any]:
    """Return all that is left of a retraining, but for what a row took to score, and when tags were made."""
    enter(project)
    refs = project.out(
        "git for-each-ref --format='%(refname) %(objecttype) %(*objectname)' refs/heads refs/tags"
    )
    return {
        "refs": refs,
        "heads": project.out("git for-each-ref --format='%(refname) %(objectname)' refs/heads"),
        "origin": sorted(ref for ref in origin(project)),
        "attempts": history.attempts("retirement", "v1.0.0"),
        "status": project.out("git status --porcelain"),
        "worktrees": project.out("git worktree list").count("\n"),
    }


def test_two_at_a_time(lenient: Project) -> None:
    """The second one does nothing and says so."""
    with (git.folder() / "perenne-retrain.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(PerenneError, match="another retraining is running here"):
            retrained()
    assert lenient.out("git worktree list").count("\n") == 1


def test_two_clones_make_one_release(lenient: Project, enter: Enter) -> None:
    """Who comes second finds the branch, the verdict and the version, and makes no other."""
    shutil.copytree(lenient.path, lenient.path.parent / "bob", symlinks=True)
    retrained()
    first = origin(lenient)
    enter(Project(lenient.path.parent / "bob"))
    again = retrained()
    assert again.answer == "eligible"
    assert origin(lenient) == first


def test_branch_of_another_model_is_never_moved(lenient: Project) -> None:
    """Somebody's work under the same name is kept, and named."""
    lenient.run(f"git push -q origin main:refs/heads/{BRANCH}")
    before = origin(lenient)
    with pytest.raises(PerenneError, match=f"^{BRANCH}: holds another model already, in commit"):
        retrained()
    assert origin(lenient) == before
    assert worktree.PLACE.parts[0] == "perenne"
