"""Charts: what is not there is not drawn, and no text gets out of its place."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest

from perenne.pages.svg import Band, Line, axis, chart, strip

PERIODS = ["2020Q3", "2020Q4", "2021Q1", "2021Q2"]


def test_gap_in_a_line_is_a_gap() -> None:
    """A value that is not known is not drawn through."""
    drawn = chart("loss", PERIODS, [Line("ours", "ours", [0.1, math.nan, 0.2, 0.3])])
    path = re.findall(r'class="line ours" d="([^"]*)"', drawn)[0]
    assert (path.count("M"), path.count("L")) == (2, 1)


def test_nothing_to_draw_is_said() -> None:
    """A figure that a small company does not have leaves a sentence."""
    assert "Not known" in chart("age", PERIODS, [Line("ours", "ours", [math.nan] * 4)])


def test_names_do_not_cover_each_other() -> None:
    """Lines that end at the same value have their names one below the other."""
    lines = [Line(name, name, [0.1, 0.1, 0.1, 0.1]) for name in ("never", "always", "ours")]
    places = [
        float(y) for y in re.findall(r'class="name [^"]*" x="[^"]*" y="([^"]*)"', chart("", PERIODS, lines))
    ]
    assert all(later - before >= 14 for before, later in pairwise(places))


def test_texts_are_escaped() -> None:
    """A name is text, wherever it stands."""
    rows = {"<b>": {"2020Q4": {"released": 0.5}}}
    for drawn in (chart("<b>", ["<b>"], [Line("<b>", "ours", [1.0])]), strip("<b>", PERIODS, rows)):
        assert "<b>" not in drawn
        assert "&lt;b&gt;" in drawn


def test_break_and_band_are_drawn_and_a_break_elsewhere_is_not() -> None:
    """A break stands between the batch before and the first of the new world."""
    lines = [Line("ours", "ours", [0.9, 1.0, 1.1, 1.2])]
    drawn = chart("o/e", PERIODS, lines, breaks=["2020Q4", "1999Q1"], band=Band(0.9, 1.1))
    assert drawn.count('class="break"') == 1
    assert drawn.count('class="band"') == 1


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (62.0, 63.5), (0.2345, 0.2346), (-3.0, 1e4), (1.0, 1.0)]
)
def test_axis_holds_its_values(low: float, high: float) -> None:
    """Round ends around them, and a handful of steps."""
    begin, end, step = axis(low, high)
    assert begin <= low <= high <= end
    assert 1 <= round((end - begin) / step) <= 8
