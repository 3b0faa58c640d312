"""The best that could have been done, in hindsight: a model for each batch, by dynamic programming.

It knows every later loss and every break, but it has only the pipeline's own models: those of the window in
params.yaml at each `as_of`, those whose window begins with a break that is known, and those that any policy
here has put to use. So no policy that must measure a model before using it can do better.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from perenne.common.cut import Cut
from perenne.documents.replay import ReplayEvent, Step
from perenne.replay.policies import ORACLE
from perenne.replay.walk import Walk, learned
from perenne.replay.world import World

Array = npt.NDArray[np.float64]


def oracle(world: World, walks: Iterable[Walk]) -> Walk:
    """The walk that costs least; `walks` are those of the other policies over the same history.

    Parameters
    ----------
    world
        The history.
    walks
        The walks of the other policies over it: the oracle may use their models too.

    Returns
    -------
    The walk, with an event of the kind `chosen` at each change of model.

    """
    first = world.plan.cut(world.first)
    models = [first, *sorted(set(_models(world)) | {cut for walk in walks for cut in walk.used} - {first})]
    periods = [p for p in pd.period_range(world.first + 1, world.last) if p in world.files]
    losses = np.full((len(periods), len(models)), np.inf)
    for column, cut in enumerate(models):
        for row, period in enumerate(periods):
            if cut.as_of < period:
                losses[row, column] = world.figures(world.released(cut), period).loss
    path = best(losses, world.plan.settings.cost)
    chosen = [models[column] for column in path]
    steps = [
        Step(str(p), str(c.as_of), world.figures(world.released(c), p))
        for p, c in zip(periods, chosen, strict=True)
    ]
    before = [first, *chosen[:-1]]
    events = [
        ReplayEvent(str(period - 1), "chosen", learned(now))
        for period, was, now in zip(periods, before, chosen, strict=True)
        if now != was
    ]
    return Walk(ORACLE, world.plan.seed, steps, events, list(dict.fromkeys([first, *chosen])))


def _models(world: World) -> Iterable[Cut]:
    for now in pd.period_range(world.first, world.last - 1):
        if now in world.files:
            cut = world.plan.cut(now)
            since = (cut.from_change(change) for change in world.plan.breaks)
            shorter = (each for each in since if each and each.window < cut.window)
            yield from (each for each in (cut, *shorter) if each.fits(world.files))


def best(losses: Array, cost: float) -> list[int]:
    """The model to use for each batch so that losses and changes of model cost least (Bellman 1957).

    Parameters
    ----------
    losses
        Shape (batches, models); infinite where a model does not exist yet. The first is in use at first.
    cost
        Of a change.

    Returns
    -------
    For each batch the number of its model, counted from 0.

    Examples
    --------
    >>> best(np.array([[1, 9, 9], [9, 3, 9], [9, 3, 1]]), cost=1)
    [0, 1, 2]
    >>> best(np.array([[1, 9, 9], [9, 3, 9], [9, 3, 1]]), cost=3)
    [0, 1, 1]

    """
    total = np.where(np.arange(losses.shape[1]) == 0, 0.0, np.inf)
    came_from = []
    for row in losses:
        cheapest = int(np.argmin(total))
        change = total[cheapest] + cost
        came_from.append(np.where(total <= change, np.arange(len(row)), cheapest))
        total = np.minimum(total, change) + row
    path = [int(np.argmin(total))]
    for before in reversed(came_from[1:]):
        path.append(int(before[path[-1]]))
    return path[::-1]
