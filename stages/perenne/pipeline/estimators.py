"""Estimators as params.yaml writes them: `train.estimator` with `train.params`.

An expression is an import path, a path with its parameters, or a pipeline of expressions:

    sklearn.linear_model.Ridge
    {lightgbm.LGBMClassifier: {num_leaves: 15}}
    {pipeline: [sklearn.preprocessing.PolynomialFeatures, {sklearn.linear_model.Ridge: {alpha: 2}}]}

A parameter that takes estimators (`estimator`, `estimators`, `final_estimator` and so on) holds expressions.
A path is in scikit-learn, in one of the extras of `boosting`, one of `binned_params`, or in the project:
`stages.MODULE.NAME`.
"""

from __future__ import annotations

import importlib
import inspect
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from perenne.common import extras, model_file, project_code
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError, hint
from perenne.common.params import Train
from perenne.common.task import Estimator
from perenne.pipeline import binned_params, boosting, constraints
from perenne.pipeline.boosting import OwnParams

KEY = "params.yaml: train.estimator"
PIPELINE = "pipeline"  # the word that stands for steps
EXAMPLE = "sklearn.ensemble.HistGradientBoostingClassifier"
GRAMMAR = "an import path, {PATH: {param: value}} or {pipeline: [...]}"

# Parameters that hold an estimator, and those that hold several with their names.
ONE = (
    *("base_estimator", "classifier", "covariance_estimator", "estimator", "final_estimator", "regressor"),
    "transformer",
)
SEVERAL = ("estimators", "steps", "transformer_list")
WORDS = ("drop", "passthrough")  # that may stand for one of them
# What no params can write, or whose bytes differ from fit to fit.
SEARCH = "it notes how long its fits took, so its bytes differ each time; perenne tune searches"
REFUSED = {
    "ColumnTransformer": "it counts columns, which are those of the encoded features; leave it out",
    "GridSearchCV": SEARCH,
    "HalvingGridSearchCV": SEARCH,
    "HalvingRandomSearchCV": SEARCH,
    "RandomizedSearchCV": SEARCH,
}


def outermost(spec: Train) -> Train:
    """The same section with the path of the outermost estimator, and all of its parameters, side by side.

    A pipeline stays as it is.

    Raises
    ------
    PerenneError
        If `train.estimator` is not an expression, or has its parameters in two places.

    """
    if isinstance(spec.estimator, str) or PIPELINE in spec.estimator:
        return spec
    path, given = _single(spec.estimator, KEY)
    if not isinstance(given, dict):
        raise PerenneError(f"{KEY}.{path}: found {given!r}, must be a mapping of its parameters")
    if given and spec.params:
        raise PerenneError(
            f"params.yaml: train.params: {path} has its parameters in train.estimator; write all of them in "
            "one place"
        )
    return spec.model_copy(update={"estimator": path, "params": given or spec.params})


def configured(spec: Train, contract: Contract) -> BaseEstimator:
    """The estimator that `train` in params.yaml names, with its parameters, and the seed in all its parts.

    Raises
    ------
    PerenneError
        If it cannot be made of what is given: the message names the key, what is wrong and what would do.

    """
    model_file.own_types(spec.trusted, "params.yaml: train.trusted")
    given, spec = spec.params, outermost(spec)
    key = "params.yaml: train.params" if given == spec.params else f"{KEY}.{spec.estimator}"
    if not names_own(spec.estimator):  # whose parameters are the project's affair
        constraints.check(spec, contract)
    if isinstance(spec.estimator, str):
        estimator = _of_path(spec.estimator, spec.params, spec.seed, KEY, key)
    else:
        estimator = made(spec.estimator, spec.seed, KEY)
        _set_inner(estimator, spec.params)
    _seeded(estimator, spec.seed)
    _suits(estimator, contract, shown(spec.estimator))
    return estimator


