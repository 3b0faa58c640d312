"""Batches that were in the window of some commit are known to whoever has read what it printed."""

from __future__ import annotations

import pandas as pd
import pytest

from perenne.common import git
from perenne.gate import shown
from tests import tiny
from tests.gate.test_ledger import repository
from tests.project import Project

__all__ = ["repository"]

HELD = [pd.Period(f"2021-0{month}") for month in (3, 4, 5, 6)]


@pytest.fixture
def case(repository: Project) -> Project:
    """Return a repository whose holdout is the fourth month, as the current folder."""
    repository.write("data/cases/tiny/contract.yaml", tiny.CONTRACT)
    repository.write("params.yaml", tiny.PARAMS)
    repository.commit("the case")
    return repository


def known() -> list[str]:
    """Return which of four months were shown."""
    return list(shown.shown(HELD, "tiny"))


def test_what_a_window_holds_is_shown(case: Project) -> None:
    """As `as_of` moves on, the holdout is later than all that was shown before."""
    assert known() == ["2021-03"]
    for month in (5, 6):
        case.edit(r"as_of: \S+", f"as_of: 2021-0{month}")
        case.commit("later")
        assert known() == ["2021-03", "2021-04", "2021-05"][: month - 3]
    assert shown.shown(HELD, "tiny")["2021-05"] == git.commit("HEAD")
    assert known()[-1] < "2021-06", "the holdout of the last commit"


@pytest.mark.parametrize(
    "ref", ["refs/heads/try", "refs/exps/aa/bb/exp", "refs/tags/v1", "refs/remotes/origin/x"]
)
def test_any_ref_counts(case: Project, ref: str) -> None:
    """A shorter holdout, wherever its commit is; a merge that undoes it hides nothing."""
    case.edit(r"as_of: \S+\n.*\n  holdout: 1", "as_of: 2021-05\n  window: 2\n  holdout: 2")
    case.run("git commit -q --amend -am 'the case'")
    assert known() == ["2021-03"]
    before = git.commit("HEAD")
    case.edit("holdout: 2", "holdout: 1")
    case.commit("a shorter holdout")
    there = git.commit("HEAD")
    case.run(f"git update-ref {ref} HEAD && git reset -q --hard {before} && git branch -q other")
    assert shown.shown(HELD, "tiny")["2021-04"] == there
    case.run("git commit -q --allow-empty -m ours")
    case.run(f"git merge -q -s ours -m hidden {ref} && git update-ref -d {ref}")
    assert known() == ["2021-03", "2021-04"]


def test_other_cases_and_what_cannot_be_read_show_nothing(case: Project) -> None:
    """Params of another case, of another version, or none at all."""
    for text in (
        tiny.PARAMS.replace("case: tiny", "case: other").replace("as_of: 2021-04", "as_of: 2021-06"),
        tiny.PARAMS.replace("as_of: 2021-04", "as_off: 2021-06"),
        tiny.PARAMS.replace("as_of: 2021-04", "as_of: yesterday"),
        "[",
        "",
    ):
        case.write("params.yaml", text)
        case.commit("another")
    case.run("git rm -q params.yaml")
    case.commit("none")
    case.run("git rm -q data/cases/tiny/contract.yaml")
    case.commit("none")
    assert known() == ["2021-03"]
    assert list(shown.shown(HELD, "other")) == []


def test_windows_of_other_periods_are_known(case: Project) -> None:
    """A day, a month and a quarter show the same labels."""
    case.write("data/cases/tiny/contract.yaml", tiny.CONTRACT.replace("period: month", "period: day"))
    case.edit("as_of: 2021-04", "as_of: 2021-05-02")
    case.commit("by the day")
    assert known() == ["2021-03", "2021-04", "2021-05"]
    assert list(shown.shown([pd.Period("2021Q1"), pd.Period("2021Q3")], "tiny")) == ["2021Q1"]
    assert list(shown.shown([pd.Period("2021-05-02"), pd.Period("2021-05-01")], "tiny")) == ["2021-05-01"]


def test_rows_of_a_batch_that_was_shown_are_left_out(case: Project) -> None:
    """All others stay, with their numbers counted anew."""
    rows = tiny.frame(tiny.table("2021-03", "2021-04"))
    rows = rows.assign(seen=pd.to_datetime(rows["seen"]))
    kept, months = shown.unseen(rows, tiny.contract(), "tiny")
    assert (list(kept.index), list(months)) == (list(range(len(kept))), ["2021-03"])
    assert set(kept["seen"].dt.month) == {4}
    later = rows[rows["seen"].dt.month == 4]
    assert shown.unseen(later, tiny.contract(), "tiny")[0] is later
    assert case
