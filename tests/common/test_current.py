"""`perenne use`: to another case and back without a trace, and never over work that is kept nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.project import ROOT, Project, clone

RETIREMENT, FLIGHTS = "data/cases/retirement/params.yaml", "data/cases/flights/params.yaml"


VALID = "Valid: flights, payments, retirement"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project as committed, on the retirement case. Shared: copy it to change it."""
    return clone(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture
def project(fresh: Project, tmp_path: Path) -> Project:
    """Return a copy, free to be changed."""
    return fresh.copy(tmp_path / "project")


def test_every_case_has_its_params_in_one_place(project: Project) -> None:
    """At the root while it is current, else in its folder, comments and tuned values included."""
    ours, theirs = project.read("params.yaml"), project.read(FLIGHTS)
    assert not (project.path / RETIREMENT).exists()
    assert project.out("perenne use flights") == (
        f"params.yaml is now that of flights; those of retirement are in {RETIREMENT}; dvc repro runs it\n"
    )
    assert (project.read("params.yaml"), project.read(RETIREMENT)) == (theirs, ours)
    assert not (project.path / FLIGHTS).exists()
    project.run("perenne use retirement")
    assert project.out("git status --porcelain") == ""


def test_what_was_tuned_is_never_lost(project: Project) -> None:
    """Committed or not, it goes where the case is and comes back with it."""
    project.edit(r"learning_rate: [0-9.]+", "learning_rate: 0.33 # tuned")
    project.run("perenne use flights")
    project.edit(r"window: \d+", "window: 7 # tuned")
    project.commit("on flights")
    project.run("perenne use retirement")
    assert "learning_rate: 0.33 # tuned" in project.read("params.yaml")
    assert "window: 7 # tuned" in project.read(FLIGHTS)


def test_bytes_are_kept(project: Project) -> None:
    """An editor's CRLF comes back as it was."""
    content = (project.path / "params.yaml").read_bytes().replace(b"\n", b"\r\n")
    (project.path / "params.yaml").write_bytes(content)
    project.run("perenne use flights && perenne use retirement")
    assert (project.path / "params.yaml").read_bytes() == content


def test_current_case_is_current_already(project: Project) -> None:
    """Nothing is moved."""
    assert project.out("perenne use retirement") == "params.yaml is that of retirement already\n"
    assert project.out("git status --porcelain") == ""


def test_without_params_at_the_root(project: Project) -> None:
    """As in a folder whose cases were copied: there is nothing to put back."""
    project.run("rm params.yaml && perenne use flights")
    assert "case: flights" in project.read("params.yaml")


@pytest.mark.parametrize(
    ("before", "case", "says"),
    [
        ("true", "flihgts", f"data/cases: no case 'flihgts'; did you mean 'flights'? {VALID}"),
        (
            "cp -r data/cases/flights data/cases/mine",
            "mine",
            "data/cases/mine/params.yaml: case: found 'flights', must be 'mine', the name of its folder",
        ),
        (
            f"rm {FLIGHTS}",
            "flights",
            f"{FLIGHTS}: is not there; copy that of another case, and correct it",
        ),
        (
            "sed -i 's/^case:.*/case: gone/' params.yaml",
            "flights",
            "params.yaml: case: found 'gone', must be the name of a folder in data/cases",
        ),
        (
            "echo '{' > params.yaml",
            "flights",
            "params.yaml: case: found None, must be the name of a folder in data/cases",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_changes_nothing(project: Project, before: str, case: str, says: str) -> None:
    """One line, and the params of no case are overwritten."""
    project.run(before)
    was = project.out("git status --porcelain; cat params.yaml")
    failed = project.run(f"perenne use {case}", status=1)
    assert failed.stderr == f"error: {says}\n"
    assert project.out("git status --porcelain; cat params.yaml") == was


def test_outside_the_project(project: Project) -> None:
    """Run from elsewhere, it says so."""
    failed = project.run("cd data && perenne use flights", status=1)
    assert "run this in the project's own folder" in failed.stderr
    assert failed.stderr.count("\n") == 1


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
