"""Arrow and Feather beside Parquet: files that know their types."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from perenne.common.reading import Read
from tests.cases.reading.written import rows, saved, wrong

ROWS = pa.table({"a": pa.array([1, 2], pa.int8()), "b": pa.array(["x", None]).dictionary_encode()})


@pytest.mark.parametrize("name", ["a.arrow", "a.feather"])
def test_file_that_is_cut_is_named(name: str, tmp_path: Path) -> None:
    """Wherever it ends; so is one of another format."""
    feather.write_feather(ROWS, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    assert rows(tmp_path / name) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    kind = name[2:].capitalize()
    for content in (whole[:-3], whole[: len(whole) // 2], b"", b"id,size\n1,2\n"):
        line = wrong(saved(tmp_path / name, content))
        assert line.startswith(f"{name}: not a readable {kind} file (truncated, or another format?): ")


def test_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As in other kinds."""
    feather.write_feather(ROWS, tmp_path / "a.arrow")
    assert wrong(tmp_path / "a.arrow", columns=["A"]) == "a.arrow: no column 'A'; valid: a, b"


def test_decimals_are_written_as_the_texts_of_the_file_are(tmp_path: Path) -> None:
    """They are text until the contract says what they are, and that reads texts by its decimal."""
    money = pa.table({"a": pa.array([Decimal("1.50"), Decimal("2.00")])})
    pq.write_table(money, tmp_path / "a.parquet")
    assert [row["a"] for row in rows(tmp_path / "a.parquet", Read(decimal=","))] == ["1,50", "2"]
