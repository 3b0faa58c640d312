"""What a run has left behind. A pull request's code wrote it: any bytes, any number of them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple
from zlib import error as ZlibError  # noqa: N812 -- its only name is in lower case

from perenne.common.errors import PerenneError
from perenne.forge import gh

DAMAGED = (zipfile.BadZipFile, ZlibError, EOFError, NotImplementedError, RuntimeError)


class Artifact(NamedTuple):
    """An archive, read in place: nothing in it becomes a path, and no more is read than is asked for."""

    archive: zipfile.ZipFile

    def text(self, name: str, most: int) -> str:
        """A file in it as text; a `PerenneError` if it is not there, or has more bytes than `most`."""
        with self.open(name) as file:
            data = piece(file, name, most + 1)
        if len(data) > most:
            raise PerenneError(f"{name}: more than {most:,} bytes, which no review writes")
        return data.decode("utf-8", "replace")

    def open(self, name: str) -> IO[bytes]:
        """A file in it, to be read piece by piece."""
        try:
            return self.archive.open(name)
        except KeyError:
            raise PerenneError(f"{name}: not in the artifact") from None
        except DAMAGED as error:
            raise PerenneError(f"{name}: damaged: {error}") from error

    def names(self) -> list[str]:
        """What is in it."""
        return self.archive.namelist()


def piece(file: IO[bytes], name: str, most: int = 1 << 20) -> bytes:
    """The next bytes of a file in an artifact."""
    try:
        return file.read(most)
    except DAMAGED as error:
        raise PerenneError(f"{name}: damaged: {error}") from error


def newest(run: int, name: str) -> dict[str, Any] | None:
    """What GitHub knows of the newest artifact of a run under a name; None if there is none."""
    listed = gh.get(gh.path("actions", "runs", run, "artifacts", name=name, per_page=100))["artifacts"]
    found = [one for one in listed if one["name"] == name and not one["expired"]]
    return max(found, key=lambda one: int(one["id"]), default=None)


@contextmanager
def of(run: int, name: str, most: int) -> Iterator[Artifact | None]:
    """The newest artifact of a run under a name; None if there is none, an error if it has too many bytes."""
    one = newest(run, name)
    if one is None:
        yield None
        return
    if one["size_in_bytes"] > most:
        raise PerenneError(f"{name}: {one['size_in_bytes']:,} bytes; at most {most:,} are read")
    with TemporaryDirectory(prefix="perenne-") as temporary:
        file = Path(temporary) / "artifact.zip"
        gh.download(gh.path("actions", "artifacts", one["id"], "zip"), file)
        try:
            archive = zipfile.ZipFile(file)
        except zipfile.BadZipFile as error:
            raise PerenneError(f"{name}: damaged: {error}") from error
        with archive:
            yield Artifact(archive)
