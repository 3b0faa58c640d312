"""Outcomes and predictions in a frame: one number, or one for each of several classes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from perenne.common import predicted
from perenne.common.contract import Contract
from tests import classes, tiny

CROPS, EVENT = classes.contract(), tiny.contract()
QUANTITY = tiny.contract(
    "integer, role: target, values: [0, 1]",
    "number, role: target",
    tiny.CONTRACT.replace("task: binary", "task: regression"),
)
NUMBERS = classes.contract(
    "category, role: target, values: [wheat, maize, rye]", "integer, role: target, values: [4, 2, 3]"
)
TABLE = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])


def test_columns_name_the_classes_as_the_contract_does() -> None:
    """One column without several classes."""
    assert predicted.columns(CROPS) == ["prediction: wheat", "prediction: maize", "prediction: rye"]
    assert predicted.columns(NUMBERS) == ["prediction: 4", "prediction: 2", "prediction: 3"]
    assert predicted.columns(EVENT) == predicted.columns(QUANTITY) == ["prediction"]


def test_what_is_assigned_is_read_back() -> None:
    """In the order of the classes; the rows that were given stay as they were."""
    rows = pd.DataFrame({"crop": ["rye", "wheat"]}, index=[7, 7])
    made = predicted.assign(rows, TABLE, CROPS)
    assert list(rows) == ["crop"]
    assert made["prediction: rye"].tolist() == [0.2, 0.7]
    assert predicted.scores(made, CROPS).tolist() == TABLE.tolist()
    one = predicted.assign(pd.DataFrame({"won": [0, 1]}), TABLE[:, 0], EVENT)
    assert predicted.scores(one, EVENT).tolist() == [0.5, 0.1]


@pytest.mark.parametrize("contract", [CROPS, EVENT], ids=["classes", "event"])
def test_a_number_stands_for_all(contract: Contract) -> None:
    """Such as NaN where nothing is predicted."""
    rows = predicted.assign(pd.DataFrame({"x": [1, 2]}), np.nan, contract)
    assert np.isnan(predicted.scores(rows, contract)).all()
    assert predicted.scored(rows, contract).tolist() == [False, False]
    assert predicted.unknown(2, contract).shape == predicted.scores(rows, contract).shape
    assert np.isnan(predicted.unknown(2, contract)).all()


def test_outcomes_are_places_of_classes() -> None:
    """What is not known, or none of them, is NaN; known ones lead back to the values."""
    crops = pd.DataFrame({"crop": pd.Series(["rye", None, "wheat", "oats"], dtype="str")})
    assert predicted.outcomes(crops, CROPS).tolist() == pytest.approx([2, np.nan, 0, np.nan], nan_ok=True)
    numbers = pd.DataFrame({"crop": pd.Series([3, None, 4], dtype="Int64")})
    assert predicted.outcomes(numbers, NUMBERS).tolist() == pytest.approx([2, np.nan, 0], nan_ok=True)
    assert predicted.values(np.array([2.0, 0.0]), CROPS).tolist() == ["rye", "wheat"]
    assert predicted.values(np.array([2.0, 0.0]), NUMBERS).tolist() == [3, 4]
    won = pd.DataFrame({"won": [0, 1]})
    assert predicted.outcomes(won, EVENT).tolist() == [0.0, 1.0]
    assert predicted.values(np.array([0.5]), QUANTITY).tolist() == [0.5]


def test_the_mean_is_what_a_dummy_predicts() -> None:
    """The share of each class, also of one that did not come; else a number."""
    places = np.array([0.0, 0.0, 2.0, 0.0])
    assert predicted.mean(places, CROPS) == (0.75, 0.0, 0.25)
    assert predicted.repeated((0.75, 0.0, 0.25), 2).tolist() == [[0.75, 0.0, 0.25]] * 2
    assert predicted.mean(np.array([0.0, 1.0]), EVENT) == 0.5
    assert predicted.repeated(0.5, 3).tolist() == [0.5] * 3


def test_each_class_stands_against_the_rest() -> None:
    """Whether it came, and its probability; without several classes all is as it is."""
    y = np.array([2.0, 0.0])
    found = predicted.each_class(y, TABLE, CROPS)
    assert {name: (came.tolist(), p.tolist()) for name, (came, p) in found.items()} == {
        "wheat": ([0, 1], [0.5, 0.1]),
        "maize": ([0, 0], [0.3, 0.2]),
        "rye": ([1, 0], [0.2, 0.7]),
    }
    assert list(predicted.each_class(y, TABLE, NUMBERS)) == ["4", "2", "3"]
    (same,) = predicted.each_class(y, TABLE[:, 0], QUANTITY).items()
    assert same[0] == ""
    assert same[1][0] is y
