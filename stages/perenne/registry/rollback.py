"""Roll back: put the version that was in a stage before there again, by new tags; none is taken away."""

from __future__ import annotations

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import PROD
from perenne.registry import storage, tags
from perenne.registry.publish import assigned, publish, unassigned, waiting
from perenne.registry.tags import Registry, Version


def rollback(name: str, *, to: str | None, stage: str = PROD, reason: str, push: bool) -> str:
    """Put a version in a stage, `to` or else the one that was there before; return what was done.

    Every other version is taken out of the stage, and the new assignment is dated last: GTO's commands go
    by dates, one of its functions by the highest version, DVC by the stage's last tag, and all agree then.

    Raises
    ------
    PerenneError
        If there is no such version, or the model is deprecated, or the tags cannot be published.

    """
    tags.fetch()
    registry = tags.read(name)
    if registry.deprecated:
        raise PerenneError(
            f"{name}: deprecated by {registry.deprecated.tag}; it takes a new version to put one in a stage"
        )
    present = registry.in_stage(stage)
    target = registry.find(to) if to else before(registry, stage)
    if present and present.version == target.version:
        return f"{target.tag} is in {stage} already"
    assignment = assigned(registry, stage, target.commit, reason)
    new = [*unassigned(registry, stage, reason, keep=target.version), assignment]
    alone = [event.commit for event in waiting(name) if event.kind == "register"] if push else []
    if alone:  # else there is nothing to bring, and the remote of the data need not even be up
        storage.push(*alone, workspace=False)
    publish(new, push=push)
    was = f"instead of {present.version}" if present else "where nothing was"
    names = " ".join(f"'{tag.name}'" for tag in new)
    shared = "" if push else f"; git push --atomic {git.remote() or 'REMOTE'} {names} shares it"
    return f"{target.tag} is in {stage} {was}, by {assignment.name}{shared}"


def before(registry: Registry, stage: str) -> Version:
    """The version that was in a stage before the present one, of those that can be used still.

    Going back is followed like a visitor's way through rooms: who comes to a room again has left those
    entered since. After v1, v2, v3 and a rollback to v2, the one before is v1.
    """
    if registry.in_stage(stage) is None:
        raise PerenneError(
            f"{registry.name}: nothing is in {stage}, so nothing was before it; name a version"
        )
    active = {version.version: version for version in registry.versions}
    way: list[str] = []
    for holder in _holders(registry, stage):
        if holder in way:
            del way[way.index(holder) + 1 :]
        elif holder in active:
            way.append(holder)
    if len(way) < 2:
        raise PerenneError(
            f"{registry.name}: no version was in {stage} before {way[0]}; name one of {', '.join(active)}"
        )
    return active[way[-2]]


def _holders(registry: Registry, stage: str) -> list[str]:
    """The versions that were in a stage after each event, oldest first."""
    moments = (
        Registry(registry.name, registry.events[: n + 1], 0)
        for n, event in enumerate(registry.events)
        if event.subject == stage or event.kind in ("register", "deregister", "deprecate")
    )
    return [holder.version for moment in moments if (holder := moment.in_stage(stage))]
