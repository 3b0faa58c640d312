"""`dvc.lock` of a commit, of the real project."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common import locked, names
from perenne.common.errors import PerenneError
from tests.project import Project


def test_path_of_the_model_is_the_one_that_train_writes() -> None:
    """It is written down twice to keep the registry quick to start."""
    assert names.MODEL == names.MODEL


def test_model_is_found_with_its_hash(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the working tree and of any commit; the hash is that of the file."""
    monkeypatch.chdir(project.path)
    md5 = project.out(f"md5sum {names.MODEL}").split()[0]
    assert locked.load().out(names.MODEL).md5 == locked.load("HEAD").out(names.MODEL).md5 == md5
    assert locked.load().out(names.MODEL).size == (project.path / names.MODEL).stat().st_size


def test_stages_behind_the_model_are_those_it_is_made_by(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What measures or watches the model does not make it."""
    monkeypatch.chdir(project.path)
    assert locked.load().behind(names.MODEL) == ["ingest", "validate", "split", "train"]
    assert locked.load().stages["split"].params["split.as_of"] == "2019Q4"


def test_output_that_is_not_there_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what there is instead."""
    monkeypatch.chdir(project.path)
    with pytest.raises(
        PerenneError, match=r"no output data/model/model.json5; did you mean 'data/model/model.json'"
    ):
        locked.load("HEAD").out(Path("data/model/model.json5"))


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 3000, "a: 1\na: 2", "stages: 5", "- 1", "stages: {train: 7}", "stages: {train: {outs: 5}}"),
        *("stages: {train: {outs: [{md5: x}]}}", "stages: {train: {deps: [{path: x, md5: [1]}]}}"),
        *("stages: {train: {params: {params.yaml: 3}}}", "stages: {<<: {train: {cmd: x}}}", "a: \x00"),
        b"\xff",
    ],
)
def test_lock_that_somebody_else_wrote_is_one_line(text: str | bytes) -> None:
    """Whatever it is."""
    with pytest.raises(PerenneError) as caught:
        locked.loads(text, "a commit")
    assert str(caught.value).startswith("dvc.lock of a commit")


def test_lock_without_stages_has_none() -> None:
    """DVC leaves this where the last stage was removed."""
    assert locked.loads("schema: '2.0'\n", "a commit").stages == {}
    assert locked.loads("", "a commit").stages == {}
