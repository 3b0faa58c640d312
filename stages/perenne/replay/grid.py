"""Which params of `drift` and `loop` would have cost least, tried on the same histories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from perenne.documents.replay import Costs
from perenne.loop.decide import Debounce
from perenne.replay import costs
from perenne.replay.plan import Plan
from perenne.replay.policies import Settings, Triggered, ours
from perenne.replay.walk import walk
from perenne.replay.world import World

SURE = 2.0  # standard errors between seeds: less is no reason to change params


class Tried(NamedTuple):
    """Some params, what they cost on the average of the seeds, and how much less than those in use."""

    settings: Settings
    costs: Costs
    saved: float
    error: float  # of what is saved; NaN for a single history

    @property
    def proven(self) -> bool:
        """Whether the saving is more than chance between seeds."""
        return self.saved > SURE * self.error if not math.isnan(self.error) else self.saved > 0


def settings(plan: Plan) -> list[Settings]:
    """The settings to try; those in use come first."""
    grid = plan.settings.grid
    tried = [
        Settings(often, Debounce(alarms=alarms, windows=windows, cool_down=cool_down))
        for often, (alarms, windows), cool_down in product(
            grid.periods_per_false_alarm, grid.alarms, grid.cool_down
        )
    ]
    return list(dict.fromkeys([ours(plan), *tried]))


def walked(world: World) -> list[Costs]:
    """The costs of each of the settings on one history; what they have in common is computed once.

    Returns
    -------
    The costs in the order of `settings(world.plan)`.

    """
    answers: dict[Any, Any] = {}
    return [
        costs.costs(walk(world, Triggered(chosen, world, answers=answers)), world.plan)
        for chosen in settings(world.plan)
    ]


def compared(plan: Plan, by_history: Mapping[int, Sequence[Costs]]) -> list[Tried]:
    """The settings with their mean costs over the histories, the cheapest first; of equal ones those in use.

    Parameters
    ----------
    plan
        Of any of the histories.
    by_history
        Seed -> the costs of `settings(plan)`, in that order.

    """
    by_seed = np.array([[each.cost for each in one] for one in by_history.values()])
    saved = by_seed[:, :1] - by_seed
    seeds = len(by_seed)
    errors = saved.std(axis=0, ddof=1) / math.sqrt(seeds) if seeds > 1 else np.full(saved.shape[1], np.nan)
    tried = [
        Tried(
            chosen,
            costs.mean(one[i] for one in by_history.values()),
            float(saved[:, i].mean()),
            float(errors[i]),
        )
        for i, chosen in enumerate(settings(plan))
    ]
    return sorted(tried, key=lambda each: round(each.costs.cost, 9))


def recommended(tried: Sequence[Tried], plan: Plan) -> Tried:
    """The cheapest, if that is more than chance between histories; else those in use.

    On a single history chance cannot be measured, so the cheapest is recommended.
    """
    if tried[0].proven:
        return tried[0]
    return in_use(tried, plan)


def in_use(tried: Sequence[Tried], plan: Plan) -> Tried:
    """Those that the replay's own policy has."""
    return next(each for each in tried if each.settings == ours(plan))


def by_key(settings: Settings) -> dict[str, int]:
    """The settings by their keys in params.yaml."""
    return {
        "drift.periods_per_false_alarm": settings.periods_per_false_alarm,
        **{f"loop.{key}": value for key, value in settings.debounce.model_dump().items()},
    }
