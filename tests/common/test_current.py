"""`perenne use`: to another case and back without a trace, and never over work that is kept nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.project import ROOT, Project, clone


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project as committed, on the retirement case. Shared: copy it to change it."""
    project = clone(tmp_path_factory.mktemp("fresh") / "project")
    project.write("params.yaml", project.read("data/cases/retirement/params.yaml"))
    project.commit("retirement")
    return project


@pytest.fixture
def project(fresh: Project, tmp_path: Path) -> Project:
    """Return a copy, free to be changed."""
    return fresh.copy(tmp_path / "project")


def test_there_and_back_leaves_no_diff(project: Project) -> None:
    """The other case's params come with their comments, and go again."""
    said = project.out("perenne use flights")
    assert said == (
        "params.yaml is now that of flights, from data/cases/flights/params.yaml; dvc repro runs it\n"
    )
    assert project.read("params.yaml") == project.read("data/cases/flights/params.yaml")
    project.run("perenne use retirement")
    assert project.out("git status --porcelain") == ""


def test_tuned_params_come_back_from_the_commit(project: Project) -> None:
    """What was tuned and committed is not reset to where the case started."""
    project.edit(r"learning_rate: [0-9.]+", "learning_rate: 0.33 # tuned")
    project.commit("tuned")
    project.run("perenne use flights")
    assert "from the last commit" in project.out("perenne use retirement")
    assert "learning_rate: 0.33 # tuned" in project.read("params.yaml")
    assert project.out("git status --porcelain") == ""


@pytest.mark.parametrize("staged", [False, True])
def test_changes_in_no_commit_are_not_lost(project: Project, staged: bool) -> None:  # noqa: FBT001 -- a parameter
    """Edited params stay as they are, staged or not, until they are committed or given up."""
    project.edit(r"window: \d+", "window: 7")
    if staged:
        project.run("git add params.yaml")
    edited = project.read("params.yaml")
    failed = project.run("perenne use flights", status=1)
    assert failed.stderr == (
        "error: params.yaml: its changes are in no commit and would be lost; commit them, or use --force\n"
    )
    assert project.read("params.yaml") == edited
    project.run("perenne use flights --force")
    assert project.read("params.yaml") == project.read("data/cases/flights/params.yaml")


def test_line_endings_are_kept(project: Project) -> None:
    """An editor's CRLF is no change, as for Git; where Git keeps it, it comes back."""
    (project.path / "params.yaml").write_bytes(
        (project.path / "params.yaml").read_bytes().replace(b"\n", b"\r\n")
    )
    project.run("perenne use flights && perenne use retirement")
    assert project.out("git status --porcelain") == ""
    project.run("rm .gitattributes && git config core.autocrlf false")
    (project.path / "params.yaml").write_bytes(
        (project.path / "params.yaml").read_bytes().replace(b"\n", b"\r\n")
    )
    project.commit("CRLF")
    project.run("perenne use flights && perenne use retirement")
    assert project.out("git status --porcelain") == ""


def test_missing_params_are_no_loss(project: Project) -> None:
    """Where there are none, they are written."""
    project.run("rm params.yaml && perenne use retirement")
    assert project.out("git status --porcelain") == ""


def test_unknown_case_names_the_nearest(project: Project) -> None:
    """The line says which cases there are, and the params stay."""
    failed = project.run("perenne use flihgts", status=1)
    assert failed.stderr == (
        "error: data/cases: no case 'flihgts'; did you mean 'flights'? Valid: flights, retirement\n"
    )
    assert project.out("git status --porcelain") == ""


def test_case_whose_params_name_another(project: Project) -> None:
    """A copied folder still says `case: flights`: running it would run the other."""
    project.run("cp -r data/cases/flights data/cases/mine")
    failed = project.run("perenne use mine", status=1)
    assert failed.stderr == (
        "error: data/cases/mine/params.yaml: case: found 'flights', must be 'mine', the name of its folder\n"
    )


def test_outside_the_project(project: Project) -> None:
    """Run from elsewhere, it says so."""
    failed = project.run("cd data && perenne use flights", status=1)
    assert "run this in the project's own folder" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_without_git(project: Project) -> None:
    """No commit, no Git at all: the case's own params are used."""
    project.run("rm -rf .git && perenne use flights && perenne use retirement")
    assert project.read("params.yaml") == project.read("data/cases/retirement/params.yaml")


def test_command_starts_without_heavy_imports() -> None:
    """What a command does not use, it does not wait for."""
    heavy = {
        "pandas",
        "numpy",
        "pyarrow",
        "sklearn",
        "scipy",
        "pandera",
        "pydantic",
        "yaml",
        "dvc",
        "evidently",
    }
    code = f"import perenne.cli, sys; print(sorted({heavy} & set(sys.modules)))"
    here = Project(ROOT)
    assert here.out(f"PYTHONPATH= {sys.executable} -c '{code.replace(chr(39), chr(34))}'") == "[]\n"
