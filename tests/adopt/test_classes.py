"""A target of several classes: what adoption makes of it, and what it says of classes that are rare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from perenne.adopt import columns
from perenne.adopt.adopt import units_table
from perenne.adopt.study import Studied
from perenne.common import strict_yaml
from perenne.common.column import Type
from perenne.common.errors import PerenneError
from perenne.common.params import Params
from perenne.common.typed import parse
from tests.adopt.test_study import contract, studied

N = 1200
CROPS = ("barley", "oats", "wheat")


def fields(crop: object = None, **more: object) -> pd.DataFrame:
    """Return a year of fields; without other crops they grow by two numbers."""
    rng = np.random.default_rng(7)
    a, b = rng.normal(size=(2, N)).round(3)
    z = np.stack([a, b, -a - b], axis=1) + rng.gumbel(size=(N, 3))
    when = pd.date_range("2024-01-01", "2024-12-31", periods=N).strftime("%Y-%m-%d %H:%M")
    grown = np.array(CROPS)[z.argmax(axis=1)] if crop is None else crop
    return pd.DataFrame({"when": when, "a": a, "b": b, **more, "crop": pd.Series(grown, dtype=object)})


def iris() -> pd.DataFrame:
    """Return scikit-learn's irises by their names, in a random order."""
    bunch = datasets.load_iris(as_frame=True)
    frame: pd.DataFrame = bunch.frame.sample(frac=1, random_state=0)
    return frame.assign(target=bunch.target_names[frame["target"]])


def replaced(**rows: str) -> pd.Series:
    """Return crops of which some rows, given as `first:last:step`, are others."""
    crops = fields()["crop"]
    for name, where in rows.items():
        crops.iloc[slice(*(int(part) if part else None for part in where.split(":")))] = name
    return crops


def params(found: Studied) -> Params:
    """Return the params that were written, read back."""
    return parse(Params, strict_yaml.loads(found.params), "params.yaml")


def test_words_are_classes_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    """It is said, and the contract lists them; ten comes after nine."""
    found = studied(tmp_path / "a.csv", fields())
    assert (str(contract(found).task), contract(found).classes) == ("multiclass", CROPS)
    assert (
        "crop: task multiclass, with a chance for each of 3 classes (barley, oats, wheat); "
        "a quantity needs numbers instead of words"
    ) in found.notes
    assert "of the rarest class" in units_table(found)
    grades = np.resize(["grade 10", "grade 9", "grade 2"], N)
    assert contract(studied(tmp_path / "b.csv", fields(grades))).classes == ("grade 2", "grade 9", "grade 10")


@pytest.mark.parametrize(
    ("written", "task", "said"),
    [
        ([7, 5, 9], None, "crop: 3 different integers, taken for a quantity (task regression); --task multi"),
        ([7, 5, 9], "multiclass", "3 classes (5, 7, 9); --task regression takes them for numbers"),
        (
            [7.0, 5.0, None, 9.0],
            "multiclass",
            "3 classes (5, 7, 9); --task regression takes them for numbers",
        ),
        (["7", "5", "n/a", "9"], "multiclass", "3 classes (5, 7, 9); --task regression takes them"),
    ],
)
def test_integers_are_a_quantity_unless_somebody_says_otherwise(
    tmp_path: Path, written: list[object], task: str | None, said: str
) -> None:
    """And the line says how to get the other; a gap makes 5.0 of 5."""
    found = studied(tmp_path / "a.csv", fields(np.resize(np.array(written, dtype=object), N)), task=task)
    assert any(said in note for note in found.notes), found.notes
    assert str(contract(found).task) == (task or "regression")
    assert contract(found).classes == ((5, 7, 9) if task else ())
    assert contract(found).columns["crop"].missing is (len(written) > 3)


