"""What changed between two models: contract, recipe or data."""

from __future__ import annotations

import re

import pytest

from perenne.documents.verdict import ChangeKind
from perenne.registry.change import Change, between
from tests.conftest import Enter
from tests.project import Project

CONTRACT = "data/cases/retirement/contract.yaml"
MD5 = r"\n[^\n]*\n +md5: )\w+"  # what follows a path in dvc.lock, and closes the group that keeps it
OTHER = r"\g<1>00000000000000000000000000000000"


@pytest.fixture
def inside(project: Project, enter: Enter) -> Project:
    """Return the small project as the current folder."""
    enter(project)
    return project


def now() -> Change:
    """Return what changed since the last commit."""
    return between("HEAD", None, "retirement")


@pytest.mark.usefixtures("inside")
def test_nothing_changed_is_a_patch_without_a_reason() -> None:
    """Nothing is the least of changes."""
    assert now() == Change("patch", ())


@pytest.mark.parametrize(
    ("pattern", "new", "kind", "reason"),
    [
        (r"as_of: 2019Q4", "as_of: 2020Q2", "patch", "split.as_of 2019Q4 -> 2020Q2"),
        (r"through: 2020Q4", "through: 2021Q2", "patch", "ingest.through 2020Q4 -> 2021Q2"),
        (r"window: 20", "window: 8", "minor", "split.window 20 -> 8"),
        (r"max_iter: 150", "max_iter: 200", "minor", "train.params.max_iter 150 -> 200"),
        (f"(?s)(train:.*?stages/train.py{MD5}", OTHER, "minor", "stages/train.py changed"),
        (f"(?s)(train:.*?requirements.txt{MD5}", OTHER, "minor", "requirements.txt changed"),
    ],
)
def test_lock_tells_recipe_from_data(
    inside: Project, pattern: str, new: str, kind: ChangeKind, reason: str
) -> None:
    """`as_of` and the ingested periods are data; everything else behind the model is its recipe."""
    inside.edit(pattern, new, "dvc.lock")
    assert now() == Change(kind, (reason,))


def test_window_that_moves_with_as_of_is_data(inside: Project) -> None:
    """A retraining may start its window where the data changed: the same recipe on newer data."""
    for pattern, new in (("as_of: 2019Q4", "as_of: 2020Q2"), ("window: 20", "window: 2")):
        inside.edit(pattern, new, "dvc.lock")
    inside.edit("holdout: 4", "holdout: 3", "dvc.lock")
    change = now()
    assert change.kind == "patch"
    assert change.reasons[-1] == "split.window 20 -> 2"
    inside.edit("max_iter: 150", "max_iter: 200", "dvc.lock")
    assert now().kind == "minor"


@pytest.mark.parametrize("stage", ["evaluate", "drift"])
def test_what_only_looks_at_the_model_does_not_count(inside: Project, stage: str) -> None:
    """Other metrics or drift settings make no other model."""
    inside.edit(
        rf"(path: stages/{stage}.py\n.*\n +md5: )\w+", r"\g<1>00000000000000000000000000000000", "dvc.lock"
    )
    assert now() == Change("patch", ())


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("[manual, clerical,", "[manual,", "feature category: category ['manual', 'clerical', "),
        ("[60, 216]", "[60, 250]", "feature quarters: integer [60.0, 216.0] -> integer [60.0, 250.0]"),
        (
            "[0, 39], missing: true",
            "[0, 39]",
            "feature absence_days: number [0.0, 39.0] or missing -> number",
        ),
        (
            "{type: boolean, role: feature}",
            "{type: boolean, role: ignored}",
            "feature part_time: boolean -> none",
        ),
        ("label_delay: 1", "label_delay: 2", "label_delay 1 -> 2"),
    ],
)
def test_another_input_is_major(inside: Project, old: str, new: str, reason: str) -> None:
    """Who sends rows, or reads the answer, would notice."""
    inside.edit(re.escape(old), new, CONTRACT)
    change = now()
    assert change.kind == "major"
    assert change.reasons[0].startswith(f"contract: {reason}")


def test_words_about_a_column_are_no_input(inside: Project) -> None:
    """What is only said of a column, or how it is sliced, changes no input."""
    inside.edit("in steps of a quarter", "in quarters of a year", CONTRACT)
    inside.edit(r"bins: \[60, 62, 65, 67, 70\]", "bins: [60, 65, 70]", CONTRACT)
    assert now() == Change("patch", ())
