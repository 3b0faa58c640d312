"""What a release puts to use: the proven model, or its recipe fitted on all that is known."""

from __future__ import annotations

import json

import pytest

from perenne.common import names
from tests import tiny
from tests.project import Project


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project whose stages up to `refit` have run, without one. Shared: copy it to change it."""
    project = tiny.project(tmp_path_factory.mktemp("refit") / "project")
    project.edit("  holdout: 1", "  holdout: 1\n  refit: false")
    project.run("dvc repro -q refit")
    return project


def read(project: Project, path: object) -> bytes:
    """Return the bytes of an output."""
    return (project.path / str(path)).read_bytes()


def test_without_a_refit_the_proven_model_is_released(split: Project) -> None:
    """Byte for byte, with its card."""
    assert read(split, names.RELEASED) == read(split, names.MODEL)
    assert read(split, names.RELEASED_CARD) == read(split, names.CARD)


@pytest.fixture(scope="module")
def refitted(split: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project with a refit."""
    project = split.copy(tmp_path_factory.mktemp("refit") / "project")
    project.edit("refit: false", "refit: true")
    project.run("dvc repro -q refit")
    return project


def test_refitted_model_is_the_recipe_on_what_is_known(refitted: Project) -> None:
    """It is the model that the stage `train` makes of these very rows."""
    other = refitted.copy(refitted.path.parent / "other")
    other.run(f"cp {names.REFIT} {names.TRAIN} && python -m stages.train")
    assert read(refitted, names.RELEASED) == read(other, names.MODEL)
    assert read(refitted, names.RELEASED) != read(refitted, names.MODEL)


def test_proven_model_is_the_same_with_and_without_a_refit(split: Project, refitted: Project) -> None:
    """What is judged does not depend on what is released."""
    assert read(refitted, names.MODEL) == read(split, names.MODEL)
    assert read(refitted, names.HOLDOUT) == read(split, names.HOLDOUT)


def test_card_of_a_refitted_model_says_nothing_of_labels(refitted: Project) -> None:
    """It has seen the holdout: with all labels turned round, the card differs in nothing but the sha256."""
    other = refitted.copy(refitted.path.parent / "turned")
    other.write("../turn.py", TURN)
    other.run("python ../turn.py && python -m stages.refit")
    mine, turned = (json.loads(read(project, names.RELEASED_CARD)) for project in (refitted, other))
    assert mine.pop("sha256") != turned.pop("sha256")
    assert mine == turned


TURN = f"""
import pyarrow as pa, pyarrow.parquet as pq
rows = pq.read_table("{names.REFIT}")
place = rows.schema.get_field_index("won")
turned = pa.array([int(i == 0) for i in range(len(rows))], rows.schema.field(place).type)
pq.write_table(rows.set_column(place, rows.schema.field(place), turned), "{names.REFIT}")
"""


def test_rows_that_cannot_be_refitted_are_one_line(refitted: Project) -> None:
    """It names the rows, and the way without a refit."""
    other = refitted.copy(refitted.path.parent / "one-class")
    other.write("../turn.py", TURN.replace("int(i == 0)", "0"))
    done = other.run("python ../turn.py && python -m stages.refit", status=1)
    assert done.stderr.strip() == (
        f"error: {names.REFIT}: none of 60 rows has won = 1; a binary model learns from rows of "
        "every class; with split.refit: false the proven model is released"
    )
