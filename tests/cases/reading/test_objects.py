"""JSON: rows as objects, as columns, or line by line; everything else is one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.cases import reading
from perenne.cases.reading import plain
from perenne.common.reading import Read
from tests.cases.reading.written import rows, saved, wrong


def test_key_that_a_row_lacks_is_missing(tmp_path: Path) -> None:
    """The columns are the keys of all rows, however late they appear."""
    expected = [{"a": 1, "b": None}, {"a": None, "b": "x"}]
    for name, text in (("a.json", '[{"a": 1}, {"b": "x"}]'), ("a.jsonl", '{"a": 1}\n\n{"b": "x"}\n')):
        path = saved(tmp_path / name, text)
        assert reading.header(path, Read()) == ["a", "b"]
        assert rows(path) == expected
        assert rows(path, columns=["b"]) == [{"b": None}, {"b": "x"}]


def test_digits_are_kept(tmp_path: Path) -> None:
    """Beside floats and texts too: a long identifier is no float."""
    path = saved(tmp_path / "a.json", '[{"a": 9007199254740993}, {"a": 1.5}, {"a": 36893488147419103232}]')
    assert [row["a"] for row in rows(path)] == ["9007199254740993", "1.5", "36893488147419103232"]
    path = saved(tmp_path / "a.json", '[{"a": 1}, {"a": 2.5}, {"a": NaN}]')
    assert [row["a"] for row in rows(path)] == [1, 2.5, None]


def test_numbers_among_texts_are_written_as_these_are(tmp_path: Path) -> None:
    """So one rule reads both: a point would not be a decimal there."""
    path = saved(tmp_path / "a.json", '[{"a": 1.5}, {"a": "2,5"}, {"a": true}, {"a": 7}]')
    assert [row["a"] for row in rows(path, Read(decimal=","))] == ["1,5", "2,5", "true", "7"]


def test_lines_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long file is never whole in memory."""
    monkeypatch.setattr(plain, "PIECE", 256 * 10)
    path = saved(tmp_path / "a.jsonl", "".join(f'{{"a": {n}}}\n' for n in range(25)))
    assert [len(piece) for piece in reading.pieces(path, Read())] == [10, 10, 5]


WANTED = 'must be a list of objects, such as [{"id": 1}], or an object of columns, such as {"id": [1]}'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[1, 2]", f"row 1: found 1; {WANTED}"),
        ("7", f"found 7; {WANTED}"),
        ('{"a": 1}', f'found {{"a": 1}}; {WANTED}'),
        ('{"a": [1, 2], "b": [1]}', "column 'b': has 1 values, but 'a' has 2"),
        ('[{"a": 1}, {"a": {"b": 1}}]', "column 'a': row 2: {'b': 1} is a value within a value; use a numbe"),
        ('[{"a": [1, 2]}]', "column 'a': row 1: [1, 2] is a value within a value; use a number, a boolean o"),
        ('[{"a": 1,\n', f"line 2: not JSON: Expecting property name enclosed in double quotes; {WANTED}"),
        ("", f"line 1: not JSON: Expecting value; {WANTED}"),
        ('[{"a": 1, "a": 2}]', "an object has the key 'a' twice; keep one"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
        ('[{"b": 1}]', "no column 'a'; valid: b"),
        (b'[{"a": "\xe9"}]', "not UTF-8: byte 0xe9 in "),
    ],
)  # fmt: skip
def test_json_that_is_no_table_is_one_line(text: str | bytes, line: str, tmp_path: Path) -> None:
    """It names the row or line, the value and what would do."""
    assert wrong(saved(tmp_path / "a.json", text), columns=["a"]).startswith(f"a.json: {line}")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"a": 1}\n{"a"\n', "line 2: not JSON: Expecting ':' delimiter, found '{\"a\"'; must be an object,"),
        ('{"a": 1}\n5\n', 'line 2: found 5, must be an object, such as {"id": 1}'),
        ('[{"a": 1}]\n', 'line 1: found [{"a": 1}], must be an object'),
        ('{"a": 1}\n{"a": {}}\n', "column 'a': row 2: {} is a value within a value"),
        ('{"b": 1}\n', "no column 'a'; valid: b"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', "line 2: not UTF-8: byte 0xe9 in "),
    ],
)  # fmt: skip
def test_bad_line_is_named(text: str | bytes, line: str, tmp_path: Path) -> None:
    """By its number in the file."""
    assert wrong(saved(tmp_path / "a.jsonl", text), columns=["a"]).startswith(f"a.jsonl: {line}")


def test_no_rows_are_no_error(tmp_path: Path) -> None:
    """A month without visits; but its columns cannot be named."""
    for name, text in (("a.json", "[]"), ("a.jsonl", "\n")):
        assert rows(saved(tmp_path / name, text), columns=["a"]) == []
        with pytest.raises(Exception, match="is empty; must hold the names of columns"):
            reading.header(tmp_path / name, Read())
