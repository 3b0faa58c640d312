"""Permutation importance: what a model loses if a feature is shuffled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.pipeline import Pipeline

from perenne.common import model, predicted
from perenne.common.contract import Contract
from perenne.common.names import FOLD
from perenne.common.params import Evaluate
from perenne.pipeline.folds import PLACES, Validation
from perenne.stats import metrics

Array = npt.NDArray[np.float64]


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

    def gain(fitted: Pipeline, X: pd.DataFrame, y: Array) -> float:
        return -loss(y, model.score(fitted, X, contract))(np.ones(len(y)))

    sample = held.rows.sample(min(len(held.rows), spec.importance_rows), random_state=spec.seed)
    total = np.zeros((len(contract.features), spec.importance_repeats))
    for number, fitted in enumerate(held.models, start=1):
        rows = sample[sample[FOLD] == number]
        if rows.empty:
            continue
        gains = permutation_importance(
            fitted.pipeline,
            model.inputs(rows, contract),
            predicted.outcomes(rows, contract),
            scoring=gain,
            n_repeats=spec.importance_repeats,
            random_state=spec.seed,
        )
        total += len(rows) / len(sample) * gains.importances
    frame = pd.DataFrame(
        {"feature": contract.features, "importance": total.mean(axis=1), "sd": total.std(axis=1)}
    )
    return frame.round(PLACES).sort_values(["importance", "feature"], ascending=[False, True])
