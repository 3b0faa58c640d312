"""What texts are, and how numbers and dates are written in them."""

from __future__ import annotations

import pandas as pd
import pytest

from perenne.adopt import values
from perenne.adopt.values import Found, Style


def of(*texts: str, delimiter: str = ",") -> tuple[values.Written, Found]:
    """Return how one column is written, and what it is."""
    written, found = values.written({"x": values.distinct(pd.Series(texts, dtype="str"))}, delimiter)
    return written, found["x"]


@pytest.mark.parametrize(
    ("texts", "delimiter", "style", "strip"),
    [
        (["1.5", "-2", "3e5"], ",", Style(".", ""), ()),
        (["1,5", "2,25"], ";", Style(",", ""), ()),
        (["1,200", "34", "5,600.75"], ",", Style(".", ","), ()),
        (["$1,200", "$3", "-$4.50"], ",", Style(".", ","), ("$",)),
        (["1.234,50 €", "12,00 €"], ",", Style(",", "."), ("€",)),
        (["1 234,5", "22,0"], ";", Style(",", " "), ()),
        (["1\u202f234,5", "22,0"], ";", Style(",", " "), ()),
        (["1'234.5", "22.0"], ";", Style(".", "'"), ()),
        (["(1,200)", "300.5"], ",", Style(".", ","), ("()",)),
        (["12 kg", "13.5 kg"], ",", Style(".", ""), ("kg",)),
        (["45 %", "3.2%"], ",", Style(".", ""), ("%",)),
        (["1,200"], ";", Style(",", ""), ()),
        (["1,200"], ",", Style(".", ","), ()),
    ],
)
def test_numbers_are_read_as_they_are_written(
    texts: list[str], delimiter: str, style: Style, strip: tuple[str, ...]
) -> None:
    """Decimal mark, thousands, and what stands beside; the file's delimiter decides where both would do."""
    written, found = of(*texts, delimiter=delimiter)
    assert (written.style, written.strip, found.kind) == (style, strip, "number")


def test_one_style_holds_for_the_whole_file() -> None:
    """`1.234` is a number by itself; beside `1,5` it has thousands."""
    columns = {"a": ["1.234", "5.678"], "b": ["1,5", "2,25"]}
    counts = {name: values.distinct(pd.Series(texts, dtype="str")) for name, texts in columns.items()}
    written, found = values.written(counts, ";")
    assert written.style == Style(",", ".")
    assert {name: one.kind for name, one in found.items()} == {"a": "number", "b": "number"}


@pytest.mark.parametrize("marker", ["?", "-", "n.a.", "#DIV/0!", "Unknown"])
def test_a_marker_among_numbers_is_a_missing_value(marker: str) -> None:
    """And no reason to call the column one of words."""
    written, found = of(*["5", "6", "7"] * 10, marker, marker)
    assert found.kind == "integer"
    assert written.missing == (marker,)


def test_few_slips_of_the_pen_do_not_change_a_column() -> None:
    """One in a hundred is for the contract to refuse; a fifth makes it a column of words."""
    assert of(*["5", "6"] * 60, "oops")[1].kind == "number"
    assert of(*["5", "6"] * 4, "oops", "what")[1].kind == "category"


@pytest.mark.parametrize(
    ("texts", "dates", "either"),
    [
        (["2021-12-31", "2021-01-02T10:00:00Z"], (), False),
        (["31/12/2021", "01/02/2021"], ("%d/%m/%Y",), False),
        (["12/31/2021", "01/02/2021"], ("%m/%d/%Y",), False),
        (["01/02/2021", "03/04/2021"], ("%d/%m/%Y",), True),
        (["05/05/2021", "06/06/2021"], ("%d/%m/%Y",), False),  # both orders say the same
        (["31.12.2021 14:30", "01.02.2021 08:00"], ("%d.%m.%Y %H:%M",), False),
        (["12/31/2021 3:00 PM", "1/2/2021 11:59 AM"], ("%m/%d/%Y %I:%M %p",), False),
        (["3 Jan 2021", "14 Feb 2022"], ("%d %b %Y",), False),
    ],
)
def test_dates_are_read_as_they_are_written(texts: list[str], dates: tuple[str, ...], either: bool) -> None:  # noqa: FBT001 -- a parameter
    """One day above the twelfth tells which comes first; without one, a person has to."""
    found = of(*texts)[1]
    assert (found.kind, found.dates, bool(found.either)) == ("datetime", dates, either)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["yes", "no"], None),
        (["True", "False"], None),
        (["Oui", "Non"], ("Non", "Oui")),
        (["ja", "nein"], ("nein", "ja")),
        (["no", "sí"], ("no", "sí")),
        (["Y", "N"], ("N", "Y")),
    ],
)
def test_yes_and_no_are_a_boolean(texts: list[str], words: tuple[str, str] | None) -> None:
    """In several languages, as they are spelled; what the contract reads anyway needs no words."""
    found = of(*texts * 5)[1]
    assert (found.kind, found.words) == ("boolean", words)


@pytest.mark.parametrize(
    "texts", [["0", "1"], ["good", "bad"], ["red", "green", "blue"], ["A12", "B7"], ["12-B", "13-C"]]
)
def test_what_may_be_anything_is_no_boolean_and_no_number(texts: list[str]) -> None:
    """Zero and one may be a count; letters before digits are a code."""
    assert of(*texts * 5)[1].kind == ("integer" if texts[0] == "0" else "category")


@pytest.mark.parametrize(
    ("numbers", "unit"),
    [
        ([1999, 2021], "%Y"),
        ([1_500_000_000, 1_600_000_000], "seconds"),
        ([1_500_000_000_000, 1_600_000_000_000], "milliseconds"),
        ([1, 2021], None),
    ],
)
def test_integers_may_count_time(numbers: list[int], unit: str | None) -> None:
    """Years, or seconds or milliseconds since 1970."""
    assert values.since(pd.Series(numbers)) == unit
