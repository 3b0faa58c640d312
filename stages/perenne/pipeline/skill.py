"""Skill: whether a model says more than a dummy on validation; if not, the likely cause in one line.

A dummy predicts the mean of the rows that the model learned from. A model without skill passes through every
stage without an error, and often the cause is a single param.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from perenne.common import model, predicted
from perenne.common.contract import Contract
from perenne.common.names import FOLD
from perenne.common.params import Evaluate, Train
from perenne.pipeline.estimators import shown
from perenne.pipeline.folds import PLACES, FoldModel, Validation
from perenne.stats import paired
from perenne.stats.influence import INFLUENCE
from perenne.stats.metrics import METRICS
from perenne.stats.sharing import coded

Array = npt.NDArray[np.float64]

ALPHA = 0.05  # one-sided: a model has skill if the gain is above 0 with this error
FITTED = 0.1  # of the dummy's loss: who gains so much on the rows it learned has fitted them
FAR = 3  # standard errors by which the mean of the predictions must be wrong to be the cause


def warnings(
    pipeline: Pipeline,
    window: pd.DataFrame,
    held: Validation,
    blocks: npt.NDArray[np.generic],
    spec: Evaluate,
    training: Train,
    contract: Contract,
) -> Iterator[str]:
    """What is wrong with the training, a line each; none if the model has skill.

    Parameters
    ----------
    pipeline, window
        The model, and the labelled rows that it learned from.
    held, blocks
        The rows of validation, and the block of each, shape (rows,).
    spec
        On how many rows to look, with which seed.
    training, contract
        How the model was fitted, and what the rows are.

    """
    seen = window.sample(min(len(window), spec.importance_rows), random_state=spec.seed)
    if _constant(pipeline, seen, contract):
        scores = model.predict(pipeline, seen[:1], contract)
        shown = predicted.each_class(np.zeros(1), scores, contract).items()
        score = ", ".join(f"{name} {of_class[0]:.4g}".lstrip() for name, (_, of_class) in shown)
        reason = _stiff(pipeline, window, training, contract)
        yield f"the model is constant, it predicts {score} for every row: {reason}"
        return
    loss, y = contract.task.loss, predicted.outcomes(held.rows, contract)
    codes, count = coded(blocks)
    said = (predicted.scores(held.rows, contract), held.dummies)
    mine, dummy = (INFLUENCE[loss](y, scores) for scores in said)
    gain = paired.gain(loss, mine, dummy, codes, count)
    low, high = gain.bounds(ALPHA)
    if not low > 0:
        bounds = f" (gain {low:.2g} to {high:.2g})" if math.isfinite(low) else ""
        cause = _cause(held, window, count, gain.value, training, contract)
        yield (
            f"the model is not shown to be better than the dummy on validation: {loss} {mine.value:.4g}, "
            f"the dummy's {dummy.value:.4g}{bounds}: {cause}"
        )


def _cause(
    held: Validation, window: pd.DataFrame, blocks: int, gain: float, training: Train, contract: Contract
) -> str:
    """The likely cause of a model that is no better than the dummy."""
    y = predicted.outcomes(held.rows, contract)
    for number, fitted in enumerate(held.models, start=1):
        learned = window[fitted.fold.learned]
        if _constant(fitted.pipeline, learned, contract):
            return (
                f"that of fold {number} is constant: {_stiff(fitted.pipeline, learned, training, contract)}"
            )
    if gain > 0:
        return f"{len(y):,} rows in {blocks:,} blocks are too few to tell"
    level = _level(held, y, contract)
    if level:
        return level
    last = held.models[-1]
    learned = window[last.fold.learned]
    share = _fitted(last, learned, contract)
    if share > FITTED:
        return (
            f"overfitted: it takes {share:.0%} off the dummy's loss on the {len(learned):,} rows that it "
            f"learned from, and not on later ones; {_named(training)}"
        )
    return (
        f"it takes {share:.0%} off the dummy's loss even on the {len(learned):,} rows that it learned from: "
        f"the features say little of {contract.target}, or {_named(training)} is too stiff"
    )


def _constant(pipeline: Pipeline, rows: pd.DataFrame, contract: Contract) -> bool:
    return not np.ptp(model.predict(pipeline, rows, contract).round(PLACES), axis=0).any()


def _stiff(pipeline: Pipeline, rows: pd.DataFrame, training: Train, contract: Contract) -> str:
    """Why a model is constant."""
    estimator = pipeline["model"]
    params = estimator.get_params(deep=False)
    X = model.inputs(rows, contract)
    if type(estimator).__module__.startswith("sklearn.dummy"):
        return f"{type(estimator).__name__} ignores the features"
    if not any(X[name].nunique(dropna=False) > 1 for name in contract.features):
        return f"none of the features varies among the {len(rows):,} rows"
    leaf = params.get("min_samples_leaf")
    if isinstance(leaf, int | float) and 2 * (leaf if leaf >= 1 else leaf * len(rows)) > len(rows):
        return f"{len(rows):,} rows, min_samples_leaf {leaf}"
    coefficients = getattr(estimator, "coef_", None)
    if coefficients is not None and not np.any(coefficients):
        return f"every coefficient is 0; {_named(training)}"
    return f"{len(rows):,} rows; {_named(training)}"


def _level(held: Validation, y: Array, contract: Contract) -> str:
    """Where the model's mean is wrong; empty if by chance, or if it would not help to know the mean."""
    worst, text = float(FAR), ""
    shifted, known = predicted.scores(held.rows, contract).copy(), held.dummies.copy()
    # Each class is a column; else there is one column. These are views: what is shifted is shifted above.
    classes, columns = predicted.each_class(y, shifted, contract), known.reshape(len(known), -1).T
    each = zip(classes.items(), columns, strict=True)
    for ((name, (came, scores)), dummy), number in product(each, range(1, len(held.models) + 1)):
        of_fold = (held.rows[FOLD] == number).to_numpy()
        expected, observed = float(scores[of_fold].mean()), float(came[of_fold].mean())
        error = math.sqrt(float(came[of_fold].var()) / int(of_fold.sum()))
        if error and abs(observed - expected) / error > worst:
            worst = abs(observed - expected) / error
            what = f"{contract.target} = {name}" if name else contract.target
            text = (
                f"it predicts {what} {expected:.4g} on average in fold {number}, and it is "
                f"{observed:.4g} ({dummy[of_fold][0]:.4g} in the rows before): "
                f"what {contract.target} depends on has changed"
            )
        scores[of_fold] += observed - expected
        dummy[of_fold] = observed
    if contract.task.score_range:
        shifted = np.clip(shifted, *contract.task.score_range)
    if shifted.ndim == 2:
        shifted /= shifted.sum(axis=1, keepdims=True)
    prepare, one = METRICS[contract.task.loss].prepare, np.ones(len(y))
    return text if prepare(y, shifted)(one) < prepare(y, known)(one) else ""


def _fitted(fitted: FoldModel, learned: pd.DataFrame, contract: Contract) -> float:
    """The share of the dummy's loss that a model takes off on the rows that it learned from."""
    y = predicted.outcomes(learned, contract)
    prepare, one = METRICS[contract.task.loss].prepare, np.ones(len(y))
    mine = prepare(y, model.predict(fitted.pipeline, learned, contract))(one)
    dummy = prepare(y, predicted.repeated(fitted.mean, len(y)))(one)
    return 1 - mine / dummy if dummy else 0.0


def _named(training: Train) -> str:
    """The estimator and its params, as params.yaml has them."""
    params = ", ".join(f"{name} {value}" for name, value in training.params.items())
    return f"{shown(training.estimator).rpartition('.')[2]}" + (f" with {params}" if params else "")
