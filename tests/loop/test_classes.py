"""Several classes after a release: sums, offers and texts name the class."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from perenne.common import predicted
from perenne.common.cut import Cut
from perenne.documents.decision import SliceSums
from perenne.loop import show
from perenne.loop.candidates import improves
from perenne.loop.monitor import BatchSums, ChampionHistory, _sums
from tests import classes
from tests.loop.test_show import decision

CROPS = classes.contract()


def test_sums_are_those_of_each_slice_and_class() -> None:
    """By hand: the labelled rows, how many are of the crop, and the sum of its probabilities."""
    rows = classes.right(classes.fields("2021-01", 1, 300), CROPS)
    rows.loc[:9, "crop"] = None
    sums = _sums(rows, CROPS)
    assert list(sums) == [(f"soil={soil}", crop) for soil in ("clay", "sand") for crop in classes.CROPS]
    known = rows[10:]
    for (name, crop), found in sums.items():
        part = known[known["soil"] == name.removeprefix("soil=")]
        expected = [len(part), (part["crop"] == crop).sum(), part[f"prediction: {crop}"].sum()]
        assert found == pytest.approx(expected)


def test_sums_of_the_batches_since_a_change_are_ranked() -> None:
    """The largest difference first, with its class."""
    nobody: Any = None  # neither is asked
    history = ChampionHistory(nobody, nobody)
    for place, month in enumerate(("2021-01", "2021-02", "2021-03")):
        rows = classes.right(classes.fields(month, 1, 300), CROPS)
        if place:
            rows = rows.assign(crop=rows["crop"].mask(rows["crop"] == "rye", "wheat"))
        history.noted[pd.Period(month, freq="M")] = BatchSums(_sums(rows, CROPS), ())
    found = history.slices(pd.Period("2021-02", freq="M"))
    assert {s.of for s in found[:4]} == {"rye", "wheat"}
    assert found[0].rows == sum(
        (classes.fields(m, 1, 300)["soil"] == found[0].slice.removeprefix("soil=")).sum()
        for m in ("2021-02", "2021-03")
    )
    assert [s.observed for s in found if s.of == "rye"] == [0, 0]
    apart = [abs(s.observed - s.expected) for s in found]
    assert apart == sorted(apart, reverse=True)


def test_decision_without_classes_is_what_it_was() -> None:
    """The name of a class is only there if there is one, and is read back."""
    plain = SliceSums(slice="soil=clay", rows=5, observed=1, expected=2)
    of_rye = plain.model_copy(update={"of": "rye"})
    assert list(plain.model_dump(mode="json")) == ["slice", "rows", "observed", "expected"]
    assert of_rye.model_dump(mode="json")["of"] == "rye"
    assert SliceSums.model_validate_json(of_rye.model_dump_json()) == of_rye


def test_table_of_an_issue_names_the_class() -> None:
    """In a column of its own, which is not there where there is one prediction a row."""
    sums = SliceSums(slice="soil=clay", of="rye", rows=1500, observed=206, expected=236.5)
    several = show._slices(decision(None).model_copy(update={"slices": (sums,)}))
    assert [cell.strip() for cell in several.splitlines()[0].strip("|").split("|")][:2] == ["slice", "class"]
    assert [cell.strip() for cell in several.splitlines()[2].strip("|").split("|")] == [
        "soil=clay",
        "rye",
        "1,500",
        "206",
        "236.5",
    ]
    one = show._slices(decision(None).model_copy(update={"slices": (sums.model_copy(update={"of": ""}),)}))
    assert "class" not in one


def test_new_model_of_classes_goes_first_if_it_is_better() -> None:
    """By the log loss on the same rows; the words of the target say which these are."""
    rows = classes.fields("2021-01", 1, 600)
    right = classes.right(rows, CROPS)
    shares = predicted.assign(rows, np.tile([0.5, 0.35, 0.15], (600, 1)), CROPS)
    assert improves(shares, right, CROPS)
    assert not improves(right, shares, CROPS)
    other = right.assign(crop=right["crop"].replace({"rye": "maize"}))
    assert not improves(shares, other, CROPS), "other outcomes are other rows"


def test_history_holds_a_probability_for_each_class(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the holdout; of other periods of the reference they are missing."""
    rows = classes.fields("2021-01", 1, 20)
    period, file = pd.Period("2021-01", freq="M"), Path(__file__)
    arrived: Any = SimpleNamespace(clean=lambda _: rows, files={period: file, period + 1: file})
    cut = Cut(period + 1, window=1, holdout=1, label_delay=0)
    champion: Any = SimpleNamespace(contract=CROPS, cut=cut)
    history = ChampionHistory(champion, arrived)
    monkeypatch.setattr("perenne.loop.champion.scored", lambda _, asked: classes.chances(asked))
    reference = history.files().reference()
    assert np.isnan(predicted.scores(reference[period], CROPS)).all()
    assert predicted.scores(reference[period + 1], CROPS) == pytest.approx(classes.chances(rows))
