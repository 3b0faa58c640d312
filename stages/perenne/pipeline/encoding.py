"""Encode the rows that a model learns from: what the pipeline's encoder makes of them, in less time.

An `OrdinalEncoder` with `max_categories` counts the rows of each category one by one in Python, and takes
each category as a Python object. Where no column has so many categories, the counts decide nothing: so it is
fitted on one row for each category, and the rows are encoded by their codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.preprocessing import OrdinalEncoder

from perenne.common import model
from perenne.common.contract import Contract

Array = npt.NDArray[np.float64]


def fitted(encoder: ColumnTransformer, rows: pd.DataFrame, y: npt.ArrayLike, contract: Contract) -> Array:
    """Fit an encoder, and return what it makes of the rows, shape (n, columns that the estimator takes).

    Parameters
    ----------
    encoder
        As `train.encoder` makes it; it is fitted, to the same state as by `fit`.
    rows
        Labelled rows of the contract.
    y
        Their outcomes, shape (n,).
    contract
        What the rows are.

    """
    _, _, categories = encoder.transformers[0]
    seen = {name: pd.factorize(rows[name]) for name in categories}
    shown = {
        name: [*known, *([np.nan] if (codes < 0).any() else [])] for name, (codes, known) in seen.items()
    }
    if not categories or not fitted_on_few(encoder, shown, contract):
        return np.asarray(encoder.fit_transform(model.inputs(rows, contract), y))
    return FrameEncoder.of(encoder, contract).encoded(rows, seen)


def fitted_on_few(
    encoder: ColumnTransformer, shown: Mapping[str, Sequence[object]], contract: Contract
) -> bool:
    """Fit an encoder on the values of each category, if their numbers of rows decide nothing.

    Parameters
    ----------
    encoder
        As `train.encoder` makes it; it is fitted, to the same state as by `fit` on all rows.
    shown
        The values of each category in the rows, NaN if one is missing.
    contract
        What the rows are.

    Returns
    -------
    bool
        Whether it is fitted.

    """
    (_, kind, categories), (_, of_numbers, _) = encoder.transformers
    plain = isinstance(kind, OrdinalEncoder) and of_numbers == "passthrough"
    most = max([1, *(len(set(shown[name]) - {np.nan}) + 1 for name in categories)])
    if not plain or most > kind.max_categories:
        return False
    few = {name: np.zeros(most) for name in contract.features}
    for name in contract.features:
        if contract.columns[name].type == "category":
            values = [*shown.get(name, ())] or [np.nan]
            few[name] = np.resize(np.array(values, dtype=object), most)
    encoder.fit(pd.DataFrame(few))
    return True


class FrameEncoder(NamedTuple):
    """What a fitted encoder does to numbers and to categories that it has seen, in any process.

    `categories` has the number of each value, by column; `numbers` are the other features.
    """

    categories: dict[str, dict[object, float]]
    numbers: tuple[str, ...]
    contract: Contract

    @classmethod
    def of(cls, encoder: ColumnTransformer, contract: Contract) -> FrameEncoder:
        """That of an encoder that `fitted_on_few` has fitted."""
        (_, _, categories), (_, _, numbers) = encoder.transformers
        places = encoder.named_transformers_["categories"].categories_ if categories else []
        known = {
            name: {value: float(place) for place, value in enumerate(values.tolist())}
            for name, values in zip(categories, places, strict=True)
        }
        return cls(known, tuple(numbers), contract)

    def encoded(
        self, rows: pd.DataFrame, seen: dict[str, tuple[npt.NDArray[np.intp], pd.Index]] | None = None
    ) -> Array:
        """Rows as the estimator takes them, shape (n, features); categories first, NaN where one is missing.

        Parameters
        ----------
        rows
            Typed rows of the contract.
        seen
            Their categories as `pandas.factorize` gives them, if known; they are taken out, to be freed.

        """
        encoded = np.empty((len(rows), len(self.categories) + len(self.numbers)))
        for at, (name, number) in enumerate(self.categories.items()):
            codes, values = seen.pop(name) if seen else pd.factorize(rows[name])
            # A missing value has the code -1, which is the last one here.
            encoded[:, at] = np.array([*(number[value] for value in values), np.nan])[codes]
        for at, name in enumerate(self.numbers, start=len(self.categories)):
            encoded[:, at] = model.feature(rows, name, self.contract)
        return encoded
