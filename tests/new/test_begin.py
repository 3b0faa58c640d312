"""A project is made from nothing, or a repository gets what it lacks; nothing that is there changes."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Never

import pytest

from perenne.adopt import adopt
from perenne.common.errors import PerenneError
from perenne.new import begin, commits
from perenne.new.adopted import Case
from perenne.new.template import Template
from tests.conftest import Enter
from tests.new.own import visits
from tests.project import Project


@pytest.fixture
def here(workplace: Project, enter: Enter) -> Project:
    """Return the workplace as the current folder of this process."""
    enter(workplace)
    return workplace


# From nothing.


@pytest.mark.parametrize("is_there", [False, True])
def test_skeleton_is_one_commit(here: Project, made: Template, *, is_there: bool) -> None:
    """A repository on `main` with the template's files and nothing else, all of them committed."""
    folder = here.path / "churn"
    if is_there:
        folder.mkdir()
    done = begin.create(folder, made, None)
    churn = Project(folder)
    assert churn.out("git status --porcelain --ignored") == ""
    assert churn.out("git log --format='%an %D'") == "Ada HEAD -> main\n"
    assert churn.out("git ls-files").splitlines() == done.added
    assert {"params.yaml", "dvc.lock"} & set(done.added) == set()
    assert done.left == []
    assert churn.read("README.md").startswith("# churn\n\nThere is no case yet: `perenne adopt ")


def test_skeleton_is_a_dvc_project_without_analytics(mine: Project) -> None:
    """DVC takes it for one that `dvc init` has made."""
    assert mine.out("dvc config core.analytics").strip() == "false"
    assert mine.out("dvc root").strip() == "."
    mine.write("data.bin", "1")
    mine.write("dvc.yaml", "stages: {}\n")  # whose stages wait for a case
    mine.run("dvc add -q data.bin")
    assert ".dvc/cache" not in mine.out("git status --porcelain --untracked-files=all")


def test_skeleton_tests_wait_for_a_case(mine: Project) -> None:
    """They pass: what needs a case says that there is none."""
    shown = mine.out(f"{sys.executable} -m pytest -q -p no:cacheprovider", PYTHONPATH="")
    assert "1 passed, 3 skipped" in shown
    assert "there is no case yet: perenne adopt makes one" in shown


def test_failure_leaves_nothing(here: Project, made: Template) -> None:
    """A file that cannot be adopted leaves no half of a project, and an empty folder as empty as it was."""
    here.write("bad.csv", "day,won\n" + "2024-01-01,1\n" * 50)
    case = Case([here.path / "bad.csv"], "`bad.csv`", "wonn", None)
    (here.path / "there").mkdir()
    for name in ("a/b/churn", "there"):
        with pytest.raises(PerenneError, match="wonn"):
            begin.create(here.path / name, made, case)
    assert sorted(path.name for path in here.path.iterdir()) == ["bad.csv", "there"]
    assert list((here.path / "there").iterdir()) == []


# Where.


def test_folder_that_is_not_empty_is_refused(here: Project) -> None:
    """Nobody's files become part of a project by accident."""
    here.write("notes/todo.txt", "")
    with pytest.raises(PerenneError, match="notes: not empty; use another folder, or git init"):
        begin.free(here.path / "notes")
    with pytest.raises(PerenneError, match=r"todo.txt: is a file"):
        begin.free(here.path / "notes" / "todo.txt")
    assert begin.free(here.path / "notes" / "new")


@pytest.mark.parametrize("name", ["/proc/churn", "c" * 300])
def test_folder_that_cannot_be_made_is_refused(here: Project, made: Template, name: str) -> None:
    """In one line that names it."""
    folder = here.path / name
    with pytest.raises(PerenneError, match=rf"^{folder}: .*; use a folder that you can write to$"):
        _ = begin.free(folder) and begin.create(folder, made, None)


def test_folder_whose_name_cannot_be_printed_is_refused(here: Project) -> None:
    """A line break would end up in its README."""
    with pytest.raises(PerenneError, match=r"'.*/two\\nlines': cannot be printed; use a folder with another"):
        begin.free(here.path / "two\nlines")


