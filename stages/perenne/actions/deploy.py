"""A release is deployed, or somebody goes back: for the workflows that do so."""

from __future__ import annotations

import os

from perenne.common.names import PROD
from perenne.common.options import current_case
from perenne.forge import runner
from perenne.registry import rollback as registry_rollback
from perenne.registry import tags


def deploy() -> str:
    """Try the version in `VERSION` and put it to use, by default that in prod; its name is an output.

    By default nothing new comes into prod: a release has put there what it had tried, and whoever has gone
    back since did so for a reason. What fails is taken out of use.
    """
    from perenne.serving import rollout, settings

    runner.configure_dvc()
    case = current_case()
    with runner.rights():
        budget, which = settings.load().budget_ms, os.environ.get("VERSION")
        tags.fetch()
        if not which and tags.read(case).in_stage(PROD) is None:
            told = f"{case}: nothing is in {PROD} yet"
            runner.summary(told)
            return told
        told = rollout.deploy(case, which or PROD, stage=PROD, budget_ms=budget, push=True)
        version = tags.read(case).find(PROD)
    runner.summary(told)
    runner.output("version", version.version)
    return told


def rollback() -> str:
    """Put the version in `VERSION`, by default the one before, to use again, for the reason in `REASON`."""
    with runner.rights():
        told = registry_rollback.rollback(
            current_case(),
            to=os.environ.get("VERSION") or None,
            reason=runner.variable("REASON"),
            push=True,
        )
    runner.summary(told)
    return told
