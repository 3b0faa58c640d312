"""A ticket: a file of the project, by which a worker knows that it lies in the same folder and runs the same.

Workers read and write the project's files themselves, so each runs in a folder that has them: the project's
own on this machine, or the same one by way of a shared file system.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from perenne.common import disk
from perenne.compute import identity
from perenne.compute.identity import WorkerIdentity

PLACE = Path(".dvc", "tmp", "perenne")  # which Git and DVC leave alone


@contextmanager
def issued() -> Iterator[Path]:
    """Give the path of a new ticket, which tells what runs here; it is gone after the block."""
    path = PLACE / f"compute-{secrets.token_hex(8)}.json"
    disk.write_json(path, identity.of_process().model_dump())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@cache
def refused(path: Path) -> str | None:
    """Why this process must not work on what a ticket is for, as the end of a sentence; None: it may.

    Parameters
    ----------
    path
        The ticket, from the project's folder.

    """
    if not path.exists():
        return f"runs in {Path.cwd()}, where the project's files are not; start it in the project's folder"
    here = WorkerIdentity.model_validate_json(path.read_bytes())
    differs = identity.of_process().differs(here)
    return f"{differs}; start it again, in an environment of the same lock" if differs else None
