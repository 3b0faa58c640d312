"""When to retrain: never, on a schedule, or when the labels say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from perenne.common.cut import Cut
from perenne.common.errors import PerenneError, hint
from perenne.common.params import Drift
from perenne.documents.replay import Kind, ReplayEvent
from perenne.gate.ledger import Family
from perenne.loop.candidates import Candidate, candidates, improves, rivals
from perenne.loop.decide import Debounce, LastAttempt, decide
from perenne.replay.judging import Gate
from perenne.replay.plan import Plan
from perenne.replay.walk import RetrainingPolicy, learned
from perenne.replay.watch import Watch
from perenne.replay.world import World

ORACLE = "oracle"  # it sees all of the history at once: stages/perenne/replay/oracle.py


class Never:
    """The first model for ever."""

    name = "never"

    def act(self, world: World, now: pd.Period, champion: Cut) -> tuple[Cut, list[ReplayEvent]]:  # noqa: ARG002
        """Nothing."""
        return champion, []


class Every:
    """A new model every so many batches, put to use at once: a schedule has no gate."""

    def __init__(self, batches: int) -> None:
        """Every batch is `always`."""
        self.batches = batches
        self.name = "always" if batches == 1 else f"every {batches}"

    def act(self, world: World, now: pd.Period, champion: Cut) -> tuple[Cut, list[ReplayEvent]]:
        """Retrain if it is time."""
        cut = world.plan.cut(now)
        arrived = sum(world.first < period <= now for period in world.files)
        if now == world.first or arrived % self.batches or not cut.fits(world.files):
            return champion, []
        return cut, [ReplayEvent(str(now), "scheduled", learned(cut))]


class Settings(NamedTuple):
    """What the triggered policy can be tuned by: of `drift` and of `loop`."""

    periods_per_false_alarm: int
    debounce: Debounce


class Triggered:
    """Ours: monitor, retrain the candidates, ask the gate, and release only what is eligible."""

    name = "ours"

    def __init__(self, settings: Settings, world: World, *, answers: dict[Any, Any] | None = None) -> None:
        """Begin with the first model; `answers` is shared by walks over the same history."""
        self.settings, self.answers = settings, {} if answers is None else answers
        self.gate = Gate(world, self.answers)
        self.last: LastAttempt | None = None
        self.first: Cut | None = None  # all that follow it are fresher

    def act(self, world: World, now: pd.Period, champion: Cut) -> tuple[Cut, list[ReplayEvent]]:
        """Test the champion for drift, and act on the decision.

        Parameters
        ----------
        world
            The history.
        now
            The batch that has arrived.
        champion
            The model in use.

        Returns
        -------
        The model for the next batches, and at most one event.

        """
        self.first = self.first or champion
        windows = self._watch(world, champion).windows(now)
        if self.last:
            self.last = self.last._replace(since=come(world, self.last.as_of, now))
        decision = decide(windows, self.settings.debounce, now, self.last)
        if decision.answer != "retrain":
            return champion, []
        since = decision.since
        why, began = "; ".join(decision.reasons), None if since is None else str(since)
        offered = candidates(world.plan.cut(now), since, champion, world.files)
        if not offered and since is not None:
            first = world.plan.cut(now).first_as_of(since)
            return champion, [ReplayEvent(str(now), "waiting", "", f"{why}; nothing before {first}", began)]
        self.last = LastAttempt(now, renewed=world.plan.cut(now).holdout)
        verdicts, family = [], Family(str(now), len(offered))
        for candidate in ordered(world, offered):
            verdict = self.gate.judge(candidate.cut, champion, family, self.first)
            if verdict.answer == "eligible":
                self.last = None  # what was to replace another version is past
                return candidate.cut, [ReplayEvent(str(now), "released", learned(candidate.cut), why, began)]
            verdicts.append((verdict, candidate))
        lacks = min(v.lacks for v, _ in verdicts)
        self.last = self.last._replace(lacks=lacks)
        kind: Kind = "undecided" if any(v.answer == "undecided" for v, _ in verdicts) else "rejected"
        blame = "; ".join(f"{c.name}: {v.answer} by {v.why}" for v, c in verdicts)
        return champion, [ReplayEvent(str(now), kind, learned(verdicts[0][1].cut), f"{why}; {blame}", began)]

    def _watch(self, world: World, champion: Cut) -> Watch:
        question = champion, self.settings.periods_per_false_alarm
        if question not in self.answers:
            self.answers[question] = Watch(world, champion, spec(world.plan, self.settings))
        watch: Watch = self.answers[question]
        return watch


def ordered(world: World, offered: list[Candidate]) -> list[Candidate]:
    """The candidates, the more promising first of those that are measured on the same rows."""
    if not rivals(offered):
        return offered
    first, second, *rest = offered
    better = improves(world.validated(first.cut), world.validated(second.cut), world.contract)
    return [second, first, *rest] if better else offered


def come(world: World, before: pd.Period, now: pd.Period) -> int:
    """How many blocks have got labels since a retraining; a row is its own where the contract has none."""
    delay = world.contract.label_delay
    seen = [world.blocks(p) for p in world.files if before - delay < p <= now - delay]
    if not seen or not world.contract.block:
        return sum(map(len, seen))
    return len(np.unique(np.concatenate(seen)))


def spec(plan: Plan, settings: Settings) -> Drift:
    """The case's `drift` section with what is tuned."""
    return plan.params.drift.model_copy(update={"periods_per_false_alarm": settings.periods_per_false_alarm})


def ours(plan: Plan) -> Settings:
    """The settings in params.yaml, or those that `replay.yaml` has instead."""
    often = plan.settings.periods_per_false_alarm or plan.params.drift.periods_per_false_alarm
    return Settings(often, plan.debounce)


def names(plan: Plan) -> list[str]:
    """The policies of a replay, in the order of the table."""
    first, *rest = FIXED
    return [first, *(f"every {k}" for k in sorted(plan.settings.every, reverse=True)), *rest, ORACLE]


FIXED: Mapping[str, Callable[[World], RetrainingPolicy]] = {
    "never": lambda _: Never(),
    "always": lambda _: Every(1),
    "ours": lambda world: Triggered(ours(world.plan), world),
}
"""The policies with a name of their own. Schedules are called `every N`, and the oracle walks differently."""


def make(name: str) -> Callable[[World], RetrainingPolicy]:
    """What makes the policy of a name for a history; the oracle is not one of them.

    Raises
    ------
    PerenneError
        If there is no policy of this name.

    """
    every = re.fullmatch(r"every ([1-9]\d*)", name)
    if every:
        return lambda _: Every(int(every[1]))
    if name not in FIXED:
        raise PerenneError(f"--policies: {name!r} is none; {hint(name, [*FIXED, 'every 4', ORACLE])}")
    return FIXED[name]