def test_folder_of_git_is_refused(here: Project) -> None:
    """Nobody looks for a project there, and Git may remove it."""
    here.run("git init -q outer && git init -q --bare bare.git")
    for name in ("outer/.git/churn", "bare.git", "bare.git/churn"):
        with pytest.raises(PerenneError, match=f"{name}: lies where Git keeps a repository; use a folder"):
            begin.free(here.path / name)


def test_folder_in_another_repository_is_refused(here: Project) -> None:
    """Its workflows would never run, and its commits would be in nobody's history."""
    here.run("git init -q outer")
    with pytest.raises(
        PerenneError, match=r"outer/a/b: lies in the repository .*/outer; use a folder outside"
    ):
        begin.free(here.path / "outer" / "a" / "b")
    assert not begin.free(here.path / "outer")


# In a repository that is there.


@pytest.fixture
def there(here: Project) -> Project:
    """Return a repository with a DVC project of another shape, and work that is not committed."""
    there = Project(here.path / "there")
    there.path.mkdir()
    there.run("git init -q -b trunk && dvc init -q")
    there.write("README.md", "# Ours\n")
    there.write(".gitignore", "/.github\n")
    there.write("stages", "a file\n")
    there.commit("ours")
    there.write("README.md", "# Ours, better\n")
    there.write("staged.txt", "")
    there.run("git add staged.txt")
    there.write("Makefile", "all:\n")
    return there


def test_only_what_is_missing_is_added(there: Project, made: Template) -> None:
    """What is there stays, committed or not, in the way of a new file or not; the rest is in one commit."""
    before = {p: p.read_bytes() for p in there.path.rglob("*") if p.is_file() and ".git" not in p.parts}
    done = begin.add(there.path, made, None)
    assert {path: path.read_bytes() for path in before} == before
    own = {"README.md", ".gitignore", "Makefile", ".dvc/config", ".dvcignore", ".dvc/.gitignore"}
    stages = {name for name in made.files if name.startswith("stages/")}
    assert set(done.left) == own | stages
    assert {"dvc.yaml", "requirements.txt", ".github/workflows/review.yml"} <= set(done.added)
    assert set(there.out("git diff --name-only HEAD^ HEAD").split()) == set(done.added)
    assert there.out("git status --porcelain") == " M README.md\nA  staged.txt\n?? Makefile\n"
    assert there.out("git symbolic-ref --short HEAD") == "trunk\n"
    assert done.exposed == made.files[".gitignore"].decode().split()


