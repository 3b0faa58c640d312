"""A lock that was not committed: the real comment.yml commits it, run by act."""

from __future__ import annotations

import json

from tests.project import Project
from tests.workflows.hub import Hub
from tests.workflows.scenes import GOOD, comment, ended, reviewed, rounds


def head(hub: Hub, branch: str) -> str:
    """Return the commit that a branch of the origin is at."""
    return hub.work.out('git ls-remote origin "refs/heads/$BRANCH"', BRANCH=branch).split("\t")[0]


def test_5_stale_lock_is_committed_back(hub: Hub) -> None:
    """Data, then a commit with the lock alone, then its verdict; CI is started, and it ends there."""
    rounds(hub.work, GOOD, repro=False)
    pull = hub.open("stale")
    review = reviewed(hub, pull)
    assert "can be merged" in review.log
    new = head(hub, "stale")
    hub.work.run("git fetch -q origin")
    assert hub.work.out(f"git rev-parse {new}^").strip() == pull.head
    assert hub.work.out(f"git diff --name-only {pull.head} {new}") == "dvc.lock\n"
    assert "github-actions[bot]" in hub.work.out(f"git log -1 --format=%an {new}")
    (status,) = hub.read("statuses")
    assert (status["sha"], status["state"], status["context"]) == (new, "success", "Review")
    assert "can be merged" in status["description"]
    assert hub.read("dispatches") == [{"ref": "stale", "workflow": "ci.yml"}]
    # Whoever takes the branch has all of it, without running anything.
    other = Project(hub.work.path.parent / "other")
    hub.work.run(f"git clone -q -b stale ../origin.git {other.path}")
    other.run("dvc pull -q && dvc status -q")
    assert json.loads(other.read("data/model/model.json"))["params"]["max_iter"] == GOOD
    # Somebody starts the review once more: the lock is as committed now.
    hub.work.run(f"git reset -q --hard {new}")
    pull = hub.push(pull)
    reviewed(hub, pull)
    assert head(hub, "stale") == new
    assert len(hub.read("statuses")) == len(hub.read("dispatches")) == 1
    assert "was not of this commit" not in comment(hub, pull)


def test_7_fork(hub: Hub) -> None:
    """A fork's change is reviewed and commented on as any other; its branch is its owner's."""
    rounds(hub.work, GOOD, repro=False)
    pull = hub.open("theirs", owner="eve")
    refs = hub.work.out("git ls-remote --heads origin")
    review = ended(hub.review(pull))
    ran = ended(hub.comment(pull, review))
    assert "can be merged" in comment(hub, pull)
    assert hub.work.out("git ls-remote --heads origin") == refs
    assert (hub.read("statuses"), hub.read("dispatches")) == ([], [])
    assert "perenne github lock" not in ran.log
