"""The log as the service uses it: many that wait at once are written in one transaction (group commit).

A commit costs the disk a few milliseconds, however many rows are in it. So one thread takes all that waits,
commits it, and only then lets every caller go on: nothing is acknowledged that is not there.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnection

from perenne.serving.log.records import Entry, Label, LabelResult, LogUnavailable
from perenne.serving.log.store import Store, reason

MOST_WAITING = 50_000  # rows; more are refused, before the memory ends
MOST_TOGETHER = 5_000  # rows in one transaction
PATIENCE = 3.0  # seconds that a database which has gone is waited for: it may only be restarting
PAUSE = 0.1  # seconds between two tries

told = logging.getLogger(__name__)


class Job(NamedTuple):
    """What one caller wants written, and whom to tell; `done` is None where nobody waits for it."""

    entries: Sequence[Entry]
    labels: Sequence[Label]
    done: asyncio.Future[LabelResult] | None
    since: float

    @property
    def rows(self) -> int:
        """Of both kinds."""
        return len(self.entries) + len(self.labels)


class Log:
    """Takes predictions and labels from one event loop, or from several.

    Parameters
    ----------
    url
        Of SQLite (`sqlite:///data/predictions.sqlite`) or PostgreSQL (`postgresql+psycopg://...`).
    mode
        `commit`: a prediction is acknowledged when it is on the disk. `async`: at once, and what a crash or
        a database that has gone takes with it is lost: `pending` rows at most, and those in `failed`.
    patience
        Seconds that a database which has gone is waited for.

    """

    def __init__(
        self, url: str, mode: Literal["commit", "async"] = "commit", *, patience: float = PATIENCE
    ) -> None:
        self.mode = mode
        self.committed = 0
        self.failed = 0
        self._patience = patience
        self._store = Store(url)
        self._taken = 0
        self._since = 0.0
        self._gone = False  # the database was, the last time
        self._closed = False
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write predictions; return when they are committed, or at once in the mode `async`.

        Raises
        ------
        LogUnavailable
            If they could not be committed. One whose connection broke in the middle may be there all the
            same; none is there twice.

        """
        if not entries:
            return
        waiting = self._give(entries, (), waits=self.mode == "commit")
        if waiting:
            await waiting

    async def label(self, labels: Sequence[Label]) -> LabelResult:
        """Write outcomes, in either mode committed on return; see `LabelResult`.

        Raises
        ------
        LogUnavailable
            If they could not be committed.

        """
        waiting = self._give((), labels, waits=True)
        return await waiting if waiting else LabelResult(0, [])

    @property
    def pending(self) -> int:
        """Rows that are not committed yet."""
        return self._taken - self.committed - self.failed

    @property
    def lag(self) -> float:
        """Seconds since the oldest of them was given."""
        return time.monotonic() - self._since if self.pending else 0.0

    def close(self) -> None:
        """Write what waits, and let go of the database."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._store.close()

    def _give(
        self, entries: Sequence[Entry], labels: Sequence[Label], *, waits: bool
    ) -> asyncio.Future[LabelResult] | None:
        if self._closed:
            raise LogUnavailable("the log is closed")
        done = asyncio.get_running_loop().create_future() if waits else None
        job = Job(entries, labels, done, time.monotonic())
        if self.pending + job.rows > MOST_WAITING:
            raise LogUnavailable(f"{self.pending} rows wait to be written, at most {MOST_WAITING} may")
        if not self.pending:
            self._since = job.since
        self._taken += job.rows
        self._jobs.put(job)
        return done

    def _run(self) -> None:
        """Of the thread: take all that waits, write it, tell those who wait; until it is closed."""
        while True:
            group, last = self._next()
            if group:
                self._since = group[0].since
                self._commit(group)
            if last:
                return

    def _next(self) -> tuple[list[Job], bool]:
        """What waits, at least one job, and whether it is the last."""
        job = self._jobs.get()
        group: list[Job] = []
        rows = 0
        while job is not None:
            group.append(job)
            rows += job.rows
            if rows >= MOST_TOGETHER:
                return group, False
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, False
        return group, True

    def _commit(self, group: list[Job]) -> None:
        entries = [entry for job in group for entry in job.entries]
        found: list[LabelResult] | LogUnavailable
        try:
            found = self._written(entries, [job.labels for job in group])
        except LogUnavailable as error:
            if not self._gone and len(group) > 1:
                for job in group:  # one of them is at fault, and the others need not suffer for it
                    self._commit([job])
                return
            found = error
        rows = sum(job.rows for job in group)
        if isinstance(found, LogUnavailable):
            self.failed += rows
            told.error("%d rows are not in the log: %s", rows, found)
        else:
            self.committed += rows
        self._tell(group, found)

    def _written(self, entries: Sequence[Entry], labels: Sequence[Sequence[Label]]) -> list[LabelResult]:
        """Write, again and again where the database has gone; once it was, only a single time."""
        until = time.monotonic() + (0 if self._gone else self._patience)
        while True:
            try:
                found = self._store.write(entries, labels)
            except SQLAlchemyError as error:
                self._gone = _gone(error)
                if not self._gone or time.monotonic() >= until:
                    raise LogUnavailable(f"{self._store.name}: {reason(error)}") from error
                time.sleep(PAUSE)
            else:
                self._gone = False
                return found

    def _tell(self, group: list[Job], found: list[LabelResult] | LogUnavailable) -> None:
        """Let those who wait go on: one call for each event loop, however many they are."""
        results: Sequence[LabelResult | LogUnavailable]
        results = [found] * len(group) if isinstance(found, LogUnavailable) else found
        waiting: dict[asyncio.AbstractEventLoop, list[Told]] = defaultdict(list)
        for job, result in zip(group, results, strict=True):
            if job.done:
                waiting[job.done.get_loop()].append((job.done, result))
        for loop, those in waiting.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_tell, those)


Told = tuple[asyncio.Future[LabelResult], LabelResult | LogUnavailable]


def _tell(those: list[Told]) -> None:
    for done, result in those:
        if done.done():  # whoever waited has gone
            continue
        if isinstance(result, LogUnavailable):
            done.set_exception(LogUnavailable(str(result)))
        else:
            done.set_result(result)


def _gone(error: SQLAlchemyError) -> bool:
    """Whether it is the database that cannot, and not what it was given: it is full, locked, restarting."""
    return isinstance(error, OperationalError | InterfaceError | NoConnection)