def made(expression: object, seed: int, key: str) -> BaseEstimator:
    """The estimator of an expression.

    Parameters
    ----------
    expression
        As in params.yaml.
    seed
        Of random choices.
    key
        What an error calls its place.

    Raises
    ------
    PerenneError
        As for `configured`.

    """
    if isinstance(expression, str):
        return _of_path(expression, {}, seed, key, key)
    path, given = _single(expression, key)
    if path == PIPELINE:
        if not isinstance(given, list) or not given:
            raise PerenneError(f"{key}.{PIPELINE}: found {given!r}, must be a list of steps")
        return Pipeline(_named(given, seed, f"{key}.{PIPELINE}"))
    if not isinstance(given, dict):
        raise PerenneError(f"{key}.{path}: found {given!r}, must be a mapping of its parameters")
    return _of_path(path, given, seed, key, f"{key}.{path}")


def shown(expression: object) -> str:
    """An expression in a few words.

    >>> shown({"pipeline": ["sklearn.decomposition.PCA", {"sklearn.linear_model.Ridge": {"alpha": 2}}]})
    'a pipeline of PCA, Ridge'
    """
    if isinstance(expression, dict) and len(expression) == 1:
        [(path, given)] = expression.items()
        if path == PIPELINE and isinstance(given, list):
            return f"a pipeline of {', '.join(shown(step).rpartition('.')[2] for step in given)}"
        return str(path)
    return str(expression)


def own_names(expression: object) -> set[str]:
    """The code of the project that an expression names, wherever in it."""
    if isinstance(expression, dict):
        return set().union(*(own_names(key) | own_names(value) for key, value in expression.items()))
    if isinstance(expression, list | tuple):
        return set().union(*map(own_names, expression))
    return {str(expression)} if project_code.is_named(expression) else set()


def names_own(expression: object) -> bool:
    """Whether an expression is code of the project, by its path."""
    return project_code.is_named(expression)


def takes_nan(estimator: BaseEstimator) -> bool:
    """Whether an estimator accepts missing numbers; a pipeline, if its steps do up to one that fills them."""
    if not isinstance(estimator, Pipeline):
        return bool(get_tags(estimator).input_tags.allow_nan)
    for _, step in estimator.steps:
        if not takes_nan(step):
            return False
        if type(step).__module__.startswith("sklearn.impute"):
            return True
    return True


def imported(path: str, key: str = KEY) -> type[BaseEstimator]:
    """The class at an import path of scikit-learn or of an extra: importing others would run their code.

    Raises
    ------
    PerenneError
        If the path is outside of these, cannot be imported, or is not an estimator.

    """
    if path in binned_params.PATHS:
        _installed(binned_params.NEEDS, path, key)
        return binned_params.PATHS[path]
    name, _, attribute = path.rpartition(".")
    top = path.split(".")[0]
    if top == "perenne":
        raise PerenneError(f"{key}: {path!r} is not an estimator; {hint(path, binned_params.PATHS)}")
    if not name or top not in ("sklearn", *boosting.LIBRARIES) or (top == "sklearn" and name == top):
        raise PerenneError(
            f"{key}: {path!r} is not an estimator of scikit-learn, {', '.join(boosting.LIBRARIES)} or the "
            f"project; write it like {EXAMPLE}, lightgbm.LGBMClassifier or stages.models.Mine"
        )
    if top in boosting.LIBRARIES:
        _installed(top, path, key)
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise PerenneError(f"{key}: {path!r}: {error}") from error
    classes = [n for n, c in inspect.getmembers(module, inspect.isclass) if _is_estimator(c)]
    if attribute not in classes:
        raise PerenneError(f"{key}: {path!r} is not an estimator; {hint(attribute, classes)}")
    cls: type[BaseEstimator] = getattr(module, attribute)
    return cls


def _installed(extra: str, path: str, key: str) -> None:
    if find_spec(extra) is None:
        raise PerenneError(f"{key}: {path!r}: {extra} is not installed; {extras.install(extra)}")


def _is_estimator(cls: type) -> bool:
    return issubclass(cls, BaseEstimator) or (
        boosting.library(cls) is not None and hasattr(cls, "fit") and hasattr(cls, "get_params")
    )


