"""A small project whose space was not searched yet."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import tiny
from tests.conftest import once
from tests.project import Project

TRIALS = 12
TUNE = f"""\
tune: # what is searched
  trials: {TRIALS}
  seed: 3
  space:
    train.params.class_weight: {{values: [null, balanced]}} # in another order than that of the alphabet
    train.params.C: {{low: 0.001, high: 100.0, log: true}}
"""


def rows(months: tuple[str, ...]) -> str:
    """Return a CSV whose outcome follows the size of a visit, so that there is something to learn."""
    lines = [tiny.HEADER]
    for month in months:
        for number in range(120):
            size = number * 37 % 100
            won = int(size + number * 61 % 40 > 70)
            colour = ("red", "blue")[number % 2]
            lines.append(f"{number},{month}-{number % 28 + 1:02d},{size}.5,{colour},true,2020-12-31,{won}")
    return "\n".join([*lines, ""])


def make_searchable(folder: Path) -> None:
    """Make the project, up to the split."""
    project = tiny.project(folder / "project")
    project.write(tiny.INPUT, rows(tiny.MONTHS))
    # So strong a penalty that nearly any other setting is better.
    project.write("params.yaml", tiny.PARAMS.replace("params: {C: 1.0}", "params: {C: 0.0001} # weak") + TUNE)
    project.repro("split")
    project.commit("a space to search")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project. Shared: `searchable` is a copy."""
    return Project(once(tmp_path_factory, "searchable", make_searchable) / "project")


@pytest.fixture
def searchable(prepared: Project, tmp_path: Path) -> Project:
    """Return a copy of the project, free to be changed."""
    shutil.copytree(prepared.path, tmp_path / "project", symlinks=True)
    return Project(tmp_path / "project")
