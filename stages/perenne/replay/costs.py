"""What a walk cost: the loss on later batches, the retrainings and the false alarms.

A **retraining** is one run of the pipeline, whatever its result. A **false alarm** is a retraining that an
alarm started without need: the gate rejected all candidates, or, where the breaks of a history are known, the
labels held none yet. One that the gate left undecided does not count: it is tried again. Loss is the mean of
the rows of a batch, summed over the batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from perenne.documents.replay import Costs, Step
from perenne.replay.batch_figures import sides
from perenne.replay.plan import Plan
from perenne.replay.walk import TRAINED, Walk

RIGHT = (0.9, 1.1)  # observed / expected of a model that is right in the large


def costs(walk: Walk, plan: Plan) -> Costs:
    """The costs of one walk; `plan` is that of its history."""
    loss = sum(step.figures.loss for step in walk.steps)
    retrainings = sum(event.kind in TRAINED for event in walk.events)
    alarms = false_alarms(walk, plan)
    cost = loss + plan.settings.cost * (retrainings + alarms)
    wrong = sum(not right(step) for step in walk.steps)
    return Costs(loss, retrainings, alarms, cost, wrong, delay(walk, plan))


def false_alarms(walk: Walk, plan: Plan) -> int:
    """How many retrainings an alarm started without need."""
    known = plan.breaks[0] + plan.contract.label_delay if plan.breaks else None

    def too_early(at: str) -> bool:
        return known is not None and plan.period("at", at) < known

    started = [event for event in walk.events if event.kind in ("released", "rejected", "undecided")]
    return sum(event.kind == "rejected" or too_early(event.at) for event in started)


def delay(walk: Walk, plan: Plan) -> float:
    """Batches from the first break, inclusive, until the model was right again, or the history ended.

    Returns
    -------
    A number of batches: 0 if the model was never wrong after the break, NaN if no break is known.

    """
    after = [step for step in walk.steps if plan.breaks and step.period >= str(plan.breaks[0])]
    wrong = next((i for i, step in enumerate(after) if not right(step)), None)
    if not plan.breaks or wrong is None:
        return 0.0 if plan.breaks else float("nan")
    return float(next((i for i, step in enumerate(after) if i > wrong and right(step)), len(after)))


def right(step: Step) -> bool:
    """Whether observed / expected was inside of `RIGHT`; of several classes, that of each."""
    known = sides(step.figures)
    return all(expected > 0 and RIGHT[0] <= observed / expected <= RIGHT[1] for observed, expected in known)


def mean(walks: Iterable[Costs]) -> Costs:
    """The means over the costs of some walks."""
    return Costs(*map(float, np.mean(np.array(list(walks)), axis=0)))


def table(walks: Sequence[Walk], plans: dict[int, Plan], best: str) -> pd.DataFrame:
    """The means over the seeds, one row per policy.

    Parameters
    ----------
    walks
        Of any number of policies over the same histories.
    plans
        The plan of each history, by its seed.
    best
        The policy that others are compared with: `of_best` is a cost as a multiple of its cost, `above_best`
        the difference. Both are NaN if it was not walked.

    Returns
    -------
    Indexed by policy: the columns of `Costs`, then `of_best` and `above_best`.

    """
    rows = {
        policy: mean(costs(walk, plans[walk.seed]) for walk in walks if walk.policy == policy)
        for policy in dict.fromkeys(walk.policy for walk in walks)
    }
    frame = pd.DataFrame([row._asdict() for row in rows.values()], index=pd.Index(rows, name="policy"))
    least = frame["cost"].get(best, np.nan)
    return frame.assign(of_best=frame["cost"] / least, above_best=frame["cost"] - least)