@pytest.mark.parametrize(
    ("rows", "few"),
    [
        ({"rye": "100:1100:400"}, "'rye' (3 rows)"),
        ({"rye": "100:1100:400", "spelt": "50::700"}, "'rye' (3 rows), 'spelt' (2 rows)"),
        ({"rye": "900:912"}, "'rye' (12 rows)"),  # enough, but of one autumn
    ],
)
def test_rare_class_is_set_aside_and_said(tmp_path: Path, rows: dict[str, str], few: str) -> None:
    """It cannot be learned; the line says what that costs, and what would keep its rows."""
    found = studied(tmp_path / "a.csv", fields(replaced(**rows)))
    assert contract(found).classes == CROPS
    assert (
        f"crop: too few rows to learn and to judge {few}: these rows are set aside, and the model never "
        "predicts it; merge it with another class in the file to keep them"
    ) in found.notes


def test_two_classes_and_a_rare_third_are_an_event(tmp_path: Path) -> None:
    """Two values are binary, and a slip of the pen does not change that."""
    crops = pd.Series(np.resize(["oats", "rye", "oats"], N))
    crops[:3] = "rey"
    found = studied(tmp_path / "a.csv", fields(crops))
    assert (str(contract(found).task), contract(found).columns["crop"].values) == ("binary", ("oats", "rye"))
    assert (
        "crop: beside 'oats' and 'rye', too few rows are of 'rey' (3 rows): they are set aside" in found.notes
    )


def test_labels_that_are_missing_are_said(tmp_path: Path) -> None:
    """`None` may be a class that its file cannot spell; capitals may be a slip of the pen."""
    crops = replaced(Wheat="::40")
    crops[100:130] = "None"
    found = studied(tmp_path / "a.csv", fields(crops))
    assert "crop: 30 rows have no label (an empty cell, NA, None and the like)" in found.notes
    assert "crop: 'Wheat' and 'wheat' differ in their capitals alone: are they one class?" in found.notes
    assert contract(found).columns["crop"].missing


def test_late_labels_of_classes_are_late(tmp_path: Path) -> None:
    """As with any target."""
    frame = fields()
    found = studied(tmp_path / "a.csv", frame.assign(crop=frame["crop"].mask(frame["when"] >= "2024-11")))
    assert contract(found).label_delay == 2
    assert found.cut.events == _judged(frame, found).value_counts().min()


def _judged(frame: pd.DataFrame, found: Studied) -> pd.Series:
    """Return the crops of the rows that the gate judges on."""
    month = pd.PeriodIndex(pd.to_datetime(frame["when"]), freq="M")
    cut = found.cut
    held = (month > cut.as_of - cut.holdout) & (month <= cut.as_of - cut.label_delay)
    return frame["crop"][held]


def test_params_go_by_the_rarest_class(tmp_path: Path) -> None:
    """Tolerance, leaves and folds: what a rare class can tell, and be learned by."""
    even, rare = fields(np.resize(CROPS, N)), fields(replaced(rye="::60"))
    for path, frame in ((tmp_path / "even.csv", even), (tmp_path / "rare.csv", rare)):
        found = studied(path, frame)
        events = int(_judged(frame, found).value_counts().min())
        assert found.cut.events == events
        wanted = 2.5 / np.sqrt(events)
        assert wanted <= params(found).tolerance.calibration < max(wanted + 0.011, 0.06) or events < 25
    assert params(studied(tmp_path / "even.csv", even)).evaluate.folds == 4
    assert params(found).evaluate.folds == 2
    assert params(found).train.params["min_samples_leaf"] == 10


