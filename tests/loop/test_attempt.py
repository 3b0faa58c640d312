"""How a candidate's results are made: by the stages, and once in a retraining."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.documents.decision import OfferedCut
from perenne.loop import attempt
from tests.conftest import Enter
from tests.project import Project

PIPELINE = "stages: {copy: {cmd: cp params.yaml made, deps: [params.yaml], outs: [made]}}\n"


@pytest.mark.parametrize("lost", [False, True])
def test_candidate_is_built_once(
    tmp_path: Path, enter: Enter, capfd: pytest.CaptureFixture[str], *, lost: bool
) -> None:
    """The second time its results are checked out; they are made again if no cache has them any more."""
    project = Project(tmp_path / "project")
    project.write("dvc.yaml", PIPELINE)
    project.write("requirements.txt", "")
    project.run("git init -q && dvc init -q")
    enter(project)
    build = attempt.built_once()
    one, other = (OfferedCut(name=name, as_of="2021Q1", window=4, holdout=1) for name in ("one", "other"))
    for candidate in (one, other):
        project.write("params.yaml", f"name: {candidate.name}\n")
        build(candidate)
        assert project.read("made") == f"name: {candidate.name}\n"
    if lost:
        project.run("rm -rf .dvc/cache")
    project.write("params.yaml", "name: one\n")
    capfd.readouterr()
    build(one)
    assert project.read("made") == "name: one\n"
    said = "".join(capfd.readouterr())
    assert ("Running stage 'copy'" in said) is lost
    assert ("Stage 'copy' didn't change" in said) is not lost
