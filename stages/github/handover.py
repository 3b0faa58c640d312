"""What a review made, handed to a job that may write: a lock, and the data that are new in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from stages.common import git, strict_yaml
from stages.common.locked import LOCK

NAME = "results"
OBJECTS = "files"

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


def outputs(lock: bytes) -> list[str]:
    """The MD5 of every output that a lock names; of a folder, that of its listing."""
    stages = strict_yaml.loads(lock.decode(), str(LOCK))["stages"]
    return sorted({out["md5"] for stage in stages.values() for out in stage.get("outs", [])})


def listed(md5: str, read: Read) -> Iterator[str]:
    """The MD5 of every file in a folder; nothing if it is none."""
    if md5.endswith(".dir"):
        yield from sorted({entry["md5"] for entry in json.loads(read(md5))})
