"""Score waiting requests together: requests that arrive at the same time share a model call and a commit.

A request with many rows is scored by itself, slice by slice, and small ones go in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from perenne.common import project_code
from perenne.common.project_code import CodeError
from perenne.serving.guard import raised_at
from perenne.serving.log import LabelResult, Log, LogUnavailable
from perenne.serving.predictions import PredictResult
from perenne.serving.prometheus import ServiceMetrics
from perenne.serving.rows import InputRow
from perenne.serving.scored_rows import PreparedRows, ScoredRows
from perenne.serving.served import Served
from perenne.serving.shadow import Shadow
from perenne.serving.slices import SMALL, rows_at_once

MAX_WAITING = 20_000  # rows; further requests get a 503 before memory runs out
MAX_BATCH = 128  # rows of small requests that are scored at once in the event loop
MAX_IN_THREAD = 256  # the same of a model that takes long for a single row

logger = logging.getLogger("perenne.serve")
Done = Callable[[PredictResult | Exception], None]


class Busy(Exception):  # noqa: N818 -- a state, not a fault
    """Too many rows are waiting to be scored."""


class Request(NamedTuple):
    """A small request that waits for its predictions; `done` is called with them, or with an error."""

    rows: Sequence[InputRow]
    done: Done


class Batcher:
    """Scores requests, and returns their predictions once they are in the log.

    All small requests that wait at the next iteration of the event loop are scored together, so a single
    caller never waits for others. One model scores a request: the version in a result is the one that scored
    it.

    Parameters
    ----------
    live
        Returns the version to score with; called once per batch, and once per large request.
    log
        Where predictions are committed before they are returned.
    shadow
        Is offered every batch that was answered.
    metrics
        Count what was answered.

    Attributes
    ----------
    turn
        Is held by the large request that is worked on.

    """

    def __init__(self, live: Callable[[], Served], log: Log, shadow: Shadow, metrics: ServiceMetrics) -> None:
        self.turn = asyncio.Lock()
        self._live = live
        self._log = log
        self._shadow = shadow
        self._metrics = metrics
        self._waiting: deque[Request] = deque()
        self._planned = False
        self._model = asyncio.Lock()  # one call at a time of a model that runs in a thread
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
        if len(rows) > SMALL:
            return await self._large(rows)
        result: asyncio.Future[PredictResult] = asyncio.get_running_loop().create_future()
        self.give(rows, partial(_settle, result))
        return await result

    def give(self, rows: Sequence[InputRow], done: Done) -> None:
        """Score the rows of a small request and log them; see `predict`.

        Parameters
        ----------
        rows
            At most `SMALL`.
        done
            Is called with the predictions or with an error, in a later iteration of the event loop.

        Raises
        ------
        Busy
            As `predict`.

        """
        self._admit(rows)
        self._waiting.append(Request(rows, done))
        self._plan()

    def _admit(self, rows: Sequence[InputRow]) -> None:
        if self._rows + len(rows) > MAX_WAITING:
            raise Busy
        self._rows += len(rows)

    def _plan(self) -> None:
        if self._waiting and not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        """Score what waits. While a thread does it, further requests wait for the next batch."""
        served = self._live()
        if not served.scorer.quick:
            task = asyncio.get_running_loop().create_task(self._in_thread())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        batch = self._taken(MAX_BATCH)
        self._planned = False
        self._plan()
        self._here(served, batch)

    def _taken(self, most: int) -> list[Request]:
        """The requests that have waited longest; together they have at most so many rows."""
        batch: list[Request] = []
        rows = 0
        while self._waiting and (not batch or rows + len(self._waiting[0].rows) <= most):
            batch.append(self._waiting.popleft())
            rows += len(batch[-1].rows)
        return batch

    def _here(self, served: Served, batch: list[Request]) -> None:
        try:
            prepared = PreparedRows.of(served, _rows(batch))
            found = ScoredRows.of(prepared, prepared.score(), datetime.now(UTC))
        except project_code.FAILURES as error:
            if len(batch) > 1:  # a request must not fail for what another one sent
                for request in batch:
                    self._here(served, [request])
            else:
                self._fail(batch, error)
            return
        self._write(batch, found)

    async def _in_thread(self) -> None:
        try:
            async with self._model:
                await self._all_in_thread(self._live(), deque([self._taken(MAX_IN_THREAD)]))
        finally:
            self._planned = False
            self._plan()

    async def _all_in_thread(self, served: Served, batches: deque[list[Request]]) -> None:
        while batches:
            batch = batches.popleft()
            try:
                found = await _scored_in_thread(served, _rows(batch), datetime.now(UTC))
            except project_code.FAILURES as error:
                if len(batch) > 1:  # as above
                    batches += [[request] for request in batch]
                else:
                    self._fail(batch, error)
            else:
                self._write(batch, found)

    def _write(self, batch: list[Request], found: ScoredRows) -> None:
        try:
            written = self._log.give(found.entries)
        except LogUnavailable as error:
            self._fail(batch, error)
            return
        if written:
            written.add_done_callback(partial(self._written, batch, found))
        else:
            self._answer(batch, found)

    def _written(self, batch: list[Request], found: ScoredRows, written: asyncio.Future[LabelResult]) -> None:
        if error := written.exception():
            self._fail(batch, error)
        else:
            self._answer(batch, found)

    def _answer(self, batch: list[Request], found: ScoredRows) -> None:
        start = 0
        for request in batch:
            end = start + len(request.rows)
            _tell(request, found.part(start, end) if len(batch) > 1 else found.result)
            start = end
        self._rows -= start
        self._metrics.scored([found.result])
        self._shadow.offer(found.entries, _rows(batch))

    def _fail(self, batch: list[Request], error: BaseException) -> None:
        """Let requests raise an error; `sys.exit` in the project's code ends a request, not the service."""
        self._rows -= len(_rows(batch))
        for request in batch:
            _tell(request, _raised(error))

    async def _large(self, rows: Sequence[InputRow]) -> PredictResult:
        self._admit(rows)
        try:
            async with self.turn:
                parts = await self._in_slices(self._live(), rows)
            found = ScoredRows.joined(parts)
            await self._log.append(found.entries)
            for part in parts:
                self._metrics.scored([part.result])
                await asyncio.sleep(0)
        finally:
            self._rows -= len(rows)
        self._shadow.offer(found.entries, rows)
        return found.result

    async def _in_slices(self, served: Served, rows: Sequence[InputRow]) -> list[ScoredRows]:
        """Score the rows of a large request by one version; between two slices others have their turn."""
        parts, now = [], datetime.now(UTC)
        size = rows_at_once(served.contract) if served.scorer.quick else MAX_IN_THREAD
        for start in range(0, len(rows), size):
            try:
                if served.scorer.quick:
                    prepared = PreparedRows.of(served, rows[start : start + size])
                    await asyncio.sleep(0)
                    parts.append(ScoredRows.of(prepared, prepared.score(), now))
                else:
                    async with self._model:
                        parts.append(await _scored_in_thread(served, rows[start : start + size], now))
            except project_code.FAILURES as error:
                if isinstance(error, CodeError) and error.row is not None:
                    error.row += start
                if isinstance(error, Exception):
                    raise
                raise _raised(error) from error
            await asyncio.sleep(0)
        return parts


async def _scored_in_thread(served: Served, rows: Sequence[InputRow], now: datetime) -> ScoredRows:
    prepared = PreparedRows.of(served, rows)
    return ScoredRows.of(prepared, await asyncio.to_thread(prepared.score), now)


def _rows(batch: Sequence[Request]) -> Sequence[InputRow]:
    return batch[0].rows if len(batch) == 1 else [row for request in batch for row in request.rows]


def _raised(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else project_code.failed(error, "the model")


def _tell(request: Request, outcome: PredictResult | Exception) -> None:
    try:
        request.done(outcome)
    except Exception as error:  # noqa: BLE001 -- the others of its batch must be answered
        logger.error("a prediction was not sent: %s", raised_at(error))  # noqa: TRY400


def _settle(result: asyncio.Future[PredictResult], outcome: PredictResult | Exception) -> None:
    if result.done():  # its caller may have disconnected
        return
    if isinstance(outcome, Exception):
        result.set_exception(outcome)
    else:
        result.set_result(outcome)
