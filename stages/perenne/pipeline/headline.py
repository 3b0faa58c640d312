"""The headline figure that people outside the team know the model by, observed and predicted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import periods, predicted
from perenne.common.contract import Contract
from perenne.stats import survival
from perenne.stats.metrics import hits

Array = npt.NDArray[np.float64]


def figures(rows: pd.DataFrame, scores: Array, contract: Contract) -> dict[str, Callable[[Array], float]]:
    """The headline figure, from the labels and from the predictions, as functions of the rows' weights.

    It is the contract's figure, or else the mean of the target. Of several classes it is the share of rows
    whose most probable class came, beside the mean of that class's probability.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,) or (rows, classes).
    contract
        May define the figure.

    Returns
    -------
    `observed` and `predicted`: functions from weights, shape (rows,), to a number.

    """
    y = predicted.outcomes(rows, contract)
    events = {"observed": y, "predicted": scores}
    if scores.ndim == 2:
        events = {"observed": hits(y, scores), "predicted": scores.max(axis=1)}
    if not contract.headline:
        return {name: weighted_mean(event) for name, event in events.items()}
    along = rows[contract.headline.along].to_numpy()
    ages = {"first": contract.headline.first, "last": contract.headline.last, "step": contract.headline.step}
    return {name: survival.prepare(along, event, **ages) for name, event in events.items()}


def name(contract: Contract) -> str:
    """What reports call the figure."""
    if contract.headline:
        return contract.headline.figure
    return "accuracy" if contract.task.outcome == "class" else f"mean_{contract.target}"


def weighted_mean(values: Array) -> Callable[[Array], float]:
    """A function from weights, shape (rows,), to the weighted mean of the values, shape (rows,)."""
    # Not `weights @ values`: BLAS may use threads, which cost time here and change the last digits.
    return lambda weights: float((weights * values).sum() / weights.sum())


def timeline(rows: pd.DataFrame, scores: Array, contract: Contract) -> pd.DataFrame:
    """The headline figure by period, observed and predicted.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,).
    contract
        Its period is the length of a step.

    Returns
    -------
    Columns `period`, `observed` and `predicted`.

    """
    lines = []
    for period, i in rows.groupby(
        periods.of(rows[contract.time], contract.period, contract.zone)
    ).indices.items():
        by_name = figures(rows.iloc[i], scores[i], contract)
        values = {name: figure(np.ones(len(i))) for name, figure in by_name.items()}
        lines.append({"period": str(period)} | values)
    return pd.DataFrame(lines)
