"""What a review made, passed on to a job that may write: a lock, and the data that are new in it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from perenne.actions import artifact
from perenne.actions.artifact import Artifact
from perenne.actions.events import RunEnded
from perenne.common import disk, git, strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK
from perenne.registry import storage

NAME = "results"
OBJECTS = "files"
MOST = 2_000_000_000  # bytes of the artifact
MOST_LOCK = 5_000_000
MOST_UNPACKED = 8_000_000_000  # bytes, of all files together

Read = Callable[[str], bytes]


def pack(folder: Path, base: str | None, name: str = str(LOCK)) -> None:
    """Copy the working tree's reproduced lock to a folder, with the data that the base's lock does not name.

    Parameters
    ----------
    folder
        Gets the lock, and one file for each MD5 in `files/`.
    base
        A commit or a branch whose data are in the remote already; None: all data are copied.
    name
        What the lock is called in the folder.

    """
    from dvc.repo import Repo

    with Repo() as repo:
        cache = repo.cache.local

        def cached(md5: str) -> Path:
            return Path(cache.oid_to_path(md5))

        lock = LOCK.read_bytes()
        known = set(outputs(git.show(base, LOCK))) if base else set()
        (folder / OBJECTS).mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(lock)
        for md5 in set(outputs(lock)) - known:
            for part in (md5, *listed(md5, lambda name: cached(name).read_bytes())):
                shutil.copyfile(cached(part), folder / OBJECTS / part)


def unpack(results: Artifact, lock: bytes) -> set[str]:
    """Copy the data of a lock from an artifact to DVC's cache.

    Parameters
    ----------
    results
        What `pack` wrote, or something else: its content is checked.
    lock
        The text of its `dvc.lock`.

    Returns
    -------
    The MD5 of every file that the lock names, those in folders too.

    Raises
    ------
    PerenneError
        If a file does not have the MD5 that it is named by; if the files are too large together; if the lock
        or a folder's listing is not one that DVC writes.

    """
    from dvc.repo import Repo

    names, left = set(results.names()), MOST_UNPACKED
    needed: set[str] = set()
    with Repo() as repo:
        cache = repo.cache.local

        def bring(md5: str) -> None:
            nonlocal left
            needed.add(md5)
            path = Path(cache.oid_to_path(md5))
            if f"{OBJECTS}/{md5}" in names and not path.exists():
                left -= _copy(results, md5, path, left)

        for md5 in outputs(lock):
            bring(md5)
            for part in listed(md5, lambda name: storage.named(name, f"{LOCK}: {name}")):
                bring(part)
    return needed


def _copy(results: Artifact, md5: str, to: Path, most: int) -> int:
    """Copy a file of the artifact to its place; return how many bytes it has."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    with disk.replacing(to) as temporary:
        with results.open(f"{OBJECTS}/{md5}") as source, temporary.open("wb") as target:
            while piece := artifact.piece(source, md5):
                size += len(piece)
                if size > most:
                    raise PerenneError(
                        f"{md5}: more than {MOST_UNPACKED:,} bytes in all: too large for a model"
                    )
                digest.update(piece)
                target.write(piece)
        if digest.hexdigest() != md5.removesuffix(".dir"):
            raise PerenneError(f"{md5}: the content of this file does not have the MD5 that it is named by")
    return size


def branch_of(ended: RunEnded) -> str | None:
    """Return the branch to which a run's lock may be committed; None for a fork and the default branch."""
    run, here = ended.run, ended.repository
    return run.head_branch if ended.asker == "own" and run.head_branch != here.default_branch else None


def outputs(lock: bytes) -> list[str]:
    """Return the MD5 of every output that a lock names; for a folder, the MD5 of its listing.

    Raises
    ------
    PerenneError
        If the text is not a lock that DVC writes.

    """
    try:
        stages = strict_yaml.loads(lock.decode(), str(LOCK))["stages"]
        return sorted({_md5(out["md5"]) for stage in stages.values() for out in stage.get("outs", [])})
    except (AttributeError, KeyError, TypeError, UnicodeDecodeError, RecursionError) as error:
        raise PerenneError(f"{LOCK}: not what DVC writes: {error!r:.100}") from error


def listed(md5: str, read: Read) -> Iterator[str]:
    """Yield the MD5 of every file in a folder, from the listing that `read` returns; none if it is a file.

    Raises
    ------
    PerenneError
        If the text is not a listing that DVC writes.

    """
    if md5.endswith(".dir"):
        try:
            yield from sorted({_md5(entry["md5"]) for entry in json.loads(read(md5))})
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise PerenneError(f"{md5}: not the listing of a folder: {error!r:.100}") from error


def _md5(text: object) -> str:
    """Return the text if it is an MD5: nothing else could be a path."""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", text):
        raise PerenneError(f"{LOCK}: {text!r:.60} is not an MD5")
    return text
