"""The service without its routes: it follows the stage, scores, logs and counts."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from perenne.common import project_code
from perenne.common.errors import PerenneError
from perenne.common.sections import contract_of
from perenne.registry.tags import Version
from perenne.serving import code_identity, served
from perenne.serving.answers import Ready, ServedModel
from perenne.serving.batcher import Batcher, Done
from perenne.serving.code_identity import Code
from perenne.serving.connections import Connections
from perenne.serving.follower import Follower
from perenne.serving.generation import SHARED
from perenne.serving.loader import in_thread
from perenne.serving.log import Label, LabelResult, Log
from perenne.serving.peers import Peers, ServiceState, WorkerStanding
from perenne.serving.predictions import PredictResult, several
from perenne.serving.prometheus import Reading, ServiceMetrics
from perenne.serving.readings import readings, score_buckets
from perenne.serving.rows import InputRow
from perenne.serving.served import Served
from perenne.serving.settings import ServeSettings
from perenne.serving.shadow import Shadow
from perenne.serving.succession import Hello, Succession

SECONDS_FOR_SHADOW = 3.0  # to score what waits, once nobody waits for answers
LATE_SECONDS = 5.0  # without a commit, after which the service is not ready


class AfterReload(NamedTuple):
    """The version that answers after the registry was read, and whether it was swapped in by that."""

    version: str
    swapped: bool


class Service:
    """One model in one stage, its shadow, and the log.

    Parameters
    ----------
    name
        The model.
    stage
        The stage to follow, or one version.
    settings
        The section `serve` of params.yaml.
    require_signed
        Whether a version's tag needs a good signature.
    succession
        Gives the place of this process to another one, if a version has other code.
    peers
        The other workers; None if there is one.

    """

    def __init__(
        self,
        name: str,
        stage: str,
        settings: ServeSettings,
        *,
        require_signed: bool,
        succession: Succession,
        peers: Peers | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.succession = succession
        self.peers = peers
        self._require_signed = require_signed
        self._shared = os.environ[SHARED] if peers else None
        self.prod = Follower(
            name,
            stage,
            needed=True,
            require_signed=require_signed,
            like=lambda: self.prod.live,
            elsewhere=self._elsewhere,
            shared=self._shared,
        )
        self.shadow = Follower(
            name,
            "shadow",
            needed=False,
            require_signed=require_signed,
            like=lambda: self.prod.live,
            elsewhere=self._refused_elsewhere,
            shared=self._shared,
        )
        self.connections = Connections(settings.max_connections, settings.request_seconds)
        self._task: asyncio.Task[None] | None = None
        self._opened = False
        self.mirroring = asyncio.Lock()  # held while this worker changes to what another one serves

    async def start(self) -> None:
        """Load the version in the stage, open the log, and start to follow the stage.

        If the version has other code than this process, another one serves it, and here nothing has started.

        Raises
        ------
        PerenneError
            If no version can be served, or the log cannot be opened.

        """
        await self.prod.check()
        if self.prod.successor:
            return
        if self.prod.live is None:
            raise PerenneError(self.prod.refused.why if self.prod.refused else "nothing can be served")
        await self.shadow.check()
        self._open(shadow_first=False)

    async def inherit(self, hello: Hello, downloaded: Callable[[str], None]) -> None:
        """As `start`, with the version that this process was started for, and no other.

        Parameters
        ----------
        hello
            What the process before this one knows.
        downloaded
            Called with the folder of the version's files, once they are here.

        Raises
        ------
        PerenneError
            If it cannot be served, or the log cannot be opened.

        """
        for path in hello.code_names:  # one that fails must not do so at the first request that needs it
            await in_thread(project_code.imported, path, hello.version)
        self.prod.names.update(hello.names)
        await self.prod.begin(hello.version, hello.refused, downloaded, hello.folder)
        self.prod.swaps, self.prod.refusals = hello.swaps, hello.refusals
        self._open(shadow_first=True)

    def _open(self, *, shadow_first: bool) -> None:
        live = self.live
        self.log = Log(self.settings.log_url, self.settings.log, in_turn=self.peers is not None)
        self.metrics = ServiceMetrics(
            score_buckets(live), self._readings, several(live.contract), self._shared
        )
        self._shadowing = Shadow(lambda: self.shadow.live, self.log, self.metrics)
        self._batcher = Batcher(lambda: self.live, self.log, self._shadowing, self.metrics)
        self._opened = True
        if not self.peers or self.peers.leads:
            self._task = asyncio.get_running_loop().create_task(self._follow(shadow_first=shadow_first))

    def _readings(self) -> Iterator[Reading]:
        return readings(self.prod, self.shadow, self.log, self.connections, self.succession.code.id)

    def lead(self) -> None:
        """Follow the tag from now on, for the other workers too."""
        if self.peers and not self.peers.leads:
            self.peers.leads = True
            self._task = asyncio.get_running_loop().create_task(self._follow(at_once=True))

    async def mirror(self, state: ServiceState) -> None:
        """Serve what the worker does that follows the tag.

        Parameters
        ----------
        state
            What that worker has said last.

        """
        assert self.peers  # noqa: S101 -- who else would say it
        async with self.mirroring:
            await self.prod.mirror(state.prod)
            await self.shadow.mirror(state.shadow)
        self._stand()
        self.peers.does(state)

    def tick(self) -> None:
        """Do what is due about once a second."""
        self.connections.sweep()
        self.metrics.share()
        self._stand()

    def _stand(self) -> None:
        if self.peers:
            refused = None if self.peers.leads else self.prod.refused
            self.peers.stand(
                WorkerStanding(failing=self._failing(), refused=refused.why if refused else None)
            )

    async def stop(self) -> None:
        """Stop following, and commit what is still waiting."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._opened:
            await self._shadowing.finish(SECONDS_FOR_SHADOW)
            self.log.close()

    @property
    def live(self) -> Served:
        """The version that answers now.

        Raises
        ------
        PerenneError
            If nothing is served.

        """
        if self.prod.live is None:
            raise PerenneError("nothing is served")
        return self.prod.live

    @property
    def turn(self) -> asyncio.Lock:
        """Is held by the large request that is worked on."""
        return self._batcher.turn

    @property
    def threshold(self) -> float | None:
        """The lowest score of class 1; None if the target is not an event."""
        return self.settings.threshold if self.live.contract.task.outcome == "event" else None

    async def predict(self, rows: Sequence[InputRow]) -> PredictResult:
        """Score rows; see `Batcher.predict`.

        Raises
        ------
        Busy
            If too many rows wait.
        LogUnavailable
            If the predictions could not be committed.

        """
        return await self._batcher.predict(rows)

    def give(self, rows: Sequence[InputRow], done: Done) -> None:
        """Score a few rows, and call back; see `Batcher.give`."""
        self._batcher.give(rows, done)

    async def label(self, labels: Sequence[Label]) -> LabelResult:
        """Commit outcomes; see `Log.label`.

        Raises
        ------
        LogUnavailable
            If they could not be committed.

        """
        self.metrics.labels.inc(len(labels))
        return await self.log.label(labels)

    async def reload(self) -> AfterReload:
        """Read the registry now; return what is served then, by all workers.

        Raises
        ------
        PerenneError
            If the worker that should read it is leaving.

        """
        if self.peers and not self.peers.leads:
            answer = await self.peers.reload()
            if answer.why:
                raise PerenneError(answer.why)
            return AfterReload(answer.version, answer.swapped)
        before = self.prod.swaps
        await self.prod.check(again=True)
        if not self.prod.successor:
            await self.shadow.check(again=True)
            if heard := self._tell():
                await heard
        now = self.prod.successor or self.live.version
        return AfterReload(now.version, self.prod.swaps > before)

    def refused(self) -> str | None:
        """Why the version in the registry is not the one that all workers serve; None if it is."""
        own = self.prod.refused.why if self.prod.refused else None
        return own or (self.peers.refused if self.peers else None)

    def _failing(self) -> str | None:
        """Why rows cannot be written by this worker."""
        late = f"not committed for {lag:.0f} s" if (lag := self.log.lag) > LATE_SECONDS else None
        return f"the last write failed: {self.log.failing}" if self.log.failing else late

    def ready(self) -> Ready:
        """Whether all workers answer predictions, with the version and the state of the log."""
        failing = self._failing() or (self.peers.failing if self.peers else None)
        return Ready(
            ready=not failing,
            version=self.live.version.version,
            refused=self.refused(),
            log=failing or self.settings.log,
        )

    def model(self) -> ServedModel:
        """The model that answers: identity, proof, and standing in the registry."""
        live, proof, standing = self.live, self.live.proof, self.prod.standing
        return ServedModel(
            case=self.name,
            version=live.version.version,
            tag=live.version.tag,
            commit=live.version.commit,
            sha256=live.sha256,
            released=live.version.at,
            signed=live.version.signed,
            as_of=proof.as_of,
            metrics=proof.metrics or {},
            stage=self.prod.stage,
            champion_since=standing.since,
            degraded=standing.degraded,
            shadow=self.shadow.live.version.version if self.shadow.live else None,
            refused=self.refused(),
            code=self.succession.code.id or None,
            history=live.features.through,
        )

    async def _elsewhere(self, version: Version) -> bool:
        """Have a version served by a new process, if its code is not that of this process."""
        code = await in_thread(code_identity.code_of, self.name, version)
        place = await in_thread(self.succession.place_for, code, version)
        if place is None:
            return False
        prod = self.prod
        if prod.live:  # before a process is started in vain
            served.same_contract(prod.live, contract_of(self.name, version.commit), version.tag)
        hello = self._hello(version, code).model_copy(
            update={
                "refused": None if prod.live else prod.refused,
                "swaps": prod.swaps + (prod.live is not None),
                "first": prod.live is None,
            }
        )
        await self.succession.hand_over(hello, code, place, version.tag)
        return True

    def for_another(self) -> Hello:
        """What another worker is to serve: the same as this one."""
        told = {"leads": False, "folder": self.prod.folder}
        return self._hello(self.live.version, self.succession.code).model_copy(update=told)

    def _hello(self, version: Version, code: Code) -> Hello:
        return Hello(
            name=self.name,
            stage=self.prod.stage,
            version=version.version,
            require_signed=self._require_signed,
            settings=self.settings.model_dump(mode="json", exclude_defaults=True),
            files=[list(file) for file in code.files],
            lock=code.lock,
            code_names=list(code.names),
            operator=self.succession.operator,
            names=self.prod.names,
            refused=self.prod.refused,
            swaps=self.prod.swaps,
            refusals=self.prod.refusals,
        )

    async def _refused_elsewhere(self, version: Version) -> bool:
        """Refuse a shadow whose code is not that of this process: both live in it."""
        code = await in_thread(code_identity.code_of, self.name, version)
        if await in_thread(self.succession.runs, code, version):
            return False
        raise PerenneError(
            f"{version.tag}: it runs other code than {self.live.version.tag}, and a shadow lives in the "
            f"process of {self.prod.stage}; compare them with perenne review"
        )

    async def _follow(self, *, shadow_first: bool = False, at_once: bool = False) -> None:
        if shadow_first:  # before that, it would delay what everybody waits for
            await self.shadow.check()
            self._tell()
        while True:
            if not at_once:
                await asyncio.sleep(self.settings.poll_seconds)
            at_once = False
            await self.prod.check()
            await self.shadow.check()
            self._tell()

    def _tell(self) -> asyncio.Future[None] | None:
        """Have the other workers do as this one; if a next process serves by now, they do as that one."""
        if not self.peers or self.prod.successor:
            return None
        return self.peers.tell(self.prod.state, self.shadow.state)
