"""Load a version beside the one that is served, and prove that it is the one that was released."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from perenne.common.errors import PerenneError
from perenne.registry.fetch import signed
from perenne.registry.tags import Version
from perenne.serving import served
from perenne.serving.download import SIGNED
from perenne.serving.served import Served

# One thread for all loading: each thread has its own heap, and keeps some of it after loading a model.
THREAD = ThreadPoolExecutor(1, "follow")
DOWNLOAD_SECONDS = 1_800.0

T = TypeVar("T")


class VersionLoader:
    """Loads versions of one model, of which one is served.

    Parameters
    ----------
    name
        The model.
    require_signed
        Whether a version's tag needs a good signature.
    like
        Returns the version whose contract a new one must have; None: any contract is accepted.
    shared
        The folder where the files of the version are kept for other workers; None if there are none.

    Attributes
    ----------
    names
        The sha256 of the model of each version that was loaded: none must change.
    folder
        Where other workers find the files of the last one; None if they have to download them.

    """

    def __init__(
        self, name: str, *, require_signed: bool, like: Callable[[], Served | None], shared: str | None
    ) -> None:
        self.names: dict[str, str] = {}
        self.folder: str | None = None
        self._name = name
        self._require_signed = require_signed
        self._like = like
        self._shared = shared
        self._mine: str | None = None  # the folder, if this worker has downloaded the files

    async def load(
        self, version: Version, downloaded: Callable[[str], None] = lambda _: None, folder: str | None = None
    ) -> Served:
        """Download a version unless another worker has, load it and prove it.

        Parameters
        ----------
        version
            The version.
        downloaded
            Called with the folder of its files, once they are here.
        folder
            The same, if another worker has downloaded them.

        Raises
        ------
        PerenneError
            If it cannot be served.

        """
        if self._require_signed:
            await in_thread(signed, version.tag)
        if folder and Path(folder).is_dir():
            downloaded(folder)
            candidate = await self._proven(version, folder)
            self._keep(folder, mine=False)
            return candidate
        folder = mkdtemp(prefix="perenne-", dir=self._shared)
        try:
            await self._download(version, folder)
            downloaded(folder)
            candidate = await self._proven(version, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._keep(folder, mine=True)
        return candidate

    def _keep(self, folder: str, *, mine: bool) -> None:
        """Keep the files of a version for other workers, and not those of the one before."""
        if not self._shared:
            shutil.rmtree(folder, ignore_errors=True)
            return
        before, self._mine, self.folder = self._mine, folder if mine else None, folder
        if before and before != folder:
            shutil.rmtree(before, ignore_errors=True)

    async def _proven(self, version: Version, folder: str) -> Served:
        candidate = await in_thread(served.load, self._name, version, Path(folder))
        like = self._like()
        if like:
            served.same_contract(like, candidate.contract, version.tag)
        was = self.names.setdefault(version.version, candidate.sha256)
        if was != candidate.sha256:
            raise PerenneError(
                f"{version.tag}: the tag was moved: {version.version} was the model {was[:12]} and is now "
                f"{candidate.sha256[:12]}; a version must not change its model"
            )
        return candidate

    async def _download(self, version: Version, folder: str) -> None:
        options = [SIGNED] if self._require_signed else []
        module = ["-P", "-m", "perenne.serving.download"]  # not the code of the repository in the folder
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, *module, self._name, version.version, folder, *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(DOWNLOAD_SECONDS):
                _, stderr = await child.communicate()
        except asyncio.CancelledError:
            child.kill()
            raise
        except TimeoutError as error:
            child.kill()
            raise PerenneError(f"{version.tag}: not downloaded within {DOWNLOAD_SECONDS:g} s") from error
        if child.returncode:
            why = _reason(stderr.decode("utf-8", "replace"))
            raise PerenneError(why or f"exit status {child.returncode}")


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in the thread, while the event loop answers requests."""
    return await asyncio.get_running_loop().run_in_executor(THREAD, function, *arguments)


def _reason(stderr: str) -> str:
    r"""The error that ended a process, in one line; the last line of a traceback.

    >>> _reason("a warning\nerror: one thing\n       another\n")
    'one thing another'
    """
    lines = stderr.strip().splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    last = " ".join(lines[begins[-1] :] if begins else lines[-1:])
    return " ".join(last.removeprefix("error: ").split())
