"""Cut: what `split` in params.yaml says after a change, and what it cannot say."""

from __future__ import annotations

import pandas as pd
import pytest

from perenne.common.column import Column
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.errors import PerenneError
from perenne.common.params import Split
from perenne.common.task import REGRESSION

CONTRACT = Contract(
    row="a row",
    task=REGRESSION,
    period="quarter",
    label_delay=1,
    columns={
        "t": Column(type="datetime", role=("time",)),
        "x": Column(type="number", role=("feature",)),
        "y": Column(type="number", role=("target",)),
    },
)
RULE = {"as_of": "2021Q3", "window": 20, "holdout": 4}


def cut(**more: str) -> Cut:
    """Return the cut of some params."""
    return Cut.of(Split.model_validate(RULE | more), CONTRACT)


def periods(cut: Cut, part: str, *, recent: bool) -> list[str]:
    """Return the periods of a part: those that correct scores, or the others."""
    every = pd.period_range("2010Q1", "2029Q4", freq="Q-DEC")
    return [str(q) for q in every if cut.part(q) == part and cut.recalibrates(q) == recent]


def test_without_a_change_there_is_nothing_to_correct() -> None:
    """The window ends where the holdout begins, and labels come a quarter late."""
    assert cut() == Cut(pd.Period("2021Q3", freq="Q-DEC"), 20, 4, 1)
    assert periods(cut(), "train", recent=True) == []
    assert periods(cut(), "train", recent=False)[-1] == "2020Q2"


def test_since_a_change_window_and_holdout_are_short() -> None:
    """Of three labelled quarters one is learned from, one measures; between them a label came too late."""
    found = cut(since="2020Q4")
    assert periods(found, "train", recent=False) == ["2020Q4"]
    assert periods(found, "holdout", recent=False) == ["2021Q2"]
    assert (found.window, found.holdout) == (2, 2)


def test_long_after_a_change_it_no_longer_matters() -> None:
    """The window slides as before."""
    assert cut(as_of="2027Q3", since="2020Q4").window == 20


def test_older_model_is_kept_whole() -> None:
    """It learns from all of its own window whose labels it knew, and what came since corrects it."""
    found = cut(since="2020Q4", recalibrated="2014Q1..2018Q4")
    learned = periods(found, "train", recent=False)
    assert (learned[0], learned[-1], len(learned)) == ("2014Q1", "2018Q3", 19)
    assert periods(found, "train", recent=True) == periods(cut(since="2020Q4"), "train", recent=False)
    assert periods(found, "holdout", recent=False) == periods(cut(since="2020Q4"), "holdout", recent=False)


def test_refitted_model_learns_all_that_is_known() -> None:
    """From where the window begins; the last label came with `as_of`."""
    proven, refitted = cut(), cut().refitted()
    before, after = periods(proven, "train", recent=False), periods(refitted, "train", recent=False)
    assert (before[0], before[-1]) == ("2015Q4", "2020Q2")
    assert (after[0], after[-1]) == ("2015Q4", "2021Q2")
    assert periods(refitted, "holdout", recent=False) == []


def test_refitted_model_learns_all_since_a_change() -> None:
    """Nothing from before it."""
    soon = periods(cut(since="2020Q4").refitted(), "train", recent=False)
    assert soon == ["2020Q4", "2021Q1", "2021Q2"]
    late = periods(cut(as_of="2025Q3", since="2020Q4").refitted(), "train", recent=False)
    assert (late[0], late[-1]) == ("2020Q4", "2025Q2")


def test_refitted_model_is_corrected_by_all_since_the_change() -> None:
    """It stays as old as it is."""
    proven = cut(since="2020Q4", recalibrated="2014Q1..2018Q4")
    refitted = proven.refitted()
    assert periods(refitted, "train", recent=False) == periods(proven, "train", recent=False)
    assert periods(refitted, "train", recent=True) == ["2020Q4", "2021Q1", "2021Q2"]


def test_released_model_is_refitted_only_if_params_say_so() -> None:
    """Else it is the one that was proven."""
    split = Split.model_validate(RULE | {"refit": True})
    assert Cut.released(split, CONTRACT) == cut().refitted()
    assert Cut.released(split.model_copy(update={"refit": False}), CONTRACT) == cut()


def test_rows_are_parted_by_their_period() -> None:
    """In the order that they have."""
    found = cut(since="2020Q4", recalibrated="2014Q1..2018Q4")
    times = ["2020-10-01", "2018-09-30 23:59", "2020-12-31 23:59", "2014-01-01"]
    rows = pd.DataFrame({"t": pd.to_datetime(times, format="mixed"), "x": range(4), "y": 0.0})
    learned, recent = found.parted(rows, CONTRACT)
    assert (learned["x"].tolist(), recent["x"].tolist()) == ([1, 3], [0, 2])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"since": "2020-10"}, "params.yaml: split.since: "),
        ({"since": "2021Q2"}, "split.since: 2021Q2 is too late for as_of 2021Q3; 2022Q1 is the first"),
        ({"since": "2020Q4", "recalibrated": "2018Q4..2014Q1"}, "must be two periods before split.since"),
        ({"since": "2020Q4", "recalibrated": "2014Q1..2020Q4"}, "must be two periods before split.since"),
        ({"since": "2020Q4", "recalibrated": "2014-01..2018-01"}, "params.yaml: split.recalibrated: "),
    ],
)
def test_what_cannot_be_cut_is_one_line(more: dict[str, str], message: str) -> None:
    """It names the key, what was found, and what would do."""
    with pytest.raises(PerenneError) as error:
        cut(**more)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
