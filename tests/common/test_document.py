"""Documents: written, read again, and refused in one line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import ClassVar

import pytest

from perenne.common.document import Document, Figure
from perenne.common.errors import PerenneError


class Weather(Document):
    """What the sky does."""

    SCHEMA: ClassVar[int] = 2

    place: str
    rain: Figure
    days: tuple[int, ...] = ()


def test_a_document_equals_the_one_that_is_read_back(tmp_path: Path) -> None:
    """To the last digit, since only six are kept; what is not a number is null."""
    made = Weather(place="Brest", rain=1 / 3, days=(1, 2))
    made.write(tmp_path / "a.json")
    assert Weather.load(tmp_path / "a.json") == made
    assert made.to_json() == {"schema": 2, "place": "Brest", "rain": 0.333333, "days": [1, 2]}
    assert Weather(place="Brest", rain=math.nan).rain is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"schema": 1}', "a.json: schema: found 1, this version reads 2"),
        ('{"place": "Brest"}', "a.json: schema: found None, this version reads 2"),
        ('{"schema": 2, "rain": 1}', "a.json: place: missing"),
        ('{"schema": 2, "place": "Brest", "rain": "wet"}', "a.json: rain: found 'wet', must be a number"),
        ('{"schema": 2, "plac": "Brest", "rain": 1}', "a.json: plac: unknown key; did you mean 'place'?"),
        ("[]", "a.json: expected a mapping, found []"),
        ("{", "a.json: not valid JSON"),
        ("[" * 100_000, "a.json: not valid JSON"),
    ],
)
def test_what_is_wrong_is_one_line(text: str, line: str) -> None:
    """The file, the key, the value, and what would be accepted."""
    with pytest.raises(PerenneError) as caught:
        Weather.loads(text, "a.json")
    assert str(caught.value).startswith(line)
