"""Score what waits together: requests of the same moment share one call of the model and one commit."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic_core import to_json

from perenne.common.names import PROD
from perenne.serving.log import Entry, Log
from perenne.serving.metrics import Metrics
from perenne.serving.rows import Row
from perenne.serving.served import Served
from perenne.serving.shadow import Shadow

MOST_WAITING = 20_000  # rows; more are turned away, before memory or patience ends


class Busy(Exception):  # noqa: N818 -- a state, not a fault
    """More rows wait than can be answered soon."""


class Answer(NamedTuple):
    """What the model says of the rows of a request, and which model it was."""

    version: str
    ids: list[str]
    scores: list[float]
    unseen: list[list[str]]


class Waiting(NamedTuple):
    """A request that waits for its answer."""

    rows: Sequence[Row]
    answer: asyncio.Future[Answer]


class Batcher:
    """Takes requests, and answers them when their predictions are in the log.

    Whatever waits when the loop comes round is scored at once: with one caller nobody waits for anybody.
    One batch is scored by one model, so an answer's version is the one that made its scores.
    """

    def __init__(self, live: Callable[[], Served], log: Log, shadow: Shadow, metrics: Metrics) -> None:
        self._live = live
        self._log = log
        self._shadow = shadow
        self._metrics = metrics
        self._waiting: list[Waiting] = []
        self._scoring = False
        self._rows = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def predict(self, rows: Sequence[Row]) -> Answer:
        """Score the rows of a request and log them.

        Raises
        ------
        Busy
            If too many wait already.
        LogUnavailable
            If the predictions could not be committed.

        """
        if self._rows + len(rows) > MOST_WAITING:
            raise Busy
        loop = asyncio.get_running_loop()
        waiting = Waiting(rows, loop.create_future())
        if not self._waiting and not self._scoring:
            loop.call_soon(self._start)
        self._waiting.append(waiting)
        self._rows += len(rows)
        try:
            return await waiting.answer
        finally:
            self._rows -= len(rows)

    def _start(self) -> None:
        batch, self._waiting = self._waiting, []
        task = asyncio.get_running_loop().create_task(self._answer(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, batch: list[Waiting]) -> None:
        try:
            answers, entries = await self._score(batch)
            await self._log.append(entries)
        except Exception as error:  # noqa: BLE001 -- each request gets it, and tells its caller
            for waiting in batch:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():  # its caller may have gone
                waiting.answer.set_result(answer)
        self._metrics.scored(answers)
        self._shadow.offer(entries, [row for waiting in batch for row in waiting.rows])

    async def _score(self, batch: list[Waiting]) -> tuple[list[Answer], list[Entry]]:
        served = self._live()
        encode = served.scorer.encode
        encoded = [encode(row) for waiting in batch for row in waiting.rows]
        if served.scorer.quick:
            found = served.scorer.score(encoded)
        else:
            self._scoring = True
            try:
                found = await asyncio.to_thread(served.scorer.score, encoded)
            finally:
                self._scoring = False
                if self._waiting:
                    asyncio.get_running_loop().call_soon(self._start)
        scores = iter(found.tolist())
        version, now = served.version.version, datetime.now(UTC)
        answers, entries = [], []
        for waiting in batch:
            ids = [new_id() for _ in waiting.rows]
            own = [next(scores) for _ in waiting.rows]
            answers.append(Answer(version, ids, own, [served.unseen(row) for row in waiting.rows]))
            entries += [
                Entry(name, now, PROD, version, features(row), score)
                for name, row, score in zip(ids, waiting.rows, own, strict=True)
            ]
        return answers, entries


def new_id() -> str:
    """A name for a prediction that no other has; those of a later millisecond sort after it."""
    return f"{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def features(row: Row) -> str:
    """A row as the log holds it: JSON, the columns in the contract's order."""
    return to_json(row).decode()


def as_json(answer: Answer, threshold: float | None) -> bytes:
    """An answer as its caller sees it; `threshold` is None where the target has no classes."""
    predictions: list[dict[str, Any]] = [
        {"id": name, "score": score} for name, score in zip(answer.ids, answer.scores, strict=True)
    ]
    for prediction, unseen in zip(predictions, answer.unseen, strict=True):
        if threshold is not None:
            prediction["class"] = int(prediction["score"] >= threshold)
        if unseen:
            prediction["unseen"] = unseen
    return to_json({"model_version": answer.version, "predictions": predictions})
