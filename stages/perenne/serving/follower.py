"""Follow a stage: a new version is loaded beside the one that is served, proven, and then takes its place."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

from perenne.common.errors import PerenneError
from perenne.common.names import DEGRADED
from perenne.registry import tags
from perenne.registry.fetch import signed
from perenne.registry.rollback import before
from perenne.registry.tags import Registry, Version
from perenne.serving import served
from perenne.serving.bring import SIGNED
from perenne.serving.served import Served

RETRY_SECONDS = 300.0  # what was refused is looked at again after this long, or when asked for

# One thread for all of it: each thread has a heap of its own, and every one that loads models keeps some.
THREAD = ThreadPoolExecutor(1, "follow")

T = TypeVar("T")

log = logging.getLogger("perenne.serve")


class Refusal(NamedTuple):
    """Why what the registry says is not what is served."""

    what: str
    why: str


class Standing(NamedTuple):
    """What the registry says of the version that is served."""

    since: datetime | None
    degraded: bool


class Follower:
    """One stage of one model. `live` is what is served; it is replaced whole, between two requests."""

    def __init__(
        self,
        name: str,
        stage: str,
        *,
        needed: bool,
        require_signed: bool,
        like: Callable[[], Served | None],
    ) -> None:
        """`needed`: there must be a version. `like`: whose contract another one must have; None for any."""
        self.name, self.stage = name, stage
        self.live: Served | None = None
        self.refused: Refusal | None = None
        self.standing = Standing(None, degraded=False)
        self.swaps = 0
        self.refusals = 0
        self._needed = needed
        self._require_signed = require_signed
        self._like = like
        self._tried: tuple[Version, float] | None = None
        self._names: dict[str, str] = {}
        self._one = asyncio.Lock()

    async def check(self, *, again: bool = False) -> None:
        """Ask the remote once; `again`: also for what was just refused. Failures are told, not raised."""
        async with self._one:
            try:
                await self._follow(again=again)
            except PerenneError as error:
                self._refuse(self.refused.what if self.refused else self.stage, str(error))
            except Exception as error:  # noqa: BLE001 -- the one that is served goes on, whatever it was
                self._refuse(self.stage, f"{type(error).__name__} while following")

    async def _follow(self, *, again: bool) -> None:
        registry, unasked = await _elsewhere(self._read)
        wanted = registry.in_stage(self.stage) or _version(registry, self.stage)
        if wanted is None:
            self._nothing()
            return
        if self.live and wanted == self.live.version:
            self.refused = None
            self.standing = _standing(registry, self.stage, wanted)
            return
        now = asyncio.get_running_loop().time()
        if not again and self._tried and self._tried[0] == wanted and now < self._tried[1] + RETRY_SECONDS:
            return
        self._tried = (wanted, now)
        try:
            candidate = await self._load(wanted)
        except PerenneError as error:
            self._refuse(wanted.version, str(error))
            if self._needed and self.live is None and registry.in_stage(self.stage):
                await self._fall_back(registry)
            return
        self._swap(candidate, registry)
        if unasked:
            self._refuse(self.stage, unasked)

    async def _fall_back(self, registry: Registry) -> None:
        """Nothing is served yet, as after a restart: then the version before the refused one goes on, too."""
        why = self.refused
        try:
            candidate = await self._load(before(registry, self.stage))
        except PerenneError:  # why there is none is not why the newest was refused
            return
        self._swap(candidate, registry)
        self.refused = why

    def _nothing(self) -> None:
        """Nothing is in the stage. Where one is needed the last one goes on: callers must have an answer."""
        if not self._needed:
            self.live = self.refused = None
        elif self.live:
            self._refuse(self.stage, f"nothing is in {self.stage}; {self.live.version.version} goes on")
        else:
            self._refuse(self.stage, f"nothing is in {self.stage}; perenne release puts a version there")

    def _read(self) -> tuple[Registry, str | None]:
        """What the tags say, and why the remote was not asked: whoever starts meanwhile has those here."""
        try:
            tags.fetch()
        except PerenneError as error:
            if self.live or not self._needed:
                raise
            return tags.read(self.name), f"{error}; what was in {self.stage} when it was last asked is served"
        return tags.read(self.name), None

    async def _load(self, version: Version) -> Served:
        if self._require_signed:
            await _elsewhere(signed, version.tag)
        with TemporaryDirectory(prefix="perenne-") as folder:
            await self._bring(version, folder)
            candidate = await _elsewhere(served.load, self.name, version, Path(folder))
        like = self._like()
        if like:
            served.same_contract(like, candidate)
        was = self._names.setdefault(version.version, candidate.sha256)
        if was != candidate.sha256:
            raise PerenneError(
                f"{version.tag}: the tag was moved: {version.version} was the model {was[:12]}, "
                f"now it is {candidate.sha256[:12]}; a version is one model for ever"
            )
        return candidate

    async def _bring(self, version: Version, folder: str) -> None:
        options = [SIGNED] if self._require_signed else []
        module = ["-P", "-m", "perenne.serving.bring"]  # this code, whatever the repository has
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, *module, self.name, version.version, folder, *options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, told = await child.communicate()
        except asyncio.CancelledError:
            child.kill()
            raise
        if child.returncode:
            raise PerenneError(_reason(told.decode("utf-8", "replace")) or f"exit status {child.returncode}")

    def _swap(self, candidate: Served, registry: Registry) -> None:
        was = self.live
        self.live = candidate
        self.refused = None
        self.standing = _standing(registry, self.stage, candidate.version)
        self.swaps += was is not None
        instead = f" instead of {was.version.version}" if was else ""
        log.info("%s: %s is served%s", self.stage, candidate.version.tag, instead)

    def _refuse(self, what: str, why: str) -> None:
        refusal = Refusal(what, why)
        if refusal != self.refused:
            self.refusals += 1
            log.warning("%s: refused: %s", self.stage, why)
        self.refused = refusal


async def _elsewhere(function: Callable[..., T], *arguments: object) -> T:
    """Call a function while the loop goes on answering."""
    return await asyncio.get_running_loop().run_in_executor(THREAD, function, *arguments)


def _version(registry: Registry, name: str) -> Version | None:
    """The version of this name; no stage can be called like one."""
    return next((version for version in registry.versions if version.version == name), None)


def _standing(registry: Registry, stage: str, version: Version) -> Standing:
    since = [a.at for a in registry.history(stage) if a.active and a.version == version]
    degraded = registry.in_stage(DEGRADED)
    return Standing(since[-1] if since else None, degraded is not None and degraded == version)


def _reason(told: str) -> str:
    r"""The error that a process ended with, in one line; of a traceback the last line.

    >>> _reason("a warning\nerror: one thing\n       another\n")
    'one thing another'
    """
    lines = told.strip().splitlines()
    begins = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    told = " ".join(lines[begins[-1] :] if begins else lines[-1:])
    return " ".join(told.removeprefix("error: ").split())
