"""Which files are read, which of their columns, and in how many rows at a time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from perenne.common import names
from perenne.common.errors import PerenneError
from perenne.predict import inputs
from perenne.predict.inputs import given, needed
from tests import tiny


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make an empty folder the current one."""
    monkeypatch.chdir(tmp_path)


def test_features_entity_and_the_time_of_dates_are_needed() -> None:
    """The time only where a feature is counted from it."""
    assert needed(tiny.contract()) == ["id", "seen", "size", "colour", "adult", "member"]
    dateless = tiny.contract("{type: datetime, role: feature, missing: true}", "{type: text, role: ignored}")
    assert needed(dateless) == ["id", "size", "colour", "adult"]


def test_columns_are_those_of_the_contract_that_a_file_has() -> None:
    """In the contract's order; the target and what the contract does not know are not read."""
    Path("a.csv").write_text("more,won,adult,id,seen,size,colour,member\n1,1,true,7,2021-01-01,2,red,\n")
    (file,) = given([Path("a.csv")], tiny.contract())
    assert file.columns == ["id", "seen", "size", "colour", "adult", "member"]
    ((first, table),) = file.pieces(tiny.contract())
    assert (first, table.column_names) == (1, file.columns)
    assert table.to_pylist() == [
        {"id": "7", "seen": "2021-01-01", "size": "2", "colour": "red", "adult": "true", "member": None}
    ]


def test_rows_are_numbered_through_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """No piece has more rows than allowed, none is lost, and each knows where it begins."""
    monkeypatch.setattr(inputs, "ROWS", 9)
    Path("a.csv").write_text(tiny.table("2021-01", rows=20))
    (file,) = given([Path("a.csv")], tiny.contract())
    found = {first: table["id"].to_pylist() for first, table in file.pieces(tiny.contract())}
    numbers = [str(number) for number in range(20)]
    assert found == {1: numbers[:9], 10: numbers[9:18], 19: numbers[18:]}


def test_files_are_read_as_the_contract_says() -> None:
    """A piece has the values as they arrived, for the rows set aside; scored is what they mean."""
    read = 'label_delay: 0\nread: {delimiter: ";", decimal: ",", dates: "%d.%m.%Y"}'
    contract = tiny.contract("label_delay: 0", read)
    Path("a.csv").write_text("id;seen;size;colour;adult;member\n7;31.1.2021;2,5;red;true;\n")
    (file,) = given([Path("a.csv")], contract)
    ((_, table),) = file.pieces(contract)
    assert [table[name][0].as_py() for name in ("seen", "size")] == ["31.1.2021", "2,5"]
    meant = inputs.canonical(table, contract)
    assert [meant[name][0].as_py() for name in ("seen", "size")] == ["2021-01-31", "2.5"]


def test_without_a_file_it_is_the_newest_batch() -> None:
    """Its times are stored as moments already, so no zone is read into them."""
    contract = tiny.contract("label_delay: 0", "label_delay: 0\nzone: Europe/Paris")
    with pytest.raises(PerenneError, match="data/clean: no batch"):
        given([], contract)
    names.CLEAN.mkdir(parents=True)
    for month in ("2021-10", "2021-09"):
        pq.write_table(pa.table({"id": [1]}), names.CLEAN / f"{month}.parquet")
    (file,) = given([], contract)
    assert (file.path, file.zone) == (names.CLEAN / "2021-10.parquet", None)
    (file,) = given([file.path], contract)
    assert file.zone == "Europe/Paris"
