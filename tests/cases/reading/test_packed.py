"""Zips: their files are read one after the other, and what is wrong with them is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.cases import reading
from perenne.common.reading import Read
from tests.cases.reading.written import rows, saved, wrong, zipped

LONG = "a,b\n" + "".join(f"{n},x{n * 7919 % 1000}\n" for n in range(999))


def test_files_of_a_zip_are_read_in_order_of_their_names(tmp_path: Path) -> None:
    """Their columns may stand in another order; those of the first are the columns of all."""
    path = zipped(tmp_path / "a.zip", {"b.csv": "y,x\n4,3\n", "a.csv": "x,y\n1,2\n"})
    assert reading.header(path, Read()) == ["x", "y"]
    assert rows(path) == [{"x": "1", "y": "2"}, {"x": "3", "y": "4"}]


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ({}, "a.zip: holds no file; pack the data again"),
        ({"a.csv": "x\n1\n", "b.json": "[]"}, "a.zip: holds files of several kinds (a.csv, b.json); must be"),
        ({"a.parquet": ""}, "a.zip/a.parquet: not a file this reads in a zip; use .csv, .tsv, .tab, .txt, ."),
        ({"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"}, "a.zip/b.csv: no column 'y'; valid: x, z"),
    ],
)  # fmt: skip
def test_bad_content_of_a_zip_is_one_line(members: dict[str, str], line: str, tmp_path: Path) -> None:
    """The line names the zip, and the file in it."""
    assert wrong(zipped(tmp_path / "a.zip", members)).startswith(line)


def test_zip_with_a_password_is_refused(tmp_path: Path) -> None:
    """Each member is marked, in front of its content and in the list at the end."""
    data = bytearray(zipped(tmp_path / "a.zip", {"a.csv": LONG}).read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + place] |= 1
    assert wrong(saved(tmp_path / "b.zip", bytes(data))) == "b.zip: has a password; unpack it"


def test_truncated_zip_is_refused(tmp_path: Path) -> None:
    """A download that stopped half-way."""
    data = zipped(tmp_path / "a.zip", {"a.csv": LONG}).read_bytes()
    for length in (10, len(data) // 2, len(data) - 1):
        assert wrong(saved(tmp_path / "b.zip", data[:length])).startswith(
            "b.zip: not a readable zip file (trun"
        )


@pytest.mark.parametrize("place", [60, 200, 700])
def test_damaged_zip_is_refused(place: int, tmp_path: Path) -> None:
    """Whichever byte of the content is wrong: its checksum is."""
    data = bytearray(zipped(tmp_path / "a.zip", {"a.csv": LONG}).read_bytes())
    data[place] ^= 0xFF
    assert wrong(saved(tmp_path / "b.zip", bytes(data))).startswith("b.zip/a.csv: ")
