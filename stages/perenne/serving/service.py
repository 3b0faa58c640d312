"""The service without its routes: it follows the stage, scores, logs and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress

from perenne.common.errors import PerenneError
from perenne.registry import golden
from perenne.serving.answers import Ready, ServedModel
from perenne.serving.batcher import Batcher
from perenne.serving.connections import Connections
from perenne.serving.follower import Follower
from perenne.serving.log import Label, LabelResult, Log
from perenne.serving.predictions import PredictResult, several
from perenne.serving.prometheus import Reading, ServiceMetrics
from perenne.serving.rows import InputRow
from perenne.serving.served import Served
from perenne.serving.settings import ServeSettings
from perenne.serving.shadow import Shadow

BUCKETS = 20  # of the histogram of scores, if scores have limits
LATE_SECONDS = 5.0  # without a commit, after which the service is not ready


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

    """

    def __init__(self, name: str, stage: str, settings: ServeSettings, *, require_signed: bool) -> None:
        self.name = name
        self.settings = settings
        self.prod = Follower(
            name, stage, needed=True, require_signed=require_signed, like=lambda: self.prod.live
        )
        self.shadow = Follower(
            name, "shadow", needed=False, require_signed=require_signed, like=lambda: self.prod.live
        )
        self.connections = Connections(settings.max_connections, settings.request_seconds)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the version in the stage, open the log, and start to follow the stage.

        Raises
        ------
        PerenneError
            If no version can be served, or the log cannot be opened.

        """
        await self.prod.check()
        if self.prod.live is None:
            raise PerenneError(self.prod.refused.why if self.prod.refused else "nothing can be served")
        await self.shadow.check()
        self.log = Log(self.settings.log_url, self.settings.log)
        live = self.prod.live
        self.metrics = ServiceMetrics(_score_buckets(live), self._readings, several(live.contract))
        shadow = Shadow(lambda: self.shadow.live, self.log, self.metrics)
        self._batcher = Batcher(lambda: self.live, self.log, shadow, self.metrics)
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Stop following, and commit what is still waiting."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
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

    async def label(self, labels: Sequence[Label]) -> LabelResult:
        """Commit outcomes; see `Log.label`.

        Raises
        ------
        LogUnavailable
            If they could not be committed.

        """
        self.metrics.labels.inc(len(labels))
        return await self.log.label(labels)

    async def reload(self) -> bool:
        """Read the registry now; return whether another version was swapped in."""
        before = self.prod.swaps
        await self.prod.check(again=True)
        await self.shadow.check(again=True)
        return self.prod.swaps > before

    def refused(self) -> str | None:
        """Why the version in the registry is not the one that is served; None if it is."""
        return self.prod.refused.why if self.prod.refused else None

    def ready(self) -> Ready:
        """Whether the service answers predictions, with the version and the state of the log."""
        late = f"not committed for {lag:.0f} s" if (lag := self.log.lag) > LATE_SECONDS else None
        failing = f"the last write failed: {self.log.failing}" if self.log.failing else late
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
            history=live.features.through,
        )

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self.settings.poll_seconds)
            await self.prod.check()
            await self.shadow.check()

    def _readings(self) -> Iterator[Reading]:
        labels = {"version": self.live.version.version, "stage": self.prod.stage}
        yield Reading("model_info", "The version that is served", labels, 1)
        degraded = self.prod.standing.degraded
        yield Reading(
            "model_degraded", "Whether monitoring found that the model has become worse", {}, degraded
        )
        yield Reading("swaps_total", "Versions swapped in since the start", {}, self.prod.swaps)
        yield Reading("refusals_total", "Versions rejected since the start", {}, self.prod.refusals)
        for follower in (self.prod, self.shadow):
            if follower.refused:
                labels = {
                    "stage": follower.stage,
                    "what": follower.refused.subject,
                    "why": follower.refused.why,
                }
                yield Reading("refused", "A version in the registry that is not served", labels, 1)
        yield Reading("log_pending_rows", "Rows not committed yet", {}, self.log.pending)
        yield Reading("log_lag_seconds", "Age of the oldest row not committed yet", {}, self.log.lag)
        failing = self.log.failing is not None
        yield Reading("log_failing", "Whether the last write failed, so that predictions do too", {}, failing)
        yield Reading("log_failed_rows_total", "Rows that could not be committed", {}, self.log.failed)
        yield from self.connections.readings()


def _score_buckets(served: Served) -> list[float]:
    """The buckets of the histogram of scores: equal between limits, else by the golden scores."""
    if limits := served.contract.task.score_range:
        low, high = limits
        return [low + (high - low) * n / BUCKETS for n in range(1, BUCKETS + 1)]
    released = golden.recorded(served.version).values()
    return sorted({score for score in released if isinstance(score, float)})[::3]
