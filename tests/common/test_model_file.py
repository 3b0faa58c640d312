"""The model file: every estimator survives it, equal models are equal bytes, and nothing in it can act."""

import functools
import hashlib
import importlib
import io
import itertools
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io as sio
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import all_estimators

from perenne.common import model, model_file
from perenne.common.binned.estimator import BinnedXGBClassifier, BinnedXGBRegressor
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.params import Train
from perenne.common.recalibrated import Recalibrated
from perenne.common.typed import parse
from perenne.pipeline.train import train


def contract(task: str) -> Contract:
    """A category and two numbers decide a class or an amount."""
    target = {"type": "integer", "values": [0, 1]} if task == "binary" else {"type": "number"}
    columns = {
        "time": {"type": "datetime", "role": "time"},
        "colour": {"type": "category", "role": "feature", "missing": True},
        "size": {"type": "number", "role": "feature", "missing": True},
        "age": {"type": "integer", "role": "feature"},
        "y": target | {"role": "target"},
    }
    text = {"row": "a parcel", "task": task, "period": "month", "label_delay": 0, "columns": columns}
    return parse(Contract, text, "contract.yaml")


def rows(task: str) -> pd.DataFrame:
    """Eighty rows with a missing size and a missing colour."""
    rng = np.random.default_rng(0)
    size, age = rng.random(80), rng.integers(1, 9, 80)
    y = (size + rng.random(80) / 3 > 0.6).astype(int) if task == "binary" else 1 + size + age
    colour = pd.Series(rng.choice(["red", "green", "blue"], 80), dtype="str")
    frame = pd.DataFrame(
        {"time": pd.Timestamp("2020-01-31"), "colour": colour, "size": size, "age": age, "y": y}
    )
    return frame.assign(
        colour=frame["colour"].mask(frame.index == 4), size=frame["size"].mask(frame.index == 3)
    )


CONTRACTS = {task: contract(task) for task in ("binary", "regression")}
ROWS = {task: rows(task) for task in CONTRACTS}

# Some need a parameter to be usable at all on one target and a few correlated columns, others to be quick.
GIVEN: dict[str, dict[str, Any]] = {
    "AdaBoostClassifier": {"n_estimators": 5},
    "AdaBoostRegressor": {"n_estimators": 5},
    "CCA": {"n_components": 1},
    "ExtraTreesClassifier": {"n_estimators": 5},
    "ExtraTreesRegressor": {"n_estimators": 5},
    "GradientBoostingClassifier": {"n_estimators": 5},
    "GradientBoostingRegressor": {"n_estimators": 5},
    "HistGradientBoostingClassifier": {"max_iter": 5},
    "HistGradientBoostingRegressor": {"max_iter": 5},
    "PLSCanonical": {"n_components": 1},
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
    "RandomForestClassifier": {"n_estimators": 5},
    "RandomForestRegressor": {"n_estimators": 5},
    "SGDClassifier": {"loss": "log_loss"},
    "TheilSenRegressor": {"max_subpopulation": 100},
}

CANNOT = {
    "CategoricalNB": "takes no negative values, such as a standardised number",
    "ComplementNB": "takes no negative values",
    "MultinomialNB": "takes no negative values",
    "IsotonicRegression": "takes a single column",
    **dict.fromkeys(
        ["MultiTaskElasticNet", "MultiTaskElasticNetCV", "MultiTaskLasso", "MultiTaskLassoCV"],
        "predicts several targets at once",
    ),
    **dict.fromkeys(
        ["LinearSVC", "PassiveAggressiveClassifier", "Perceptron", "RidgeClassifier", "RidgeClassifierCV"],
        "gives no probabilities",
    ),
    **dict.fromkeys(
        ["NuSVC", "SVC"], "gives probabilities only by a parameter that scikit-learn is about to remove"
    ),
    **dict.fromkeys(
        [
            "ClassifierChain",
            "FixedThresholdClassifier",
            "MultiOutputClassifier",
            "MultiOutputRegressor",
            "OneVsOneClassifier",
            "OneVsRestClassifier",
            "OutputCodeClassifier",
            "RegressorChain",
            "SelfTrainingClassifier",
            "StackingClassifier",
            "StackingRegressor",
            "TunedThresholdClassifierCV",
            "VotingClassifier",
            "VotingRegressor",
        ],
        "takes other estimators",
    ),
}


