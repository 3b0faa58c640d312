"""Lines in any encoding: the first byte that is not of it is named with its line."""

from __future__ import annotations

from io import BytesIO

import pytest

from perenne.cases.reading import encoded
from perenne.common.errors import PerenneError
from perenne.common.reading import Read


def decoded(data: bytes, encoding: str) -> list[str]:
    """Return the lines of some bytes."""
    read = Read(encoding=encoding)
    return list(encoded.decoded(encoded.lines(BytesIO(data), read), "a.csv", read))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-7", "latin-1", "gb18030"]
)
def test_lines_are_those_of_the_text(encoding: str) -> None:
    """Without a byte order mark, which is no part of the first name."""
    lines = ["naïve\n", "\n", "été"]
    assert decoded("".join(lines).encode(encoding), encoding) == lines
    read = Read(encoding=encoding)
    assert encoded.whole(BytesIO("".join(lines).encode(encoding)), "a.csv", read) == "".join(lines)


@pytest.mark.parametrize(
    ("data", "encoding", "line"),
    [
        (b"a\n\xe9\n", "utf-8", "a.csv: line 2: not UTF-8: byte 0xe9 in "),
        ("a\n".encode("utf-16") + b"\0", "utf-16", "a.csv: line 2: not utf-16: byte 0x0 in "),
        (b"a\nb\n\x90", "cp1252", "a.csv: line 3: not cp1252: byte 0x90 in "),
        (b"a" * 5000 + b"\xff", "ascii", "a.csv: line 1: not ascii: byte 0xff in b'aaaa"),
    ],
)
def test_byte_of_another_encoding_is_named(data: bytes, encoding: str, line: str) -> None:
    """With its surroundings, however long the line is."""
    with pytest.raises(PerenneError) as caught:
        decoded(data, encoding)
    assert str(caught.value).startswith(line)
    assert len(str(caught.value)) < 300
    with pytest.raises(PerenneError, match=r"a.csv: not "):
        encoded.whole(BytesIO(data), "a.csv", Read(encoding=encoding))


def test_what_is_not_read_need_not_be_in_the_encoding() -> None:
    """Only lines that are asked for are decoded."""
    read = Read()
    lines = encoded.decoded(encoded.lines(BytesIO(b"a\n\xe9\n"), read), "a.csv", read)
    assert next(lines) == "a\n"