def test_template_is_beside_the_branch(
    there: Project, made: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole, as the second parent: what an upgrade begins from."""
    done = begin.add(there.path, made, None)
    assert there.out("git log -1 --format=%s HEAD^1") == "ours\n"
    assert there.out("git ls-tree -r --name-only HEAD^2").splitlines() == sorted({*done.added, *done.left})
    monkeypatch.chdir(there.path)
    newest = commits.newest()
    assert newest
    assert newest.version == made.version


def test_repository_without_a_commit_gets_its_first(here: Project, made: Template) -> None:
    """On top of what the template generated."""
    here.run("git init -q -b main young")
    young = Project(here.path / "young")
    young.write("README.md", "# Ours\n")
    begin.add(young.path, made, None)
    assert young.out("git log --format=%s").count("\n") == 2
    assert young.out("git status --porcelain") == "?? README.md\n"


def test_project_is_not_begun_twice(mine: Project, made: Template) -> None:
    """What its owner has removed does not come back; `perenne upgrade` renews it."""
    with pytest.raises(PerenneError, match=r"mine: has the template of perenne .* already; perenne upgrade"):
        begin.add(mine.path, made, None)


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        ("dvc.yaml", "stages: {prep: {cmd: date}}\n", r"dvc.yaml: is a pipeline of another shape; move it"),
        ("params.yaml", "seed: 1\n", r"params.yaml: has no case, so it is not of Perenne; move it elsewhere"),
        ("params.yaml", "- 1\n", r"params.yaml: has no case"),
    ],
)
def test_pipeline_of_another_shape_is_refused(
    there: Project, made: Template, file: str, text: str, error: str
) -> None:
    """A project needs these files for itself, and half a project is none."""
    there.write(file, text)
    before = there.out("git status --porcelain && git rev-parse HEAD")
    with pytest.raises(PerenneError, match=error):
        begin.add(there.path, made, None)
    assert there.out("git status --porcelain && git rev-parse HEAD") == before


def test_commit_on_no_branch_is_refused(there: Project, made: Template) -> None:
    """It would be lost with the next `git switch`."""
    there.run("git checkout -q --detach")
    with pytest.raises(PerenneError, match=r"HEAD is on no branch, .*; git switch BRANCH first"):
        begin.add(there.path, made, None)


def test_gitignore_may_ignore_in_other_words(there: Project, made: Template) -> None:
    """`.venv` or `.venv/` will do for `/.venv`."""
    there.write(".gitignore", made.files[".gitignore"].decode().replace("/.venv", ".venv/"))
    assert begin.add(there.path, made, None).exposed == []


def test_failed_adoption_takes_back_what_was_added(there: Project, made: Template) -> None:
    """The repository is as it was, and no empty folder is left."""
    folders = {path for path in there.path.iterdir() if path.is_dir()}
    there.write("bad.csv", "day,won\n" + "2024-01-01,1\n" * 50)
    before = there.out("git status --porcelain && git rev-parse HEAD")
    with pytest.raises(PerenneError, match="wonn"):
        begin.add(there.path, made, Case([there.path / "bad.csv"], "`bad.csv`", "wonn", None))
    assert {path for path in there.path.iterdir() if path.is_dir()} == folders
    assert there.out("git status --porcelain && git rev-parse HEAD") == before


def test_interrupted_adoption_takes_back_what_was_added(
    there: Project, made: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While DVC takes the file, too, when there are params for it to read."""

    def interrupt(*_: str) -> Never:
        assert Path("params.yaml").exists()
        raise KeyboardInterrupt

    there.write("visits.csv", visits(days=60))
    before = there.out("git status --porcelain --ignored && git rev-parse HEAD")
    monkeypatch.setattr(adopt, "_dvc", interrupt)
    with pytest.raises(KeyboardInterrupt):
        begin.add(there.path, made, Case([there.path / "visits.csv"], "`visits.csv`", "won", "day"))
    assert there.out("git status --porcelain --ignored && git rev-parse HEAD") == before


def test_next_step_can_be_pasted() -> None:
    """Into a shell, whatever the folder's name; a case that is left to its owner is committed first."""
    step = partial(begin.next_step, Path("/my work"))
    here = "next: cd '/my work' && "
    assert step(case="visits", ran=True, own=True).endswith(f"{here}make test")
    assert step(case="visits", ran=False, own=True).endswith(f"{here}make repro")
    assert f"{here}perenne adopt FILES" in step(case=None, ran=True, own=True)
    added = "git add data/cases data/incoming params.yaml dvc.lock && git commit -m"
    assert step(case="visits", ran=True, own=False).endswith(f'{here}{added} "Adopt visits" && make test')
    assert " dvc.lock" not in step(case="visits", ran=False, own=False)


def test_next_step_commits_what_dvc_has_ignored(here: Project) -> None:
    """In a `.gitignore` of its owner, too: a release refuses a tree with changes."""
    here.run("git init -q && dvc init -q")
    here.write("data/.gitignore", "/mine\n")
    here.write("src/.gitignore", "/mine\n")
    here.commit("ours")
    assert begin.ignoring() == []
    here.write("src/.gitignore", "/ours\n")
    for name in ("data/big.csv", "data/model/big.bin", "data/incoming/visits/visits.csv"):
        here.write(name, "")
        here.run(f"dvc add -q {name}")
    changed = begin.ignoring()
    assert changed == ["data/.gitignore", "data/incoming/visits/.gitignore", "data/model/.gitignore"]
    step = begin.next_step(here.path, case="visits", ran=True, own=False, ignoring=changed)
    assert " dvc.lock data/.gitignore data/model/.gitignore && git commit" in step
