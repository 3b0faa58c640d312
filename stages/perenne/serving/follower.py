"""Follow a stage: a new version is loaded beside the served one, verified, and then swapped in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NamedTuple

from perenne.common.errors import PerenneError
from perenne.common.names import DEGRADED
from perenne.registry import tags
from perenne.registry.fetch import signed
from perenne.registry.rollback import before
from perenne.registry.tags import Registry, Version
from perenne.serving.loader import VersionLoader, in_thread
from perenne.serving.peers import StageState
from perenne.serving.served import Served

RETRY_SECONDS = 300.0  # until a rejected version is tried again, unless a reload asks for it


# The remote has its own: if its packets stop, Git waits for them, and nothing else may wait for Git.
REMOTE = ThreadPoolExecutor(1, "remote")
FETCH_SECONDS = 60.0


logger = logging.getLogger("perenne.serve")


class Refusal(NamedTuple):
    """Why the version in the registry is not served; `subject` is the version, or the stage if empty."""

    subject: str
    why: str


class Standing(NamedTuple):
    """Since when the served version is in its stage, and whether it is in the stage `degraded` as well."""

    since: datetime | None
    degraded: bool


class Follower:
    """Follows one stage of one model.

    Parameters
    ----------
    name
        The model.
    stage
        The stage, or one version.
    needed
        Whether there must be a version: an empty stage is then an error, and the last version keeps serving.
    require_signed
        Whether a version's tag needs a good signature.
    like
        Returns the version whose contract a new one must have; None: any contract is accepted.
    elsewhere
        Has a version served by another process if its code is not that of this one; returns whether it is.
    shared
        The folder where the files of the version are kept for other workers; None if there are none.

    Attributes
    ----------
    live
        The version that is served. It is replaced as a whole, between two requests.
    refused
        Why the version in the registry is not the one that is served.
    successor
        The version that another process serves from now on; None as long as this one serves.

    """

    def __init__(
        self,
        name: str,
        stage: str,
        *,
        needed: bool,
        require_signed: bool,
        like: Callable[[], Served | None],
        elsewhere: Callable[[Version], Awaitable[bool]],
        shared: str | None = None,
    ) -> None:
        self.name, self.stage = name, stage
        self.live: Served | None = None
        self.refused: Refusal | None = None
        self.standing = Standing(None, degraded=False)
        self.swaps = 0
        self.refusals = 0
        self._needed = needed
        self._require_signed = require_signed
        self._elsewhere = elsewhere
        self.successor: Version | None = None
        self._tried: tuple[Version, float] | None = None
        self._one = asyncio.Lock()
        self._loader = VersionLoader(name, require_signed=require_signed, like=like, shared=shared)

    async def begin(
        self,
        number: str,
        refused: tuple[str, str] | None,
        downloaded: Callable[[str], None],
        folder: str | None = None,
    ) -> None:
        """Load one version, by the local tags, for a process that has to serve it.

        Parameters
        ----------
        number
            The version.
        refused
            Why another one is not served, if that is known, as `Refusal` has it.
        downloaded
            Called with the folder of its files, once they are here.
        folder
            The same, if another worker has downloaded them.

        Raises
        ------
        PerenneError
            If it cannot be served.

        """
        registry = await in_thread(tags.read, self.name)
        self._swap(await self._loader.load(registry.find(number), downloaded, folder), registry)
        if refused:
            self.refused = Refusal(*refused)
            rejected = _version(registry, self.refused.subject)
            self._tried = (rejected, asyncio.get_running_loop().time()) if rejected else None

    async def check(self, *, again: bool = False) -> None:
        """Read the remote once; failures are kept in `refused`, not raised.

        Parameters
        ----------
        again
            Also try a version that was rejected less than `RETRY_SECONDS` ago.

        """
        async with self._one:
            try:
                await self._follow(again=again)
            except PerenneError as error:
                self._refuse(self.refused.subject if self.refused else self.stage, str(error))
            except Exception as error:  # noqa: BLE001 -- whatever it was, the current version keeps serving
                self._refuse(self.stage, f"{type(error).__name__} while following")

    @property
    def names(self) -> dict[str, str]:
        """The sha256 of the model of each version that was loaded: none must change."""
        return self._loader.names

    @property
    def folder(self) -> str | None:
        """Where other workers find the files of the version; None if they have to download them."""
        return self._loader.folder

    @property
    def state(self) -> StageState:
        """What is served and what is refused, for the other workers."""
        return StageState(
            version=self.live.version.version if self.live else None,
            folder=self.folder,
            refused=self.refused,
            swaps=self.swaps,
            refusals=self.refusals,
        )

    async def mirror(self, state: StageState) -> None:
        """Do as the worker that follows the tag; what cannot be served is kept in `refused`.

        Parameters
        ----------
        state
            What that worker serves, by the local tags.

        """
        async with self._one:
            try:
                await self._serve_too(state.version, state.folder)
            except PerenneError as error:
                self._refuse(state.version or self.stage, str(error))
            except Exception as error:  # noqa: BLE001 -- as `check`
                self._refuse(state.version or self.stage, f"{type(error).__name__} while following")
            else:
                self.refused = Refusal(*state.refused) if state.refused else None
                self.swaps, self.refusals = state.swaps, state.refusals

    async def _serve_too(self, number: str | None, folder: str | None) -> None:
        if number is None:
            self.live = None
            return
        registry = await in_thread(tags.read, self.name)
        version = registry.find(number)
        if self.live is None or self.live.version != version:
            self._swap(await self._loader.load(version, folder=folder), registry)
        self.standing = _standing(registry, self.stage, version)

    async def _follow(self, *, again: bool) -> None:
        if self.successor:
            return  # whoever serves now follows
        offline = await self._fetch()
        registry = await in_thread(tags.read, self.name)
        wanted = registry.in_stage(self.stage) or _version(registry, self.stage)
        if wanted is None:
            self._handle_empty_stage()
            return
        if self.live and wanted == self.live.version:
            self.refused = None
            self.standing = _standing(registry, self.stage, wanted)
            return
        now = asyncio.get_running_loop().time()
        if not again and self._tried and self._tried[0] == wanted and now < self._tried[1] + RETRY_SECONDS:
            return
        self._tried = (wanted, now)
        if offline:  # whoever serves instead has to say so
            self.refused = Refusal(self.stage, offline)
        try:
            await self._take(wanted, registry)
        except PerenneError as error:
            self._refuse(wanted.version, str(error))
            if self._needed and self.live is None and registry.in_stage(self.stage):
                await self._fall_back(registry)
            return
        if offline:
            self._refuse(self.stage, offline)

    async def _take(self, version: Version, registry: Registry) -> None:
        """Serve a version: here, or by another process."""
        if self._require_signed:
            await in_thread(signed, version.tag)
        if await self._elsewhere(version):
            self.swaps += self.live is not None
            self.refused, self.successor = None, version
            return
        self._swap(await self._loader.load(version), registry)

    async def _fall_back(self, registry: Registry) -> None:
        """After a restart nothing is served yet: serve the version before the rejected one."""
        why = self.refused
        try:
            await self._take(before(registry, self.stage), registry)
        except PerenneError:  # `refused` keeps the reason why the newest one was rejected
            return
        self.refused = why

    def _handle_empty_stage(self) -> None:
        """If a version is needed, the last one keeps serving, so that callers have an answer."""
        if not self._needed:
            self.live = self.refused = None
        elif self.live:
            self._refuse(self.stage, f"nothing is in {self.stage}; {self.live.version.version} keeps serving")
        else:
            self._refuse(self.stage, f"nothing is in {self.stage}; perenne release puts a version there")

    async def _fetch(self) -> str | None:
        """Fetch the tags. At a start the local ones do: then return why the remote could not be read."""
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                await asyncio.get_running_loop().run_in_executor(REMOTE, tags.fetch)
        except (PerenneError, TimeoutError) as error:
            late = isinstance(error, TimeoutError)
            why = f"git fetch: no answer within {FETCH_SECONDS:g} s" if late else str(error)
            if self.live or not self._needed:
                raise PerenneError(why) from error
            return f"{why}; serving the version last known to be in {self.stage}"
        return None

    def _swap(self, candidate: Served, registry: Registry) -> None:
        was = self.live
        self.live = candidate
        self.refused = None
        self.standing = _standing(registry, self.stage, candidate.version)
        self.swaps += was is not None
        instead = f" instead of {was.version.version}" if was else ""
        logger.info("%s: %s is served%s", self.stage, candidate.version.tag, instead)

    def _refuse(self, subject: str, why: str) -> None:
        refusal = Refusal(subject, why)
        if refusal != self.refused:
            self.refusals += 1
            logger.warning("%s: rejected: %s", self.stage, why)
        self.refused = refusal


def _version(registry: Registry, name: str) -> Version | None:
    """The version with this name; a stage cannot have the name of a version."""
    return next((version for version in registry.versions if version.version == name), None)


def _standing(registry: Registry, stage: str, version: Version) -> Standing:
    since = [a.at for a in registry.history(stage) if a.active and a.version == version]
    degraded = registry.in_stage(DEGRADED)
    return Standing(since[-1] if since else None, degraded is not None and degraded == version)