def public(cls: type) -> str:
    """The import path that scikit-learn documents."""
    public = itertools.takewhile(lambda part: not part.startswith("_"), cls.__module__.split("."))
    return ".".join([*public, cls.__name__])


EVERY = {
    name: (task, public(cls))
    for task, kind in (("binary", "classifier"), ("regression", "regressor"))
    for name, cls in all_estimators(type_filter=kind)
}
ABLE = sorted(EVERY.keys() - CANNOT.keys())

# Beyond their defaults, estimators are made of other things for some of their parameters.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("CalibratedClassifierCV", {"method": "temperature"}),
    ("CalibratedClassifierCV", {"method": "isotonic"}),
    ("GradientBoostingClassifier", {"loss": "exponential", "n_estimators": 5}),
    ("HistGradientBoostingRegressor", {"loss": "poisson", "max_iter": 5}),
    ("KNeighborsClassifier", {"algorithm": "ball_tree"}),
    ("KNeighborsRegressor", {"metric": "manhattan"}),
    ("KNeighborsRegressor", {"metric": "chebyshev"}),
    ("KNeighborsRegressor", {"p": 3}),
    ("MLPClassifier", {"solver": "sgd"}),
    ("TweedieRegressor", {"power": 1.5}),
]


def fitted(name: str, given: dict[str, Any] | None = None) -> tuple[Pipeline, str]:
    """An estimator of scikit-learn, fitted as `train` does it, and its task."""
    task, path = EVERY[name]
    spec = Train(estimator=path, params=GIVEN.get(name, {}) if given is None else given, seed=0)
    return train(ROWS[task], spec, CONTRACTS[task]), task


def survives(pipeline: Pipeline, data: bytes, task: str) -> bool:
    """Whether the model in the file says what the model says, to the bit."""
    loaded = model_file.loads(data, "model.skops")
    said = [model.predict(each, ROWS[task], CONTRACTS[task]).tobytes() for each in (pipeline, loaded)]
    return said[0] == said[1]


# Eighty rows are few: that some estimators have not converged, or see collinear columns, does not matter.
unconcerned = pytest.mark.filterwarnings(
    "ignore::UserWarning", "ignore::RuntimeWarning", "ignore::FutureWarning"
)


@unconcerned
@pytest.mark.parametrize("name", ABLE)
def test_every_estimator_survives_the_file(name: str) -> None:
    """It predicts the same to the bit, and made again among other objects in memory it is the same bytes."""
    pipeline, task = fitted(name)
    data = model_file.dumps(pipeline)
    junk = [bytearray(size) for size in range(1, 5000, 7)]
    again = model_file.dumps(fitted(name)[0])
    assert again == data
    assert survives(pipeline, data, task)
    del junk


@unconcerned
@pytest.mark.parametrize(("name", "given"), VARIANTS)
def test_parameters_do_not_keep_an_estimator_from_the_file(name: str, given: dict[str, Any]) -> None:
    """What it is made of for these parameters is trusted too."""
    pipeline, task = fitted(name, given)
    assert survives(pipeline, model_file.dumps(pipeline), task)


@unconcerned
@pytest.mark.parametrize("name", sorted(CANNOT))
def test_the_estimators_left_out_say_why_in_one_line(name: str) -> None:
    """None of them fails later than in training, or in any other way."""
    with pytest.raises(PerenneError) as error:
        fitted(name, {})
    assert str(error.value).startswith("params.yaml: train.")
    assert "\n" not in str(error.value)


