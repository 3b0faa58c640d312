"""The workflows of a project of one's own: the files that `perenne new` has made, run by act."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.new.own import own
from tests.workflows.hub import Hub
from tests.workflows.scenes import comment, ended, reviewed

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