def _single(expression: object, key: str) -> tuple[str, Any]:
    """The one key of a mapping and what it holds."""
    if not isinstance(expression, dict) or len(expression) != 1:
        raise PerenneError(f"{key}: found {expression!r:.200}, must be {GRAMMAR}")
    [(path, given)] = expression.items()
    if not isinstance(path, str):
        raise PerenneError(f"{key}: found {path!r}, must be {GRAMMAR}")
    return path, {} if given is None else given


def _of_path(path: str, given: OwnParams, seed: int, key: str, params: str) -> BaseEstimator:
    """The estimator at a path with parameters, whose place an error calls `params`."""
    if project_code.is_named(path):
        return _own(path, given, seed, key, params)
    cls = imported(path, key)
    if cls.__name__ in REFUSED:
        raise PerenneError(f"{key}: {path}: {REFUSED[cls.__name__]}")
    for name in given:
        if name in constraints.OURS:
            raise PerenneError(f"{params}.{name}: is set by Perenne: {constraints.OURS[name]}")
    binned_params.check(cls, given, params)
    if boosting.library(cls):
        boosting.check(cls, given, params)
    else:
        valid = _valid(cls)
        for name in given:
            if name not in valid:
                raise PerenneError(f"{params}.{name}: unknown to {cls.__name__}; {hint(name, valid)}")
        lacking = [name for name, has_default in valid.items() if not has_default and name not in given]
        if lacking:
            raise _lacks(path, lacking, key, params)
    values = {name: _value(name, value, seed, f"{params}.{name}") for name, value in given.items()}
    estimator = cls(**values)
    try:
        get_tags(estimator)
    except (TypeError, AttributeError, ValueError) as error:
        lacking = [name for name in _valid(cls) if name in (*ONE, *SEVERAL) and name not in given]
        if lacking:
            raise _lacks(path, lacking, key, params) from error
        raise PerenneError(f"{params}: {' '.join(str(error).split())}") from error
    return estimator


def _lacks(path: str, lacking: list[str], key: str, params: str) -> PerenneError:
    return PerenneError(
        f"{key}: {path} is made of other estimators; {params} lacks {', '.join(lacking)}, such as "
        f"{{{lacking[0]}: {_like(lacking[0])}}}"
    )


