"""How a file is written is found out from its bytes."""

from __future__ import annotations

from io import BufferedReader, BytesIO
from typing import cast

import pytest

from perenne.adopt.dialect import Dialect, sniffed
from perenne.common.errors import PerenneError

ROWS = [
    ("place", "size", "said"),
    ("Rouen", "1,5", "a b"),
    ("Évreux", "22,0", "c; d"),
    ("Le Havre", "3,25", "e"),
]


def of(content: bytes) -> Dialect:
    """Return the dialect of some bytes."""
    return sniffed(cast("BufferedReader", BytesIO(content)), "a.csv")


def text(delimiter: str, quote: str = '"') -> str:
    """Return the rows, those values quoted that hold the delimiter or a blank."""

    def one(value: str) -> str:
        return f"{quote}{value}{quote}" if delimiter in value or " " in value else value

    return "\n".join(delimiter.join(map(one, row)) for row in ROWS * 3) + "\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quote", ['"', "'"])
def test_what_was_written_is_found(encoding: str, delimiter: str, quote: str) -> None:
    """Every delimiter, quote and encoding in use, with commas in numbers and delimiters in texts."""
    found = of(text(delimiter, quote).encode(encoding))
    assert (found.delimiter, found.quote) == (delimiter, quote)
    assert text(delimiter, quote).encode(encoding).decode(found.encoding).lstrip("\ufeff") == text(
        delimiter, quote
    )


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("cp1251", "Москва, Казань, Пермь, Самара, Омск"),
        ("cp1253", "Αθήνα, Θεσσαλονίκη, Πάτρα, Λάρισα"),
        ("shift_jis", "東京, 大阪, 名古屋, 札幌"),
        ("gb18030", "北京, 上海, 广州, 深圳"),
    ],
)
def test_other_alphabets_are_told_from_each_other(encoding: str, word: str) -> None:
    """By which letters follow each other: a few hundred bytes are needed."""
    content = "city;n\n" + "".join(f"{name};{i}\n" for i in range(40) for name in word.split(", "))
    assert content.encode(encoding).decode(of(content.encode(encoding)).encoding) == content


def test_accents_far_down_are_seen() -> None:
    """The first megabyte may be ASCII."""
    content = b"a;b\n" + b"1;2\n" * 300_000 + "é;2\n".encode("cp1252")
    assert of(content).encoding != "utf-8"


def test_texts_over_lines_do_not_hide_the_delimiter() -> None:
    """A quoted text may hold line breaks and commas."""
    content = "id;note\n" + "".join(f'{i};"first, line\nsecond"\n' for i in range(50))
    assert of(content.encode()).delimiter == ";"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"value\n1\n2\n", "no column is separated from another in 'value'"),
        (b"5.1,3.5\n4.9,3.0\n", "its first line is data ('5.1,3.5')"),
        (b"\x00\x01\x02,\x00\n" * 9, "is not a text file"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, says: str) -> None:
    """One line: the file, and what would do."""
    with pytest.raises(PerenneError, match=r"^a\.csv: ") as caught:
        of(content)
    assert says in str(caught.value)
