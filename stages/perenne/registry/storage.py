"""DVC's storage: all that a commit names is there before there is a tag, and comes back by its hash."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perenne.common import locked
from perenne.common.errors import PerenneError

if TYPE_CHECKING:
    from dvc.data_cloud import Remote
    from dvc.repo import Repo
    from dvc_data.hashfile.hash_info import HashInfo

# Where DVC tells why a file was not transferred, which its own errors do not say.
LOGGERS = ("dvc", "dvc_data", "dvc_objects")
MOST_TOLD = 200  # characters of a reason that a server gives


def push(*commits: str, workspace: bool = True) -> int:
    """Push all that is in DVC here, and in some commits, to the default remote; return how many files went.

    DVC leaves out in silence what the cache has lost, so what is there is asked for by name afterwards: from
    here on a tag may speak of it.

    Raises
    ------
    PerenneError
        If anything is not there: the remote, its address, and the reason.

    """
    from dvc.repo import Repo

    with Repo() as repo:
        remote = _remote(repo)
        if remote is None:
            raise PerenneError(".dvc/config: no default remote; dvc remote add --default NAME URL adds one")
        here = _used(repo) if workspace else set()
        others = {info for commit in commits for info in _used(repo, commit)} - here
        needed = sorted(str(info.value) for info in here | others)
        with _explained(remote):
            sent = int(repo.push()) if workspace else 0
            # Not by DVC's own `revs`: where a file differs here it pushes neither (3.67), and says nothing.
            sent += len(repo.cloud.push(others).transferred) if others else 0
            there = set(remote.odb.oids_exist(needed))
        lost = [md5 for md5 in needed if md5 not in there]
        if lost:
            raise PerenneError(
                f"{_named(remote)}: {len(lost)} of {len(needed)} files are neither there nor in the cache, "
                f"{lost[0]} first; dvc repro makes them again"
            )
        return sent


def send(md5s: Iterable[str]) -> int:
    """Push some files by their MD5 to the default remote; return how many were not there yet.

    What is neither there nor in the cache is an error, as for `push`, and then nothing is pushed.
    """
    from dvc.repo import Repo

    with Repo() as repo:
        remote = _remote(repo)
        if remote is None:
            raise PerenneError(".dvc/config: no default remote; dvc remote add --default NAME URL adds one")
        cache = repo.cache.local
        needed = sorted(md5s, key=lambda md5: (md5.endswith(".dir"), md5))  # a listing after what it lists
        with _explained(remote):
            there = set(remote.odb.oids_exist(needed))
            absent = [md5 for md5 in needed if md5 not in there]
            lost = [md5 for md5 in absent if not cache.exists(md5)]
            if lost:
                raise PerenneError(
                    f"{_named(remote)}: {len(lost)} of {len(needed)} files are neither there nor in the "
                    f"cache, {lost[0]} first; dvc repro makes them again"
                )
            for md5 in absent:
                remote.odb.add(cache.oid_to_path(md5), cache.fs, md5)
        return len(absent)


def obtain(rev: str, path: Path) -> bytes:
    """The bytes of an output as `dvc.lock` of a commit names them, from DVC's cache or the default remote.

    Raises
    ------
    PerenneError
        If it is nowhere, or the remote cannot be asked.

    """
    return named(locked.load(rev).out(path).md5, f"{path} of {rev}")


def named(md5: str, what: str) -> bytes:
    """The bytes that DVC knows by an MD5; of a folder its listing: JSON with each file's `relpath` and `md5`.

    The working tree is neither read nor changed. What is not those bytes by their MD5 is not returned.

    Raises
    ------
    PerenneError
        If it is nowhere, or the remote cannot be asked.

    """
    from dvc.repo import Repo

    with Repo() as repo:
        found = _read(repo.cache.local, md5)
        remote = None if found else _remote(repo)
        if remote:
            with _explained(remote):
                found = _read(remote.odb, md5)
            if found:
                repo.cache.local.add_bytes(md5, found)
        if found:
            return found
    where = f"nor in {_named(remote)}" if remote else "and there is no remote"
    raise PerenneError(f"{what}: not in the cache {where}; perenne restore VERSION makes it again")


def _used(repo: Repo, *commits: str) -> set[HashInfo]:
    """What is in DVC in the working tree, or in a commit."""
    used = repo.used_objs(revs=list(commits)) if commits else repo.used_objs()
    return {info for infos in used.values() for info in infos}


def _read(odb: Any, md5: str) -> bytes | None:
    """An object by its MD5; None if it is not there, or damaged."""
    try:
        data: bytes = odb.fs.cat_file(odb.oid_to_path(md5))
    except FileNotFoundError:
        return None
    return data if hashlib.md5(data, usedforsecurity=False).hexdigest() == md5.removesuffix(".dir") else None


def _remote(repo: Repo) -> Remote | None:
    from dvc.config import ConfigError, NoRemoteError

    try:
        return repo.cloud.get_remote()
    except NoRemoteError:
        return None
    except ConfigError as error:
        raise PerenneError(f".dvc/config: {error}") from error


def _named(remote: Remote) -> str:
    """The remote and where it is, without the secrets that its settings may hold."""
    return f"the remote {remote.name!r} ({remote.fs.protocol}: {remote.path})"


@contextmanager
def _explained(remote: Remote) -> Iterator[None]:
    """Turn what a remote can do wrong into one line that says why.

    DVC reports that so many files failed, and logs the reasons: the first of them is the one to tell.
    """
    reasons = _Reasons()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(reasons)
    try:
        yield
    except Exception as error:  # whatever a file system or a server can raise
        reason = reasons.first or error
        raise PerenneError(f"{_named(remote)}: {_told(reason)}") from error
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(reasons)


def _told(error: BaseException) -> str:
    """An error in a line; of a chain, what it began with."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]  # one of them is there
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:MOST_TOLD]}"


class _Reasons(logging.Handler):
    """Keeps the first exception that is logged."""

    first: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, and print nothing."""
        if record.exc_info and not self.first:
            self.first = record.exc_info[1]
