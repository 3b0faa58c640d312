"""Score waiting requests together: requests that arrive at the same time share a model call and a commit."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic_core import to_json

from perenne.common import project_code
from perenne.common.names import PROD
from perenne.serving.log import Entry, Log
from perenne.serving.predictions import PredictResult, scored
from perenne.serving.prometheus import ServiceMetrics
from perenne.serving.rows import InputRow
from perenne.serving.served import Served
from perenne.serving.shadow import Shadow

MAX_WAITING = 20_000  # rows; further requests get a 503 before memory runs out


class Busy(Exception):  # noqa: N818 -- a state, not a fault
    """Too many rows are waiting to be scored."""


class Waiting(NamedTuple):
    """A request that waits for its predictions."""

    rows: Sequence[InputRow]
    result: asyncio.Future[PredictResult]


class Batcher:
    """Scores requests, and returns their predictions once they are in the log.

    All requests that wait at the next iteration of the event loop are scored together, so a single caller
    never waits for others. One model scores a batch, so the version in a result is the one that scored it.

    Parameters
    ----------
    live
        Returns the version to score with; called once per batch.
    log
        Where predictions are committed before they are returned.
    shadow
        Is offered every batch that was answered.
    metrics
        Count what was answered.

    """

    def __init__(self, live: Callable[[], Served], log: Log, shadow: Shadow, metrics: ServiceMetrics) -> None:
        self._live = live
        self._log = log
        self._shadow = shadow
        self._metrics = metrics
        self._waiting: list[Waiting] = []
        self._scoring = False
        self._rows = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def predict(self, rows: Sequence[InputRow]) -> PredictResult:
        """Score the rows of a request and log them.

        Parameters
        ----------
        rows
            Validated rows of one request.

        Returns
        -------
        PredictResult
            In the order of the rows.

        Raises
        ------
        Busy
            If more than `MAX_WAITING` rows would wait.
        LogUnavailable
            If the predictions could not be committed.

        """
        if self._rows + len(rows) > MAX_WAITING:
            raise Busy
        loop = asyncio.get_running_loop()
        waiting = Waiting(rows, loop.create_future())
        if not self._waiting and not self._scoring:
            loop.call_soon(self._start)
        self._waiting.append(waiting)
        self._rows += len(rows)
        try:
            return await waiting.result
        finally:
            self._rows -= len(rows)

    def _start(self) -> None:
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._answer(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, batch: list[Waiting]) -> None:
        try:
            results, entries = await self._score(batch)
        except project_code.FAILURES as error:
            if len(batch) > 1:  # a request must not fail for what another one sent
                for waiting in batch:
                    await self._answer([waiting])
            else:
                _fail(batch, error)
            return
        try:
            await self._log.append(entries)
        except Exception as error:  # noqa: BLE001 -- each request raises it to its caller
            _fail(batch, error)
            return
        for waiting, result in zip(batch, results, strict=True):
            if not waiting.result.done():  # its caller may have disconnected
                waiting.result.set_result(result)
        self._metrics.scored(results)
        self._shadow.offer(entries, [row for waiting in batch for row in waiting.rows])

    async def _score(self, batch: list[Waiting]) -> tuple[list[PredictResult], list[Entry]]:
        served = self._live()
        encode = served.scorer.encode
        rows, newest = served.features.complete([row for waiting in batch for row in waiting.rows])
        encoded = [encode(row) for row in rows]
        if served.scorer.quick:
            array = served.scorer.score(encoded)
        else:
            self._scoring = True
            try:
                array = await asyncio.to_thread(served.scorer.score, encoded)
            finally:
                self._scoring = False
                if self._waiting:
                    asyncio.get_running_loop().call_soon(self._start)
        scores, distributions = found = scored(array, served.contract)
        texts = iter(found.texts)
        version, now = served.version.version, datetime.now(UTC)
        results, entries, start = [], [], 0
        for waiting in batch:
            ids, end = [new_id() for _ in waiting.rows], start + len(waiting.rows)
            own, unseen = scores[start:end], [served.unseen(row) for row in rows[start:end]]
            results.append(
                PredictResult(version, ids, own, unseen, distributions[start:end], newest[start:end])
            )
            entries += [
                Entry(name, now, PROD, version, features(row), score, next(texts))
                for name, row, score in zip(ids, rows[start:end], own, strict=True)
            ]
            start = end
        return results, entries


def _fail(batch: Sequence[Waiting], error: BaseException) -> None:
    """Let requests raise an error; `sys.exit` in the project's code ends a request, not the service."""
    raised = error if isinstance(error, Exception) else project_code.failed(error, "the model")
    for waiting in batch:
        if not waiting.result.done():
            waiting.result.set_exception(raised)


def new_id() -> str:
    """A unique id for a prediction; an id from a later millisecond sorts after it."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def features(row: InputRow) -> str:
    """A row as JSON for the log, with the columns in the contract's order."""
    return to_json(row).decode()
