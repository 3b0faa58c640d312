"""A later template is merged: no edit of the owner is lost, and where both edited, Git shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from perenne.common.errors import PerenneError
from perenne.new import template, upgrade
from tests.conftest import Enter
from tests.new.conftest import Later
from tests.project import Project

HELP = "help:           ## show this list"
EDITS = {"Makefile": (HELP, HELP.replace("show", "print"))}
LATER = "99.0.0"


@pytest.fixture
def project(mine: Project, enter: Enter) -> Project:
    """Return a project that its owner works on; it is the current folder."""
    mine.edit(r"^clean: +##", "tidy: clean\n\nclean: ##", "Makefile")
    mine.write("stages/features.py", '"""Mine."""\n')
    mine.write("README.md", mine.read("README.md") + "\n## Mine\n")
    mine.write("requirements.in", mine.read("requirements.in") + "lightgbm\n")
    mine.run("rm .github/workflows/rollback.yml")
    mine.commit("my work")
    enter(mine)
    return mine


def test_edits_in_other_places_are_kept(project: Project, later: Later) -> None:
    """In the same file too; what the owner added or removed stays so, and the project pins the new wheel."""
    wheel = later(LATER, **EDITS)
    said = upgrade.upgrade(template.of_wheel(wheel))
    assert re.fullmatch(rf"perenne \S+ -> {LATER}: merged, as git diff HEAD\^ shows; next: make repro", said)
    makefile = project.read("Makefile")
    assert "help:           ## print this list\n" in makefile
    assert "tidy: clean\n" in makefile
    assert project.read("README.md").endswith("\n## Mine\n")
    assert project.read("requirements.in").endswith("\nlightgbm\n")
    assert f"./.perenne/{wheel.name}[s3,serve]" in project.read("requirements.in")
    assert f"./.perenne/{wheel.name} \\\n" in project.read("requirements.txt")
    assert [p.name for p in (project.path / ".perenne").glob("*.whl")] == [wheel.name]
    assert not (project.path / ".github/workflows/rollback.yml").exists()
    assert (project.path / "stages/features.py").exists()
    assert project.out("git status --porcelain") == ""


def test_upgrades_follow_each_other(project: Project, later: Later) -> None:
    """Each is merged on the one before: what was taken in once is not taken in again."""
    upgrade.upgrade(template.of_wheel(later("98.0", **EDITS)))
    project.edit("print this list", "mine", "Makefile")
    project.commit("another word")
    upgrade.upgrade(template.of_wheel(later(LATER, **EDITS, **{"README.md": ("## Use", "## Use it")})))
    assert "## mine" in project.read("Makefile")
    assert "## Use it" in project.read("README.md")


def test_same_template_changes_nothing(project: Project, later: Later) -> None:
    """And an older one is refused."""
    made = template.of_wheel(later(LATER, **EDITS))
    upgrade.upgrade(made)
    before = project.out("git rev-parse HEAD")
    assert upgrade.upgrade(made) == f"this project has the template of perenne {LATER} already"
    with pytest.raises(
        PerenneError, match=f"perenne 98.1 is older than the template of this project, {LATER}"
    ):
        upgrade.upgrade(template.of_wheel(later("98.1", **EDITS)))
    assert project.out("git rev-parse HEAD") == before


def test_edit_in_the_same_place_is_a_conflict(project: Project, later: Later) -> None:
    """Git shows both, one line says what to do, and either way out works."""
    project.edit("show this list", "list all", "Makefile")
    project.commit("other words")
    wheel = later(LATER, **EDITS)
    failed = project.run(f"perenne upgrade --wheel {wheel}", status=1)
    assert failed.stderr == (
        "error: Makefile: changed by you and by the template in one place; edit it there, "
        "then git commit --all; or go back by git merge --abort\n"
    )
    assert failed.stdout == ""
    assert re.search(
        r"<<<<<<< HEAD\n.*list all\n=======\n.*print this list\n>>>>>>> ", project.read("Makefile")
    )
    again = project.run(f"perenne upgrade --wheel {wheel}", status=1)
    assert again.stderr == (
        "error: a merge is not finished: edit what is in conflict, git add it, and git merge --continue; "
        "or go back by git merge --abort\n"
    )
    project.run("git merge --abort")
    assert "list all" in project.read("Makefile")
    assert project.out("git status --porcelain") == ""
    project.run(f"perenne upgrade --wheel {wheel}", status=1)
    project.edit(r"(?s)<<<<<<<.*>>>>>>> \w+", HELP.replace("show this list", "list or print"), "Makefile")
    project.run("git commit -q --all --no-edit")
    assert "already" in project.out(f"perenne upgrade --wheel {wheel}")


def test_project_that_was_added_to_is_upgraded(workplace: Project, later: Later, wheel: Path) -> None:
    """Its own files are not the template's: an upgrade merges what the template changed, and nothing else."""
    workplace.run("git init -q -b main old")
    old = Project(workplace.path / "old")
    old.write("README.md", "# Ours\n")
    old.commit("ours")
    old.run(f"perenne new . --wheel {wheel}")
    old.run(f"perenne upgrade --wheel {later(LATER, **EDITS)}")
    assert "print this list" in old.read("Makefile")
    assert old.read("README.md") == "# Ours\n"


