"""The workflows of a project of one's own: the files that `perenne new` has made, run by act."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.new.own import DAYS, own, visits
from tests.project import Project
from tests.workflows.hub import Hub
from tests.workflows.scenes import comment, ended, reviewed, rounds

LOCKS = "Makefile requirements.txt tests/requirements.txt"


class Own(Hub):
    """A GitHub with a project of one's own. Its environment is made, as the project's Makefile sees it."""

    def venv(self, environment: Path) -> Path:
        """Return that of the tests, which `make` takes for the lock's, and which it cannot change."""
        made = self.work.path.parent / "venv"
        if not made.exists():
            (made / "bin").mkdir(parents=True)
            for entry in (*environment.iterdir(), *environment.glob("bin/*")):
                if entry.name not in ("bin", "uv"):
                    (made / entry.relative_to(environment)).symlink_to(entry)
            (made / f"made-{self.work.out(f'cat {LOCKS} | cksum').split()[0]}").touch()
        return made


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Own:
    """Return a GitHub to which the project has just been pushed: no version, no cache."""
    return Own(own(tmp_path_factory, tmp_path / "own"))


def test_from_the_first_push_to_a_reviewed_change(hub: Own) -> None:
    """Tests, the first release, scores, a quiet day, and a pull request with its comment."""
    head = hub.work.out("git rev-parse HEAD").strip()
    push = {"ref": "refs/heads/main", "before": "0" * 40, "after": head}
    tested = ended(hub.act("ci", "push", push, at=head))
    assert re.search(r"2 passed.*2 skipped", tested.log), "act is a terminal: the words have colours"
    run = ended(hub.release("0" * 40, head))
    assert "Running stage 'train'" in run.log
    (release,) = hub.read("releases")
    assert release["tag"] == "visits@v1.0.0"
    assert hub.work.out("git ls-remote --tags origin").count("visits@v1.0.0") == 2

    scored = ended(hub.act("predict", "schedule", {"schedule": "29 6 * * 1"}, at="main"))
    assert re.search(r"scored by visits@v1\.0\.0 \+ 0 set aside", scored.log)

    quiet = ended(hub.act("monitor", "schedule", {"schedule": "17 5 * * *"}, at="main"))
    assert "nothing: no drift detected" in quiet.log

    hub.work.edit(r"max_iter: .*", "max_iter: 1")
    hub.work.repro()
    hub.work.commit("One tree")
    pull = hub.open("worse")
    review = reviewed(hub, pull, passed=False)
    assert "should not be merged" in review.log
    assert "should not be merged" in comment(hub, pull)
    assert hub.read("issues") == []


def test_from_drift_to_a_release_and_back(hub: Own) -> None:
    """A retraining is offered and merged; a missing lock is committed; a version is taken back."""
    work = hub.work
    work.run("perenne gate && perenne release --push")
    work.run("dvc push -q && git push -q")
    shutil.copytree(work.path / ".dvc/cache", work.path.parent / "caches/dvc-")

    work.write("data/incoming/visits/later.csv", visits(DAYS, days=84, rows=30, larger=0.1))
    work.run("dvc add -q data/incoming/visits/later.csv && dvc push -q")
    work.commit("Twelve more weeks")
    work.run("git push -q")
    ended(hub.act("monitor", "schedule", {"schedule": "17 5 * * *"}, at="main"))
    (offered,) = hub.read("pulls")
    assert offered["head"]["ref"].startswith("retrain/visits-2024-11-")
    assert {one["workflow"] for one in hub.read("dispatches")} == {"review.yml", "ci.yml"}

    # Two people edit a number in the browser, where nothing runs the stages: one here, one in a fork.
    rounds(work, 40, repro=False)
    theirs = hub.open("theirs", owner="eve")
    review = hub.review(theirs)
    ended(hub.comment(theirs, review))
    assert "The review has" in comment(hub, theirs)
    assert hub.read("statuses") == []
    ours = hub.open("ours")
    ended(hub.comment(ours, review))
    (status,) = hub.read("statuses")
    clone = Project(work.path.parent / "clone")
    work.run(f"git clone -q -b ours ../origin.git {clone.path}")
    assert clone.out("git rev-parse HEAD").strip() == status["sha"] != ours.head
    clone.run("dvc pull -q && dvc status -q")
    assert json.loads(clone.read("data/model/model.json"))["params"]["max_iter"] == 40

    branch = offered["head"]["ref"]
    work.run(f"git checkout -q main && git reset -q --hard origin/main && git merge -q origin/{branch}")
    ended(hub.release(*hub.merge()))
    assert hub.read("releases")[-1]["tag"] == "visits@v1.0.1"
    by_hand = {"inputs": {"reason": "to see how"}, "ref": "refs/heads/main"}
    back = ended(hub.act("rollback", "workflow_dispatch", by_hand, at="main"))
    assert "visits@v1.0.0 is in prod instead of v1.0.1" in back.log
