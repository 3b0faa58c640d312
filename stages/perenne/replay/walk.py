"""Walk a history batch by batch: what was known then, what the policy did, and how the model then did."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import pandas as pd

from perenne.common.cut import Cut
from perenne.documents.replay import Kind, ReplayEvent, Step, WalkRecord
from perenne.replay.world import World

TRAINED: tuple[Kind, ...] = ("scheduled", "released", "rejected", "undecided", "chosen")  # each costs


class Walk(NamedTuple):
    """A whole walk of one policy over one history."""

    policy: str
    seed: int
    steps: list[Step]
    events: list[ReplayEvent]
    used: list[Cut]  # the models it released, the first one included


class RetrainingPolicy(Protocol):
    """What to do when a batch has arrived."""

    name: str

    def act(self, world: World, now: pd.Period, champion: Cut) -> tuple[Cut, list[ReplayEvent]]:
        """Return the model for the next batches, and what was done."""


def walk(world: World, policy: RetrainingPolicy) -> Walk:
    """Let a policy act after each batch; the model that it leaves meets the next one.

    Returns
    -------
    One step per batch after the first model's `as_of`, up to the last batch with matured labels.

    """
    champion = world.plan.cut(world.first)
    done = Walk(policy.name, world.plan.seed, [], [], [champion])
    now = world.first
    while now < world.last:
        if now in world.files:
            world.now = now
            champion, events = policy.act(world, now, champion)
            world.now = None
            done.events.extend(events)
            if champion != done.used[-1]:
                done.used.append(champion)
        now += 1
        if now in world.files:
            done.steps.append(
                Step(str(now), str(champion.as_of), world.figures(world.released(champion), now))
            )
    return done


def learned(cut: Cut) -> str:
    """The periods that a model learns from, and those that correct its scores.

    >>> learned(Cut(pd.Period("2019Q4"), window=20, holdout=4, label_delay=1))
    '2014Q1 to 2018Q3'
    >>> learned(Cut(pd.Period("2021Q4"), window=20, holdout=2, label_delay=1, recalibrate=3, gap=6))
    '2014Q2 to 2018Q4, recalibrated by 2020Q4 to 2021Q1'
    """
    learned = f"{cut.first} to {cut.learned - cut.label_delay}"
    if not cut.recalibrate:
        return learned
    return f"{learned}, recalibrated by {cut.known - cut.recalibrate + 1} to {cut.known - cut.label_delay}"


def recorded(done: Walk) -> WalkRecord:
    """The walk as it is kept."""
    return WalkRecord(
        policy=done.policy,
        seed=done.seed,
        steps=tuple(done.steps),
        events=tuple(done.events),
        used=tuple((str(cut.as_of), *cut[1:]) for cut in done.used),
    )


def restored(record: WalkRecord, freq: str) -> Walk:
    """The walk that `recorded` kept; `freq` is that of its periods, in pandas' terms."""
    used = [Cut(pd.Period(as_of, freq=freq), *rest) for as_of, *rest in record.used]
    return Walk(record.policy, record.seed, list(record.steps), list(record.events), used)
