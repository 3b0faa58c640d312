"""Which tags were withdrawn from the remote, by what this clone has seen there and has made itself.

A tag that the remote lacks was either withdrawn there or never pushed. Git cannot tell the two apart, and a
clone that takes the first for the second brings a withdrawn version back. So both are remembered, beside
Git's own files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Literal

from perenne.common import disk, git
from perenne.common.errors import PerenneError

Kind = Literal["seen", "made"]
Ids = Mapping[str, str]
"""The tags, without `refs/tags/`, each with the id of its object."""


def remember(kind: Kind, tags: Ids) -> None:
    """Remember that tags were seen in the remote, or made here."""
    known = _known(kind)
    new = known | {f"{name} {tag}" for tag, name in tags.items()}
    if new == known:
        return
    path = git.folder() / "perenne" / kind
    path.parent.mkdir(exist_ok=True)
    with disk.replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in sorted(new)), encoding="utf-8")


def withdrawn(here: Ids, there: Ids) -> list[str]:
    """Return the tags here that were seen in the remote and are not there any more.

    Parameters
    ----------
    here, there
        The tags of this clone, and those of the remote.

    """
    seen = _known("seen")
    return [tag for tag, name in here.items() if tag not in there and f"{name} {tag}" in seen]


def own(here: Ids, tags: Iterable[str]) -> None:
    """Check that tags which the remote lacks were made here and never seen there, so that they may be pushed.

    Parameters
    ----------
    here
        The tags of this clone.
    tags
        Those to be pushed.

    Raises
    ------
    PerenneError
        If one was not made here: it came from the remote before it was withdrawn, or was made by hand.

    """
    made = _known("made") - _known("seen")
    strange = [tag for tag in tags if f"{here[tag]} {tag}" not in made]
    if strange:
        remote, names = git.remote(), _quoted(strange)
        raise PerenneError(
            f"{_listed(strange)} not in {remote}, and not made here by perenne. If it was withdrawn there: "
            f"git tag -d {names}; if it is new: git push {remote} {names}"
        )


def refuse(tags: list[str], remote: str) -> None:
    """Raise an error that says how to follow a withdrawal, or to undo it; nothing if there is none."""
    if tags:
        names = _quoted(tags)
        raise PerenneError(
            f"{_listed(tags)} not in {remote} any more, so somebody withdrew it. To agree: "
            f"git tag -d {names}; to put it back: git push {remote} {names}"
        )


def _known(kind: Kind) -> set[str]:
    try:
        return set((git.folder() / "perenne" / kind).read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return set()


def _listed(tags: list[str]) -> str:
    return f"the tag {tags[0]} is" if len(tags) == 1 else f"the tags {', '.join(tags)} are"


def _quoted(tags: list[str]) -> str:
    return " ".join(shlex.quote(tag) for tag in tags)
