"""Rollback: put an earlier version in a stage again, by new tags; no tag is deleted."""

from __future__ import annotations

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import PROD
from perenne.registry import storage, tags
from perenne.registry.publish import assigned, publish, unassigned, waiting
from perenne.registry.tags import Registry, Version


def rollback(name: str, *, to: str | None, stage: str = PROD, reason: str, push: bool) -> str:
    """Put an earlier version in a stage; return what was done, in one line.

    Every higher version is taken out of the stage, and the new assignment is dated last. So all tools agree:
    GTO's commands use dates, one of its functions the highest version, DVC the last tag of the stage.

    Parameters
    ----------
    name
        The case.
    to
        The version; None: the one that was in the stage before.
    stage
        The stage.
    reason
        Recorded in the tag.
    push
        Push the tags, and the data of versions that are not in the remote.

    Raises
    ------
    PerenneError
        If there is no such version, or the model is deprecated, or the tags cannot be published.

    """
    tags.fetch()
    registry = tags.read(name)
    if registry.deprecated:
        raise PerenneError(
            f"{name}: deprecated by {registry.deprecated.tag}; "
            "register a new version before assigning a stage"
        )
    present = registry.in_stage(stage)
    target = registry.find(to) if to else before(registry, stage)
    if present and present.version == target.version:
        return f"{target.tag} is in {stage} already"
    assignment = assigned(registry, stage, target.commit, reason)
    new = [*unassigned(registry, stage, reason, above=target.version), assignment]
    alone = [event.commit for event in waiting(name) if event.kind == "register"] if push else []
    if alone:  # else nothing is to be pushed, and the data remote need not be reachable
        storage.push(*alone, workspace=False)
    publish(new, push=push)
    was = f"instead of {present.version}" if present else "which was empty"
    names = " ".join(f"'{tag.name}'" for tag in new)
    shared = "" if push else f"; git push --atomic {git.remote() or 'REMOTE'} {names} shares it"
    return f"{target.tag} is in {stage} {was}, by {assignment.name}{shared}"


def before(registry: Registry, stage: str) -> Version:
    """Return the version that was in a stage before the current one, of those that are still registered.

    History is a stack: returning to a version drops those after it. After v1, v2, v3 and a rollback to v2,
    the version before is v1.

    Raises
    ------
    PerenneError
        If there is none.

    """
    if registry.in_stage(stage) is None:
        raise PerenneError(
            f"{registry.name}: {stage} is empty, so there is no version before; name a version"
        )
    active = {version.version: version for version in registry.versions}
    stack: list[str] = []
    for holder in _holders(registry, stage):
        if holder in stack:
            del stack[stack.index(holder) + 1 :]
        elif holder in active:
            stack.append(holder)
    if len(stack) < 2:
        raise PerenneError(
            f"{registry.name}: no version was in {stage} before {stack[0]}; name one of {', '.join(active)}"
        )
    return active[stack[-2]]


def _holders(registry: Registry, stage: str) -> list[str]:
    """The versions that were in a stage after each event that may have changed it, oldest first."""
    used = {event.commit for event in registry.events if event.kind == "assign" and event.subject == stage}
    known: set[str] = set()
    moments = []
    for n, event in enumerate(registry.events):
        # A new version changes no stage, but for one that was put to use before it was registered.
        late = event.kind == "register" and event.commit in used and event.commit in known
        if event.subject == stage or late or event.kind in ("deregister", "deprecate"):
            moments.append(Registry(registry.name, registry.events[: n + 1], registry.taken))
        known.add(event.commit)
    return [holder.version for moment in moments if (holder := moment.in_stage(stage))]
