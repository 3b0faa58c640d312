"""Permutation importance: what a model loses if a feature is shuffled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.pipeline import Pipeline

from perenne.common import model, predicted, sklearn_trees
from perenne.common.contract import Contract
from perenne.common.names import FOLD
from perenne.common.params import Evaluate
from perenne.pipeline.folds import PLACES, Validation
from perenne.stats import metrics

Array = npt.NDArray[np.float64]

MOST_LEAVES = 2**24  # of rows that are kept: 128 MB


def importance(held: Validation, spec: Evaluate, contract: Contract) -> pd.DataFrame:
    """The rise of the loss when a feature is shuffled (Breiman 2001), the most important feature first.

    Each fold's model is asked about rows of its own fold, which it did not see.

    Parameters
    ----------
    held
        The rows of validation, of which at most `spec.importance_rows` random ones are used, and the models.
    spec, contract
        How often each feature is shuffled, with which seed; and what the rows are.

    Returns
    -------
    One row per feature: columns `feature`, `importance` (the mean rise) and `sd` over the repeats.

    """
    loss = metrics.METRICS[contract.task.loss].prepare

    sample = held.rows.sample(min(len(held.rows), spec.importance_rows), random_state=spec.seed)
    total = np.zeros((len(contract.features), spec.importance_repeats))
    for number, fitted in enumerate(held.models, start=1):
        rows = sample[sample[FOLD] == number]
        if rows.empty:
            continue
        asked = _asked(fitted.pipeline, model.inputs(rows, contract), contract, spec.importance_repeats)

        def gain(_: Pipeline, shuffled: Any, y: Array, score: Callable[[Any], Array] = asked.score) -> float:
            return -loss(y, score(shuffled))(np.ones(len(y)))

        gains = permutation_importance(
            fitted.pipeline,
            asked.rows,
            predicted.outcomes(rows, contract),
            scoring=gain,
            n_repeats=spec.importance_repeats,
            random_state=spec.seed,
        )
        places = [asked.names.index(name) for name in contract.features]
        total += len(rows) / len(sample) * gains.importances[places]
    frame = pd.DataFrame(
        {"feature": contract.features, "importance": total.mean(axis=1), "sd": total.std(axis=1)}
    )
    return frame.round(PLACES).sort_values(["importance", "feature"], ascending=[False, True])


class _Asked(NamedTuple):
    """Rows, what their columns are, and what scores them when one column was shuffled."""

    rows: Any
    names: Sequence[str]
    score: Callable[[Any], Array]


def _asked(pipeline: Pipeline, X: pd.DataFrame, contract: Contract, repeats: int) -> _Asked:
    """Rows as they are scored soonest: by tables of trees, where a column changes what few of them say."""
    forest = sklearn_trees.tables(pipeline, X.size * repeats if len(X) > 1 else 1)
    if forest is None:
        return _Asked(X, list(X.columns), lambda shuffled: model.score(pipeline, shuffled, contract))
    places, names = forest.places(X), [feature.name for feature in forest.features]
    if len(X) * forest.trees > MOST_LEAVES:
        return _Asked(places, names, forest.score)
    known = forest.known(places)
    return _Asked(places, names, lambda shuffled: forest.score_changed(known, shuffled))
