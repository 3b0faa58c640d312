"""Candidates: what a retraining offers, and when it is too early for any."""

from __future__ import annotations

import pandas as pd
import pytest

from perenne.common.cut import Cut
from perenne.loop.candidates import candidates, first_as_of
from perenne.pipeline.split import split

BREAK = pd.Period("2020Q4", freq="Q-DEC")
HISTORY = pd.period_range("2005Q1", "2026Q4", freq="Q-DEC")


def cut(as_of: pd.Period, delay: int = 1, holdout: int = 4) -> Cut:
    """Return the cut of params.yaml at an `as_of`."""
    return Cut(as_of, window=20, holdout=holdout, label_delay=delay)


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_first_as_of_is_the_first_with_a_candidate(delay: int) -> None:
    """A period before it there is none, and whoever waits for it is not disappointed."""
    first = first_as_of(cut(BREAK, delay), BREAK)
    assert candidates(cut(first - 1, delay), BREAK) == []
    assert candidates(cut(first, delay), BREAK)


@pytest.mark.parametrize("later", range(3, 20))
def test_window_since_the_change_holds_nothing_older(later: int) -> None:
    """It learns from the change on, is measured on what came after, and the stage takes its cut."""
    found = candidates(cut(BREAK + later), BREAK)[0]
    parts = split(HISTORY, found.cut)
    assert min(parts["train"]) == BREAK
    assert max(parts["train"]) < min(parts["holdout"])
    assert found.cut.holdout <= 4


def test_window_of_the_params_comes_second_once_it_knows_the_new_world() -> None:
    """As soon as most of what it learns is from after the change; alone when it holds nothing older."""
    names = {later: [c.name for c in candidates(cut(BREAK + later), BREAK)] for later in range(3, 31)}
    assert names[3] == names[13] == ["since 2020Q4"]
    assert names[14] == ["since 2020Q4", "the window"]
    assert names[30] == ["the window"]


def test_no_window_goes_back_before_the_change_that_the_champion_began_with() -> None:
    """It grows with each `as_of` to the length that params.yaml asks for, and slides from then on."""
    windows = [candidates(cut(BREAK + later), None, BREAK)[0].cut.window for later in range(5, 26)]
    assert windows == [*range(2, 20), 20, 20, 20]
