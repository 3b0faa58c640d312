"""Estimators made of others, of LightGBM, XGBoost and CatBoost, and of the project: fitted and stored."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import Pipeline
from sklearn.utils import all_estimators
from sklearn.utils._param_validation import HasMethods

from perenne.common import model, model_file, storable, strict_yaml
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.params import Train
from perenne.common.typed import parse
from perenne.documents.card import load_model, save_model
from perenne.pipeline import boosting, estimators
from perenne.pipeline.train import card, check_stored, train
from perenne.serving.scorer import scorer

N = 240


def contract(task: str, target: str = "") -> Contract:
    """A contract of a category, a number, a whole number and a target."""
    targets = {
        "binary": "type: integer, values: [0, 1]",
        "multiclass": "type: category, values: [c, a, b]",
        "regression": "type: number",
    }
    text = (
        f"row: one parcel\ntask: {task}\nperiod: month\nlabel_delay: 0\ncolumns:\n"
        f"  time: {{role: time, type: datetime}}\n  y: {{role: target, {target or targets[task]}}}\n"
        "  colour: {role: feature, type: category, missing: true}\n"
        '  "size, {in} m": {role: feature, type: number, missing: true}\n'
        "  age: {role: feature, type: integer}\n"
    )
    return parse(Contract, strict_yaml.loads(text), "contract.yaml")


CONTRACTS = {task: contract(task) for task in ("binary", "multiclass", "regression")}


def rows(task: str, n: int = N) -> pd.DataFrame:
    """Rows in which colour, size and age decide, with missing values, and names that are JSON."""
    rng = np.random.default_rng(0)
    colour, size, age = rng.choice(["red", "green", "blue"], n), rng.random(n), rng.integers(1, 9, n)
    level = size + (colour == "red") + age / 10 + rng.random(n) / 5
    y = {
        "binary": (level > 1.2).astype(int),
        "multiclass": np.array(["a", "b", "c"])[np.digitize(level, [0.9, 1.5])],
        "regression": level,
    }[task]
    gone = rng.random((n, 2)) < 0.1
    return pd.DataFrame(
        {
            "time": pd.Timestamp("2020-01-31"),
            "colour": pd.Series(colour, dtype="str").mask(gone[:, 0]),
            "size, {in} m": pd.Series(size).mask(gone[:, 1]),
            "age": age,
            "y": y,
        }
    )


def spec(estimator: str | dict[str, Any], trusted: tuple[str, ...] = (), **given: Any) -> Train:
    """The section `train` of params.yaml."""
    return Train(estimator=estimator, params=given, seed=0, trusted=trusted)


LOGISTIC = "sklearn.linear_model.LogisticRegression"
HERE = Path(__file__).parent
MADE_OF_OTHERS = [(case["task"], case["train"]) for case in strict_yaml.load(HERE / "made_of_others.yaml")]
BOOSTED: list[tuple[str, str, dict[str, Any]]] = [
    (task, f"{path}{'Regressor' if task == 'regression' else 'Classifier'}", given)
    for task in CONTRACTS
    for path, given in (
        ("lightgbm.LGBM", {"n_estimators": 8, "subsample": 0.7, "subsample_freq": 1, "min_child_samples": 5}),
        ("xgboost.XGB", {"n_estimators": 8, "subsample": 0.7}),
        ("catboost.CatBoost", {"iterations": 8}),
        ("perenne.BinnedXGB", {"n_estimators": 8, "subsample": 0.7}),
    )
]


def train_of(section: dict[str, Any]) -> Train:
    """The section `train` as its author writes it."""
    return parse(Train, {"seed": 0, **section}, "params.yaml")


def holds_together(task: str, section: Train, *, exact: bool = True) -> Pipeline:
    """Fit a model and check that it is the same again, the same from its file, and the same row by row."""
    frame, its = rows(task), CONTRACTS[task]
    fitted = train(frame, section, its)
    data = model_file.dumps(fitted)
    assert model_file.dumps(train(frame, section, its)) == data
    loaded = model_file.loads(data, "model.skops", section.trusted)
    scores = model.predict(fitted, frame, its)
    assert np.isfinite(scores).all()
    assert model.predict(loaded, frame, its).tobytes() == scores.tobytes()
    once = model_file.dumps(loaded)
    assert model_file.dumps(model_file.loads(once, "model.skops", section.trusted)) == once
    service = scorer(loaded, its)
    names = [*its.features, its.time]
    for place in range(5):
        alone = frame[names].iloc[place : place + 1].reset_index(drop=True)
        score = service.score_frame(alone)
        if exact:
            assert score.tobytes() == scores[place : place + 1].tobytes()
        else:  # products of matrices are summed in another order
            np.testing.assert_allclose(score, scores[place : place + 1], rtol=1e-12)
    return fitted


@pytest.mark.parametrize(("task", "section"), MADE_OF_OTHERS)
def test_estimators_made_of_others(task: str, section: dict[str, Any]) -> None:
    """Written in params, they fit, and are the same from their file and row by row."""
    holds_together(task, train_of(section), exact="linear" not in str(section))


@pytest.mark.parametrize(("task", "path", "given"), BOOSTED)
def test_boosted_trees_of_other_libraries(
    task: str, path: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They learn, and are the same from their file and row by row; nothing is written beside."""
    monkeypatch.chdir(tmp_path)
    fitted = holds_together(task, spec(path, **given))
    scores, frame = model.predict(fitted, rows(task), CONTRACTS[task]), rows(task)
    if task == "regression":
        assert np.corrcoef(scores, frame["y"])[0, 1] > 0.8
    elif task == "binary":
        assert scores[frame["y"] == 1].mean() > scores[frame["y"] == 0].mean() + 0.2
    else:  # in the contract's order of classes
        classes = [str(name) for name in CONTRACTS[task].classes]
        assert np.mean(np.array(classes)[scores.argmax(axis=1)] == frame["y"]) > 0.7
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("task", "path", "given"), BOOSTED)
def test_threads_leave_no_trace(task: str, path: str, given: dict[str, Any]) -> None:
    """Fitted on two threads or one, the file has the same bytes."""
    top = path.split(".")[0]
    name = boosting.LIBRARIES[top].threads if top in boosting.LIBRARIES else "n_jobs"
    sections = [Train(estimator=path, params=given | more, seed=0) for more in ({}, {name: 2}, {name: 1})]
    files = [model_file.dumps(train(rows(task, 2000), section, CONTRACTS[task])) for section in sections]
    assert files[0] == files[1] == files[2]


