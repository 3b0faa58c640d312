"""Columns as batches have them: one plain type each, and text where a column mixes types."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from perenne.cases.reading import plain
from perenne.common.errors import PerenneError
from perenne.common.reading import Read

WHEN = datetime(2021, 3, 31, 13, 5)


@pytest.mark.parametrize(
    ("values", "kind", "found"),
    [
        ([1, None], "int64", [1, None]),
        ([1, 2.5], "double", [1.0, 2.5]),
        ([math.nan, 1.5], "double", [None, 1.5]),
        ([True, None], "bool", [True, None]),
        (["a", None], "string", ["a", None]),
        ([WHEN, None], "timestamp[us]", [WHEN, None]),
        ([None, None], "null", [None, None]),
        ([True, 1, 2.0, "x"], "string", ["true", "1", "2", "x"]),
        ([math.nan, "x"], "string", [None, "x"]),
        ([WHEN, "x"], "string", ["2021-03-31 13:05:00.000000", "x"]),
        ([2**70, 1], "string", [str(2**70), "1"]),
        ([2**53 + 1, 0.5], "string", [str(2**53 + 1), "0.5"]),
    ],
)
def test_values_of_python_become_a_column(values: list[object], kind: str, found: list[object]) -> None:
    """Of the type that they share, else as text; no digit is lost."""
    column = plain.column(values, "a.json: column 'x'", Read())
    assert (str(column.type), column.to_pylist()) == (kind, found)


def test_rows_cut_in_two_mix_to_the_same_text() -> None:
    """What is text in a file whole is what Arrow makes of its halves when they meet as text."""
    values: list[object] = [1, 20.0, 0.1, 1e20, 1.5e-7, True, WHEN]
    whole = plain.column([*values, "x"], "", Read()).to_pylist()[:-1]
    assert whole == [plain.column([value], "", Read()).cast(pa.string()).to_pylist()[0] for value in values]


def test_value_within_a_value_is_named_with_its_row() -> None:
    """As the file counts it."""
    with pytest.raises(PerenneError) as caught:
        plain.column([1, None, [2]], "a.json: column 'x'", Read(), first=11)
    assert str(caught.value).startswith(
        "a.json: column 'x': row 13: [2] is a value within a value; use a number"
    )


def test_number_as_text_is_written_as_the_file_writes_numbers() -> None:
    """A float among texts, and a decimal."""
    read = Read(decimal=",")
    assert plain.column([1.5, "2,5"], "", read).to_pylist() == ["1,5", "2,5"]
    money = pa.chunked_array([[Decimal("1.50"), Decimal("2.00")]])
    assert plain.plain(money, "", read).to_pylist() == ["1,50", "2"]
    assert plain.plain(money, "", Read()).to_pylist() == ["1.50", "2"]


def test_column_must_be_there_once() -> None:
    """The line names the nearest, and what may be the reason."""
    plain.check("a.csv", ["x", "y"], ["y"])
    with pytest.raises(
        PerenneError, match=r"^a.csv: no column 'xx'; did you mean 'x'. Valid: x, y; as it is$"
    ):
        plain.check("a.csv", ["x", "y"], ["xx"], "; as it is")
    with pytest.raises(PerenneError, match=r"^a.csv: 2 columns have the name 'x'; keep one$"):
        plain.check("a.csv", ["x", "x"], ["x"])
