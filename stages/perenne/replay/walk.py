"""Walk a history batch by batch: what was known then, what the policy did, and what came of it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

import pandas as pd

from perenne.common.cut import Cut
from perenne.replay.world import Figures, World

Kind = Literal["scheduled", "released", "rejected", "undecided", "waiting", "chosen"]
TRAINED: tuple[Kind, ...] = ("scheduled", "released", "rejected", "undecided", "chosen")  # each costs


class Event(NamedTuple):
    """Something a policy did; `learned`: from which periods the model did that it is about."""

    at: str
    kind: Kind
    learned: str
    why: str = ""
    since: str | None = None


class Step(NamedTuple):
    """A batch, the `as_of` of the model that met it, and what that was worth there."""

    period: str
    as_of: str
    figures: Figures


class Walk(NamedTuple):
    """A whole walk of one policy over one history."""

    policy: str
    seed: int
    steps: list[Step]
    events: list[Event]
    used: list[Cut]  # the models it released, the first one included


class Policy(Protocol):
    """What to do when a batch has come in."""

    name: str

    def act(self, world: World, now: pd.Period, champion: Cut) -> tuple[Cut, list[Event]]:
        """Return the model for the batches to come, and what was done."""


def walk(world: World, policy: Policy) -> Walk:
    """Let a policy act after each batch; the model that it leaves meets the next one."""
    champion = world.plan.cut(world.first)
    done = Walk(policy.name, world.plan.seed, [], [], [champion])
    now = world.first
    while now < world.last:
        world.now = now
        champion, events = policy.act(world, now, champion)
        world.now = None
        done.events.extend(events)
        if champion != done.used[-1]:
            done.used.append(champion)
        now += 1
        if now in world.files:
            done.steps.append(Step(str(now), str(champion.as_of), world.figures(champion, now)))
    return done


def learned(cut: Cut) -> str:
    """The periods that a model learns from, in words.

    >>> learned(Cut(pd.Period("2019Q4"), window=20, holdout=4, label_delay=1))
    '2014Q1 to 2018Q3'
    """
    return f"{cut.first} to {cut.known - cut.label_delay}"


def to_json(done: Walk) -> dict[str, Any]:
    """The walk in JSON's own types."""
    return {
        "policy": done.policy,
        "seed": done.seed,
        "steps": [[step.period, step.as_of, *step.figures] for step in done.steps],
        "events": [list(event) for event in done.events],
        "used": [[str(cut.as_of), *cut[1:]] for cut in done.used],
    }


def from_json(said: dict[str, Any], freq: str) -> Walk:
    """The walk that `to_json` wrote down."""
    return Walk(
        said["policy"],
        said["seed"],
        [Step(period, as_of, Figures(*figures)) for period, as_of, *figures in said["steps"]],
        [Event(*event) for event in said["events"]],
        [Cut(pd.Period(as_of, freq=freq), *rest) for as_of, *rest in said["used"]],
    )
