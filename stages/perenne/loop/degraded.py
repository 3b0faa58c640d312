"""Retraining was not enough: the version in prod is marked, and people are asked for another model."""

from __future__ import annotations

from collections.abc import Callable

from perenne.common.names import DEGRADED, PROD
from perenne.documents.decision import Attempt, MonitorDecision
from perenne.loop import issue, show
from perenne.registry import publish, tags

Step = Callable[[str], None]


def degrade(found: MonitorDecision, known: Attempt, *, push: bool, step: Step) -> list[str]:
    """Assign the stage `degraded` to the version in prod, and open or update the one issue."""
    case = found.case
    told = [mark(case, f"no retraining passed the gate by {known.as_of}", push=push)]
    step(f"degraded: {told[0]}")
    title, body = show.experiments(found, known)
    if push and issue.on_github():
        told.append(issue.put(case, title, body))
        step(f"issue: {told[-1]}")
    else:
        told.append(f"{title}\n\n{body}")
    return told


def mark(case: str, reason: str, *, push: bool) -> str:
    """Put the version in prod in the stage `degraded` too; once is enough."""
    registry = tags.read(case)
    prod = registry.in_stage(PROD)
    if prod is None:
        return f"{case}: nothing is in {PROD} any more"
    if DEGRADED not in registry.stages(prod):
        publish.publish([publish.assigned(registry, DEGRADED, prod.commit, reason)], push=push)
    elif push:
        publish.push(case)  # it may have been made where nothing was shared
    return f"{prod.tag} is {DEGRADED}"
