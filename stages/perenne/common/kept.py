"""What was computed once is kept under a name that says of what, so that a later run computes what is new.

It lies beside Git's own files: no commit, and so no pull request, can put anything there. It is read with
`pickle`, which runs what it reads, so only files of ours in a folder that nobody else may write are read; who
can write there can change this project's hooks as well. What is missing, torn or of others is as good as
not there, and deleting all of it changes no result.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pickle
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

import pyarrow as pa

from perenne.common import git, project_code
from perenne.common.disk import replacing
from perenne.common.errors import PerenneError

LIBRARY = Path(__file__).parents[1]  # the code that is running, wherever the project's data are
PLACE = Path("perenne", "kept")  # in Git's folder
AT_ONCE = 2**20  # bytes
DIGEST = 32  # bytes at the end of a file: the sha256 of the others
PRIVATE = 0o700
SHELVES = 2  # of one kind: that of the last commit stays while another one is tried


def key(*parts: Any) -> str:
    """A name for what is made of these parts, in JSON's own types.

    Returns
    -------
    20 hexadecimal digits.

    Examples
    --------
    >>> key("model", {"window": 20}) == key("model", {"window": 21})
    False

    """
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def code(*patterns: str) -> str:
    """A hash of our modules, so that what other code made is not mistaken for what this code makes.

    Parameters
    ----------
    patterns
        Globs below the package `perenne`. Each must match: one that does not would let old results pass.

    Raises
    ------
    ValueError
        If a pattern matches nothing.

    """
    files = sorted(path for pattern in patterns for path in _matching(pattern))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _matching(pattern: str) -> list[Path]:
    files = list(LIBRARY.glob(pattern))
    if not files:
        raise ValueError(f"no module matches {pattern!r} in {LIBRARY}")
    return files


def surroundings() -> list[str]:
    """All that runs, each of which may change the last bit: our code, the project's own, Python, packages."""
    found = {path.name for place in sys.path if place for path in Path(place).glob("*.dist-info")}
    return [*all_code(), sys.version, *sorted(found)]


def all_code() -> list[str]:
    """What tells our code and the project's own from any other."""
    stages = project_code.root() / project_code.FOLDER
    scripts = {str(path.relative_to(stages)): path for path in sorted(stages.rglob("*.py"))}
    library = f"{project_code.LIBRARY}/"
    own = [f"{name} {sha256(path)}" for name, path in scripts.items() if not name.startswith(library)]
    return [code("**/*.py"), *own]


def sha256(path: Path) -> str:
    """The sha256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes from making the same thing meanwhile; a process that waited finds it made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Shelf:
    """The values that are kept of one thing, by name: all are made by the same code of the same data.

    Parameters
    ----------
    kind
        What for, such as `drift`. Of one kind the two shelves that were used last are kept.
    made_of
        The `key` of all that the values depend on, and their names do not say.

    """

    def __init__(self, kind: str, made_of: str) -> None:
        try:
            self._folder: Path | None = git.folder() / PLACE / kind / made_of
        except PerenneError:  # a project without Git
            self._folder = None

    def load(self, name: str) -> Any:  # whatever was saved
        """The value of a name; None if there is none, or none that can be relied on."""
        path = self._path(name)
        if path is None or not _private(path.parent) or not _own(path):
            return None
        try:
            with pa.memory_map(str(path)) as file:
                content = file.read_buffer()
                packed = content.slice(0, len(content) - DIGEST)
                if hashlib.sha256(packed).digest() != content[-DIGEST:].to_pybytes():
                    return None
                with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
                    # One read for many small values.
                    return pickle.load(BufferedReader(stream, AT_ONCE))  # noqa: S301 -- our own file
        except Exception:  # noqa: BLE001 -- whatever is wrong with it: then it is made anew
            return None

    def save(self, name: str, value: object) -> None:
        """Keep a value, whole or not at all. Where nothing can be written, nothing is kept."""
        path = self._path(name)
        if path is None:
            return
        with suppress(OSError):
            _make_private(path.parent)
            with alone(path.parent):
                self._write(path, value)
                _make_room(path.parent)

    def names(self) -> list[str]:
        """The names of what is there, sorted."""
        if self._folder is None or not self._folder.is_dir():
            return []
        return sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))

    def remove(self, names: Iterable[str]) -> None:
        """Keep these no longer."""
        for name in names:
            path = self._path(name)
            if path is not None:
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path | None:
        return None if self._folder is None else self._folder / name

    @staticmethod
    def _write(path: Path, value: object) -> None:
        with replacing(path) as temporary:
            with pa.CompressedOutputStream(str(temporary), "zstd") as stream:
                pickle.dump(value, stream, protocol=pickle.HIGHEST_PROTOCOL)
            with temporary.open("r+b") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
                file.seek(0, os.SEEK_END)
                file.write(digest)


def _make_private(folder: Path) -> None:
    """Make the folder, and those above it up to Git's own, for nobody but this user."""
    for each in (folder.parents[1], folder.parent, folder):
        each.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            each.mkdir(mode=PRIVATE)
    os.utime(folder)  # it was used last


def _make_room(shelf: Path) -> None:
    """Remove all but the shelves of this kind that were used last."""
    others = [path for path in shelf.parent.iterdir() if path.is_dir() and path != shelf]
    for path in sorted(others, key=lambda path: path.stat().st_mtime)[: -(SHELVES - 1) or None]:
        shutil.rmtree(path, ignore_errors=True)


def _private(folder: Path) -> bool:
    """Whether nobody else may write in a folder and the two above it, which are all ours."""
    return all(_own(each, PRIVATE) for each in (folder, folder.parent, folder.parents[1]))


def _own(path: Path, mode: int | None = None) -> bool:
    """Whether a file or folder is this user's, no link, and of this mode."""
    try:
        found = path.lstat()
    except OSError:
        return False
    is_ours = found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode)
    return is_ours and (mode is None or stat.S_IMODE(found.st_mode) == mode)
