"""Train: the estimator that params.yaml names, after the preprocessing for the contract."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from perenne.common import batches, model, model_file, params, predicted, project_code, storable
from perenne.common.contract import Contract, read_contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.names import TRAIN
from perenne.common.params import Train
from perenne.compute import engine
from perenne.compute.engine import Workers
from perenne.compute.local import HERE
from perenne.documents.card import CardCategory, CardFeature, ModelDescription, save_model
from perenne.pipeline import (
    binned_params,
    boosting,
    by_parts,
    constraints,
    encoding,
    estimators,
    recalibration,
)

Array = npt.NDArray[Any]

# In messages of C++: a time and a file at the beginning, a file at the end.
IN_SOURCE = re.compile(r"^(\[[0-9:]+\] )?\S+\.(cc|cpp|cu|h):\d+: | at \S+\.(cc|cpp|h), line \d+ \.$")
ROWS_CHECKED = 1000  # that a stored model must score as before
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
    # A column without any value carries no information, and histograms cannot be made of it.
    names = [name for name in contract.features if _has_values(rows, name, contract)]
    pipeline = build(spec, contract, names)
    try:
        # One BLAS thread: the number of threads changes the order of sums, and so their last bits.
        with threadpool_limits(1, user_api="blas"):
            encoded = encoding.fitted(pipeline["encode"], rows, y, contract)
            _fit(pipeline, encoded, y, spec, contract)
    except PerenneError:
        raise
    except project_code.FAILURES as error:
        raise explained(error) or error from error
    forget_run(pipeline["model"])
    return pipeline


def _has_values(rows: pd.DataFrame, name: str, contract: Contract) -> bool:
    if contract.columns[name].type == "category":
        return bool(rows[name].notna().any())
    return bool(model.feature(rows, name, contract).notna().any())


class FromFile(NamedTuple):
    """A pipeline, and what its file has."""

    pipeline: Pipeline
    surveyed: by_parts.Surveyed


@contextmanager
def opened_for(spec: Train) -> Iterator[Workers]:
    """Give the workers of params.yaml to an estimator that can learn on several; else this process."""
    if estimators.outermost(spec).estimator not in binned_params.PATHS:
        yield HERE
        return
    with engine.opened() as workers:
        yield workers


def from_file(path: Path, spec: Train, contract: Contract, workers: Workers) -> FromFile | None:
    """Fit a pipeline on the labelled rows of a file, in parts: the same bytes as by `train` on all of them.

    Parameters
    ----------
    path
        A Parquet file of rows of the contract.
    spec, contract
        The estimator, and what the rows are.
    workers
        What the parts are for: as many as can learn together.

    Returns
    -------
    FromFile or None
        None if all rows must be seen at once: the estimator learns in no other way, or a category has so
        many values that the rarest are joined.

    Raises
    ------
    PerenneError
        As `train`, or a `GangError`.

    """
    outer = estimators.outermost(spec)
    if outer.estimator not in binned_params.PATHS:
        return None
    learned_from(batches.read_parquet(path, [contract.target]), contract, str(path))
    columns, spans = tuple(learned_columns(contract)), by_parts.spanned(path, workers.members)
    found = by_parts.surveyed(spans, contract, columns, workers)
    pipeline = build(spec, contract, [name for name in contract.features if name in found.valued])
    encoder, estimator = pipeline["encode"], pipeline["model"]
    if not encoding.fitted_on_few(encoder, found.shown(), contract):
        return None
    estimator.set_params(**constraints.translated(outer, contract, encoder))
    frames = encoding.FrameEncoder.of(encoder, contract)
    try:
        estimator.fit_parts([by_parts.FilePart(span, frames, columns) for span in spans], workers)
    except PerenneError:
        raise
    except project_code.FAILURES as error:
        raise explained(error) or error from error
    forget_run(estimator)
    return FromFile(pipeline, found)


def _fit(pipeline: Pipeline, encoded: Array, y: Array, spec: Train, contract: Contract) -> None:
    """Fit the estimator: only now it is known which column is which feature."""
    estimator = pipeline["model"]
    own = bool(estimators.own_names([spec.estimator, spec.params]))
    outer = estimators.outermost(spec)
    if not estimators.names_own(outer.estimator):
        about = constraints.translated(outer, contract, pipeline["encode"])
        estimator.set_params(**boosting.spelled(estimator, about))
    about = {}
    if boosting.takes_categories(estimator):
        categories = len(pipeline["encode"].transformers_[0][2])
        about = boosting.with_categories(estimator, categories, encoded.shape[1])
    estimator.fit(encoded, y, **about)
    if own:
        _check_answers(estimator, encoded, y, contract, estimators.shown(spec.estimator))


def _check_answers(estimator: BaseEstimator, encoded: Array, y: Array, contract: Contract, name: str) -> None:
    """Check that an estimator with code of the project in it answers as scikit-learn's do."""
    key, task = f"params.yaml: train.estimator: {name}", contract.task
    shape: tuple[int, ...] = (len(encoded),)
    if task.estimator == "classifier":
        expected = np.unique(y).tolist()
        classes = np.asarray(getattr(estimator, "classes_", ())).tolist()
        shape = (len(encoded), len(expected))
        if classes != expected:
            raise PerenneError(f"{key}: its classes_ are {classes}, must be {expected} in this order")
    scores = np.asarray(getattr(estimator, task.method)(encoded))
    if scores.shape != shape:
        raise PerenneError(
            f"{key}: {task.method} gives the shape {scores.shape} for {len(encoded)} rows, must be {shape}"
        )
    if not np.isfinite(scores).all():
        raise PerenneError(f"{key}: {task.method} gives {scores[~np.isfinite(scores)][0]}, must be a number")


