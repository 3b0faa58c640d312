"""A shop that is closed on Sundays: a period without rows is ordinary life, as `as_of` and anywhere else."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from perenne.documents.decision import MonitorDecision
from perenne.loop import monitor, retrain
from perenne.replay import plan, policies
from perenne.replay.walk import walk
from perenne.replay.world import World
from tests import tiny
from tests.conftest import Enter, once
from tests.loop.conftest import release
from tests.project import Project

FIRST, AS_OF, TURNED = (
    date(2021, 3, 1),
    date(2021, 3, 28),
    date(2021, 4, 7),
)  # a Monday, a Sunday, a Wednesday
NOW = datetime(2030, 1, 1)


def sales(last: date) -> str:
    """Return what is sold to each day up to a last one; from one day on others win than before."""
    lines = [tiny.HEADER]
    for day in map(date.fromordinal, range(FIRST.toordinal(), last.toordinal() + 1)):
        for n in range(0 if day.weekday() == 6 else 40):
            red = (n + day.day) % 2
            won = red if n % 8 else 1 - red
            won = 1 - won if day >= TURNED else won
            lines.append(f"{n},{day},{n % 7}.5,{('blue', 'red')[red]},true,2020-12-31,{won}")
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the shop with a model in prod whose `as_of` is a Sunday. Shared: copy it to change it."""
    return Project(once(tmp_path_factory, "sparse", make) / "project")


def make(folder: Path) -> None:
    """Reproduce it up to the Monday after."""
    project = tiny.project(folder / "project")
    project.edit("period: month", "period: day", "data/cases/tiny/contract.yaml")
    project.edit("label_delay: 0", "label_delay: 1", "data/cases/tiny/contract.yaml")
    project.edit("as_of: .*", f'as_of: "{AS_OF}"')
    project.edit("window: .*", "window: 14")
    project.edit("holdout: .*", "holdout: 2")
    project.edit("through: .*", f'through: "{AS_OF + timedelta(1)}"')
    project.run("cat data/cases/flights/params.yaml | sed -n '/^gate:/,$p' >> params.yaml")
    project.edit(
        "(?s)    floor:.*?^$", "    floor: {min_gain: 0}\n    improvement: {}\n\ntolerance: {loss: 0.99}\n"
    )
    project.write(tiny.INPUT, sales(AS_OF + timedelta(1)))
    project.run("cp params.yaml data/cases/tiny/params.yaml")
    project.run(f"git rm -rq --cached data/incoming && dvc add -q {tiny.INPUT}")
    project.repro()
    project.commit("reproduced")


@pytest.fixture
def shop(made: Project, tmp_path: Path, enter: Enter) -> Project:
    """Return a copy as the current folder."""
    project = made.copy(tmp_path / "project")
    enter(project)
    release(project, case="tiny")
    return project


def deliver(shop: Project, text: str) -> None:
    """Replace the file: it may be a link into DVC's cache."""
    (shop.path / tiny.INPUT).unlink()
    shop.write(tiny.INPUT, text)


def test_as_of_without_rows_is_watched(shop: Project) -> None:
    """The model knows all days up to the Sunday; what came later is news."""
    deliver(shop, sales(date(2021, 3, 31)))
    found = monitor.monitor(NOW)
    assert (found.champion.as_of, found.through) == (str(AS_OF), "2021-03-31")
    assert found.reference.last == "2021-03-27"
    assert found.answer != "retrain"
    assert [window.period for window in found.windows] == ["2021-03-29", "2021-03-30", "2021-03-31"]


def test_retraining_waits_while_its_holdout_is_a_closed_day(shop: Project) -> None:
    """On a Monday the only labels to measure on are of the Sunday: one line, and the next day will do."""
    deliver(shop, sales(date(2021, 4, 12)))
    found: MonitorDecision = monitor.monitor(NOW)
    assert found.answer == "retrain", found.reasons
    assert (found.candidates, found.wait_for) == ((), "2021-04-13")
    outcome = retrain.retrain(NOW)
    assert outcome.answer == "undecided"
    deliver(shop, sales(date(2021, 4, 14)))
    outcome = retrain.retrain(NOW)
    assert outcome.lines[0].startswith(f"since {TURNED}: "), "no candidate was tried"


@pytest.mark.parametrize("policy", ["always", "every 7", "ours"])
def test_replay_walks_over_closed_days(shop: Project, tmp_path: Path, policy: str) -> None:
    """A policy acts when a batch has arrived: a schedule counts batches, and never hits Sundays alone."""
    deliver(shop, sales(date(2021, 4, 20)))
    here = plan.load("tiny")
    ingest = here.params.ingest.model_copy(update={"through": "2021-04-20"})
    world = World(here._replace(params=here.params.model_copy(update={"ingest": ingest})), tmp_path)
    done = walk(world, policies.make(policy)(world))
    days = [pd.Period(step.period, freq="D") for step in done.steps]
    assert days == [day for day in world.files if world.first < day <= world.last]
    assert done.events
    assert all(pd.Period(event.at, freq="D") in world.files for event in done.events)