@unconcerned
def test_every_trusted_type_is_needed() -> None:
    """An entry that no estimator is made of would be trusted for nothing."""
    needed: set[str] = set()
    for name, given in [*((name, None) for name in ABLE), *VARIANTS]:
        needed |= set(sio.get_untrusted_types(data=sio.dumps(fitted(name, given)[0])))
    # Ours: what a repair wraps around any of them.
    older = fitted("LogisticRegression")[0]
    stacked = {"estimators": ["sklearn.linear_model.LogisticRegression"]}
    needed |= set(sio.get_untrusted_types(data=sio.dumps(fitted("StackingClassifier", stacked)[0])))
    repaired = Pipeline([("model", Recalibrated(older, "intercept"))])
    needed |= set(sio.get_untrusted_types(data=sio.dumps(repaired)))
    for cls in (BinnedXGBClassifier, BinnedXGBRegressor):
        needed |= set(sio.get_untrusted_types(data=sio.dumps(cls())))
    assert needed == set(model_file.TRUSTED)


PROCESS = """
import sys, hashlib
from perenne.common import model, model_file
sys.path.insert(0, sys.argv[1])
from test_model_file import fitted
junk = [bytearray(size) for size in range(1, 3000, int(sys.argv[2]))]
for name in sys.argv[3:]:
    print(name, hashlib.sha256(model_file.dumps(fitted(name)[0])).hexdigest())
"""


def test_another_process_makes_the_same_bytes() -> None:
    """Whatever its hash seed and its addresses."""
    names = ["HistGradientBoostingClassifier", "LogisticRegression", "RandomForestClassifier"]
    here = [f"{name} {hashlib.sha256(model_file.dumps(fitted(name)[0])).hexdigest()}" for name in names]
    for seed in ("1", "2"):
        command = [sys.executable, "-c", PROCESS, str(Path(__file__).parent), seed, *names]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines() == here


AWKWARD = ['"__id__": 5', '"file": "123.npy"', "123.npy", "5", '{"__id__": 5}', "é\n\u2028"]


def test_a_category_may_look_like_an_address() -> None:
    """What skops writes of itself is renumbered, what the data hold never is."""
    task = "binary"
    frame = ROWS[task].assign(colour=(AWKWARD * 14)[:80], y=[0, 1] * 40)
    spec = Train(estimator="sklearn.linear_model.LogisticRegression", params={}, seed=0)
    pipeline = train(frame, spec, CONTRACTS[task])
    loaded = model_file.loads(model_file.dumps(pipeline), "model.skops")
    known = loaded["encode"].named_transformers_["categories"].categories_[0]
    assert known.tolist() == sorted(AWKWARD)
    assert model_file.dumps(train(frame, spec, CONTRACTS[task])) == model_file.dumps(pipeline)


def holding(value: Any) -> Pipeline:
    """A pipeline in which a value is stored."""
    return Pipeline([("model", FunctionTransformer(kw_args=value))])


@pytest.mark.parametrize(
    "value",
    [
        {"__id__": 5, "file": "0.npy", "__loader__": "JsonNode"},
        {"a": np.arange(3), "b": np.arange(4.0), "c": {"file": np.arange(5)}},
        {"raw": b"\x00\x01", "more": b"\x02"},
        {1: "one", 2.5: [True, None, ("x", 1e300)]},
    ],
)
def test_any_value_comes_back(value: dict[Any, Any]) -> None:
    """Keys named like those of skops, arrays, bytes: each as it was."""
    data = model_file.dumps(holding(value))
    assert data == model_file.dumps(holding(value))
    np.testing.assert_equal(model_file.loads(data, "model.skops")["model"].kw_args, value)


def test_what_is_one_object_stays_one_object() -> None:
    """An array that two parts of a model share is stored once and shared again."""
    shared = np.arange(1000.0)
    data = model_file.dumps(holding({"a": shared, "b": shared}))
    loaded = model_file.loads(data, "model.skops")["model"].kw_args
    assert loaded["a"] is loaded["b"]
    assert len(data) < len(model_file.dumps(holding({"a": shared, "b": shared.copy()})))


