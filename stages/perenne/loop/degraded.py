"""Retraining was not enough: the version in prod is marked `degraded`, and an issue asks for experiments."""

from __future__ import annotations

from collections.abc import Callable

from perenne import forge
from perenne.common.names import DEGRADED, PROD
from perenne.documents.decision import Attempt, MonitorDecision
from perenne.loop import issue, show
from perenne.registry import publish, tags

Step = Callable[[str], None]


def degrade(decision: MonitorDecision, known: Attempt, *, push: bool, step: Step) -> list[str]:
    """Assign the stage `degraded` to the version in prod, and open or update the one issue.

    Parameters
    ----------
    decision
        The monitor's decision.
    known
        The retraining that the gate rejected.
    push
        Push the tag and write the issue; else the text of the issue is returned.
    step
        Reports each step when it is done.

    Returns
    -------
    Messages, one for each step.

    """
    case = decision.case
    messages = [mark(case, f"no retraining passed the gate by {known.as_of}", push=push)]
    step(f"degraded: {messages[0]}")
    title, body = show.experiments(decision, known)
    host = forge.current()
    if push and host is not None:
        messages.append(issue.put(host, case, title, body))
        step(f"issue: {messages[-1]}")
    else:
        messages.append(f"{title}\n\n{body}")
    return messages


def mark(case: str, reason: str, *, push: bool) -> str:
    """Assign the stage `degraded` to the version in prod, unless it has that stage; return a message.

    Parameters
    ----------
    case
        The name of the model.
    reason
        The message of the tag.
    push
        Push the tag, also if an earlier run has made it.

    """
    registry = tags.read(case)
    prod = registry.in_stage(PROD)
    if prod is None:
        return f"{case}: nothing is in {PROD} any more"
    if DEGRADED not in registry.stages(prod):
        publish.publish([publish.assigned(registry, DEGRADED, prod.commit, reason)], push=push)
    elif push:
        publish.push(case)  # the tag may have been made without `push`
    return f"{prod.tag} is {DEGRADED}"
