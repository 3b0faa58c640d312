"""Deploy a version: run the smoke test, and put the version in a stage only if it passes."""

from __future__ import annotations

from perenne.common.errors import PerenneError
from perenne.registry import tags
from perenne.registry.publish import assigned, publish
from perenne.registry.rollback import rollback
from perenne.registry.tags import Version
from perenne.serving.smoke import smoke_test


def deploy(name: str, number: str | None, *, stage: str, budget_ms: float, push: bool) -> str:
    """Smoke-test a version and put it in a stage; return a line with the result.

    Parameters
    ----------
    name
        The model.
    number
        The version, or the stage that it is in; None: the version that was released last.
    stage
        Where to put it.
    budget_ms
        The p99 latency of a single row that is allowed, in milliseconds.
    push
        Whether to push the tag.

    Raises
    ------
    PerenneError
        If there is no such version, the tag cannot be published, or the version fails. A version that fails
        is not put in the stage; if it is there already, the version before it replaces it, if there is one.

    """
    tags.fetch()
    registry = tags.read(name)
    if not number and not registry.versions:
        raise PerenneError(f"{name}: no version is released; perenne release makes one")
    version = registry.find(number) if number else max(registry.versions, key=lambda v: v.at)
    before = registry.in_stage(stage)
    try:
        result = smoke_test(name, version, budget_ms)
    except PerenneError as error:
        raise PerenneError(_undone(name, version, stage, str(error), before, push=push)) from error
    if before and before.version == version.version:
        return f"{result}; it is in {stage}"
    tag = assigned(registry, stage, version.commit, f"deployed: {result}")
    publish([tag], push=push)
    return f"{result}; it is in {stage} now, by {tag.name}"


def _undone(name: str, version: Version, stage: str, why: str, before: Version | None, *, push: bool) -> str:
    """The message for a version that failed, after a rollback if it was in the stage."""
    if before is None or before.version != version.version:
        return f"{why}; it was not put in {stage}"
    try:
        done = rollback(name, to=None, stage=stage, reason=f"not deployed: {why}", push=push)
    except PerenneError as error:  # no version before it: the failure is still reported
        return f"{why}; it stays in {stage}: {error}"
    return f"{why}; {done}"