def explained(error: BaseException) -> PerenneError | None:
    """An error of a fit or a prediction in one line; None if it is none of the user's.

    It is put at the line of the project's code, if that took part, and at the params otherwise.
    """
    if project_code.is_of_project(error):
        return project_code.failed(error, "params.yaml: train.estimator")
    top = type(error).__module__.split(".")[0].lstrip("_")
    if isinstance(error, ValueError | TypeError) or top in boosting.LIBRARIES:
        return PerenneError(f"params.yaml: train.params: {said(error)}")
    return None


def learned_columns(contract: Contract) -> list[str]:
    """The columns that `train` and `card` read."""
    return list(dict.fromkeys([*contract.features, contract.time, contract.target]))


def columns_of(cut: Cut, contract: Contract) -> list[str] | None:
    """The columns that a model of a cut is made of; None: all, as what corrects its scores may be any."""
    return None if cut.recalibrate else learned_columns(contract)


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
    return by_parts.learned_values(rows, contract)


def said(error: BaseException) -> str:
    r"""What an error says, in one line, without when and where in which library it was raised.

    >>> said(ValueError("[15:43:05] /src/a.cc:10: value -4\nStack trace:\n  [bt] (0) 0x7f"))
    'value -4'
    """
    text = " ".join(str(error).split("Stack trace:")[0].split())
    return IN_SOURCE.sub("", text)


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


