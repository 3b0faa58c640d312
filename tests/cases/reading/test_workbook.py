"""Excel: a sheet with a header, its cells as their types say."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perenne.cases import reading
from perenne.common.reading import Read
from tests.cases.reading.written import rows, saved, wrong, zipped

CELLS = {
    "id": [1, 2, 3],
    "when": [datetime(2021, 1, 2), datetime(2021, 3, 4, 10, 30), None],
    "size": [1.5, None, 3.0],
    "code": ["NA", "b", 7],
    "is_new": [True, False, True],
}


def excel(path: Path, cells: dict[str, Any], sheet: str = "Sheet1") -> Path:
    """Write a workbook and return its path."""
    pd.DataFrame(cells, dtype=object).to_excel(path, index=False, sheet_name=sheet)
    return path


def test_cells_have_their_types(tmp_path: Path) -> None:
    """An empty cell and the usual words for it are missing; a column of several types is text."""
    path = excel(tmp_path / "a.xlsx", CELLS)
    (piece,) = reading.pieces(path, Read())
    assert [str(field.type) for field in piece.schema] == [
        "int64",
        "timestamp[us]",
        "double",
        "string",
        "bool",
    ]
    assert piece.to_pydict() == CELLS | {"code": [None, "b", "7"]}


def test_dates_among_texts_are_iso(tmp_path: Path) -> None:
    """Half of the cells are dates, half are what somebody typed."""
    path = excel(tmp_path / "a.xlsx", {"when": [datetime(2021, 1, 2, 10), "31/12/2021"], "n": [1.5, "2,5"]})
    assert rows(path, Read(decimal=",")) == [
        {"when": "2021-01-02 10:00:00.000000", "n": "1,5"},
        {"when": "31/12/2021", "n": "2,5"},
    ]


def test_sheet_is_the_first_or_the_one_that_the_contract_names(tmp_path: Path) -> None:
    """One that is not there is named with those that are."""
    path = tmp_path / "a.xlsx"
    with pd.ExcelWriter(path) as writer:
        for name, value in (("Notes", "x"), ("Data", "y")):
            pd.DataFrame({"a": [value]}).to_excel(writer, index=False, sheet_name=name)
    assert rows(path) == [{"a": "x"}]
    assert rows(path, Read(sheet="Data")) == [{"a": "y"}]
    assert (
        wrong(path, Read(sheet="data")) == "a.xlsx: no sheet 'data'; did you mean 'Data'? Valid: Data, Notes"
    )


def test_header_may_hold_numbers_and_rows_may_be_empty(tmp_path: Path) -> None:
    """Years as names of columns; blank rows between others are no rows."""
    path = tmp_path / "a.xlsx"
    pd.DataFrame([["id", 2021], [1, 5], [None, None], [2, 6]]).to_excel(path, index=False, header=False)
    assert rows(path) == [{"id": 1, "2021": 5}, {"id": 2, "2021": 6}]


def test_column_is_there_once(tmp_path: Path) -> None:
    """Not renamed in silence."""
    path = tmp_path / "a.xlsx"
    pd.DataFrame([["id", "id"], [1, 5]]).to_excel(path, index=False, header=False)
    assert wrong(path, columns=["id"]) == "a.xlsx: 2 columns have the name 'id'; keep one"
    assert wrong(path, columns=["size"]) == "a.xlsx: no column 'size'; valid: id, id"


def test_file_that_is_no_workbook_is_one_line(tmp_path: Path) -> None:
    """Truncated, empty, another format, or with a password."""
    whole = excel(tmp_path / "a.xlsx", CELLS).read_bytes()
    said = "b.xlsx: not a readable Excel file (truncated, or another format?): "
    for content in (whole[: len(whole) // 2], whole[:-30], b"", b"PK\x03\x04", b"id,size\n"):
        assert wrong(saved(tmp_path / "b.xlsx", content)).startswith(said)
    assert wrong(zipped(tmp_path / "b.xlsx", {"a.csv": "a"})).startswith(said)
    secret = saved(tmp_path / "b.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    assert wrong(secret) == "b.xlsx: is an old .xls, or has a password; save it as .xlsx without one"
    pd.DataFrame().to_excel(tmp_path / "b.xlsx", index=False)
    assert wrong(tmp_path / "b.xlsx", columns=["a"]) == "b.xlsx: is empty; must hold at least the columns a"


def test_missing_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says how to install it."""
    path = excel(tmp_path / "a.xlsx", CELLS)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert wrong(path).startswith(
        "a.xlsx: needs openpyxl, which is not installed; make dev installs it, and so "
    )
    assert "perenne[excel]" in wrong(path)
