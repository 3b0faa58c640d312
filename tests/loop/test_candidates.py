"""Candidates: what a retraining offers, and when it is too early for any."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from perenne.common.cut import Cut
from perenne.common.params import Split
from perenne.loop.candidates import MOST, Candidate, candidates, improves
from perenne.pipeline.split import split
from tests.common.test_cut import CONTRACT

BREAK = pd.Period("2020Q4", freq="Q-DEC")
HISTORY = pd.period_range("2005Q1", "2026Q4", freq="Q-DEC")
CHAMPION = Cut(pd.Period("2019Q4", freq="Q-DEC"), window=20, holdout=4, label_delay=1)


def cut(as_of: pd.Period, delay: int = 1, holdout: int = 4) -> Cut:
    """Return the cut of params.yaml at an `as_of`."""
    return Cut(as_of, window=20, holdout=holdout, label_delay=delay)


@pytest.mark.parametrize("delay", [0, 1, 2])
def test_first_as_of_is_the_first_with_a_candidate(delay: int) -> None:
    """A period before it there is none, and whoever waits for it is not disappointed."""
    first = cut(BREAK, delay).first_as_of(BREAK)
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
    began = Cut(BREAK + 3, window=2, holdout=2, label_delay=1)  # the first that learns from the change alone
    assert began.first == BREAK
    found = [candidates(cut(BREAK + later), None, began) for later in range(5, 26)]
    assert [first.cut.window for first, *_ in found] == [*range(2, 20), 20, 20, 20]
    corrected = began.recalibrating(CHAMPION.first, CHAMPION.learned)
    again = [candidates(cut(BREAK + later), None, corrected)[0].cut.window for later in range(5, 26)]
    assert again == [*range(2, 20), 20, 20, 20]


def test_champion_is_recalibrated_first() -> None:
    """It is the champion's own window that is kept, and only what came since the change corrects it."""
    for later in range(3, 20):
        first, second, *rest = candidates(cut(BREAK + later), BREAK, CHAMPION)
        assert len(rest) <= MOST - 2
        assert (first.name, second.name) == ("recalibrated since 2020Q4", "since 2020Q4")
        assert (first.cut.first, first.cut.learned) == (CHAMPION.first, CHAMPION.learned)
        assert first.cut.holdout == second.cut.holdout
        learned = {q for q in HISTORY if first.cut.part(q) == "train" and not first.cut.recalibrates(q)}
        assert learned == {q for q in HISTORY if CHAMPION.part(q) == "train"}
        assert {q for q in HISTORY if first.cut.recalibrates(q)} == {
            q for q in HISTORY if second.cut.part(q) == "train"
        }


def test_champion_that_learned_after_the_change_is_not_recalibrated() -> None:
    """Its own rows would tell it that it is right."""
    champion = CHAMPION._replace(as_of=BREAK + 6)
    assert champion.learned > BREAK
    assert [c.name for c in candidates(cut(BREAK + 12), BREAK, champion)] == ["since 2020Q4"]


def test_more_of_the_world_that_a_young_model_began_with_is_a_remedy() -> None:
    """Whatever the date of the last change: it has learned from little. A model of a long window has not."""
    young = Cut(BREAK + 3, window=2, holdout=2, label_delay=1)
    since = BREAK + 9
    names = {later: [c.name for c in candidates(cut(BREAK + later), since, young)] for later in (10, 12)}
    assert names[10] == ["the window"], "it is too early for a model of what came since"
    assert names[12] == [f"recalibrated since {since}", f"since {since}", "the window"]
    window = candidates(cut(BREAK + 12), since, young)[-1].cut
    assert (window.first, window.learned) == (BREAK, BREAK + 8)
    old = [c.name for c in candidates(cut(BREAK + 12), since, CHAMPION)]
    assert old == names[12][:2], "twenty quarters of the old world do not help"


def test_window_may_grow_beyond_its_length() -> None:
    """With all that came since the champion's own beginning, if no change was dated."""
    first, second = candidates(cut(BREAK + 8), None, CHAMPION)
    assert (first.name, second.name) == ("the window", "all since 2014Q1")
    assert second.cut.first == CHAMPION.first


def offered() -> list[Candidate]:
    """Return candidates of all kinds, early and late, of a champion as it was trained or corrected."""
    corrected = Cut(BREAK + 3, 20, 2, 1, recalibrate=2, gap=7)
    return [
        candidate
        for later in range(3, 32)
        for since in (None, BREAK, BREAK + later // 2)
        for champion in (CHAMPION, corrected, Cut(BREAK + 3, 2, 2, 1))
        for candidate in candidates(cut(BREAK + later), since, champion)
    ]


def test_params_say_the_same_as_the_candidate() -> None:
    """What a retraining writes into `split` is cut by every stage as it was planned."""
    kinds = set()
    for candidate in offered():
        spec = Split(
            as_of=str(candidate.rule.as_of),
            window=candidate.rule.window,
            holdout=candidate.rule.holdout,
            since=None if candidate.since is None else str(candidate.since),
            recalibrated=candidate.recalibrated,
        )
        assert Cut.of(spec, CONTRACT) == candidate.cut
        assert Cut.rule(spec, CONTRACT).holdout == 4, "the next retraining still knows the full length"
        kinds.add(candidate.name.split(" ")[0])
    assert kinds == {"recalibrated", "since", "the", "all"}


def validated(errors: npt.NDArray[np.float64], times: pd.DatetimeIndex) -> pd.DataFrame:
    """Return a validation whose predictions are wrong by so much."""
    y = np.arange(len(errors), dtype=np.float64)
    return pd.DataFrame({"t": times, "x": 0.0, "y": y, "prediction": y + errors})


def test_new_model_goes_first_only_if_it_is_better_by_more_than_noise() -> None:
    """By one standard error of the difference on the rows that both have predicted."""
    rng = np.random.default_rng(5)
    times = pd.date_range("2020-10-01", periods=400, freq="h")
    small, large = rng.normal(size=400), 2 * rng.normal(size=400)
    cheap, other = validated(large, times), validated(small, times)
    assert improves(cheap, other, CONTRACT)
    assert not improves(other, cheap, CONTRACT)
    assert not improves(cheap, cheap, CONTRACT)
    assert improves(cheap, other[100:], CONTRACT), "of the first part the new model has no predictions"
    worse = np.concatenate([small[:100], 3 * small[100:]])
    assert not improves(validated(small, times), validated(worse, times)[100:], CONTRACT)


def test_other_rows_are_not_compared() -> None:
    """Then the cheaper one stays first."""
    times = pd.date_range("2020-10-01", periods=400, freq="h")
    cheap, other = validated(np.full(400, 9.0), times), validated(np.zeros(400), times)
    assert improves(cheap, other, CONTRACT)
    assert not improves(cheap, other.assign(y=other["y"] + 1), CONTRACT)
    assert not improves(cheap[1:], other[:-1], CONTRACT)