PROCESS = """
import sys, hashlib
sys.path.insert(0, sys.argv[1])
from tests.pipeline.test_estimators import BOOSTED, CONTRACTS, rows, spec
from perenne.common import model, model_file
from perenne.pipeline.train import train
for task, path, given in BOOSTED[:8]:
    pipeline = train(rows(task), spec(path, **given), CONTRACTS[task])
    print(hashlib.sha256(model_file.dumps(pipeline)).hexdigest())
"""


def test_another_process_with_other_threads_makes_the_same_bytes() -> None:
    """Whatever the environment says of threads and hash seeds."""
    here = [
        hashlib.sha256(model_file.dumps(train(rows(task), spec(path, **given), CONTRACTS[task]))).hexdigest()
        for task, path, given in BOOSTED[:8]
    ]
    for threads in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", PROCESS, str(Path(__file__).parents[2])],
            env=os.environ | {"PYTHONHASHSEED": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == here


@pytest.mark.parametrize("path", ["lightgbm.LGBM", "xgboost.XGB", "catboost.CatBoost", "perenne.BinnedXGB"])
def test_a_boolean_target(path: str) -> None:
    """False and True are the classes, in this order."""
    its = contract("binary", "type: boolean")
    frame = rows("binary").assign(y=lambda rows: rows["y"].astype(bool))
    scores = model.predict(train(frame, spec(f"{path}Classifier"), its), frame, its)
    assert scores[frame["y"]].mean() > scores[~frame["y"]].mean() + 0.2


@pytest.mark.parametrize("path", ["lightgbm.LGBM", "xgboost.XGB", "catboost.CatBoost", "perenne.BinnedXGB"])
def test_the_feature_that_is_named_is_constrained(path: str) -> None:
    """It never rises, though its effect does."""
    frame, its = rows("regression", 1000), CONTRACTS["regression"]
    grid = frame[:1].loc[[0] * 21].reset_index(drop=True)
    grid["size, {in} m"] = np.linspace(0, 1, 21)
    for direction, falls in ((0, False), (-1, True)):
        given = {"size, {in} m": direction}
        fitted = train(frame, spec(f"{path}Regressor", monotone_constraints=given), its)
        assert (np.diff(model.predict(fitted, grid, its)) <= 1e-6).all() == falls


@pytest.mark.parametrize("path", ["lightgbm.LGBM", "xgboost.XGB", "perenne.BinnedXGB"])
def test_features_interact_only_within_their_groups(path: str) -> None:
    """By name: what size adds is then the same at any age."""
    frame, its = rows("regression", 1000), CONTRACTS["regression"]
    frame = frame.assign(y=frame["size, {in} m"].fillna(0) * frame["age"])
    groups = [["size, {in} m"], ["age", "colour"]]
    fitted = train(frame, spec(f"{path}Regressor", interaction_constraints=groups), its)
    four = frame[:1].loc[[0] * 4].reset_index(drop=True)
    four["size, {in} m"], four["age"] = [0.1, 0.9, 0.1, 0.9], [1, 1, 8, 8]
    low, high, low_old, high_old = model.predict(fitted, four, its)
    assert high - low == pytest.approx(high_old - low_old, rel=1e-3)


def test_one_seed_reaches_every_part() -> None:
    """Those inside of others too."""
    [given] = [section for _, section in MADE_OF_OTHERS if "catboost" in str(section)]
    section = train_of(given).model_copy(update={"seed": 7})
    made = estimators.configured(section, CONTRACTS["binary"])
    seeds = {
        n: v for n, v in made.get_params().items() if n.split("__")[-1] in ("random_state", "random_seed")
    }
    assert seeds == {"a__random_state": 7, "b__random_state": 7, "c__random_seed": 7}


def test_every_parameter_that_takes_an_estimator_is_known() -> None:
    """Those that scikit-learn checks for a method `fit`, but two of which params can say nothing useful."""
    found = {
        name
        for _, cls in all_estimators()
        for name, allowed in (getattr(cls, "_parameter_constraints", None) or {}).items()
        if isinstance(allowed, list)
        and any(isinstance(one, HasMethods) and "fit" in one.methods for one in allowed)
    }
    assert found - {"init", "remainder"} <= set(estimators.ONE)


OWN = '''
"""Models of the project."""
import numpy as np
from os import system
from lightgbm import LGBMClassifier
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer


class Mine(ClassifierMixin, BaseEstimator):
    def __init__(self, share=0.5, random_state=None):
        self.share, self.random_state = share, random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.inner_ = LGBMClassifier(n_estimators=5, n_jobs=1, verbosity=-1, min_child_samples=5).fit(X, y)
        return self

    def predict_proba(self, X):
        p = self.inner_.predict_proba(X)
        return self.share * p + (1 - self.share) * p.mean(axis=1, keepdims=True)

    def predict(self, X):
        return self.predict_proba(X)[:, 1] > 0.5


def squared(X):
    return X**2


def boosted(depth=3, **more):
    trees = LGBMClassifier(max_depth=depth, n_estimators=5, **more)
    return make_pipeline(FunctionTransformer(squared), trees)


def seeded(seed, C=1.0):
    return LogisticRegression(C=C, random_state=seed)


class Keeps(Mine):
    def fit(self, X, y):
        self.kept_ = self.keep()
        return super().fit(X, y)


class KeepsLambda(Keeps):
    def keep(self):
        return {"by": [lambda x: x]}


class KeepsLocal(Keeps):
    def keep(self):
        class Local:
            pass
        return Local()


class KeepsClosure(Keeps):
    def keep(self):
        def inside(x):
            return x
        return inside


class KeepsFile(Keeps):
    def keep(self):
        with open(__file__) as file:  # closed, or the collector complains of it in some later test
            return file


class Helper:
    pass


class KeepsHelper(Keeps):
    def keep(self):
        return Helper()


class Forgets(Mine):
    """What it learns of the target is not in its state."""
    def fit(self, X, y):
        self.mean_ = y.mean()
        return super().fit(X, y)

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name != "mean_"}

    def predict_proba(self, X):
        p = super().predict_proba(X)
        return p if hasattr(self, "mean_") else 1 - p


class FailsInFit(Mine):
    def fit(self, X, y):
        return 1 / 0


class FailsInPredict(Mine):
    def predict_proba(self, X):
        return X["colour"]


class Reversed(Mine):
    def fit(self, X, y):
        super().fit(X, y)
        self.classes_ = self.classes_[::-1]
        return self


class OneColumn(Mine):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, 1]


class Plain:
    def fit(self, X, y):
        return self


class Renames(ClassifierMixin, BaseEstimator):
    def __init__(self, depth=1):
        self.deep = depth

    def fit(self, X, y):
        return self


NUMBER = 5


def nothing():
    return None


def fails(depth=1):
    raise KeyError("depth")


def gives_class():
    return Mine
'''


@pytest.fixture(name="project")
def own_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with models of its own; `stages` is imported from there, and forgotten afterwards."""
    for name in [name for name in sys.modules if name.split(".")[0] == "stages"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").write_text("")
    (tmp_path / "stages" / "models.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == "stages"]:
        del sys.modules[name]


def kept(section: Train, task: str = "binary") -> Pipeline:
    """Train, store and load a model, as the stages do it."""
    fitted = train(rows(task), section, CONTRACTS[task])
    described = card(rows(task), section, CONTRACTS[task])
    check_stored(fitted, described, rows(task), CONTRACTS[task])
    files = Path("model.skops"), Path("model.json")
    save_model(fitted, described, *files)
    loaded, _ = load_model(*files)
    scores = [model.predict(each, rows(task), CONTRACTS[task]).tobytes() for each in (fitted, loaded)]
    assert scores[0] == scores[1]
    return loaded


@pytest.mark.usefixtures("project")
def test_a_class_of_the_project() -> None:
    """It is named, gets its parameters and the seed, and is stored and loaded by its name."""
    fitted = kept(spec("stages.models.Mine", share=0.75))
    assert (fitted["model"].share, fitted["model"].random_state) == (0.75, 0)
    assert load_model(Path("model.skops"), Path("model.json"))[1].trusted == ("stages.models.Mine",)
    holds_together("binary", spec("stages.models.Mine", ("stages.models.Mine",)))


@pytest.mark.usefixtures("project")
def test_a_function_of_the_project() -> None:
    """What is in the model is listed as trusted, and settings are made for the parts of what it returns."""
    section = spec({"stages.models.boosted": {"depth": 2}}, ("stages.models.squared",))
    fitted = kept(section)
    assert fitted["model"][1].get_params()["deterministic"]
    assert load_model(Path("model.skops"), Path("model.json"))[1].trusted == ("stages.models.squared",)
    assert kept(spec("stages.models.seeded", C=2.0))["model"].random_state == 0
    holds_together("binary", section)


@pytest.mark.usefixtures("project")
def test_code_of_the_project_as_a_part() -> None:
    """In a stack of others."""
    parts = ["stages.models.Mine", LOGISTIC]
    fitted = kept(spec("sklearn.ensemble.StackingClassifier", estimators=parts))
    assert [name for name, _ in fitted["model"].estimators] == ["mine", "logisticregression"]


WRONG = [(case["train"], case["says"]) for case in strict_yaml.load(HERE / "wrong_estimators.yaml")]


def line_of(name: str) -> int:
    """The line in the module at which something of this name fails: its last one."""
    lines = OWN.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith((f"class {name}", f"def {name}(")))
    end = next(
        (n for n in range(start + 1, len(lines)) if lines[n] and not lines[n].startswith(" ")), len(lines)
    )
    return max(n for n in range(start, end) if lines[n].strip()) + 1


@pytest.mark.usefixtures("project")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("section", "says"), WRONG)
def test_a_wrong_estimator_is_one_line(section: dict[str, Any], says: str) -> None:
    """It says what to do, and nothing is written."""
    for name in ("fails", "FailsInFit", "FailsInPredict"):
        says = says.replace(f"{{{name}}}", str(line_of(name)))
    with pytest.raises(PerenneError) as caught:
        kept(train_of(section))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert not Path("model.skops").exists()


def test_every_place_in_a_model_is_walked() -> None:
    """Through lists, mappings, arrays of objects, partials and attributes; each object once."""
    odd = np.array([{"a": (object(), 5)}, None], dtype=object)
    assert [place for place, _ in storable.walk(odd)] == [
        "model",
        "model[0]",
        "model[0]['a']",
        "model[0]['a'][0]",
    ]
