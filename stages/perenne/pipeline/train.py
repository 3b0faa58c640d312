"""Train: a scikit-learn estimator, named by its import path, after the preprocessing for the contract."""

from __future__ import annotations

import importlib
import inspect
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import get_tags
from threadpoolctl import threadpool_limits

from perenne.common import batches, model, params, predicted
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError, hint
from perenne.common.names import TRAIN
from perenne.common.params import Train
from perenne.common.task import Estimator
from perenne.documents.card import CardCategory, CardFeature, ModelDescription, save_model
from perenne.pipeline import constraints, recalibration

MOST_CATEGORIES = 254  # scikit-learn's histograms have 255 bins; above this, the rarest share one


def train(rows: pd.DataFrame, spec: Train, contract: Contract, source: str = str(TRAIN)) -> Pipeline:
    """Fit a pipeline on labelled rows; it predicts from `model.inputs`, unseen categories included.

    Parameters
    ----------
    rows
        Labelled rows of the contract. A feature without any value in them is not used.
    spec, contract
        The estimator with its parameters and seed, and what the rows are.
    source
        What an error calls the rows.

    Raises
    ------
    PerenneError
        If the labels lack a class, the estimator does not fit the task, or a parameter is wrong.

    """
    y = learned_from(rows, contract, source)
    X = model.inputs(rows, contract)
    # A column without any value carries no information, and histograms cannot be made of it.
    names = [name for name in contract.features if X[name].notna().any()]
    pipeline = build(spec, contract, names)
    try:
        # One BLAS thread: the number of threads changes the order of sums, and so their last bits.
        with threadpool_limits(1, user_api="blas"):
            encoded = pipeline["encode"].fit_transform(X, y)
            # Only now it is known which column is which feature.
            about = constraints.translated(spec, contract, pipeline["encode"])
            pipeline["model"].set_params(**about).fit(encoded, y)
    except ValueError as error:
        raise PerenneError(f"params.yaml: train.params: {' '.join(str(error).split())}") from error
    forget_threads(pipeline["model"])
    return pipeline


def learned_from(rows: pd.DataFrame, contract: Contract, source: str) -> npt.NDArray[np.generic]:
    """The outcomes as an estimator learns them, shape (rows,): several classes as their places.

    Raises
    ------
    PerenneError
        If no row has one of the classes.

    """
    y = predicted.outcomes(rows, contract)
    for place, name in enumerate(contract.classes):
        if not (y == place).any():
            raise PerenneError(
                f"{source}: none of {len(y):,} rows has {contract.target} = {name}; a {contract.task} model "
                "learns from rows of every class"
            )
    return rows[contract.target].to_numpy() if contract.task.outcome != "class" else y.astype(np.int64)


class Made(NamedTuple):
    """A model, and its card without the sha256 of its file."""

    pipeline: Pipeline
    card: ModelDescription


def made(rows: pd.DataFrame, cut: Cut, spec: Train, contract: Contract, source: str = str(TRAIN)) -> Made:
    """The model of a cut: fitted on its window, and recalibrated if the cut says so.

    Parameters
    ----------
    rows
        All rows of the part `train`.
    cut, spec, contract
        Which of them correct the scores, how the model is fitted, and what the rows are.
    source
        What an error calls the rows.

    Raises
    ------
    PerenneError
        As `train` and `recalibration.recalibrated`.

    """
    learned, recent = cut.parted(rows, contract)
    fitted, described = train(learned, spec, contract, source), card(rows, spec, contract)
    if not cut.recalibrate:
        return Made(fitted, described)
    corrected = recalibration.recalibrated(fitted, recent, contract)
    noted = recalibration.described(corrected)
    return Made(corrected, described.model_copy(update={"recalibration": noted}))


def build(spec: Train, contract: Contract, names: list[str]) -> Pipeline:
    """The unfitted pipeline for some features: encoder, then estimator.

    Parameters
    ----------
    spec, contract
        The estimator, and the types of the features.
    names
        The features to use.

    Raises
    ------
    PerenneError
        As for `configured`.

    """
    estimator = configured(spec, contract)
    categories = [name for name in names if contract.columns[name].type == "category"]
    numbers = [name for name in names if name not in categories]
    native = "categorical_features" in estimator.get_params()
    if native:
        estimator.set_params(categorical_features=list(range(len(categories))))
    return Pipeline(
        [("encode", encoder(categories, numbers, estimator, native=native)), ("model", estimator)]
    )


