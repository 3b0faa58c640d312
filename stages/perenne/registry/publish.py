"""Publish release tags: all of them or none, locally and in the remote, and never over other people's."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import NamedTuple

from perenne.common import git, notes
from perenne.common.errors import PerenneError
from perenne.registry import tags as registry_tags
from perenne.registry import withdrawals
from perenne.registry.grammar import Name, parse, precedence
from perenne.registry.tags import Registry, TagEvent

END = int(datetime(registry_tags.NO_YEAR, 1, 1, tzinfo=UTC).timestamp())  # from here on a date says nothing


class Tag(NamedTuple):
    """An annotated tag to be made, with its whole message."""

    name: str
    commit: str
    message: str


def publish(tags: Sequence[Tag], *, push: bool, attempt: Callable[[], object] = lambda: None) -> None:
    """Make tags, signed if the user has a signing key, and push them as one.

    Each tag is dated at least a second after every tag of the model, whatever the clock says: GTO orders tags
    by date, to the second. Tags of the model that are not in the remote yet are pushed as well: a release
    proven against a champion that nobody else has would prove nothing.

    Parameters
    ----------
    tags
        Those to be made, in their order.
    push
        Push them to the remote, with what it lacks of the model.
    attempt
        Called before the first assignment to a stage, while the tags before it are only local. If it raises,
        they are deleted.

    Raises
    ------
    PerenneError
        If git or the remote rejects a tag: then none is left. If somebody else was faster, their tags are
        fetched, and the error names them.

    """
    remote = _remote() if push else None
    before = [event.tag for model in _models(tags) for event in waiting(model)] if push else []
    date = _first_date(tags)
    use = next((tag for tag in tags if _named(tag.name).kind == "assign"), None)
    taken: list[str] = []
    with ExitStack() as undo:
        for seconds, tag in enumerate(tags):
            if tag is use:
                attempt()
            _make(tag, date + seconds, undo)
        if remote:
            taken = _push(remote, [*before, *(tag.name for tag in tags)])
        if not taken:
            undo.pop_all()
    if taken:
        registry_tags.fetch()
        raise PerenneError(_lost(taken[0], [tag.name for tag in tags]))


def waiting(model: str) -> list[TagEvent]:
    """Return the tags of a model that are not in the remote yet, oldest first.

    Raises
    ------
    PerenneError
        If there is no remote, it cannot be reached, or it lacks a tag that was not made here: somebody may
        have withdrawn that.

    """
    there = registry_tags.ids(_remote())
    lacking = [event for event in registry_tags.read(model).events if event.tag not in there]
    withdrawals.own(registry_tags.ids(), [event.tag for event in lacking])
    return lacking


def push(model: str) -> None:
    """Push the tags of a model that are not in the remote, as one.

    Raises
    ------
    PerenneError
        If there is no remote, it cannot be reached, or it has another tag of the same name. Then no tag is
        pushed.

    """
    names = [event.tag for event in waiting(model)]
    taken = _push(_remote(), names) if names else []
    if taken:
        raise PerenneError(_lost(taken[0], names))


def assigned(registry: Registry, stage: str, commit: str, reason: str) -> Tag:
    """Return the tag that puts the version of a commit in a stage.

    Every change of a stage uses the next number: of two at the same time, the remote accepts only one.

    Parameters
    ----------
    registry
        The model's registry, as read last: it gives the number.
    stage
        The stage.
    commit
        The full id of the version's commit.
    reason
        The rest of the tag's message.

    Returns
    -------
    Tag
        It does not exist yet: `publish` makes it.

    """
    tag = f"{registry.name}#{stage}#{next(registry.counters())}"
    version = next((version.version for version in registry.versions if version.commit == commit), commit[:7])
    return Tag(tag, commit, f"{version} to {stage}\n\n{reason}\n")


def unassigned(registry: Registry, stage: str, reason: str, *, above: str | None = None) -> list[Tag]:
    """Return the tags that take versions out of a stage, in the order of assignment.

    Their numbers follow that of `assigned`, so both can be published as one.

    Parameters
    ----------
    registry
        The model's registry, as read last: it gives the numbers.
    stage
        The stage.
    reason
        The rest of each tag's message.
    above
        Only those that are higher than this version, such as v1.2.0; None: every version.

    Returns
    -------
    list of Tag
        They do not exist yet: `publish` makes them.

    """
    others = [
        a
        for a in registry.history(stage)
        if a.active and (above is None or precedence(a.version.version) > precedence(above))
    ]
    return [
        Tag(
            f"{registry.name}#{stage}!#{counter}",
            other.commit,
            f"{other.version.version} out of {stage}\n\n{reason}\n",
        )
        for other, counter in zip(others, itertools.islice(registry.counters(), 1, None), strict=False)
    ]


def _remote() -> str:
    remote = git.remote()
    if remote is None:
        raise PerenneError("git remote: there is none to push to; git remote add origin URL adds one")
    return remote


def _first_date(tags: Sequence[Tag]) -> int:
    """The date of the first tag, in seconds: the last one is dated now, unless the model has later tags.

    A `PerenneError` if a tag of the model is dated so late that none can follow.
    """
    latest = 0
    for tag in tags:
        name = _named(tag.name)
        registry = registry_tags.read(name.model)
        if name.kind == "register":
            _alone(tag, registry)
        for event in registry.events:
            latest = max(latest, int(event.at.timestamp()))
            if latest + len(tags) >= END:
                raise PerenneError(
                    f"{event.tag}: dated {event.at:%Y-%m-%d}, so no tag can follow it; "
                    f"delete it here and in the remote: git tag -d '{event.tag}'"
                )
    return max(int(time.time()) + 1 - len(tags), latest + 1)


def _models(tags: Sequence[Tag]) -> list[str]:
    return sorted({_named(tag.name).model for tag in tags})


def _named(tag: str) -> Name:
    name = parse(tag)
    if name is None:
        raise PerenneError(f"{tag}: not a release tag, such as model@v1.2.0 or model#prod#7")
    return name


def _alone(tag: Tag, registry: Registry) -> None:
    """GTO finds the version of a stage by the commit, and reads nothing at all where a commit has two."""
    commit = git.commit(tag.commit)
    for version in registry.registered.values():
        if version.commit == commit and version.tag != tag.name:
            raise PerenneError(
                f"{tag.name}: commit {commit[:7]} is {version.tag} already; a commit can be one version only"
            )


def _make(tag: Tag, date: int, undo: ExitStack) -> None:
    # As it is, lines that begin with # too. A signature after an unfinished line would be lost in it.
    message = tag.message.rstrip("\n") + "\n"
    sign = _signs()
    git.git(
        *("tag", "--annotate", *(["--sign"] if sign else [])),
        *("--cleanup=verbatim", "--file=-", tag.name, tag.commit),
        stdin=message,
        env={"GIT_COMMITTER_DATE": f"@{date} +0000"},
    )
    undo.callback(git.git, "tag", "--delete", tag.name)
    withdrawals.remember("made", {tag.name: git.git("rev-parse", f"refs/tags/{tag.name}")})
    signature = git.git("for-each-ref", "--format=%(contents:signature)", f"refs/tags/{tag.name}")
    if sign and not signature:
        # Git makes an unsigned tag where it cannot use an SSH key, and says that all went well.
        raise PerenneError(
            f"{tag.name}: git could not sign it; see git config user.signingkey and gpg.format"
        )


def _signs() -> bool:
    """Whether the user signs tags: as tag.gpgSign says, else if there is a key to sign with."""
    key = git.git("config", "--default", "", "--get", "user.signingkey")
    signs = git.git("config", "--type=bool", "--default", str(bool(key)), "--get", "tag.gpgSign")
    return signs == "true"


def _push(remote: str, names: Sequence[str]) -> list[str]:
    """Push tags as one; return those for which the remote has another one, and then it took none."""
    if notes.commit() and any(_named(name).kind == "register" for name in names):
        notes.share()  # their proofs name the ledger's commit
    try:
        # Not those as well that push.followTags would add.
        git.git(
            "push",
            "--atomic",
            "--no-follow-tags",
            remote,
            *(f"refs/tags/{name}:refs/tags/{name}" for name in names),
        )
    except PerenneError:
        here, there = registry_tags.ids(), registry_tags.ids(remote)
        taken = [name for name in names if there.get(name, here[name]) != here[name]]
        # It may have taken them all and then failed, or the connection did: that is done, not refused.
        if not taken and any(name not in there for name in names):
            raise
        if taken:
            return taken
    here = registry_tags.ids()
    withdrawals.remember("seen", {name: here[name] for name in names})
    return []


def _lost(taken: str, names: Sequence[str]) -> str:
    """Who was quicker, and what to do now."""
    winner = next((e for e in registry_tags.read(_named(taken).model).events if e.tag == taken), None)
    if winner is None:
        return f"the remote has a tag {taken} that is none of a release; it has to be deleted there"
    did = "was released" if winner.kind == "register" else "was made"
    releasing = any(_named(name).kind == "register" for name in names)
    now = (
        "run perenne gate against it and release again" if releasing else "see perenne models, then try again"
    )
    return (
        f"{taken} {did} by {winner.who} on {winner.at:%Y-%m-%d} "
        f"from commit {winner.commit[:7]} meanwhile; {now}"
    )
