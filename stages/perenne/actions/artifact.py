"""What a run has uploaded. A pull request's code wrote it: any bytes, any number of them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from lzma import LZMAError
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NamedTuple
from zlib import error as ZlibError  # noqa: N812 -- its only name is in lower case

from perenne.common.errors import PerenneError
from perenne.forge.port import Forge

REVIEW = "review"  # the artifact with the page and review.json, as review.yml names it
MOST_REVIEW = 5_000_000  # bytes of it

# What `zipfile` raises for bytes that no program has written: of the archive, of a name, of each compression.
DAMAGED = (
    *(zipfile.BadZipFile, ZlibError, LZMAError, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError),
)


class Artifact(NamedTuple):
    """An archive, read in place: no name in it becomes a path, and no more is read than was requested."""

    archive: zipfile.ZipFile

    def text(self, name: str, most: int) -> str:
        """Return a file of the artifact as text.

        Raises
        ------
        PerenneError
            If there is no such file, it is damaged, or it has more than `most` bytes.

        """
        with self.open(name) as file:
            data = piece(file, name, most + 1)
        if len(data) > most:
            raise PerenneError(f"{name}: more than {most:,} bytes, which no review writes")
        return data.decode("utf-8", "replace")

    def open(self, name: str) -> IO[bytes]:
        """Open a file of the artifact, to be read with `piece`.

        Raises
        ------
        PerenneError
            If there is no such file, or it is damaged.

        """
        try:
            return self.archive.open(name)
        except KeyError:
            raise PerenneError(f"{name}: not in the artifact") from None
        except DAMAGED as error:
            raise PerenneError(f"{name}: damaged: {error}") from error

    def names(self) -> list[str]:
        """Return the names of all files in the artifact."""
        return self.archive.namelist()


def piece(file: IO[bytes], name: str, most: int = 1 << 20) -> bytes:
    """Return at most `most` further bytes of a file in an artifact; none at its end.

    Parameters
    ----------
    file
        What `Artifact.open` returned.
    name
        What an error calls it.
    most
        Bytes.

    Raises
    ------
    PerenneError
        If the file is damaged.

    """
    try:
        return file.read(most)
    except DAMAGED as error:
        raise PerenneError(f"{name}: damaged: {error}") from error


@contextmanager
def downloaded(host: Forge, run: int, name: str, most: int) -> Iterator[Artifact | None]:
    """Download the newest artifact of a run under a name; None if there is none.

    Parameters
    ----------
    host
        The Git host that keeps it.
    run
        The run's id.
    name
        The artifact's name.
    most
        Bytes that it may have. The host reports the size before the download.

    Raises
    ------
    PerenneError
        If it has more bytes, or is not a zip archive.

    """
    upload = host.upload(run, name)
    if upload is None:
        yield None
        return
    if upload.size > most:
        raise PerenneError(f"{name}: {upload.size:,} bytes; at most {most:,} are read")
    with TemporaryDirectory(prefix="perenne-") as temporary:
        file = Path(temporary) / "artifact.zip"
        host.download(upload, file)
        try:
            archive = zipfile.ZipFile(file)
        except DAMAGED as error:
            raise PerenneError(f"{name}: damaged: {error}") from error
        with archive:
            yield Artifact(archive)
