"""JSON that somebody else may have written."""

from __future__ import annotations

import pytest

from perenne.common import strict_json
from perenne.common.errors import PerenneError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not valid JSON: Expecting"),
        ("[" * 3000, "not valid JSON: nested too deeply"),
        ("[" * 101 + "]" * 101, "not valid JSON: nested more than 100 deep"),
        ("[NaN]", "not valid JSON: NaN is no number"),
        ("-Infinity", "not valid JSON: -Infinity is no number"),
        ("9" * 5000, "not valid JSON: Exceeds the limit"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "not valid JSON: the key 'c' appears twice"),
        (b"\xff", "not valid JSON"),
        ('"\x00"', "not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_one_line(text: str | bytes, said: str) -> None:
    """Never another exception."""
    with pytest.raises(PerenneError) as caught:
        strict_json.loads(text, "a listing")
    assert str(caught.value).startswith(f"a listing: {said}")
    assert "\n" not in str(caught.value)


def test_what_can_be_read_is_read() -> None:
    """As deep as anybody writes by hand."""
    assert strict_json.loads("[" * 100 + "]" * 100, "a file")
    assert strict_json.loads(b'{"a": [1, null]}', "a file") == {"a": [1, None]}
