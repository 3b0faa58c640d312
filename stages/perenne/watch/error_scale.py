"""How large a regression's errors are where it is right: by its prediction, its features, and the calendar.

Errors of 3 at weekends and of 1 on weekdays are no change. So each error is divided by the size that errors
of its kind had on validation. What is left has no unit, and its place among those of validation is as good as
uniform, whatever their distribution: a test on places copes with errors without a variance.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from perenne.common import predicted
from perenne.common.contract import Contract
from perenne.common.names import PREDICTION
from perenne.stats.metrics import Array

MOST_CATEGORIES = 250  # of a column; scikit-learn's trees take 255
FEWEST_ROWS = 200  # that tell what explains the size of errors
PARTS = 2  # each part's sizes are learned from the other
FAR = 0.999  # of the errors on validation; what is farther out counts as this far when errors are added up
FEW_FAR = 10  # errors beyond the limit of the tails, expected in a batch
RATIOS = np.geomspace(0.1, 10, 81)  # of errors to those on validation
RARE, COMMON = 0.001, 0.01  # the share of errors beyond it


class ErrorScale:
    """The size of errors, learned from rows that were predicted without being seen.

    Attributes
    ----------
    unit
        The standard deviation of the target on these rows; 1 if it never varies.
    standard
        Their absolute errors in units of their size, in order, shape (rows,).
    far, tail, rare
        The standard errors at which errors are cut, beyond which they are tails, and the share that was
        beyond.
    growth
        How many times larger all errors may be for the squared loss to rise by the tolerance.

    """

    def __init__(self, rows: pd.DataFrame, contract: Contract, *, batch: float, tolerance: float) -> None:
        """Learn from labelled rows with their predictions, of `batch` rows in a period on average."""
        y, error = _errors(rows, contract)
        size = np.abs(error)
        floor = float(np.quantile(size, 0.1)) or float(size.mean()) or 1.0
        self.floor = floor
        self.contract = contract
        self.learned = _fitted(_explained(rows, contract), np.log(size + floor))
        self.unit = float(np.std(y)) or 1.0
        standard = size / self._crossed(rows, size)
        self.standard = np.sort(standard)
        self.rare = min(max(FEW_FAR / max(batch, 1.0), RARE), COMMON)
        self.far, self.tail = (float(np.quantile(self.standard, q)) for q in (FAR, 1 - self.rare))
        loss, dummy = float(np.mean(error**2)), float(np.var(y))
        self.growth = math.sqrt(1 + tolerance * dummy / loss) if loss else math.inf

    def _crossed(self, rows: pd.DataFrame, size: Array) -> Array:
        """The size of each row's error, from rows without it: what is seen fits too well."""
        part = np.arange(len(rows)) % PARTS
        crossed = np.ones(len(rows))
        for k in range(PARTS):
            inside = np.flatnonzero(part == k)
            others = np.flatnonzero(part != k)
            fitted = _fitted(_explained(rows.iloc[others], self.contract), np.log(size[others] + self.floor))
            crossed[inside] = self._size(fitted, rows.iloc[inside])
        return crossed

    def _size(self, fitted: HistGradientBoostingRegressor | float, rows: pd.DataFrame) -> Array:
        if isinstance(fitted, float):
            return np.full(len(rows), math.exp(fitted))
        explained = _explained(rows, self.contract)
        return np.exp(np.asarray(fitted.predict(explained), dtype=np.float64))

    def sizes(self, rows: pd.DataFrame) -> Array:
        """The size of each row's error as validation has it, in the target's unit, shape (rows,)."""
        return self._size(self.learned, rows)

    def errors(self, rows: pd.DataFrame) -> tuple[Array, Array]:
        """Each row's error and its size, both in the unit of the target and of shape (rows,)."""
        return _errors(rows, self.contract)[1], self.sizes(rows)

    def place(self, standard: Array, growth: float = 1.0) -> Array:
        """The share of validation's errors below each, ties half, if those were `growth` times larger."""
        ordered = self.standard * growth if math.isfinite(growth) else np.full(1, math.inf)
        low, high = (np.searchsorted(ordered, standard, side=side) for side in ("left", "right"))
        place: Array = (low + high) / (2 * len(ordered))
        return place

    def grown(self, growth: float) -> float:
        """The mean place of errors that are so many times larger than validation's."""
        if not math.isfinite(growth):
            return 1.0
        return float(self.place(self.standard * growth).mean())

    def ratio(self, place: float) -> float:
        """How many times larger than validation's errors are whose mean place is given: undoes `grown`."""
        return float(np.interp(place, self._places, RATIOS))

    @cached_property
    def _places(self) -> Array:
        """The mean place of errors of each ratio, rising; once, as each costs a pass over validation."""
        return np.maximum.accumulate([self.grown(float(ratio)) for ratio in RATIOS])

    def beyond(self, growth: float) -> float:
        """The share of errors beyond the limit of the tails, if all are so many times larger."""
        return float(np.mean(self.standard * growth > self.tail)) if math.isfinite(growth) else 1.0


def _errors(rows: pd.DataFrame, contract: Contract) -> tuple[Array, Array]:
    y = predicted.outcomes(rows, contract)
    return y, y - predicted.scores(rows, contract)


def _explained(rows: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """What may explain the size of an error: prediction, features, and the calendar."""
    moment = rows[contract.time]
    columns = {
        PREDICTION: predicted.scores(rows, contract),
        "weekday of the row": moment.dt.dayofweek.to_numpy(dtype=np.float64),
        "hour of the row": moment.dt.hour.to_numpy(dtype=np.float64),
    }
    for name in contract.features:
        column = contract.columns[name]
        if name not in rows:
            continue
        if column.type == "category":
            values = rows[name].astype("string")
            known = column.categories or tuple(sorted(values.dropna().unique()))
            if len(known) > MOST_CATEGORIES or not column.categories:
                continue  # an open list of values would get other codes in another batch
            codes = pd.Categorical(values, categories=list(known)).codes.astype(np.float64)
            columns[name] = np.where(codes < 0, np.nan, codes)
        elif column.type == "datetime":
            continue
        else:
            columns[name] = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return pd.DataFrame(columns)


def _fitted(explained: pd.DataFrame, log_size: Array) -> HistGradientBoostingRegressor | float:
    """The log of the size of an error by what explains it; one number where rows are too few."""
    if len(log_size) < FEWEST_ROWS:
        return float(np.mean(log_size)) if len(log_size) else 0.0
    trees = HistGradientBoostingRegressor(
        max_iter=40,
        max_leaf_nodes=8,
        min_samples_leaf=max(50, len(log_size) // 50),
        random_state=0,
        early_stopping=False,
    )
    return trees.fit(explained, log_size)
