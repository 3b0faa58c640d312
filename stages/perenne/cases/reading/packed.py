"""The parts of a file: itself, what a gzip holds, or each file in a zip."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast
from zlib import error as ZlibError  # noqa: N812 -- its only name is in lower case

import pyarrow as pa

from perenne.common.errors import PerenneError

COMPRESSED = (".gz", ".zip")
ZIPPED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
)  # the last: a method that Python lacks
DAMAGED = (OSError, EOFError, ZlibError, *ZIPPED)  # what reading a damaged file raises


@dataclass(frozen=True)
class Part:
    """One file, perhaps within another; `name` is what errors call it, `kind` its ending."""

    path: Path
    name: str
    kind: str
    member: str | None = None

    @contextmanager
    def open(self) -> Iterator[BufferedIOBase]:
        """Open its content, unpacked."""
        if self.member is not None:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
                yield cast("BufferedIOBase", file)
        else:
            with gzip.open(self.path) if self.gzipped else self.path.open("rb") as file:
                yield cast("BufferedIOBase", file)

    @contextmanager
    def stream(self) -> Iterator[Any]:
        """Open its content for Arrow, which reads all but zips without Python."""
        if self.member is not None:
            with self.open() as file:
                yield pa.PythonFile(cast("IO[bytes]", file), "r")
        else:
            with pa.input_stream(str(self.path), compression="gzip" if self.gzipped else None) as file:
                yield file

    @property
    def gzipped(self) -> bool:
        """Whether it has to be unpacked."""
        return self.path.suffix.lower() == ".gz"


def parts(path: Path) -> list[Part]:
    """The parts of a file, those of a zip in order of their names.

    Raises
    ------
    PerenneError
        If a zip cannot be read, has a password, is empty, or holds files of several kinds.

    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] != [".zip"]:
        plain = [suffix for suffix in suffixes if suffix not in COMPRESSED]
        return [Part(path, str(path), plain[-1] if plain else "")]
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted((m for m in archive.infolist() if _counts(m.filename)), key=lambda m: m.filename)
    except (*ZIPPED, OSError) as error:
        raise PerenneError(f"{path}: not a readable zip file (truncated?): {error}") from error
    if not members:
        raise PerenneError(f"{path}: holds no file; pack the data again")
    if any(member.flag_bits & 1 for member in members):
        raise PerenneError(f"{path}: has a password; unpack it")
    found = [Part(path, f"{path}/{m.filename}", _kind(m.filename), m.filename) for m in members]
    if len({part.kind for part in found}) > 1:
        names = ", ".join(member.filename for member in members)
        raise PerenneError(f"{path}: holds files of several kinds ({names:.200}); must be of one")
    return found


def _kind(name: str) -> str:
    """The ending of a file in a zip; pandas calls it `a.csv.zip`, as the zip is called."""
    inner = PurePosixPath(name)
    return (
        PurePosixPath(inner.stem).suffix.lower() or ".zip"
        if inner.suffix.lower() == ".zip"
        else inner.suffix.lower()
    )


def _counts(name: str) -> bool:
    """Whether a name in a zip is that of a file that somebody put there."""
    steps = PurePosixPath(name).parts
    return not name.endswith("/") and not any(step[0] == "." or step == "__MACOSX" for step in steps)
