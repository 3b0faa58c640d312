"""Encoding: the encoder and the numbers that scikit-learn makes of the rows, whatever is in them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io as sio
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from perenne.common import model, model_file
from perenne.common.contract import Contract
from perenne.pipeline import encoding, train
from tests import tiny

N = 700
TEXT = tiny.CONTRACT.replace("role: [feature, slice], values: [red, blue]", "role: feature, missing: true")


def rows(colours: Any) -> pd.DataFrame:
    """Return rows with such colours, and with missing numbers and dates."""
    rng = np.random.default_rng(0)
    seen = pd.Series(pd.Timestamp("2021-01-31T06:30"), index=range(N)).astype("datetime64[us]")
    return pd.DataFrame(
        {
            "seen": seen,
            "size": pd.Series(rng.random(N)).mask(rng.random(N) < 0.1),
            "colour": pd.Series(colours, dtype="str"),
            "adult": rng.random(N) < 0.5,
            "member": (seen - pd.to_timedelta(rng.integers(0, 99, N), "D")).mask(rng.random(N) < 0.1),
            "won": rng.integers(0, 2, N),
        }
    )


def encoder(contract: Contract, *, native: bool) -> ColumnTransformer:
    """Return the encoder of a model that takes categories, or of one that does not."""
    categories = [name for name in contract.features if contract.columns[name].type == "category"]
    numbers = [name for name in contract.features if name not in categories]
    estimator = HistGradientBoostingClassifier() if native else LogisticRegression()
    return train.encoder(categories, numbers, estimator, native=native)


COLOURS: dict[str, Callable[[], Any]] = {
    "few": lambda: np.random.default_rng(1).choice(["red", "blue", "a very long one", "\u00e9"], N),
    "one": lambda: ["red"] * N,
    "some missing": lambda: [None if n % 7 == 0 else f"colour {n % 5}" for n in range(N)],
    "the first missing": lambda: [None, *["red", "blue"] * (N // 2)][:N],
    "as many as are told apart": lambda: [f"{n % 254:03}" for n in range(N)],
    "as many, and missing ones": lambda: [None, *(f"{n % 254:03}" for n in range(N - 1))],
    "too many": lambda: [f"{n % 300:03}" for n in range(N)],
    "each its own": lambda: [f"{n:03}" for n in range(N)],
}


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("colours", COLOURS.values(), ids=COLOURS.keys())
def test_encoder_and_numbers_are_those_of_scikit_learn(colours: Callable[[], Any], *, native: bool) -> None:
    """To the byte of the file that holds it, and to the bit of each number."""
    contract = tiny.contract(text=TEXT)
    frame = rows(colours())
    quick, its = (encoder(contract, native=native) for _ in range(2))
    made = encoding.fitted(quick, frame, frame["won"], contract)
    expected = its.fit_transform(model.inputs(frame, contract), frame["won"])
    assert made.tobytes() == np.ascontiguousarray(expected).tobytes()
    files = [model_file.dumps(Pipeline([("encode", each)])) for each in (quick, its)]
    assert files[0] == files[1]
    assert sio.get_untrusted_types(data=files[0]) == sio.get_untrusted_types(data=files[1])
    other = model.inputs(rows([None if n % 3 else "red" for n in range(N)]), contract)
    np.testing.assert_array_equal(quick.transform(other), its.transform(other))


def test_no_category_and_one_without_a_value() -> None:
    """A column that has none is not used, but the encoder knows that it was there."""
    contract = tiny.contract(text=TEXT)
    frame = rows([None] * N)
    quick, its = (
        train.encoder([], ["size", "adult", "member"], HistGradientBoostingClassifier(), native=True)
        for _ in range(2)
    )
    made = encoding.fitted(quick, frame, frame["won"], contract)
    expected = its.fit_transform(model.inputs(frame, contract), frame["won"])
    assert made.tobytes() == np.ascontiguousarray(expected).tobytes()
    files = [model_file.dumps(Pipeline([("encode", each)])) for each in (quick, its)]
    assert files[0] == files[1]
