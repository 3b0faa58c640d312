"""Fetch: the released model of a version, checked against its tag, and what it must know of entities."""

from __future__ import annotations

import hashlib
from pathlib import Path

from perenne.common import git, strict_json
from perenne.common.errors import PerenneError
from perenne.common.names import CARD, HISTORY, MODEL
from perenne.common.sections import contract_of
from perenne.registry import storage, tags
from perenne.registry.tags import Version


def fetch(name: str, which: str, *, out: Path, require_signed: bool) -> str:
    """Fetch the released model of a version and its card into a folder; return what was done, in one line.

    Parameters
    ----------
    name
        The case.
    which
        A version, or the stage it is in.
    out
        The folder; it is made if needed.
    require_signed
        Refuse a tag without a good signature.

    Raises
    ------
    PerenneError
        If the file is not the one of the tag by its sha256, or the tag is not signed as it must be.

    """
    tags.fetch()
    return write(tags.read(name).find(which), out, require_signed=require_signed)


def write(version: Version, out: Path, *, require_signed: bool) -> str:
    """As `fetch`, for a version as the local tags have it.

    Raises
    ------
    PerenneError
        If a file is unavailable or is not the one of the tag, or the tag is not signed as it must be. Nothing
        is written then.

    """
    if require_signed:
        signed(version.tag)
    released = version.released
    data, card = (storage.obtain(version.commit, path) for path in (released.path, released.card))
    actual = hashlib.sha256(data).hexdigest()
    for expected, by in (
        (released.sha256, f"its tag {version.tag}"),
        (_recorded(card), f"its {released.card.name}"),
    ):
        if actual != expected:
            raise PerenneError(
                f"{released.path} of {version.tag}: its sha256 is {actual}, but {by} says {expected}"
            )
    files = {MODEL.name: data, CARD.name: card, **_history(version)}
    out.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        _replace(out / file, content)
    return f"{version.tag} is in {out / MODEL.name}, sha256 {actual}"


def _history(version: Version) -> dict[str, bytes]:
    """The store of the version by its name; nothing if no feature of it looks back."""
    contract = contract_of(version.name, version.commit)
    return {HISTORY.name: storage.obtain(version.commit, HISTORY)} if contract.remembered else {}


def signed(tag: str) -> None:
    """Check that a tag's signature is good and that its key is one that Git trusts.

    Parameters
    ----------
    tag
        Its name, without `refs/tags/`.

    Raises
    ------
    PerenneError
        If the tag has no such signature.

    """
    try:
        git.git("verify-tag", f"refs/tags/{tag}")
    except PerenneError as error:
        raise PerenneError(f"{tag}: no good signature: {error}") from error


def _recorded(card: bytes) -> object:
    """The sha256 in a model card; None if there is none."""
    content = strict_json.loads(card, CARD.name)
    return content.get("sha256") if isinstance(content, dict) else None


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
