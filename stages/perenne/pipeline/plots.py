"""The tables behind the plots of `dvc plots`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_curve

from perenne.common import predicted
from perenne.common.contract import Contract
from perenne.common.slicing import slice_name
from perenne.common.task import Curve
from perenne.documents.evaluation import Evaluation

Array = npt.NDArray[np.float64]

HALF = 0.5  # above, an event is more probable than none
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


def reliability_by_class(y: Array, scores: Array, bins: int, contract: Contract) -> pd.DataFrame:
    """The table of `reliability`; with several classes one below the other, and a column `class`."""
    tables = {
        name: reliability(*both, bins) for name, both in predicted.each_class(y, scores, contract).items()
    }
    return pd.concat([frame.assign(**{"class": name} if name else {}) for name, frame in tables.items()])


def roc(y: Array, scores: Array, bins: int) -> pd.DataFrame:  # noqa: ARG001 -- it has no bins
    """The ROC curve, and the diagonal of a model without skill.

    With several classes it is the mean of the curves of each class against the rest, of those that came: the
    area below it is the metric `roc_auc`.

    Parameters
    ----------
    y, scores
        Outcomes (0 or 1) and predictions, shape (rows,); or places of classes, and shape (rows, classes).
    bins
        Not used.

    Returns
    -------
    `CURVE_POINTS` rows: `x` (false positive rate), `model` (true positive rate), and `reference`, which
    equals `x`.

    """
    at = np.linspace(0, 1, CURVE_POINTS)
    if scores.ndim == 1:
        rate = true_positive_rate(y, scores, at)
    else:
        of_class = np.unique(y).astype(np.intp)
        rate = np.mean([true_positive_rate(y == k, scores[:, k], at) for k in of_class], axis=0)
    return pd.DataFrame({"x": at, "model": rate, "reference": at})


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


def confusion(y: Array, scores: Array, contract: Contract) -> pd.DataFrame:
    """How many rows of each class were taken for which: those that are most probable.

    Parameters
    ----------
    y, scores
        Outcomes and predictions, as `predicted` has them.
    contract
        Names the classes.

    Returns
    -------
    Columns `actual` and `predicted` (classes), `rows`, and `share` among those of the same actual class; no
    row if the target is a quantity.

    """
    if not contract.classes:
        return pd.DataFrame(columns=["actual", "predicted", "rows", "share"])
    taken = scores.argmax(axis=1) if scores.ndim == 2 else (scores >= HALF).astype(np.intp)
    count = len(contract.classes)
    cells = np.bincount(y.astype(np.intp) * count + taken, minlength=count**2).reshape(count, count)
    share = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
    names = [str(name) for name in contract.classes]
    return pd.DataFrame(
        {
            "actual": np.repeat(names, count),
            "predicted": np.tile(names, count),
            "rows": cells.ravel(),
            "share": share.ravel(),
        }
    )


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
