"""Costs: what counts as a retraining, as a false alarm, and as delay."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from perenne.common.cut import Cut
from perenne.documents.replay import Figures, ReplayEvent, Step
from perenne.replay.costs import costs, delay, false_alarms, mean
from perenne.replay.report import warning
from perenne.replay.walk import Walk
from perenne.replay.world import World


def step(period: str, ratio: float = 1.0, loss: float = 0.2) -> Step:
    """Return a batch with as many events as expected, times a ratio."""
    return Step(period, "2016Q4", Figures(1_000, loss, 100 * ratio, 100.0, 62.0, 62.0))


def walked(*events: ReplayEvent, steps: list[Step] | None = None) -> Walk:
    """Return a walk with these events."""
    return Walk("ours", 0, steps or [step("2020Q3")], list(events), [])


def test_cost_is_loss_plus_retrainings_plus_false_alarms(world: World) -> None:
    """Each costs what `replay.yaml` says; to wait costs nothing."""
    done = walked(
        ReplayEvent("2021Q1", "waiting", ""),
        ReplayEvent("2021Q3", "undecided", ""),
        ReplayEvent("2021Q4", "rejected", ""),
        ReplayEvent("2022Q1", "released", ""),
        steps=[step("2021Q4"), step("2022Q1", loss=0.3)],
    )
    found = costs(done, world.plan)
    assert (found.retrainings, found.false_alarms) == (3, 1)
    assert found.cost == pytest.approx(0.5 + 0.01 * 4)


@pytest.mark.parametrize(
    ("periods", "warned"),
    [(["2018Q4"], False), (["2018Q4", "2019Q1"], True), (["2019Q4"], True), (["2020Q1", "2020Q2"], False)],
)
def test_figures_of_the_holdout_are_warned_of(world: World, periods: list[str], *, warned: bool) -> None:
    """No look counts them: who chooses a model by them proves nothing on these batches."""
    cut = Cut(pd.Period("2019Q4"), window=20, holdout=4, label_delay=1)
    said = warning([walked(steps=list(map(step, periods)))], world.plan, cut)
    assert said.startswith("some of these figures are of the holdout (2019Q1 to 2019Q4)") == warned
    assert bool(said) == warned


@pytest.mark.parametrize(
    ("event", "false"),
    [
        (ReplayEvent("2020Q4", "released", ""), 1),  # the law's first labels come in 2021Q1
        (ReplayEvent("2021Q1", "released", ""), 0),
        (ReplayEvent("2021Q1", "rejected", ""), 1),
        (ReplayEvent("2021Q1", "undecided", ""), 0),
        (ReplayEvent("2018Q4", "undecided", ""), 1),
        (ReplayEvent("2018Q4", "scheduled", ""), 0),  # nobody was alarmed
        (ReplayEvent("2018Q4", "waiting", ""), 0),  # and nothing was done
    ],
)
def test_false_alarm_is_one_without_a_break_or_one_that_came_to_nothing(
    world: World, event: ReplayEvent, false: int
) -> None:
    """Where the break is known, an alarm before its labels is false, even if the gate let it through."""
    assert false_alarms(walked(event), world.plan) == false


def test_delay_counts_from_the_break_until_the_model_is_right_again(world: World) -> None:
    """Batches before the break do not count, nor does one that is still right after it."""
    ratios = {"2020Q3": 0.5, "2020Q4": 0.95, "2021Q1": 0.8, "2021Q2": 0.4, "2021Q3": 1.05, "2021Q4": 0.5}
    done = walked(steps=[step(period, ratio) for period, ratio in ratios.items()])
    assert delay(done, world.plan) == 3
    assert costs(done, world.plan).wrong == 4


def test_history_without_a_known_break_has_no_delay(world: World) -> None:
    """It cannot be told, and is not called 0."""
    plan = world.plan._replace(settings=world.plan.settings.model_copy(update={"breaks": ()}))
    found = mean([costs(walked(), plan), costs(walked(), plan)])
    assert math.isnan(found.delay)
    assert false_alarms(walked(ReplayEvent("2018Q4", "released", "")), plan) == 0
