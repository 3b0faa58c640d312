"""The service without its routes: what is served, what scores, what is logged and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from perenne.common.errors import PerenneError
from perenne.registry import golden
from perenne.serving.batcher import Answer, Batcher
from perenne.serving.follower import Follower
from perenne.serving.log import Label, LabelResult, Log
from perenne.serving.metrics import Metrics, State
from perenne.serving.rows import Row
from perenne.serving.served import Served
from perenne.serving.settings import ServeSettings
from perenne.serving.shadow import Shadow

CUTS = 20  # of the histogram of scores, where scores have limits
LATE_SECONDS = 5.0  # a log that is as late as this does not commit


class Service:
    """One model in one stage, its shadow, and the log."""

    def __init__(self, name: str, stage: str, settings: ServeSettings, *, require_signed: bool) -> None:
        self.name = name
        self.settings = settings
        self.prod = Follower(
            name, stage, needed=True, require_signed=require_signed, like=lambda: self.prod.live
        )
        self.shadow = Follower(
            name, "shadow", needed=False, require_signed=require_signed, like=lambda: self.prod.live
        )
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load what is in the stage, open the log, and begin to follow.

        Raises
        ------
        PerenneError
            If there is nothing that can be served: a service that answers nothing is not started.

        """
        await self.prod.check()
        if self.prod.live is None:
            raise PerenneError(self.prod.refused.why if self.prod.refused else "nothing can be served")
        await self.shadow.check()
        self.log = Log(self.settings.log_url, self.settings.log)
        self.metrics = Metrics(_cuts(self.prod.live), self._state)
        shadow = Shadow(lambda: self.shadow.live, self.log, self.metrics)
        self._batcher = Batcher(lambda: self.live, self.log, shadow, self.metrics)
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def stop(self) -> None:
        """Follow no longer, and write what is left to write."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self.log.close()

    @property
    def live(self) -> Served:
        """What answers now."""
        if self.prod.live is None:
            raise PerenneError("nothing is served")
        return self.prod.live

    @property
    def threshold(self) -> float | None:
        """The score from which on the class is 1; None where the target has no classes."""
        return self.settings.threshold if self.live.contract.task.classes else None

    async def predict(self, rows: Sequence[Row]) -> Answer:
        """Score rows; see `Batcher.predict`."""
        return await self._batcher.predict(rows)

    async def label(self, labels: Sequence[Label]) -> LabelResult:
        """Keep outcomes."""
        self.metrics.labels.inc(len(labels))
        return await self.log.label(labels)

    async def reload(self) -> bool:
        """Ask the registry now; return whether another version is served since."""
        before = self.prod.swaps
        await self.prod.check(again=True)
        await self.shadow.check(again=True)
        return self.prod.swaps > before

    def refused(self) -> str | None:
        """Why what the registry says is not what is served."""
        return self.prod.refused.why if self.prod.refused else None

    def ready(self) -> dict[str, Any]:
        """Whether predictions can be answered."""
        late = self.log.lag > LATE_SECONDS
        return {
            "ready": not late,
            "version": self.live.version.version,
            "refused": self.refused(),
            "log": f"not committed for {self.log.lag:.0f} s" if late else self.settings.log,
        }

    def model(self) -> dict[str, Any]:
        """What there is to know of the model that answers."""
        version, proof = self.live.version, self.live.proof
        return {
            "case": self.name,
            **{key: getattr(version, key) for key in ("version", "tag", "commit", "signed")},
            "sha256": self.live.sha256,
            "released": version.at,
            "as_of": proof.as_of,
            "metrics": {name: metric.model_dump() for name, metric in (proof.metrics or {}).items()},
            "stage": self.prod.stage,
            "champion_since": self.prod.standing.since,
            "degraded": self.prod.standing.degraded,
            "shadow": self.shadow.live.version.version if self.shadow.live else None,
            "refused": self.refused(),
        }

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self.settings.poll_seconds)
            await self.prod.check()
            await self.shadow.check()

    def _state(self) -> Iterator[State]:
        version = self.live.version.version
        yield "model_info", "The version that is served", {"version": version, "stage": self.prod.stage}, 1
        yield "model_degraded", "Whether monitoring found it worse", {}, self.prod.standing.degraded
        yield "swaps_total", "Versions swapped in since the start", {}, self.prod.swaps
        yield "refusals_total", "Versions refused since the start", {}, self.prod.refusals
        for follower in (self.prod, self.shadow):
            if follower.refused:
                what, why = follower.refused
                told = {"stage": follower.stage, "what": what, "why": why}
                yield "refused", "What the registry says and is not served", told, 1
        yield "log_pending_rows", "Rows that wait to be committed", {}, self.log.pending
        yield "log_lag_seconds", "Age of the oldest of them", {}, self.log.lag


def _cuts(served: Served) -> list[float]:
    """Where the histogram of scores is cut: evenly between limits, else by what the golden rows have."""
    if limits := served.contract.task.score_range:
        low, high = limits
        return [low + (high - low) * n / CUTS for n in range(1, CUTS + 1)]
    return sorted(set(golden.recorded(served.version).values()))[::3]
