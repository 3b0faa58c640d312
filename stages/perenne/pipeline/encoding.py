"""Encode the rows that a model learns from: what the pipeline's encoder makes of them, in less time.

An `OrdinalEncoder` with `max_categories` counts the rows of each category one by one in Python, and takes
each category as a Python object. Where no column has so many categories, the counts decide nothing: so it is
fitted on one row for each category, and the rows are encoded by their codes.
"""

from __future__ import annotations

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
    (_, kind, categories), (_, of_numbers, numbers) = encoder.transformers
    seen = {name: pd.factorize(rows[name]) for name in categories}
    counts = [len(known) + 1 for _, known in seen.values()]  # and one for a missing value
    plain = isinstance(kind, OrdinalEncoder) and of_numbers == "passthrough" and bool(categories)
    if not plain or max(counts) > kind.max_categories:
        return np.asarray(encoder.fit_transform(model.inputs(rows, contract), y))
    few = {name: np.zeros(max(counts)) for name in contract.features}
    for name in contract.features:
        if contract.columns[name].type == "category":
            codes, known = seen.get(name, (np.array([-1]), []))
            shown = [*known, *([np.nan] if (codes < 0).any() else [])]
            few[name] = np.resize(np.array(shown, dtype=object), max(counts))
    encoder.fit(pd.DataFrame(few), y)
    encoded = np.empty((len(rows), len(categories) + len(numbers)))
    places = encoder.named_transformers_["categories"].categories_
    for at, (name, known) in enumerate(zip(categories, places, strict=True)):
        codes, values = seen.pop(name)
        number = {value: place for place, value in enumerate(known.tolist())}
        # A missing value has the code -1, which is the last one here.
        encoded[:, at] = np.array([*(number[value] for value in values), np.nan], dtype=np.float64)[codes]
    for at, name in enumerate(numbers, start=len(categories)):
        encoded[:, at] = model.feature(rows, name, contract)
    return encoded
