"""Fetch: the model of a version, only if it is the one that its tag proves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.common.names import MODEL
from perenne.registry import storage, tags
from perenne.registry.tags import Version

CARD = MODEL.with_suffix(".json")


def fetch(name: str, which: str, *, out: Path, require_signed: bool) -> str:
    """Bring the model of a version, or of what is in a stage, and its card into a folder; return a line.

    Raises
    ------
    PerenneError
        If the file is not the one of the tag by its sha256, or the tag is not signed as it must be.

    """
    tags.fetch()
    return write(tags.read(name).find(which), out, require_signed=require_signed)


def write(version: Version, out: Path, *, require_signed: bool) -> str:
    """As `fetch`, of a version as the tags here have it."""
    if require_signed:
        signed(version.tag)
    if not version.proof:
        raise PerenneError(f"{version.tag}: the tag holds no proof; perenne release makes tags that do")
    data, card = (storage.obtain(version.commit, path) for path in (MODEL, CARD))
    found = hashlib.sha256(data).hexdigest()
    for said, by in (
        (version.proof["model"]["sha256"], f"its tag {version.tag}"),
        (json.loads(card)["sha256"], f"its {CARD.name}"),
    ):
        if found != said:
            raise PerenneError(f"{MODEL} of {version.tag}: its sha256 is {found}, but {by} says {said}")
    out.mkdir(parents=True, exist_ok=True)
    for path, content in ((out / MODEL.name, data), (out / CARD.name, card)):
        _replace(path, content)
    return f"{version.tag} is in {out / MODEL.name}, sha256 {found}"


def signed(tag: str) -> None:
    """Do nothing if the tag's signature is good and of a key that Git trusts; else raise a `PerenneError`."""
    try:
        git.git("verify-tag", f"refs/tags/{tag}")
    except PerenneError as error:
        raise PerenneError(f"{tag}: no good signature: {error}") from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
