"""What changed between two models: contract, recipe or data."""

from __future__ import annotations

import re

import pytest

from perenne.documents.verdict import ChangeKind
from perenne.registry.change import Change, between, inputs, same_model
from tests import classes
from tests.conftest import Enter
from tests.project import Project

CONTRACT = "data/cases/retirement/contract.yaml"
MD5 = r"\n[^\n]*\n +md5: )\w+"  # what follows a path in dvc.lock, and closes the group that keeps it
OTHER = r"\g<1>ffffffffffffffffffffffffffffffff"


@pytest.fixture
def inside(project: Project, enter: Enter) -> Project:
    """Return the small project as the current folder."""
    enter(project)
    return project


def now() -> Change:
    """Return what changed since the last commit."""
    return between("HEAD", None, "retirement")


def another_model(project: Project, digit: str = "a") -> None:
    """Let the lock name another model: as the same bytes, whatever changed would be the same recipe."""
    made = rf"\g<1>{digit * 32}"
    project.edit(rf"(?s)(^  train:.*?outs:.*?data/model/model.skops{MD5}", made, "dvc.lock")


def locked(project: Project, pattern: str, new: str) -> None:
    """Replace a param in the lock wherever a stage has it."""
    before = project.read("dvc.lock")
    after = re.sub(pattern, new, before)
    assert after != before
    project.write("dvc.lock", after)


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
        (r"cmd: (.*stages.train)", r"cmd: \1 --fast", "minor", "train: cmd changed"),
        (r"cmd: (.*stages.split)", r"cmd: \1 --fast", "minor", "split: cmd changed"),
    ],
)
def test_lock_tells_recipe_from_data(
    inside: Project, pattern: str, new: str, kind: ChangeKind, reason: str
) -> None:
    """`as_of` and the ingested periods are data; everything else behind the model is its recipe."""
    locked(inside, pattern, new)
    another_model(inside)
    assert now() == Change(kind, (reason,))


def test_window_that_moves_with_as_of_is_data(inside: Project) -> None:
    """A retraining may start its window where the data changed: the same recipe on newer data."""
    for pattern, new in (("as_of: 2019Q4", "as_of: 2020Q2"), ("window: 20", "window: 2")):
        locked(inside, pattern, new)
    locked(inside, "holdout: 4", "holdout: 3")
    another_model(inside)
    change = now()
    assert change.kind == "patch"
    assert change.reasons[-1] == "split.window 20 -> 2"
    inside.edit("max_iter: 150", "max_iter: 200", "dvc.lock")
    assert now().kind == "minor"


COMMENT = (f"(?s)(train:.*?stages/train.py{MD5}", OTHER)


def moved(project: Project) -> None:
    """Move `as_of`, and make another model of it."""
    locked(project, "as_of: 2019Q4", "as_of: 2020Q2")
    another_model(project)


def test_code_that_makes_the_same_bytes_is_the_same_recipe(inside: Project) -> None:
    """A comment in it, at once and once it is on the branch: newer data are all that changed."""
    first = inside.out("git rev-parse HEAD").strip()
    inside.edit(*COMMENT, "dvc.lock")
    assert now() == Change("patch", ())
    inside.commit("a comment")
    moved(inside)
    patch = Change("patch", ("split.as_of 2019Q4 -> 2020Q2",))
    assert between(first, None, "retirement") == patch
    inside.commit("newer data")
    inside.write("words", "")
    inside.commit("words")
    assert between(first, None, "retirement") == patch
    assert between(first, "HEAD", "retirement") == patch


def test_newest_commit_that_makes_the_model_counts(inside: Project) -> None:
    """One that made another between them does not; nor what changed after it."""
    first = inside.out("git rev-parse HEAD").strip()
    before = inside.read("dvc.lock")
    another_model(inside, "b")
    inside.edit("max_iter: 150", "max_iter: 200", "dvc.lock")
    inside.commit("an experiment")
    inside.write("dvc.lock", before)
    inside.edit(*COMMENT, "dvc.lock")
    inside.commit("back, with a comment")
    same = inside.out("git rev-parse HEAD").strip()
    moved(inside)
    inside.commit("newer data")
    assert same_model(first, "HEAD") == same
    inside.edit("max_iter: 150", "max_iter: 200", "dvc.lock")
    assert between(first, None, "retirement").kind == "minor"


def test_change_cannot_prove_its_own_recipe(inside: Project) -> None:
    """A lock in the change itself, or in what was merged, is a claim: only the branch below counts."""
    first = inside.out("git rev-parse HEAD").strip()
    inside.run("git checkout -q -b topic")
    inside.edit("max_iter: 150", "max_iter: 200", "dvc.lock")
    inside.commit("a lock by hand: it says that this makes the same model")
    moved(inside)
    inside.commit("newer data")
    assert between(first, None, "retirement", branch="main").kind == "minor"
    inside.run("git checkout -q main && git merge -q --no-ff -m merged topic")
    assert between(first, None, "retirement").kind == "minor"


def test_lock_on_the_way_that_cannot_be_read_is_passed_over(inside: Project) -> None:
    """Nor does one stop it that was removed."""
    first = inside.out("git rev-parse HEAD").strip()
    lock = inside.read("dvc.lock")
    md5 = same_model(first, "HEAD") and inside.out("md5sum data/model/model.skops").split()[0]
    inside.write("dvc.lock", "[" * 3000 + md5)
    inside.commit("nonsense")
    inside.run("git rm -q dvc.lock")
    inside.commit("none")
    inside.write("dvc.lock", lock)
    moved(inside)
    inside.commit("newer data")
    assert same_model(first, "HEAD") == first


@pytest.mark.parametrize("stage", ["evaluate", "drift"])
def test_what_only_looks_at_the_model_does_not_count(inside: Project, stage: str) -> None:
    """Other metrics or drift settings make no other model."""
    inside.edit(
        rf"(path: stages/{stage}.py\n.*\n +md5: )\w+", r"\g<1>ffffffffffffffffffffffffffffffff", "dvc.lock"
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


def test_other_classes_are_another_answer() -> None:
    """One more is; the same in another order are not, since answers name them."""
    now = classes.contract()
    more = classes.contract("[wheat, maize, rye]", "[wheat, maize, rye, oats]")
    assert inputs(now, more) == [
        "contract: classes ['maize', 'rye', 'wheat'] -> ['maize', 'oats', 'rye', 'wheat']"
    ]
    assert inputs(now, classes.contract("[wheat, maize, rye]", "[rye, wheat, maize]")) == []
