"""Monitor: the drift question, asked for the champion of its tag about all that has come since."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from perenne.common.errors import PerenneError
from perenne.documents.decision import Attempt, AttemptAnswer, MonitorDecision
from perenne.documents.drift import DriftReport
from perenne.loop import arrivals, champion, history
from perenne.loop.champion import Champion
from perenne.loop.monitor import monitor
from tests import tiny
from tests.conftest import Enter
from tests.loop.conftest import release
from tests.project import Project

NOW = datetime(2030, 1, 1)
CALM, LAW = "2020Q4", "2021Q4"


def monitored(through: str | None = None) -> MonitorDecision:
    """Return the decision after a period as it is read back from its file."""
    return MonitorDecision.loads(json.dumps(monitor(NOW, through).to_json(), allow_nan=False), "decision")


def test_windows_are_those_of_the_stage(watched: Project) -> None:
    """At the champion's own commit the question is that of the stage `drift`, to the last digit."""
    found = monitored("2021Q2")
    watched.edit("through: 2020Q4", "through: 2021Q2")
    watched.run("dvc repro -q")
    stage = DriftReport.load(watched.path / "data/reports/drift.json")
    assert found.reference == stage.reference
    for window, batch in zip(found.windows, stage.batches, strict=True):
        assert window.moved == tuple(test for test in batch.covariates if test.alarm)
        mine, theirs = window.model_dump(exclude={"moved"}), batch.model_dump()
        assert mine == {key: theirs[key] for key in mine}


def test_quiet_year_calls_for_nothing(watched: Project) -> None:
    """Exit status 0; nothing in the project is changed."""
    done = watched.run("perenne monitor", status=0)
    assert done.stdout == "retirement: nothing: no drift detected through 2020Q4\nloop/decision.json\n"
    found = json.loads(watched.read("loop/decision.json"))
    assert (found["answer"], found["since"], found["slices"]) == ("nothing", None, [])
    assert watched.out("git status --porcelain") == ""


def test_law_calls_for_a_retraining(watched: Project) -> None:
    """Exit status 11: what is wrong, since when, for whom, and which models could be tried."""
    done = watched.run(f"perenne monitor --through {LAW}", status=11)
    assert done.stdout.startswith(
        f"retirement: retrain: v1.0.0 is no longer right, by the labels through {LAW}\n  "
    )
    found = json.loads(watched.read("loop/decision.json"))
    assert found["since"] in ("2020Q4", "2021Q1")
    assert found["through"] == LAW
    worst = found["slices"][0]
    assert worst["slice"] == "age=[62.0, 65.0)"
    assert worst["observed"] < 0.5 * worst["expected"]
    first = watched.read("loop/decision.json")
    watched.run(f"perenne monitor --through {LAW} --offline", status=11)
    assert watched.read("loop/decision.json") == first, "the same history, another decision"


def test_what_is_kept_changes_nothing(watched: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later batch is added to what an earlier run has seen; all of it anew gives the same decision."""
    read: list[int] = []
    whole = champion.scored

    def scored(current: Champion, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        read.append(len(rows))
        return whole(current, rows)

    monkeypatch.setattr(champion, "scored", scored)
    monitored("2021Q2")
    read.clear()
    found = monitored("2021Q3")
    assert len(read) == 2, "the new batch, and the one whose labels have come by it"
    watched.run("rm -rf .git/perenne")
    assert monitored("2021Q3") == found
    assert len(read) > 5


def test_champion_is_that_of_its_tag(watched: Project) -> None:
    """What the working tree's params say of `as_of`, and which model lies there, is another matter."""
    before = monitored(CALM)
    watched.edit("as_of: 2019Q4", "as_of: 2018Q4")
    watched.run("rm -rf data/model data/reports data/clean data/raw .git/perenne")  # what is kept as well
    assert monitored(CALM) == before


def test_nothing_in_prod_is_an_error(project: Project, enter: Enter) -> None:
    """There is nothing to watch; exit status 2."""
    enter(project)
    with pytest.raises(PerenneError, match=r"^retirement: no version is in prod"):
        monitor(NOW)
    assert project.run("perenne monitor", status=1).stderr.startswith("error: retirement: no version")


def test_new_champion_starts_afresh(watched: Project) -> None:
    """One that knows all that has come has nothing to be asked about."""
    watched.edit("as_of: 2019Q4", "as_of: 2020Q4")
    watched.run("dvc repro -q split train")
    watched.commit("moved on")
    release(watched, "v1.0.1")
    found = monitored(CALM)
    assert (found.answer, found.windows) == ("nothing", ())
    assert found.champion.as_of == CALM


def test_retraining_that_was_tried_is_given_time(watched: Project) -> None:  # noqa: ARG001 -- the current folder
    """An attempt of the last period puts the next off; one of this very period is gone on with."""

    def attempt(as_of: str, answer: AttemptAnswer) -> Attempt:
        return Attempt(champion="v1.0.0", as_of=as_of, answer=answer, tried=())

    def last(champion: str = "v1.0.0") -> str:
        found = history.last("retirement", champion, "quarter", pd.Period(LAW))
        return "None" if found is None else str(found[0])

    history.record("retirement", attempt(LAW, "rejected"), sharing=False)
    assert last() == "None"
    for _ in range(2):
        history.record("retirement", attempt("2021Q3", "undecided"), sharing=False)
    assert (last(), last("v0.9.0")) == ("2021Q3", "None"), "what was to replace another version is past"
    assert len(history.attempts("retirement", "v1.0.0")) == 2
    found = monitored(LAW)
    assert (found.answer, found.retrained) == ("look", "2021Q3")


def test_settings_are_checked(watched: Project) -> None:
    """A typo names the key and the nearest valid one."""
    watched.edit("on_eligible: .*", "on_eligibel: release")
    with pytest.raises(PerenneError, match=r"loop\.on_eligibel: unknown key; did you mean 'on_eligible'"):
        monitor(NOW)


@pytest.mark.parametrize(
    ("now", "asked", "newest"),
    [
        (datetime(2021, 8, 1), None, "2021-06"),
        (datetime(2021, 6, 30, 23), None, "2021-05"),
        (datetime(2021, 1, 1), None, "2021-04"),
        (datetime(2021, 8, 1), "2021-05", "2021-05"),
    ],
)
def test_files_say_how_far_they_go(
    now: datetime, asked: str | None, newest: str, project: Project, enter: Enter
) -> None:
    """New files are found, but a period that has not ended is not all there."""
    enter(project)
    project.run("rm -rf data/incoming/*")
    project.write("data/incoming/tiny/visits.csv", tiny.table(*tiny.MONTHS, "2021-05", "2021-06"))
    p = tiny.params()
    assert str(arrivals.newest(p, tiny.contract(), asked, now)) == newest
    with arrivals.arrived(p, tiny.contract(), arrivals.newest(p, tiny.contract(), asked, now)) as come:
        assert str(come.through) == newest
        assert len(come.clean(come.through)) == 20
