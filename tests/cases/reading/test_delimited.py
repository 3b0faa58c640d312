"""CSV with other delimiters, quotes and encodings; one line for what does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.cases import reading
from perenne.cases.reading import plain
from perenne.common.reading import Read
from tests.cases.reading.written import rows, saved, wrong


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a;b\n1,5;x\n", Read(delimiter=";")),
        ("a|b\n1,5|x\n", Read(delimiter="|")),
        ("a\tb\n1,5\tx\n", Read(delimiter="\t")),
        ("a b\n1,5 x\n", Read(delimiter=" ")),
        ("a,b\n'1,5',x\n", Read(quote="'")),
    ],
)
def test_delimiter_and_quote_are_those_of_the_contract(text: str, read: Read, tmp_path: Path) -> None:
    """Values that hold the usual ones stay whole."""
    assert rows(saved(tmp_path / "a.csv", text), read) == [{"a": "1,5", "b": "x"}]


def test_without_quotes_a_quote_is_a_character(tmp_path: Path) -> None:
    """Also one that is never closed."""
    path = saved(tmp_path / "a.csv", 'a,b\n5",x\n6",y\n')
    assert [row["a"] for row in rows(path, Read(quote=""))] == ['5"', '6"']


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("size", [60, 2**20])
def test_encodings_are_read(
    encoding: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces too, whose edges cut characters."""
    monkeypatch.setattr(plain, "PIECE", size)
    text = "prénom;âge\n" + "".join(f"Zoë{n};{n}\n" for n in range(99))
    path, read = saved(tmp_path / "a.csv", text, encoding), Read(delimiter=";", encoding=encoding)
    assert reading.header(path, read) == ["prénom", "âge"]
    assert rows(path, read) == [{"prénom": f"Zoë{n}", "âge": str(n)} for n in range(99)]


UTF8 = "; save it as UTF-8, or name its encoding in the contract, such as read: {encoding: latin-1}"
OTHER = "; name its encoding in the contract, such as read: {encoding: utf-8}"


@pytest.mark.parametrize(
    ("content", "encoding", "line"),
    [
        ("é\n".encode() + b"1\n\xe9\n", "utf-8", r"line 3: not UTF-8: byte 0xe9 in b'\xe9\n'" + UTF8),
        ("é\n1\n".encode("utf-16") + b"\0", "utf-16", r"line 3: not utf-16: byte 0x0 in b'\x00'" + OTHER),
        ("é\n1\n".encode(), "utf-16", "line 1: not utf-16: UTF-16 stream does not start with BOM" + OTHER),
        (b"\xe9\n1\n\x81\n", "cp1252", r"line 3: not cp1252: byte 0x81 in b'\x81\n'" + OTHER),
        (b"\x81\n1\n", "cp1252", r"line 1: not cp1252: byte 0x81 in b'\x81\n'" + OTHER),
    ],
)
def test_byte_of_another_encoding_is_named(content: bytes, encoding: str, line: str, tmp_path: Path) -> None:
    """With its line, and what would do: so is a mixture of encodings."""
    assert wrong(saved(tmp_path / "a.csv", content), Read(encoding=encoding)) == f"a.csv: {line}"


@pytest.mark.parametrize(
    ("name", "text", "read", "line"),
    [
        ("a.csv", "a;b\n", Read(), "no column 'a'; valid: a;b; values are separated by commas (read.delimit"),
        ("a.csv", "a,b\n", Read(delimiter=";"), "no column 'a'; valid: a,b; values are separated by semicol"),
        ("a.tsv", "a,b\n", Read(), "no column 'a'; valid: a,b; values are separated by tabs (read.delimiter"),
        ("a.csv", "b\n", Read(delimiter="~"), "no column 'a'; valid: b; values are separated by '~' (read.d"),
        ("a.csv", "a;b\n1;2;3\n", Read(delimiter=";"), "line 2: 3 fields, must be 2 (a, b), found '1;2;3';"),
    ],
)  # fmt: skip
def test_wrong_delimiter_is_one_line(name: str, text: str, read: Read, line: str, tmp_path: Path) -> None:
    """A header that is one column says which delimiter was looked for."""
    assert wrong(saved(tmp_path / name, text), read, ["a"]).startswith(f"{name}: {line}")


def test_delimiter_of_the_contract_goes_before_that_of_the_ending(tmp_path: Path) -> None:
    """A .tsv with semicolons is one where the contract says so."""
    assert rows(saved(tmp_path / "a.tsv", "a;b\n1;2\n"), Read(delimiter=";")) == [{"a": "1", "b": "2"}]


def test_large_file_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So memory does not grow with it, whatever its encoding."""
    monkeypatch.setattr(plain, "PIECE", 10_000)
    path = saved(tmp_path / "a.csv", "a,b\n" + "1,é\n" * 20_000, "latin-1")
    lengths = [len(piece) for piece in reading.pieces(path, Read(encoding="latin-1"))]
    assert sum(lengths) == 20_000
    assert max(lengths) < 5_000
