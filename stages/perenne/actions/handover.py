"""What a review made, handed to a job that may write: a lock, and the data that are new in it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from perenne.actions import artifact
from perenne.actions.artifact import Artifact
from perenne.common import batches, git, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK
from perenne.registry import storage

NAME = "results"
OBJECTS = "files"
MOST_UNPACKED = 8_000_000_000  # bytes, of all files together

Read = Callable[[str], bytes]


def pack(folder: Path, base: str) -> None:
    """Put the reproduced lock of the working tree into a folder, with the data that the base's does not name.

    What a commit of the base names is in the remote, or nobody could have released it.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        cache = repo.cache.local

        def cached(md5: str) -> Path:
            return Path(cache.oid_to_path(md5))

        lock = LOCK.read_bytes()
        known = set(outputs(git.show(base, LOCK)))
        (folder / OBJECTS).mkdir(parents=True, exist_ok=True)
        (folder / LOCK).write_bytes(lock)
        for md5 in set(outputs(lock)) - known:
            for part in (md5, *listed(md5, lambda name: cached(name).read_bytes())):
                shutil.copyfile(cached(part), folder / OBJECTS / part)


def unpack(found: Artifact, lock: bytes) -> set[str]:
    """Put the data that came with a lock into the cache; return the MD5 of all that the lock names.

    What is handed over is taken by its content: a file that has not the MD5 of its name is an error.
    """
    from dvc.repo import Repo

    names, left = set(found.names()), MOST_UNPACKED
    needed: set[str] = set()
    with Repo() as repo:
        cache = repo.cache.local

        def bring(md5: str) -> None:
            nonlocal left
            needed.add(md5)
            path = Path(cache.oid_to_path(md5))
            if f"{OBJECTS}/{md5}" in names and not path.exists():
                left -= _copy(found, md5, path, left)

        for md5 in outputs(lock):
            bring(md5)
            for part in listed(md5, lambda name: storage.named(name, f"{LOCK}: {name}")):
                bring(part)
    return needed


def _copy(found: Artifact, md5: str, to: Path, most: int) -> int:
    """Copy a file of the artifact to its place; return how many bytes it has."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with batches.replacing(to) as temporary:
        with found.open(f"{OBJECTS}/{md5}") as source, temporary.open("wb") as target:
            while piece := artifact.piece(source, md5):
                size += len(piece)
                if size > most:
                    raise PerenneError(f"{md5}: more than {MOST_UNPACKED:,} bytes in all, which is no model")
                digest.update(piece)
                target.write(piece)
        if digest.hexdigest() != md5.removesuffix(".dir"):
            raise PerenneError(f"{md5}: handed over with another content than that of its name")
    return size


def place(happened: dict[str, Any]) -> str | None:
    """The branch that a run's lock may be committed to; None for a fork's, and for the default branch."""
    run, here = happened["workflow_run"], happened["repository"]
    ours = (run["head_repository"] or {}).get("full_name") == here["full_name"]
    return run["head_branch"] if ours and run["head_branch"] != here["default_branch"] else None


def outputs(lock: bytes) -> list[str]:
    """The MD5 of every output that a lock names; of a folder, that of its listing."""
    try:
        stages = strict_yaml.loads(lock.decode(), str(LOCK))["stages"]
        return sorted({_md5(out["md5"]) for stage in stages.values() for out in stage.get("outs", [])})
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise PerenneError(f"{LOCK}: not what DVC writes: {error!r:.100}") from error


def listed(md5: str, read: Read) -> Iterator[str]:
    """The MD5 of every file in a folder; nothing if it is none."""
    if md5.endswith(".dir"):
        try:
            yield from sorted({_md5(entry["md5"]) for entry in json.loads(read(md5))})
        except (KeyError, TypeError, ValueError) as error:
            raise PerenneError(f"{md5}: no listing of a folder: {error!r:.100}") from error


def _md5(text: object) -> str:
    """An MD5, and nothing that could be a path."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", text):
        raise PerenneError(f"{LOCK}: {text!r:.60} is no MD5")
    return text
