"""Policies on a small company's history: who retrains when, and on what."""

from __future__ import annotations

import pandas as pd

from perenne.documents.replay import WalkRecord
from perenne.replay import policies
from perenne.replay.policies import Triggered, make
from perenne.replay.walk import recorded, restored, walk
from perenne.replay.world import World

LAW = "2020Q4"  # the first quarter whose departures fall under it
FREQ = "Q-DEC"


def test_never_keeps_the_first_model(world: World) -> None:
    """One model meets every batch after its `as_of` whose labels came."""
    done = walk(world, make("never")(world))
    assert [done.steps[0].period, done.steps[-1].period] == [str(world.first + 1), str(world.last)]
    assert {step.as_of for step in done.steps} == {str(world.first)}
    assert done.events == []


def test_every_four_retrains_on_time_and_uses_it_from_the_next_batch_on(world: World) -> None:
    """Each of its models learns up to what was known before its own holdout."""
    done = walk(world, make("every 4")(world))
    assert [event.at for event in done.events] == ["2019Q4", "2020Q4", "2021Q4"]
    assert {step.period: step.as_of for step in done.steps}["2019Q4"] == "2018Q4"
    assert {step.period: step.as_of for step in done.steps}["2020Q1"] == "2019Q4"
    assert done.events[0].learned == "2014Q1 to 2018Q3"


def test_ours_waits_for_the_law_and_learns_from_it(world: World) -> None:
    """Calm before it; the alarm comes with its first labels, the release with a model of the new world."""
    done = walk(world, make("ours")(world))
    assert done.events[0].at >= "2021Q1"
    released = [event for event in done.events if event.kind == "released"]
    assert released[0].since == LAW
    assert released[0].learned.startswith(LAW)
    assert released[0].at >= "2021Q3", "nothing can be learned and measured before"
    assert walk(world, Triggered(policies.ours(world.plan), world)) == done, "a walk is deterministic"


def test_nothing_uses_a_label_before_it_has_matured(world: World) -> None:
    """Every model that ours put to use has learned, labels included, from before its own `as_of`."""
    done = walk(world, make("ours")(world))
    for cut in done.used:
        parts = world.parts(cut)
        assert max(parts["train"]) + cut.label_delay <= cut.known
        assert max(parts["holdout"]) + cut.label_delay <= cut.as_of
    for step in done.steps:
        assert pd.Period(step.as_of, freq=FREQ) < pd.Period(step.period, freq=FREQ)


def test_walk_is_the_same_after_it_was_written_down(world: World) -> None:
    """To JSON and back."""
    done = walk(world, make("every 12")(world))
    record = WalkRecord.model_validate_json(recorded(done).model_dump_json())
    assert repr(restored(record, FREQ)) == repr(done), "by their text, because NaN equals nothing"
