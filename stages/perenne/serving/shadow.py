"""The shadow: a version that scores live traffic and logs it; its predictions are never returned."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from perenne.common import project_code
from perenne.common.project_code import CodeError
from perenne.serving.guard import raised_at
from perenne.serving.log import Entry, Log, LogUnavailable
from perenne.serving.predictions import RowScores, scored
from perenne.serving.prometheus import ServiceMetrics
from perenne.serving.rows import InputRow
from perenne.serving.served import Served

logger = logging.getLogger("perenne.serve")
MAX_WAITING = 2_000  # rows; further rows are dropped and counted


class Shadow:
    """Scores in a thread, one batch after the other; if it is too slow it drops rows and counts them.

    Parameters
    ----------
    live
        Returns the shadow's version; None if there is none.
    log
        Where its predictions are written, under the stage `shadow`.
    metrics
        Count the rows that it scored, dropped, or failed to score.

    """

    def __init__(self, live: Callable[[], Served | None], log: Log, metrics: ServiceMetrics) -> None:
        self._live = live
        self._log = log
        self._metrics = metrics
        self._waiting: deque[tuple[Sequence[Entry], Sequence[InputRow]]] = deque()
        self._rows = 0
        self._failures: set[str] = set()  # that were logged: each once, not for each request
        self._work: asyncio.Task[None] | None = None

    def offer(self, entries: Sequence[Entry], rows: Sequence[InputRow]) -> None:
        """Queue rows that were answered; return at once.

        Parameters
        ----------
        entries
            Their records in the log.
        rows
            The rows, in the same order. All are dropped if more than `MAX_WAITING` rows would wait.

        """
        if self._live() is None:
            return
        if self._rows + len(rows) > MAX_WAITING:
            self._metrics.shadow_dropped.inc(len(rows))
            return
        self._waiting.append((entries, rows))
        self._rows += len(rows)
        if self._work is None:
            self._work = asyncio.get_running_loop().create_task(self._run())

    async def finish(self, seconds: float) -> None:
        """Wait until all queued rows are scored, at most some seconds."""
        if self._work:
            await asyncio.wait([self._work], timeout=seconds)

    async def _run(self) -> None:
        try:
            while self._waiting:
                entries, rows = self._waiting.popleft()
                await self._score(entries, rows)
                self._rows -= len(rows)
        finally:
            self._work = None

    async def _score(self, entries: Sequence[Entry], rows: Sequence[InputRow]) -> None:
        served = self._live()
        if served is None:
            return
        try:
            found = await asyncio.to_thread(_scored, served, rows)
            version = served.version.version
            await self._log.append(
                [
                    entry._replace(stage="shadow", version=version, score=score, scores=text)
                    for entry, score, text in zip(entries, found.scores, found.texts, strict=True)
                ]
            )
        except LogUnavailable:
            self._metrics.shadow_dropped.inc(len(rows))
        except project_code.FAILURES as error:  # a failing shadow must not affect answers
            self._failed(served, error)
            self._metrics.shadow_failed.inc(len(rows))
        else:
            self._metrics.shadow_rows.inc(len(rows))

    def _failed(self, served: Served, error: BaseException) -> None:
        brief = error.brief if isinstance(error, CodeError) else raised_at(error)
        line = f"shadow {served.version.tag}: {brief}"
        if line not in self._failures:
            self._failures.add(line)
            logger.warning("%s; perenne_shadow_failed_rows_total counts them", line)


def _scored(served: Served, rows: Sequence[InputRow]) -> RowScores:
    completed = served.features.complete(rows).rows
    return scored(served.scorer.score([served.scorer.encode(row) for row in completed]), served.contract)
