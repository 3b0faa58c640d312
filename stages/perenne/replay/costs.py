"""What a walk cost: the loss on the batches to come, the retrainings, and the alarms for nothing.

A **retraining** is one trip through the pipeline, whatever came of it. A **false alarm** is a retraining that
an alarm asked for and that should not have been: the gate rejected all that was offered, or, where the breaks
of a history are known, none lay in the labels yet. One that the gate left undecided is none: it is tried
again. Loss is the mean over the rows of a batch, summed over the batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from perenne.documents.replay import Costs, Step
from perenne.replay.plan import Plan
from perenne.replay.walk import TRAINED, Walk

RIGHT = (0.9, 1.1)  # observed / expected of a model that is right in the large


def costs(walk: Walk, plan: Plan) -> Costs:
    """What one walk cost."""
    loss = sum(step.figures.loss for step in walk.steps)
    retrainings = sum(event.kind in TRAINED for event in walk.events)
    alarms = false_alarms(walk, plan)
    cost = loss + plan.settings.cost * (retrainings + alarms)
    wrong = sum(not right(step) for step in walk.steps)
    return Costs(loss, retrainings, alarms, cost, wrong, delay(walk, plan))


def false_alarms(walk: Walk, plan: Plan) -> int:
    """How often the walk was told to retrain for nothing."""
    known = plan.breaks[0] + plan.contract.label_delay if plan.breaks else None

    def too_early(at: str) -> bool:
        return known is not None and plan.period("at", at) < known

    asked = [event for event in walk.events if event.kind in ("released", "rejected", "undecided")]
    return sum(event.kind == "rejected" or too_early(event.at) for event in asked)


def delay(walk: Walk, plan: Plan) -> float:
    """Batches from the first break, inclusive, until the model was right again, or the history ended."""
    after = [step for step in walk.steps if plan.breaks and step.period >= str(plan.breaks[0])]
    wrong = next((i for i, step in enumerate(after) if not right(step)), None)
    if not plan.breaks or wrong is None:
        return 0.0 if plan.breaks else float("nan")
    return float(next((i for i, step in enumerate(after) if i > wrong and right(step)), len(after)))


def right(step: Step) -> bool:
    """Whether about as many came as the model expected."""
    found = step.figures
    return found.expected > 0 and RIGHT[0] <= found.observed / found.expected <= RIGHT[1]


def mean(found: Iterable[Costs]) -> Costs:
    """The means over some walks."""
    return Costs(*map(float, np.mean(np.array(list(found)), axis=0)))


def table(walks: Sequence[Walk], plans: dict[int, Plan], best: str) -> pd.DataFrame:
    """One row a policy, means over the seeds; `of_best`: its cost as a multiple of the cost of `best`."""
    rows = {
        policy: mean(costs(walk, plans[walk.seed]) for walk in walks if walk.policy == policy)
        for policy in dict.fromkeys(walk.policy for walk in walks)
    }
    frame = pd.DataFrame([found._asdict() for found in rows.values()], index=pd.Index(rows, name="policy"))
    least = frame["cost"].get(best, np.nan)
    return frame.assign(of_best=frame["cost"] / least, above_best=frame["cost"] - least)