def _valid(cls: type) -> dict[str, bool]:
    """The parameters of a class, and whether each has a default."""
    return {
        name: parameter.default is not parameter.empty
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


def _like(name: str) -> str:
    return (
        "{linear: sklearn.linear_model.LogisticRegression}"
        if name in SEVERAL
        else "sklearn.linear_model.LogisticRegression"
    )


def _value(name: str, value: Any, seed: int, key: str) -> Any:
    """A parameter's value: estimators where it holds some."""
    if name in ONE and isinstance(value, str | dict) and value not in WORDS:
        return made(value, seed, key)
    if name in SEVERAL:
        return _named(value, seed, key)
    return value


def _named(value: Any, seed: int, key: str) -> list[tuple[str, Any]]:
    """Several estimators, each with the name that is given, or that of its class in lower case."""
    if isinstance(value, dict) and value:
        return [(str(n), _part(part, seed, f"{key}.{n}")) for n, part in value.items()]
    if not isinstance(value, list) or not value:
        raise PerenneError(f"{key}: found {value!r:.200}, must be a list of estimators, or name: estimator")
    parts = [_part(part, seed, f"{key}[{number}]") for number, part in enumerate(value)]
    names = [part if isinstance(part, str) else type(part).__name__.lower() for part in parts]
    count, seen = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(f"{name}-{seen[name]}" if count[name] > 1 else name)
    return list(zip(numbered, parts, strict=True))


def _part(part: Any, seed: int, key: str) -> Any:
    return part if part in WORDS else made(part, seed, key)


def _own(path: str, given: OwnParams, seed: int, key: str, params: str) -> BaseEstimator:
    """The estimator that a class or function of the project makes."""
    maker = project_code.imported(path, key)
    file = f"{path.rpartition('.')[0].replace('.', '/')}.py"
    if not callable(maker):
        raise PerenneError(f"{key}: {path} is a {type(maker).__name__}, must be a class or a function")
    signature = inspect.signature(maker).parameters
    any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.values())
    valid = [n for n, p in signature.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    for name in given:
        if name in ("seed", "random_state"):
            raise PerenneError(f"{params}.{name}: {boosting.SEED}")
        if name not in valid and not any_name:
            raise PerenneError(f"{params}.{name}: unknown to {path}; {hint(name, valid)}")
    seeds = {name: seed for name in ("seed", "random_state") if name in valid}
    lacking = [
        n for n in valid if signature[n].default is inspect.Parameter.empty and n not in {*given, *seeds}
    ]
    if lacking:
        raise PerenneError(f"{params}: {path} needs {', '.join(lacking)}; give it")
    values = {name: _value(name, value, seed, f"{params}.{name}") for name, value in given.items()}
    try:
        estimator = maker(**seeds, **values)
    except PerenneError:
        raise
    except project_code.FAILURES as error:
        raise project_code.failed(error, file) from error
    return _checked(estimator, path, key, file)


def _checked(estimator: Any, path: str, key: str, file: str) -> BaseEstimator:
    """What the project's code has returned, if it is an estimator; not fitted."""
    if isinstance(estimator, type) or not all(hasattr(estimator, n) for n in ("fit", "get_params")):
        raise PerenneError(
            f"{key}: {path} gives a {type(estimator).__name__}, must be an estimator: an instance with fit, "
            "of a class that is derived from sklearn.base.BaseEstimator"
        )
    try:
        get_tags(estimator)
        return clone(estimator)
    except (AttributeError, TypeError, RuntimeError) as error:
        raise PerenneError(f"{key}: {path}: {file}: {' '.join(str(error).split())}") from error


def _set_inner(estimator: BaseEstimator, given: OwnParams) -> None:
    """Set parameters of a pipeline's steps, by names such as `ridge__alpha`."""
    valid = estimator.get_params(deep=True)
    for name in given:
        if "__" not in name or name not in valid:
            inner = [n for n in valid if "__" in n]
            raise PerenneError(
                f"params.yaml: train.params.{name}: unknown to the pipeline; {hint(name, inner)}"
            )
    estimator.set_params(**given)


def parts(estimator: BaseEstimator) -> Iterator[tuple[str, BaseEstimator]]:
    """An estimator that is not fitted and all that it is made of, each with the name that it has there."""
    yield "", estimator
    for name, value in estimator.get_params(deep=True).items():
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield name, value


def _seeded(estimator: BaseEstimator, seed: int) -> None:
    """Give the seed to all parts that take one, and the libraries what makes them fit alike everywhere."""
    for name, part in parts(estimator):
        boosting.settle(part, seed, f"{KEY}.{name}" if name else KEY)
    seeds = [n for n in estimator.get_params(deep=True) if n.split("__")[-1] == "random_state"]
    estimator.set_params(**dict.fromkeys(seeds, seed))


def _suits(estimator: BaseEstimator, contract: Contract, name: str) -> None:
    """Check that an estimator can do what the task needs, which may depend on its parameters."""
    task = contract.task
    try:
        kinds: dict[Estimator, bool] = {
            "classifier": is_classifier(estimator),
            "regressor": is_regressor(estimator),
        }
        # A stack without a final estimator has scikit-learn's own, but only once it is fitted.
        default = getattr(estimator, "final_estimator", estimator) is None
        able = kinds[task.estimator] and hasattr(type(estimator) if default else estimator, task.method)
    except (TypeError, AttributeError, ValueError) as error:
        raise PerenneError(f"{KEY}: {name}: {' '.join(str(error).split())}") from error
    if not able:
        raise PerenneError(f"{KEY}: a {task} task needs {task.needs}, not {name}")