def test_changes_that_no_commit_holds_are_refused(project: Project, later: Later) -> None:
    """They could not be told from the merge; a file that Git does not know is no change."""
    made = template.of_wheel(later(LATER, **EDITS))
    project.write("Makefile", "mine\n")
    with pytest.raises(PerenneError, match="Makefile: changed and not committed; commit it, or git stash"):
        upgrade.upgrade(made)
    project.run("git checkout -q Makefile")
    project.write("notes.txt", "")
    assert "merged" in upgrade.upgrade(made)
    assert project.out("git status --porcelain") == "?? notes.txt\n"


def test_answers_that_were_removed_are_named(project: Project, later: Later) -> None:
    """With the command that brings them back."""
    project.run("git rm -q .perenne/answers.yaml")
    project.commit("removed")
    made = template.of_wheel(later(LATER, **EDITS))
    with pytest.raises(PerenneError, match=r"no such file; (git checkout \w+ -- \S+) brings it") as raised:
        upgrade.upgrade(made)
    (command,) = re.findall("git checkout .*yaml", str(raised.value))
    project.run(command)
    project.commit("brought back")
    assert "merged" in upgrade.upgrade(made)


def test_merge_on_no_branch_is_refused(project: Project, later: Later) -> None:
    """It would be lost with the next `git switch`."""
    project.run("git checkout -q --detach")
    with pytest.raises(PerenneError, match="HEAD is on no branch"):
        upgrade.upgrade(template.of_wheel(later(LATER, **EDITS)))


def test_untracked_file_is_not_overwritten(project: Project, later: Later) -> None:
    """Git refuses, and says in one line why."""
    wheel = later(LATER)
    project.write(f".perenne/{wheel.name}", "mine")
    with pytest.raises(PerenneError, match="untracked working tree files would be overwritten") as raised:
        upgrade.upgrade(template.of_wheel(wheel))
    assert "\n" not in str(raised.value)
    assert project.read(f".perenne/{wheel.name}") == "mine"


def test_history_without_a_template_is_refused(project: Project, later: Later, wheel: Path) -> None:
    """Where its first commit was rewritten, too: its owner's files would be taken for the template's."""
    project.run("git reset -q --soft HEAD~1 && git commit -q --amend -m 'all in one'")
    made = template.of_wheel(later(LATER))
    with pytest.raises(
        PerenneError, match=r"no commit .* is what a template generated.*; else perenne new \."
    ):
        upgrade.upgrade(made)
    said = project.out(f"perenne new . --wheel {wheel}").splitlines()
    assert [line for line in said if line.startswith("added")] == ["added: .github/workflows/rollback.yml"]
    assert "-> 99.0.0: merged" in upgrade.upgrade(made)
    assert "tidy: clean\n" in project.read("Makefile")


def test_another_folder_is_refused(
    project: Project, later: Later, monkeypatch: pytest.MonkeyPatch, workplace: Project
) -> None:
    """The root of the repository is named; outside of any, what makes one."""
    made = template.of_wheel(later(LATER))
    monkeypatch.chdir(project.path / "stages")
    with pytest.raises(PerenneError, match=r"stages: not the root of the repository; run this in .*/mine$"):
        upgrade.upgrade(made)
    monkeypatch.chdir(workplace.path)
    with pytest.raises(PerenneError, match="work: not a Git repository; perenne new makes one"):
        upgrade.upgrade(made)