@pytest.mark.parametrize(
    ("crop", "wishes", "says"),
    [
        (lambda: np.resize([f"c {i}" for i in range(40)], N), {}, "40 values (c 0, c 1, c 2, ...), 40 of"),
        (lambda: np.resize([f"c {i}" for i in range(40)], N), {}, "--task multiclass takes up to 100"),
        (lambda: [f"field {i}" for i in range(N)], {}, "0 of which have 10 rows or more; a target has two"),
        (lambda: [f"w{i}" if i % 10 == 0 else "abc"[i % 3] for i in range(N)], {}, "10% of its rows are of"),
        (lambda: replaced(rye="900::3"), {}, "of the 100 rows of 'rye' (2024-09-30 to 2024-12-30) 0 are"),
        (lambda: np.resize(CROPS, N), {"task": "binary"}, "not a target of a binary task; --task multiclass"),
        (lambda: np.resize(CROPS, N), {"task": "regression"}, "3 values is not a target of a regression"),
        (lambda: np.resize(CROPS, N), {"positive": "oats"}, "--positive oats: is for a target of two values"),
        (lambda: np.repeat(CROPS, N // 3), {}, "of the 400 rows of 'barley' (2024-01-01 to 2024-05-01) 0"),
    ],
)  # fmt: skip
def test_classes_that_cannot_be_learned_are_refused(
    tmp_path: Path, crop: Callable[[], object], wishes: dict[str, object], says: str
) -> None:
    """One line, and what would do."""
    with pytest.raises(PerenneError) as caught:
        studied(tmp_path / "a.csv", fields(crop()), **wishes)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_user_may_have_more_classes(tmp_path: Path) -> None:
    """Names are many by mistake; who says so means it, and sets rare ones aside."""
    many = np.resize([f"crop {i:02d}" for i in range(40)], N)
    assert len(contract(studied(tmp_path / "a.csv", fields(many), task="multiclass")).classes) == 40
    rare = np.array([f"w{i}" if i % 10 == 0 else "abc"[i % 3] for i in range(N)])
    found = studied(tmp_path / "b.csv", fields(rare), task="multiclass")
    assert contract(found).classes == ("a", "b", "c")
    assert any("(1 row), 115 more: these rows are set aside" in note for note in found.notes), found.notes


@pytest.mark.parametrize(
    ("column", "kind", "flagged"),
    [
        (lambda y: y.map({"barley": 3, "oats": 1, "wheat": 2}), "number", True),  # the middle one as well
        (lambda y: y.map({"barley": "B", "oats": "O", "wheat": "W"}), "category", True),
        (lambda y: (y == "oats").astype(float), "number", False),  # says nothing of the other two
        (lambda y: pd.Series(np.random.default_rng(1).normal(size=len(y))), "number", False),
        (lambda y: pd.Series(np.resize(["x", "y"], len(y))), "category", False),
    ],
)
def test_column_that_tells_all_classes_is_named(
    column: Callable[[pd.Series], pd.Series],
    kind: Type,
    flagged: bool,  # noqa: FBT001 -- a parameter
) -> None:
    """Each from each other; one that tells one class alone is a good feature."""
    y = fields()["crop"].astype("str")
    frame = pd.DataFrame({"seen": pd.date_range("2021-01-01", periods=N), "x": column(y), "crop": y})
    types: dict[str, Type] = {"seen": "datetime", "x": kind, "crop": "category"}
    found = columns.guessed(frame, types, time="seen", target="crop", classes=CROPS)
    assert bool("knows crop nearly by itself (AUC 1.000)" in found["x"].note) is flagged
    assert found["crop"].values == CROPS


@pytest.mark.parametrize("name", ["iris", "wine", "digits"])
def test_files_of_scikit_learn_are_taken_in(tmp_path: Path, name: str) -> None:
    """No time, few rows: their order is a time, and each part has each class."""
    bunch = {"iris": datasets.load_iris, "wine": datasets.load_wine, "digits": datasets.load_digits}[name](
        as_frame=True
    )
    frame = bunch.frame.sample(frac=1, random_state=0)
    names = [f"of {kind}" for kind in bunch.target_names]
    found = studied(
        tmp_path / f"{name}.csv", frame.assign(target=[names[place] for place in frame["target"]])
    )
    assert list(contract(found).classes) == names
    assert contract(found).read.batch
    assert found.cut.fewest >= 5
    assert params(found).evaluate.folds >= 2
    with pytest.raises(PerenneError, match="rows are sorted by target"):
        studied(tmp_path / "sorted.csv", bunch.frame.assign(target=np.sort(bunch.frame["target"].map(str))))