def encoder(
    categories: list[str], numbers: list[str], estimator: BaseEstimator, *, native: bool
) -> ColumnTransformer:
    """The transformer from columns to numbers: first categories, then the other features.

    Unseen and missing categories become NaN if the estimator handles categories itself. For other estimators
    categories are one-hot encoded: an unseen one gives zeros, and missing values are a category of their own
    if training had any.

    Missing numbers are passed to an estimator that accepts NaN. For others the median replaces them, an extra
    column marks them, and all numbers are standardized.

    Parameters
    ----------
    categories, numbers
        The names of the columns of each kind.
    estimator
        It decides how missing numbers are treated.
    native
        Whether the estimator handles categories itself.

    """
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        encoded_missing_value=np.nan,
        max_categories=MOST_CATEGORIES,
    )
    spread = OneHotEncoder(handle_unknown="ignore", max_categories=MOST_CATEGORIES, sparse_output=False)
    filled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    takes_nan = get_tags(estimator).input_tags.allow_nan
    return ColumnTransformer(
        [
            ("categories", ordinal if native else spread, categories),
            ("numbers", "passthrough" if takes_nan else filled, numbers),
        ]
    )


def configured(spec: Train, contract: Contract) -> BaseEstimator:
    """The estimator that `train` in params.yaml names, with its parameters, and the seed if it takes one.

    Raises
    ------
    PerenneError
        If it is not an estimator of scikit-learn, needs other estimators, lacks a parameter, has one that is
        set here or says something of features that do not exist, or does not fit the task.

    """
    cls = imported(spec.estimator)
    try:
        estimator = cls()
        kinds: dict[Estimator, bool] = {
            "classifier": is_classifier(estimator),
            "regressor": is_regressor(estimator),
        }
    except (TypeError, AttributeError) as error:
        raise PerenneError(
            f"params.yaml: train.estimator: {spec.estimator} cannot stand alone: it takes other estimators"
        ) from error
    valid = estimator.get_params(deep=False)
    for name in spec.params:
        if name not in valid:
            raise PerenneError(
                f"params.yaml: train.params.{name}: unknown to {cls.__name__}; {hint(name, valid)}"
            )
    constraints.check(spec, contract)
    seed = {"random_state": spec.seed} if "random_state" in valid else {}
    estimator.set_params(**seed | spec.params)
    # Whether a classifier gives probabilities may depend on its parameters.
    task = contract.task
    if not (kinds[task.estimator] and hasattr(estimator, task.method)):
        raise PerenneError(
            f"params.yaml: train.estimator: a {task} task needs {task.needs}, not {spec.estimator}"
        )
    return estimator


def imported(path: str) -> type[BaseEstimator]:
    """The class at an import path; only within scikit-learn, because importing a module runs its code.

    Raises
    ------
    PerenneError
        If the path is outside scikit-learn, cannot be imported, or is not an estimator.

    """
    name, _, attribute = path.rpartition(".")
    if not name.startswith("sklearn."):
        raise PerenneError(
            f"params.yaml: train.estimator: {path!r} is not an estimator of scikit-learn; "
            "write it like sklearn.ensemble.HistGradientBoostingClassifier"
        )
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise PerenneError(f"params.yaml: train.estimator: {path!r}: {error}") from error
    classes = [n for n, c in inspect.getmembers(module, inspect.isclass) if issubclass(c, BaseEstimator)]
    if attribute not in classes:
        raise PerenneError(
            f"params.yaml: train.estimator: {path!r} is not an estimator; {hint(attribute, classes)}"
        )
    cls: type[BaseEstimator] = getattr(module, attribute)
    return cls


def forget_threads(estimator: BaseEstimator) -> None:
    """Reset the number of threads that histogram boosting has stored: it depends on the machine."""
    mapper = getattr(estimator, "_bin_mapper", None)
    if mapper is not None:
        mapper.n_threads = 1


def card(rows: pd.DataFrame, spec: Train, contract: Contract) -> ModelDescription:
    """Describe the model for its card: estimator, parameters, training rows, target and features."""
    return ModelDescription(
        estimator=spec.estimator,
        params=spec.params,
        rows=len(rows),
        task=contract.task.name,
        target=contract.target,
        mean_target=predicted.mean(predicted.outcomes(rows, contract), contract),
        features=tuple(feature(rows[name], name, contract) for name in contract.features),
    )


def feature(values: pd.Series, name: str, contract: Contract) -> CardFeature:
    """Describe one feature for the card; a category with all values seen in training.

    Parameters
    ----------
    values
        The feature's column in the training rows.
    name
        The feature.
    contract
        Gives its type, and whether values may be missing.

    """
    column = contract.columns[name]
    if column.type != "category":
        return CardFeature(name=name, type=column.type, missing=column.missing)
    seen = tuple(sorted(values.dropna().unique()))
    return CardCategory(name=name, type=column.type, missing=column.missing, categories=seen)


def main() -> None:
    """Write the model file and its card."""
    p = params.load("train")
    contract = read_contract(p.case)
    rows = batches.read_parquet(TRAIN)
    save_model(*made(rows, Cut.of(p.split, contract), p.train, contract))