def test_equal_strings_are_equal_bytes_shared_or_not() -> None:
    """Which of them are one object differs from one Python to the next."""
    one, other = "".join(["a", "bc"]), "".join(["ab", "c"])
    assert one is not other
    assert model_file.dumps(holding({"x": one, "y": one})) == model_file.dumps(
        holding({"x": one, "y": other})
    )


def test_members_are_numbered_and_dated_alike() -> None:
    """No address, no date: the names count up, the date is the oldest that a zip can hold."""
    with zipfile.ZipFile(io.BytesIO(model_file.dumps(fitted("RandomForestClassifier")[0]))) as archive:
        members = archive.infolist()
        schema = json.loads(archive.read("schema.json"))
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert members[0].filename == "schema.json"
    numbers = {int(Path(member.filename).stem) for member in members[1:]}
    assert max(numbers | set(ids(schema))) < len(numbers) + len(set(ids(schema)))


def ids(node: Any) -> list[int]:
    """Every number by which skops tells objects apart."""
    if isinstance(node, list):
        return [i for item in node for i in ids(item)]
    if not isinstance(node, dict):
        return []
    own = [node["__id__"]] if isinstance(node.get("__id__"), int) else []
    return own + [i for value in node.values() for i in ids(value)]


class Saved:
    """A model file and its card in a folder."""

    def __init__(self, folder: Path) -> None:
        self.path, self.beside = folder / "model.skops", folder / "model.json"

    def load(self) -> Pipeline:
        """The pipeline, as the later stages load it."""
        return model_file.load(self.path, self.beside)[0]

    def forge(self, data: bytes, trusted: list[Any] | None = None) -> None:
        """Put other bytes in the file, and their sha256 and what is trusted on the card."""
        self.path.write_bytes(data)
        listed = {} if trusted is None else {"trusted": trusted}
        self.beside.write_text(json.dumps({"sha256": hashlib.sha256(data).hexdigest(), **listed}))


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """A small model as `train` saves it."""
    found = Saved(tmp_path)
    model_file.save(fitted("LogisticRegression")[0], {"rows": 80}, found.path, found.beside)
    return found