def made_of(path: Path, cut: Cut, spec: Train, contract: Contract, workers: Workers = HERE) -> Made:
    """The model of a cut: as `made` of the rows of a file, but in parts if the estimator can learn so.

    Parameters
    ----------
    path
        All rows of the part `train`, as a Parquet file.
    cut, spec, contract
        As for `made`.
    workers
        As for `from_file`.

    Raises
    ------
    PerenneError
        As `made`, or if the model scores otherwise after it is stored, see `check_stored`.

    """
    found = None if cut.recalibrate else from_file(path, spec, contract, workers)
    if found is None:
        rows = batches.read_parquet(path, columns_of(cut, contract))
        model_and_card = made(rows, cut, spec, contract, str(path))
    else:
        outcomes = predicted.outcomes(batches.read_parquet(path, [contract.target]), contract)
        known = found.surveyed.known()
        model_and_card = Made(found.pipeline, _card(outcomes, known, spec, contract))
        rows = next(by_parts.Span(path, 0, ROWS_CHECKED).frames(learned_columns(contract)))
    check_stored(*model_and_card, rows, contract)
    return model_and_card


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
        As for `estimators.configured`.

    """
    estimator = estimators.configured(spec, contract)
    categories = [name for name in names if contract.columns[name].type == "category"]
    numbers = [name for name in names if name not in categories]
    native = "categorical_features" in estimator.get_params(deep=False)
    if native:
        estimator.set_params(categorical_features=list(range(len(categories))))
    native = native or boosting.takes_categories(estimator)
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
    takes_nan = estimators.takes_nan(estimator)
    return ColumnTransformer(
        [
            ("categories", ordinal if native else spread, categories),
            ("numbers", "passthrough" if takes_nan else filled, numbers),
        ]
    )


def check_stored(
    pipeline: Pipeline, description: ModelDescription, rows: pd.DataFrame, contract: Contract
) -> None:
    """Check that a model with code of the project in it scores alike after it was stored and loaded.

    What the code keeps may be lost in the file, such as the content of a class that is derived from a list.

    Raises
    ------
    PerenneError
        If a score differs, or the model cannot be stored.

    """
    if not description.trusted:
        return
    again = model_file.stored(pipeline, description.trusted)
    some = rows[:ROWS_CHECKED]
    try:
        before, after = (model.predict(each, some, contract) for each in (pipeline, again))
    except project_code.FAILURES as error:
        raise explained(error) or error from error
    if before.tobytes() != after.tobytes():
        raise PerenneError(
            "train: the model scores otherwise after it is stored and loaded; what "
            f"{', '.join(description.trusted)} keep must be {storable.KEPT}"
        )


def forget_run(model: object) -> None:
    """Take out of a fitted model what it notes of the machine and of its run."""
    for _, part in storable.walk(model):
        boosting.forget(part)
        # Histogram boosting notes how many threads there were; others how many there may be.
        if getattr(part, "_bin_mapper", None) is not None:
            part._bin_mapper.n_threads = 1
        if isinstance(part, BaseEstimator) and getattr(part, "n_jobs", None) not in (None, 1):
            part.n_jobs = 1


def card(rows: pd.DataFrame, spec: Train, contract: Contract) -> ModelDescription:
    """Describe the model for its card: estimator, parameters, training rows, target and features."""
    known = {
        name: sorted(rows[name].dropna().unique())
        for name in contract.features
        if contract.columns[name].type == "category"
    }
    return _card(predicted.outcomes(rows, contract), known, spec, contract)


def _card(
    outcomes: Array, known: Mapping[str, Sequence[str]], spec: Train, contract: Contract
) -> ModelDescription:
    """A card, from the outcomes of all rows, shape (rows,), and the categories seen in training."""
    return ModelDescription(
        estimator=spec.estimator,
        trusted=tuple(sorted({*spec.trusted, *estimators.own_names([spec.estimator, spec.params])})),
        params=spec.params,
        rows=len(outcomes),
        task=contract.task.name,
        target=contract.target,
        mean_target=predicted.mean(outcomes, contract),
        features=tuple(_feature(name, known, contract) for name in contract.features),
    )


def _feature(name: str, known: Mapping[str, Sequence[str]], contract: Contract) -> CardFeature:
    """A feature on the card: a category with all values seen in training."""
    column = contract.columns[name]
    if column.type != "category":
        return CardFeature(name=name, type=column.type, missing=column.missing)
    return CardCategory(name=name, type=column.type, missing=column.missing, categories=tuple(known[name]))


def main() -> None:
    """Write the model file and its card."""
    p = params.load("train")
    contract = read_contract(p.case)
    with opened_for(p.train) as workers:
        found = made_of(TRAIN, Cut.of(p.split, contract), p.train, contract, workers)
    project_code.check_deps("train")
    save_model(*found)
