"""DVC's storage: push what a commit names before it is tagged, and read it by its hash."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from perenne.common import locked, strict_json
from perenne.common.errors import PerenneError
from perenne.registry.workspace import line

if TYPE_CHECKING:
    from dvc.data_cloud import Remote
    from dvc.repo import Repo
    from dvc_data.hashfile.db import HashFileDB
    from dvc_data.hashfile.hash_info import HashInfo

# The loggers that say why a file was not transferred: DVC's own errors do not.
LOGGERS = ("dvc", "dvc_data", "dvc_objects")
LISTING = TypeAdapter(list[dict[str, str]])
MOST_SHOWN = 200  # characters of a reason that a server gives


def push(*commits: str, workspace: bool = True) -> int:
    """Push what the working tree and some commits have in DVC to the default remote; return the files sent.

    DVC silently leaves out what is missing in the cache, so afterwards every file is looked up in the remote:
    a tag may name it from here on.

    Parameters
    ----------
    commits
        Commits whose files are pushed.
    workspace
        Push those of the working tree as well.

    Returns
    -------
    int
        How many files were sent; 0 if the remote had them all.

    Raises
    ------
    PerenneError
        If there is no default remote, a file is missing, or the remote fails: names the remote, its address,
        and the reason.

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
    """Push some files by their MD5 to the default remote; return how many were missing there.

    Parameters
    ----------
    md5s
        As DVC writes them: that of a folder's listing ends in `.dir`.

    Raises
    ------
    PerenneError
        If there is no default remote or it fails, or a file is neither there nor in the cache. In the last
        case nothing is pushed.

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
    """Return the bytes of an output by `dvc.lock` of a commit, from DVC's cache or the default remote.

    Parameters
    ----------
    rev
        The commit.
    path
        The output, as `dvc.lock` names it. Of a folder its listing is returned, see `named`.

    Raises
    ------
    PerenneError
        If the lock has no such output, it is in neither, or the remote fails.

    """
    return named(locked.load(rev).out(path).md5, f"{path} of {rev}")


def named(md5: str, name: str) -> bytes:
    """Return the bytes with an MD5; of a folder its listing: JSON with each file's `relpath` and `md5`.

    The working tree is neither read nor changed. The bytes are checked against their MD5. Those from the
    remote are added to the cache.

    Parameters
    ----------
    md5
        As DVC writes it: that of a folder ends in `.dir`.
    name
        What an error calls the bytes.

    Raises
    ------
    PerenneError
        If it is in neither the cache nor the remote, or the remote fails.

    """
    from dvc.repo import Repo

    with Repo() as repo:
        data = _read(repo.cache.local, md5)
        remote = None if data else _remote(repo)
        if remote:
            with _explained(remote):
                data = _read(remote.odb, md5)
            if data:
                repo.cache.local.add_bytes(md5, data)
        if data:
            return data
    where = f"nor in {_named(remote)}" if remote else "and there is no remote"
    raise PerenneError(f"{name}: not in the cache {where}; perenne restore VERSION makes it again")


def listing(md5: str, name: str) -> dict[str, str]:
    """Return the MD5 of each file of a folder, by its path in the folder.

    Parameters
    ----------
    md5, name
        As for `named`.

    Raises
    ------
    PerenneError
        As `named`, and if it is not a listing as DVC writes it.

    """
    content = strict_json.loads(named(md5, name), name)
    try:
        return {entry["relpath"]: entry["md5"] for entry in LISTING.validate_python(content, strict=True)}
    except (ValidationError, KeyError) as error:
        raise PerenneError(f"{name}: not the listing of a folder as DVC writes it") from error


def _used(repo: Repo, *commits: str) -> set[HashInfo]:
    """What is in DVC in the working tree, or in a commit."""
    try:
        used = repo.used_objs(revs=list(commits)) if commits else repo.used_objs()
    except Exception as error:  # whatever DVC makes of a text that somebody else wrote
        raise PerenneError(
            f"dvc: the data of {', '.join(commits) or 'the working tree'}: {line(error)}"
        ) from error
    return {info for infos in used.values() for info in infos}


def _read(odb: HashFileDB, md5: str) -> bytes | None:
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
    """Turn a failure of a remote into one line that says why.

    DVC reports only how many files failed, and logs the reasons: the first one is shown.
    """
    reasons = _Reasons()
    for name in LOGGERS:
        logging.getLogger(name).addHandler(reasons)
    try:
        yield
    except Exception as error:  # whatever a file system or a server can raise
        reason = reasons.first or error
        raise PerenneError(f"{_named(remote)}: {_reason(reason)}") from error
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(reasons)


def _reason(error: BaseException) -> str:
    """An error in one line; of a chain, its first cause."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]  # one of them is there
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:MOST_SHOWN]}"


class _Reasons(logging.Handler):
    """Keeps the first exception that is logged."""

    first: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, and print nothing."""
        if record.exc_info and not self.first:
            self.first = record.exc_info[1]