def refusal(saved: Saved) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(PerenneError) as error:
        saved.load()
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_card_holds_what_was_said_and_the_sha256(saved: Saved) -> None:
    """And the file, loaded, is the model."""
    card = json.loads(saved.beside.read_text())
    assert card == {"rows": 80, "trusted": [], "sha256": hashlib.sha256(saved.path.read_bytes()).hexdigest()}
    assert isinstance(saved.load(), Pipeline)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:40] + b"!" + data[41:],
        lambda _: b"",
    ],
    ids=["truncated", "longer", "one byte", "empty"],
)
def test_a_file_that_is_not_the_one_on_the_card_is_not_opened(
    saved: Saved, spoil: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sha256 is compared before anything reads it."""
    was = saved.path.read_bytes()
    saved.path.write_bytes(spoil(was))

    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("the file was opened")

    for owner, name in [(sio, "loads"), (sio, "get_untrusted_types"), (zipfile, "ZipFile")]:
        monkeypatch.setattr(owner, name, opened)
    found, said = (hashlib.sha256(data).hexdigest() for data in (saved.path.read_bytes(), was))
    assert refusal(saved) == f"{saved.path}: its sha256 is {found}, but {saved.beside} says {said}"


@pytest.mark.parametrize("card", ["{}", '{"sha256": null}', "[]", '"text"'])
def test_a_card_without_a_sha256_trusts_nothing(saved: Saved, card: str) -> None:
    """What is missing is never a pass."""
    saved.beside.write_text(card)
    assert refusal(saved).startswith(f"{saved.path}: its sha256 is ")


def test_a_card_that_is_no_json_is_named(saved: Saved) -> None:
    """With what is wrong in it."""
    saved.beside.write_text('{"sha256": ')
    assert refusal(saved).startswith(f"{saved.beside}: not valid JSON: ")


@pytest.mark.parametrize("name", ["path", "beside"])
def test_a_missing_file_is_named(saved: Saved, name: str) -> None:
    """The model or its card."""
    missing: Path = getattr(saved, name)
    missing.unlink()
    assert refusal(saved) == f"{missing}: no such file"


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04", pickle.dumps({"a": 1}), b"not a model"],
    ids=["empty", "zip's first bytes", "pickle", "text"],
)
def test_what_is_no_model_file_is_refused(saved: Saved, data: bytes) -> None:
    """Even if the card vouches for it."""
    saved.forge(data)
    assert refusal(saved).startswith(f"{saved.path}: not a model file: ")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved: Saved, share: float) -> None:
    """Wherever it ends."""
    data = saved.path.read_bytes()
    saved.forge(data[: int(len(data) * share)])
    assert refusal(saved).startswith(f"{saved.path}: not a model file: ")


def test_another_object_is_no_model(saved: Saved) -> None:
    """A file of harmless types that holds no pipeline."""
    saved.forge(sio.dumps({"a": 1}))
    assert refusal(saved) == f"{saved.path}: holds a dict, not a model"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (os.system, "posix.system"),
        (functools.partial(os.system, "true"), "posix.system"),
        (functools.partial(eval, "1"), "builtins.eval"),
        (functools.partial(functools.partial(exec), "1"), "builtins.exec"),
        (functools.partial(subprocess.Popen, "true"), "subprocess.Popen"),
        (functools.partial(np.arange(3).tofile, "trace"), "__main__.tofile"),
        (subprocess.Popen, "subprocess.Popen"),
        (subprocess.CompletedProcess("true", 0), "subprocess.CompletedProcess"),
        (Path, "pathlib.Path"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_foreign_type_is_refused(saved: Saved, value: Any, named: str) -> None:
    """Bare or inside the trusted `functools.partial`, it is named."""
    saved.forge(sio.dumps(Pipeline([("model", FunctionTransformer(func=value))])))
    assert refusal(saved) == f"{saved.path}: holds types that are not trusted: {named}"


def test_nothing_of_a_refused_file_is_executed(
    saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that only the file names is not imported, and its function not called."""
    trace = tmp_path / "trace"
    (tmp_path / "mischief.py").write_text(
        f"import pathlib\npathlib.Path({str(trace)!r}).touch()\ndef act(x): return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    mischief = importlib.import_module("mischief")
    data = sio.dumps(Pipeline([("model", FunctionTransformer(func=functools.partial(mischief.act, 1)))]))
    del sys.modules["mischief"]
    trace.unlink()
    saved.forge(data)
    assert refusal(saved) == f"{saved.path}: holds types that are not trusted: mischief.act"
    assert not trace.exists()


def test_a_model_that_could_not_be_loaded_is_not_written(tmp_path: Path) -> None:
    """Better no file than one that the next stage refuses."""
    with pytest.raises(PerenneError, match=r"holds types that are not trusted: posix\.system"):
        model_file.save(holding({"a": os.system}), {}, tmp_path / "model.skops", tmp_path / "model.json")
    assert list(tmp_path.iterdir()) == []


OWN = """
from os import system
from sklearn.base import BaseEstimator, TransformerMixin


class Mine(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X
"""


@pytest.fixture
def own(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> Iterator[Saved]:
    """A model file with a class of the project in it, in the project's folder."""
    folder = saved.path.parent
    for name in [name for name in sys.modules if name.split(".")[0] == "stages"]:
        monkeypatch.delitem(sys.modules, name)
    (folder / "stages").mkdir()
    (folder / "stages" / "__init__.py").write_text("")
    (folder / "stages" / "models.py").write_text(OWN)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    mine = importlib.import_module("stages.models").Mine()
    model_file.save(
        Pipeline([("model", mine)]), {"trusted": ["stages.models.Mine"]}, saved.path, saved.beside
    )
    yield saved
    for name in [name for name in sys.modules if name.split(".")[0] == "stages"]:
        del sys.modules[name]


def test_a_type_of_the_project_is_trusted_if_the_card_lists_it(own: Saved) -> None:
    """And only then."""
    assert own.load().steps[0][1].__class__.__name__ == "Mine"
    own.forge(own.path.read_bytes())  # a card without a list
    assert refusal(own) == f"{own.path}: holds types that are not trusted: stages.models.Mine"


def test_the_card_lists_no_more_than_the_file_holds(own: Saved) -> None:
    """What is listed for nothing would be trusted for nothing."""
    listed = {"trusted": ["stages.models.Mine", "stages.models.Other"]}
    model_file.save(own.load(), listed, own.path, own.beside)
    assert json.loads(own.beside.read_text())["trusted"] == ["stages.models.Mine"]


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        (os.system, "posix.system"),
        (functools.partial(eval, "1"), "builtins.eval"),
        (subprocess.Popen, "subprocess.Popen"),
        (Path, "pathlib.Path"),
        (os.system, ["stages.models.Mine", "posix.system"]),
        (os.system, "stages.perenne.common.git.git"),
        (os.system, "stages..system"),
        (os.system, 5),
        (os.system, None),
    ],
)
def test_a_forged_card_makes_nothing_trusted(own: Saved, value: Any, listed: Any) -> None:
    """Its list may hold nothing but code of the project."""
    data = sio.dumps(Pipeline([("model", FunctionTransformer(func=value))]))
    own.forge(data, listed if isinstance(listed, list) else [listed])
    shown = listed[-1] if isinstance(listed, list) else listed
    assert refusal(own) == (
        f"{own.path}: trusted: found {shown!r}, must be a class or function of the project, such as "
        "stages.models.Mine"
    )


def test_what_a_module_of_the_project_imports_is_not_its_own(own: Saved) -> None:
    """A file could name `os.system` by way of it."""
    data = sio.dumps(Pipeline([("model", FunctionTransformer(func=os.system))]))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members["schema.json"].replace(b'"posix"', b'"stages.models"')
    assert schema != members["schema.json"]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in (members | {"schema.json": schema}).items():
            archive.writestr(name, content)
    own.forge(out.getvalue(), ["stages.models.system"])
    assert refusal(own) == (
        f"{own.path}: it holds stages.models.system: it is not defined there, it is posix.system, which is "
        "not trusted"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it holds: 'stages.models.Mine': stages/models.py has no Mine; there is none"),
        ("x = 1 / 0\n", "stages/models.py:1: ZeroDivisionError: division by zero"),
        (None, "it holds: 'stages.models.Mine': there is no stages/models.py; write the module, or correct"),
    ],
)
def test_a_checkout_with_other_code_is_one_line(own: Saved, text: str | None, says: str) -> None:
    """The class of the model is gone, or its module fails."""
    module = own.path.parent / "stages" / "models.py"
    module.unlink()
    if text is not None:
        module.write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] == "stages"]:
        del sys.modules[name]
    importlib.invalidate_caches()
    sys.path_importer_cache.clear()
    assert says in refusal(own)


@pytest.mark.parametrize("extra", sorted(model_file.BOOSTED))
def test_a_model_of_a_library_that_is_missing_names_the_extra(
    saved: Saved, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how it is installed."""
    path = {"catboost": "CatBoost", "lightgbm": "LGBM", "xgboost": "XGB"}[extra] + "Classifier"
    spec = Train(estimator=f"{extra}.{path}", params={}, seed=0)
    data = model_file.dumps(train(ROWS["binary"], spec, CONTRACTS["binary"]))
    saved.forge(data)
    held = set(sio.get_untrusted_types(data=data)) - set(model_file.TRUSTED)
    assert held <= set(model_file.BOOSTED[extra])
    monkeypatch.setattr(model_file, "find_spec", lambda _: None)
    assert refusal(saved).startswith(
        f"{saved.path}: holds a model of {extra}, which is not installed; make dev installs it"
    )
