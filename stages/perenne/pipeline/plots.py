"""The tables behind the plots of `dvc plots`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_curve

from perenne.common.slicing import slice_name
from perenne.common.task import Curve
from perenne.documents.evaluation import Evaluation

Array = npt.NDArray[np.float64]

CURVE_POINTS = 200  # of the ROC curve: more than a plot can show


def reliability(y: Array, scores: Array, bins: int) -> pd.DataFrame:
    """Mean prediction and mean outcome in equally large groups of rows, ordered by prediction.

    Rows with equal predictions are always in the same group: their order says nothing about the model.

    Parameters
    ----------
    y, scores
        Outcomes and predictions, shape (rows,).
    bins
        The number of groups; ties can leave fewer.

    Returns
    -------
    One row per group: columns `predicted`, `observed`, and `perfect`, which equals `predicted`.

    """
    rank = pd.Series(scores).rank().to_numpy() - 0.5
    group = rank * bins // len(scores)
    frame = pd.DataFrame({"predicted": scores, "observed": y}).groupby(group).mean()
    return frame.assign(perfect=frame["predicted"])


def roc(y: Array, scores: Array, bins: int) -> pd.DataFrame:  # noqa: ARG001 -- it has no bins
    """The ROC curve, and the diagonal of a model without skill.

    Parameters
    ----------
    y, scores
        Outcomes (0 or 1) and predictions, shape (rows,).
    bins
        Not used.

    Returns
    -------
    `CURVE_POINTS` rows: `x` (false positive rate), `model` (true positive rate), and `reference`, which
    equals `x`.

    """
    at = np.linspace(0, 1, CURVE_POINTS)
    return pd.DataFrame({"x": at, "model": true_positive_rate(y, scores, at), "reference": at})


def residuals(y: Array, scores: Array, bins: int) -> pd.DataFrame:
    """The mean residual by prediction, and the zero line of a perfect model.

    Parameters
    ----------
    y, scores
        Outcomes and predictions, shape (rows,).
    bins
        The number of groups, as for `reliability`.

    Returns
    -------
    Columns `x` (mean prediction), `model` (mean of outcome minus prediction), and `reference`, which is 0.

    """
    frame = reliability(y, scores, bins)
    residual = frame["observed"] - frame["predicted"]
    return pd.DataFrame({"x": frame["predicted"], "model": residual, "reference": 0.0})


CURVES: Mapping[Curve, Callable[[Array, Array, int], pd.DataFrame]] = {"roc": roc, "residuals": residuals}


def true_positive_rate(y: Array, scores: Array, at: Array) -> Array:
    """The true positive rate at each false positive rate, interpolated; NaN if `y` has only one class.

    Parameters
    ----------
    y, scores
        Outcomes (0 or 1) and predictions, shape (rows,).
    at
        False positive rates in [0, 1], shape (n,).

    Returns
    -------
    Shape (n,).

    """
    if not 0 < y.mean() < 1:
        return np.full(len(at), np.nan)
    false_positive, true_positive, _ = roc_curve(y, scores)
    rate: Array = np.interp(at, false_positive, true_positive)
    return rate


def by_slice(report: Evaluation) -> pd.DataFrame:
    """One row per slice: its number of rows, and its loss, which is the first of its metrics.

    Returns
    -------
    Columns `slice` (as `slice_name` writes it), `rows` and `loss`.

    """
    lines = [
        (slice_name(column, value or None), part.rows, next(iter(part.metrics.values())).value)
        for column, parts in report.slices.items()
        for value, part in parts.items()
    ]
    return pd.DataFrame(lines, columns=["slice", "rows", "loss"])
