"""From `perenne new` to a first release and what follows, as the project's README says it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.new.own import DAYS, own, visits
from tests.project import Project


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project after the README's section on releases. Shared."""
    project = own(tmp_path_factory, tmp_path_factory.mktemp("released") / "work")
    commands = re.search(r"(?s)^## Release\n.*?```console\n(.*?)```", project.read("README.md"), re.MULTILINE)
    assert commands
    said = ""
    for line in commands[1].splitlines():
        command = line.removeprefix("$ ")
        if not command.startswith("git remote add"):  # there is one
            said += project.out(command)
    project.write("../said.txt", said)
    return project


def test_readme_leads_to_a_first_release(released: Project) -> None:
    """Its commands, one after the other: the model is eligible, and its tags are at the origin."""
    said = released.read("../said.txt")
    assert "visits: eligible: all rules pass; a first release" in said
    assert "released visits@v1.0.0, visits#prod#1" in said
    tags = released.out("git ls-remote --tags --refs origin").split()[1::2]
    assert tags == ["refs/tags/visits#prod#1", "refs/tags/visits@v1.0.0"]
    assert released.out("git status --porcelain") == ""


def test_released_version_predicts_new_rows(released: Project, tmp_path: Path) -> None:
    """In a clone that has nothing but what was pushed, of rows whose outcome nobody knows yet."""
    released.run(f"git clone -q ../origin.git {tmp_path}/clone")
    clone = Project(tmp_path / "clone")
    home = str(released.path.parent / "home")  # where the storage is
    rows = pd.DataFrame({"day": "2024-09-02", "size": [1.0, 2.0, 8.0, 9.0], "colour": "red"})
    rows.to_csv(clone.path / "new.csv", index=False)
    said = clone.out("perenne predict new.csv --out scores.csv", HOME=home, XDG_CONFIG_HOME=home)
    assert said == "scores.csv: 4 rows = 4 scored by visits@v1.0.0 + 0 set aside\n"
    scores = pd.read_csv(clone.path / "scores.csv")
    assert list(scores["class"]) == [0, 0, 1, 1]
    # The chances that the rows were made with; some 1,000 rows tell them to a tenth or so.
    assert list(scores["score"]) == pytest.approx([0.2, 0.2, 0.8, 0.8], abs=0.15)
    assert set(scores["model_version"]) == {"v1.0.0"}


def test_data_that_arrive_are_watched(released: Project, tmp_path: Path) -> None:
    """A file more, `through` moved: the pipeline runs, the version stays, and the monitor is quiet."""
    shutil.copytree(released.path.parent, tmp_path / "all", symlinks=True)  # its origin and its storage too
    work = Project(tmp_path / "all" / released.path.name)
    work.write("data/incoming/visits/2024-09.csv", visits(DAYS + 5, 7))
    work.edit(r"through: \S+", "through: 2024-09-02/2024-09-08")
    work.run("dvc add -q data/incoming/visits/2024-09.csv")
    ran = work.repro()
    assert ran[:2] == ["ingest", "validate"]
    assert "train" not in ran
    work.commit("Through 2024-09")
    assert work.out("git ls-files 'data/incoming/*.csv'") == ""
    assert "this is v1.0.0, nothing to judge" in work.out("perenne gate")
    assert "visits: nothing: no drift detected through 2024-09-02" in work.out("perenne monitor")
