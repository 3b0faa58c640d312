"""A release by a user who has configured Git to the last key is the release of everybody else."""

from __future__ import annotations

from tests import hostile
from tests.project import Project


def test_users_settings_change_no_release(company: Project) -> None:
    """What no commit holds stops it; then gate, release, another clone and the way back do as ever."""
    origin = company.path.parent / "origin.git"
    company.run(f"git -C {origin} config core.hooksPath hooks")  # a server is not this user's
    company.edit(r"max_iter: \d+", "max_iter: 60")
    company.run("dvc repro -q")
    company.commit("60 rounds")
    user = hostile.settings(company.path.parent / "user")
    company.write("stages/perenne/helper.py", "")
    company.run("git tag -a -m x mine")
    refused = company.run("perenne gate --push && perenne release --push", status=None, **user)
    assert "helper.py" in refused.stderr, refused.stdout + refused.stderr
    company.run("rm stages/perenne/helper.py")
    told = company.out("perenne release --push", **user)
    assert told.startswith("released retirement@v1.1.0, retirement#prod#2")
    listed = company.out("git ls-remote --refs origin").split()[1::2]
    assert {"refs/tags/retirement@v1.1.0", "refs/tags/retirement#prod#2", "refs/notes/perenne"} <= set(listed)
    assert "refs/tags/mine" not in listed
    company.run("git clone -q ../origin.git ../bob")
    bob = Project(company.path.parent / "bob")
    bob.run("git tag -a -m x bobs && git notes --ref=perenne list > /dev/null", status=None)
    assert "v1.1.0" in bob.out("perenne models", **user)
    bob.out("perenne rollback v1.0.0 --reason 'to see' --push", **user)
    assert bob.out("git tag --list bobs mine").split() == ["bobs"]
    assert "retirement#prod#3" in company.out("git ls-remote --tags origin")
    made = bob.out("perenne fetch prod --out model", **user)
    assert "v1.0.0" in made
