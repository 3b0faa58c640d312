"""A release is deployed, or somebody goes back: for the workflows that do so."""

from __future__ import annotations

import os

from stages.common.options import current_case
from stages.github import runner
from stages.registry import rollback as registry_rollback
from stages.registry import tags

PROD = "prod"


def deploy() -> str:
    """Try the version in `VERSION`, by default the newest, and put it to use; its name is an output."""
    from stages.serving import deploy, settings

    runner.configure_dvc()
    case = current_case()
    with runner.rights():
        budget = settings.load().budget_ms
        told = deploy.deploy(case, os.environ.get("VERSION") or None, stage=PROD, budget_ms=budget, push=True)
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
