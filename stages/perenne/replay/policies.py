"""When to retrain: never, on a schedule, or when the labels say so."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from perenne.common.cut import Cut
from perenne.common.errors import PerenneError, hint
from perenne.common.params import Drift
from perenne.documents.replay import Event, Kind
from perenne.loop.candidates import candidates, first_as_of
from perenne.loop.decide import Debounce, decide
from perenne.replay.gate import Gate
from perenne.replay.plan import Plan
from perenne.replay.walk import Policy, learned
from perenne.replay.watch import Watch
from perenne.replay.world import World

ORACLE = "oracle"  # it sees all of the history at once: stages/perenne/replay/oracle.py


class Never:
    """The first model for ever."""

    name = "never"

    def act(self, world: World, now: pd.Period, champion: Cut) -> tuple[Cut, list[Event]]:  # noqa: ARG002
        """Nothing."""
        return champion, []


class Every:
    """A new model every so many batches, put to use as it comes: a schedule has no gate."""

    def __init__(self, batches: int) -> None:
        """Every batch is `always`."""
        self.batches = batches
        self.name = "always" if batches == 1 else f"every {batches}"

    def act(self, world: World, now: pd.Period, champion: Cut) -> tuple[Cut, list[Event]]:
        """Retrain if it is time."""
        if now == world.first or (now - world.first).n % self.batches:
            return champion, []
        cut = world.plan.cut(now)
        return cut, [Event(str(now), "scheduled", learned(cut))]


class Settings(NamedTuple):
    """What the triggered policy can be tuned by: of `drift` and of `loop`."""

    periods_per_false_alarm: int
    debounce: Debounce


class Triggered:
    """Ours: monitor, retrain the candidates, ask the gate, and release only what is eligible."""

    name = "ours"

    def __init__(self, settings: Settings, world: World, *, asked: dict[Any, Any] | None = None) -> None:
        """Begin with the first model; `asked` is shared by walks that ask the same of one history."""
        self.settings, self.asked = settings, {} if asked is None else asked
        self.gate = Gate(world, self.asked)
        self.retrained: pd.Period | None = None

    def act(self, world: World, now: pd.Period, champion: Cut) -> tuple[Cut, list[Event]]:
        """Ask drift's question of the champion, and act on the answer."""
        windows = self._watch(world, champion).windows(now)
        decision = decide(windows, self.settings.debounce, now, self.retrained)
        if decision.answer != "retrain":
            return champion, []
        since = decision.since
        why, told = "; ".join(decision.reasons), None if since is None else str(since)
        offered = candidates(world.plan.cut(now), since, champion.known - champion.window + 1)
        if not offered and since is not None:
            first = first_as_of(champion, since)
            return champion, [Event(str(now), "waiting", "", f"{why}; nothing before {first}", told)]
        self.retrained = now
        answers = []
        for candidate in offered:
            verdict = self.gate.judge(candidate.cut, champion)
            if verdict.answer == "eligible":
                return candidate.cut, [Event(str(now), "released", learned(candidate.cut), why, told)]
            answers.append((verdict, candidate))
        kind: Kind = "undecided" if any(v.answer == "undecided" for v, _ in answers) else "rejected"
        blame = "; ".join(f"{c.name}: {v.answer} by {v.why}" for v, c in answers)
        return champion, [Event(str(now), kind, learned(answers[0][1].cut), f"{why}; {blame}", told)]

    def _watch(self, world: World, champion: Cut) -> Watch:
        question = champion, self.settings.periods_per_false_alarm
        if question not in self.asked:
            self.asked[question] = Watch(world, champion, spec(world.plan, self.settings))
        found: Watch = self.asked[question]
        return found


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


FIXED: Mapping[str, Callable[[World], Policy]] = {
    "never": lambda _: Never(),
    "always": lambda _: Every(1),
    "ours": lambda world: Triggered(ours(world.plan), world),
}
"""The policies with a name of their own. Schedules are called `every N`, and the oracle walks differently."""


def make(name: str) -> Callable[[World], Policy]:
    """The policy of a name, but the oracle's."""
    every = re.fullmatch(r"every ([1-9]\d*)", name)
    if every:
        return lambda _: Every(int(every[1]))
    if name not in FIXED:
        raise PerenneError(f"--policies: {name!r} is none; {hint(name, [*FIXED, 'every 4', ORACLE])}")
    return FIXED[name]
