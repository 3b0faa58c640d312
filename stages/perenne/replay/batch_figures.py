"""How a model did on a batch, by its labels: its loss, what came and what it expected."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common import predicted
from perenne.common.contract import Contract
from perenne.documents.replay import Figures
from perenne.pipeline import headline
from perenne.stats import metrics

Array = npt.NDArray[np.float64]

FEWEST = 100  # rows of one of several classes: with fewer, chance alone is as large as the band `costs.RIGHT`


def figures(rows: pd.DataFrame, scores: Array, contract: Contract) -> Figures:
    """The figures of a batch.

    Parameters
    ----------
    rows, scores
        Labelled rows of the contract, and their predictions, shape (rows,), or (rows, classes) where there
        are several.
    contract
        What the rows are.

    """
    y = predicted.outcomes(rows, contract)
    loss = metrics.METRICS[contract.task.metrics[0]].prepare(y, scores)(np.ones(len(y)))
    views = predicted.each_class(y, scores, contract).values()
    observed = tuple(float(came.sum()) for came, _ in views)
    expected = tuple(float(chance.sum()) for _, chance in views)
    by_name = headline.figures(rows, scores, contract)
    shown = [by_name[name](np.ones(len(y))) for name in ("observed", "predicted")]
    if predicted.several(contract):
        return Figures(len(y), loss, observed, expected, *shown)
    return Figures(len(y), loss, observed[0], expected[0], *shown)


def restored(items: Iterable[Any]) -> Figures:
    """Figures from JSON, which has lists where those of several classes are tuples."""
    values: list[Any] = [tuple(item) if isinstance(item, list) else item for item in items]
    return Figures(*values)


def about(contract: Contract) -> str:
    """What the headline figure is."""
    if contract.headline:
        return contract.headline.about
    if predicted.several(contract):
        return "share of rows whose most probable class came"
    return f"mean of {contract.target}"


def sides(figures: Figures) -> list[tuple[float, float]]:
    """Observed and expected; of several classes those of each with rows enough to tell, perhaps of none.

    >>> sides(Figures(300, 0.9, (110.0, 180.0, 10.0), (100.0, 198.0, 2.0), 0.6, 0.7))
    [(110.0, 100.0), (180.0, 198.0)]
    """
    observed, expected = figures.observed, figures.expected
    if isinstance(observed, tuple) and isinstance(expected, tuple):
        return [pair for pair in zip(observed, expected, strict=True) if max(pair) >= FEWEST]
    if isinstance(observed, tuple) or isinstance(expected, tuple):
        raise TypeError(f"expected a number for each class on both sides, received {figures}")
    return [(observed, expected)]


def ratio(figures: Figures) -> float:
    """Observed / expected; of several classes that of the class that is farthest off. NaN if none is known.

    >>> ratio(Figures(300, 0.9, (110.0, 180.0, 10.0), (100.0, 198.0, 2.0), 0.6, 0.7))
    1.1
    """
    known = [observed / expected for observed, expected in sides(figures) if expected]
    return max(known, key=lambda each: abs(each - 1), default=math.nan)
