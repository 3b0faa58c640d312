"""LightGBM, XGBoost and CatBoost through their scikit-learn interface: the same bytes on every machine.

Each is an extra. What makes a fit depend on the machine (threads, graphics cards, files) is set here or
refused by name, and what a fitted model notes of its run (threads, dates, random names) is taken out.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Collection, Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from sklearn.base import BaseEstimator

from perenne.common.errors import PerenneError, hint

OwnParams = Mapping[str, Any]  # an estimator's own
OURS = "is set by Perenne: "
SEED = f"{OURS}it is train.seed; take it out"
CATEGORIES = f"{OURS}the categories of the contract are; take it out"
EVALUATED = "needs rows that are held back from the fit, and there are none; set {rounds}, and take it out"
FILES = "reads or writes a file, or another machine, that DVC does not see; take it out"
QUIET = f"{OURS}nothing is printed; take it out"


class Refused(NamedTuple):
    """Why a parameter is refused, unless its value is one of `but`."""

    reason: str
    but: tuple[object, ...] = ()


class Library(NamedTuple):
    """How a library is used: its parameters for seed and threads, what is set, and what is refused."""

    seed: str
    threads: str
    settings: OwnParams
    refused: Mapping[str, Refused]


LIGHTGBM = Library(
    "random_state",
    "n_jobs",
    # Histograms column by column: each sum is of one thread, in the order of the rows.
    {"deterministic": True, "force_col_wise": True, "verbosity": -1},
    {
        **dict.fromkeys(("deterministic", "force_col_wise"), Refused(f"{OURS}true; take it out", (True,))),
        "force_row_wise": Refused("its sums depend on the number of threads; take it out", (False,)),
        "verbosity": Refused(QUIET, (-1,)),
        "device_type": Refused("graphics cards sum in no fixed order; write cpu, or take it out", ("cpu",)),
        "seed": Refused(SEED),
        "num_threads": Refused("is n_jobs here; write that"),
        "categorical_feature": Refused(CATEGORIES),
        "early_stopping_round": Refused(EVALUATED.format(rounds="n_estimators"), (0, None)),
        **dict.fromkeys(
            (
                *("config", "convert_model", "data", "forcedbins_filename", "forcedsplits_filename"),
                *("input_model", "machine_list_filename", "machines", "num_machines", "output_model"),
                *("output_result", "parser_config_file", "snapshot_freq", "task", "valid"),
            ),
            Refused(FILES),
        ),
    },
)
XGBOOST = Library(
    "random_state",
    "n_jobs",
    {"verbosity": 0},
    {
        "booster": Refused(
            "its linear model cannot take missing values; write gbtree or dart, or an estimator of "
            "sklearn.linear_model",
            ("gbtree", "dart", None),
        ),
        "device": Refused("graphics cards sum in no fixed order; write cpu, or take it out", ("cpu", None)),
        "tree_method": Refused("must be hist, approx or exact", ("hist", "approx", "exact", "auto", None)),
        "seed": Refused(SEED),
        "nthread": Refused("is n_jobs here; write that"),
        **dict.fromkeys(("enable_categorical",), Refused(CATEGORIES, (False,))),
        **dict.fromkeys(("feature_types",), Refused(CATEGORIES, (None,))),
        "early_stopping_rounds": Refused(EVALUATED.format(rounds="n_estimators"), (None,)),
        "callbacks": Refused("would be code; take it out", (None,)),
        "missing": Refused(f"{OURS}missing values are NaN; take it out"),
        "verbosity": Refused(QUIET, (0, None)),
    },
)
CATBOOST = Library(
    "random_seed",
    "thread_count",
    {"allow_writing_files": False, "verbose": False},
    {
        "random_state": Refused(SEED),
        "allow_writing_files": Refused(f"{OURS}false; take it out", (False,)),
        "task_type": Refused("graphics cards sum in no fixed order; write CPU, or take it out", ("CPU",)),
        **dict.fromkeys(
            ("devices", "gpu_cat_features_storage", "gpu_ram_part", "used_ram_limit"),
            Refused("is about one machine; take it out"),
        ),
        **dict.fromkeys(("cat_features", "embedding_features", "text_features"), Refused(CATEGORIES)),
        **dict.fromkeys(
            ("early_stopping_rounds", "od_pval", "od_type", "od_wait", "use_best_model"),
            Refused(EVALUATED.format(rounds="iterations")),
        ),
        **dict.fromkeys(("logging_level", "metric_period", "silent", "verbose_eval"), Refused(QUIET)),
        "verbose": Refused(QUIET, (False, 0)),
        **dict.fromkeys(
            (
                *("input_borders", "output_borders", "save_snapshot", "snapshot_file", "snapshot_interval"),
                *("train_dir",),
            ),
            Refused(FILES),
        ),
        "callback": Refused("would be code; take it out"),
    },
)
LIBRARIES = {"catboost": CATBOOST, "lightgbm": LIGHTGBM, "xgboost": XGBOOST}
# What a CatBoost model needs of what it notes; the rest are dates, random names, and how the run went.
KEPT = ("class_params", "params")


def library(cls: type) -> str | None:
    """The library that a class is of or is derived from; None if it is none of the three."""
    tops = [base.__module__.split(".")[0] for base in cls.__mro__]
    return next((top for top in tops if top in LIBRARIES), None)


def check(cls: type, given: OwnParams, key: str) -> None:
    """Check the parameters of an estimator of one of the libraries.

    Parameters
    ----------
    cls, given
        Its class, and what is given to it.
    key
        What an error calls their place.

    Raises
    ------
    PerenneError
        If a parameter is unknown, or would make the fit depend on the machine; it says what to do.

    """
    name = library(cls)
    if name is None:
        return
    meaning = aliases() if name == "lightgbm" else {}
    valid = {*(valid_names(cls)), *meaning}
    found = LIBRARIES[name]
    for param, value in given.items():
        if param not in valid:
            raise PerenneError(f"{key}.{param}: unknown to {cls.__name__}; {hint(param, valid)}")
        refused = found.refused.get(param) or found.refused.get(meaning.get(param, ""))
        if param == found.seed:
            raise PerenneError(f"{key}.{param}: {SEED}")
        if param == found.threads:
            if type(value) is not int or value < 1:
                raise PerenneError(
                    f"{key}.{param}: found {value!r}, must be a number from 1 on: otherwise the machine's "
                    "processors would decide what the model is"
                )
        elif refused and not any(type(value) is type(one) and value == one for one in refused.but):
            raise PerenneError(f"{key}.{param}: found {value!r}, which {refused.reason}")


def valid_names(cls: type) -> Collection[str]:
    """The parameters that the class itself names, and those of the classes that it is derived from."""
    return {
        name
        for base in cls.__mro__
        if "__init__" in vars(base)
        for name, parameter in inspect.signature(base.__init__).parameters.items()  # type: ignore[misc] # of a class
        if name != "self" and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    }


@cache
def aliases() -> dict[str, str]:
    """Every name that LightGBM knows a parameter by, and which one it means."""
    known = import_module("lightgbm.basic")._ConfigAliases._get_all_param_aliases()
    return {alias: name for name, others in known.items() for alias in (name, *others)}


def settle(estimator: BaseEstimator, seed: int, key: str) -> None:
    """Set what makes an estimator of one of the libraries fit alike everywhere; others stay as they are.

    Parameters
    ----------
    estimator
        Not fitted.
    seed
        Of its random choices.
    key
        What an error calls the estimator.

    Raises
    ------
    PerenneError
        If it has a parameter that must not be; see `check`.

    """
    name = library(type(estimator))
    if name is None:
        return
    found = LIBRARIES[name]
    given = estimator.get_params(deep=False)
    refused = {p: v for p, v in given.items() if p in found.refused and v is not None}
    default = type(estimator)().get_params(deep=False)
    check(type(estimator), {p: v for p, v in refused.items() if not _same(v, default.get(p))}, key)
    threads = given.get(found.threads)
    at_least_one = threads if isinstance(threads, int) and threads > 0 else 1
    estimator.set_params(**found.settings, **{found.seed: seed, found.threads: at_least_one})


def _same(one: object, other: object) -> bool:
    return one is other or one == other or (one != one and other != other)


def takes_categories(estimator: BaseEstimator) -> bool:
    """Whether an estimator of the libraries takes categories as numbers, with NaN for a missing one."""
    return library(type(estimator)) in ("lightgbm", "xgboost")


def with_categories(estimator: BaseEstimator, categories: int, width: int) -> dict[str, Any]:
    """Say which columns are categories: the first ones.

    Parameters
    ----------
    estimator
        For which `takes_categories` holds.
    categories, width
        How many columns are categories, and how many there are.

    Returns
    -------
    dict
        What `fit` takes besides rows and labels.

    """
    if library(type(estimator)) == "lightgbm":
        return {"categorical_feature": list(range(categories))}
    if categories:
        kinds = ["c"] * categories + ["q"] * (width - categories)
        estimator.set_params(enable_categorical=True, feature_types=kinds)
    return {}


def spelled(estimator: BaseEstimator, about: OwnParams) -> dict[str, Any]:
    """Parameters about columns as a library writes them: XGBoost takes them as text."""
    if library(type(estimator)) != "xgboost":
        return dict(about)
    written = dict(about)
    if "monotone_constraints" in about:
        written["monotone_constraints"] = f"({','.join(map(str, about['monotone_constraints']))})"
    if "interaction_constraints" in about:
        written["interaction_constraints"] = json.dumps(about["interaction_constraints"])
    return written


def forget(estimator: object) -> None:
    """Take out of a fitted model what it notes of its run: threads, dates, random names, time taken."""
    name = library(type(estimator)) if hasattr(estimator, "get_params") else None
    if name == "lightgbm":
        _forget_lightgbm(estimator)
    elif name == "xgboost":
        _forget_xgboost(estimator)
    elif name == "catboost":
        _forget_catboost(estimator)


def _forget_lightgbm(estimator: Any) -> None:
    booster, threads = estimator._Booster, estimator.n_jobs
    if booster is None or threads == 1:
        return
    noted = booster.model_to_string(num_iteration=-1)
    booster.model_from_string(noted.replace(f"\n[num_threads: {threads}]\n", "\n[num_threads: 1]\n"))
    booster.params["num_threads"] = 1
    estimator.set_params(n_jobs=1)


def _forget_xgboost(estimator: Any) -> None:
    if estimator.__sklearn_is_fitted__():
        estimator.set_params(n_jobs=1)
        estimator.get_booster().set_param({"nthread": 1})


def _forget_catboost(estimator: Any) -> None:
    if not estimator.is_fitted():
        return
    notes = estimator.get_metadata()
    params = json.loads(notes["params"])
    for part in ("system_options", "flat_params"):
        params[part]["thread_count"] = 1
    for key in [key for key in notes.keys() if key not in KEPT]:  # noqa: SIM118 -- a proxy, not a dict
        del notes[key]
    notes["params"] = json.dumps(params, sort_keys=True)
    estimator._init_params = dict(sorted({**estimator._init_params, "thread_count": 1}.items()))
    estimator._prediction_values_change = None  # computed from the trees, if anybody asks
