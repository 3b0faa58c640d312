"""Deploy a release, or roll back to an earlier one."""

from __future__ import annotations

import os

from perenne.actions import runner
from perenne.common.names import PROD
from perenne.common.options import current_case
from perenne.registry import rollback as registry_rollback
from perenne.registry import tags


def deploy() -> str:
    """Test the version in `VERSION` in the real server and assign `prod` to it; return a message for the log.

    Without `VERSION` it is the version that is in prod already: a release has tested that one before it
    assigned the stage, and somebody who rolled back since did so for a reason. A version that fails leaves
    the stage. The step's output `version` is what is in prod.

    Raises
    ------
    PerenneError
        If the version is unknown or fails its test.

    """
    from perenne.serving import rollout, settings

    runner.configure_dvc()
    case = current_case()
    with runner.rights():
        budget, wanted = settings.load().budget_ms, os.environ.get("VERSION")
        tags.fetch()
        if not wanted and tags.read(case).in_stage(PROD) is None:
            message = f"{case}: nothing is in {PROD} yet"
            runner.summary(message)
            return message
        message = rollout.deploy(case, wanted or PROD, stage=PROD, budget_ms=budget, push=True)
        version = tags.read(case).find(PROD)
    runner.summary(message)
    runner.output("version", version.version)
    return message


def rollback() -> str:
    """Assign `prod` to the version in `VERSION`, by default the previous one, for the reason in `REASON`."""
    with runner.rights():
        message = registry_rollback.rollback(
            current_case(),
            to=os.environ.get("VERSION") or None,
            reason=runner.variable("REASON"),
            push=True,
        )
    runner.summary(message)
    return message
