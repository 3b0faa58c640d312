"""The log as the service uses it: all waiting rows are written in one transaction (group commit).

A commit takes a few milliseconds, whatever the number of rows. So one thread takes all waiting rows, commits
them, and only then wakes their callers: nothing is acknowledged before it is committed. Who writes many rows
has a commit alone, between two of the others.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Literal, NamedTuple

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from perenne.common.errors import PerenneError
from perenne.serving.log.database import Database, FileMovedError, reason
from perenne.serving.log.records import Entry, Label, LabelResult, LogUnavailable

MAX_WAITING = 50_000  # rows; more are rejected before memory runs out
MAX_GROUP = 5_000  # rows in one transaction
LARGE = 64  # rows of a caller; with more it does not share a transaction, which would keep the others waiting
PATIENCE = 3.0  # seconds to wait for a database that is down: it may be restarting
DEADLINE = 5.0  # seconds until a caller is answered, whatever the database does
PAUSE = 0.1  # seconds between two attempts
PROBE_SECONDS = 1.0  # between two attempts while the last write has failed and nothing is to be written
MAX_PROBE = 250_000  # bytes

logger = logging.getLogger(__name__)


class Job(NamedTuple):
    """What one caller wants written. `done` is its future, None if it does not wait."""

    entries: Sequence[Entry]
    labels: Sequence[Label]
    done: asyncio.Future[LabelResult] | None
    since: float

    @property
    def rows(self) -> int:
        """The number of entries and labels."""
        return len(self.entries) + len(self.labels)


class Log:
    """Writes predictions and labels from one event loop, or from several.

    Parameters
    ----------
    url
        Of SQLite (`sqlite:///data/predictions.sqlite`) or PostgreSQL (`postgresql+psycopg://...`).
    mode
        `commit`: a prediction is acknowledged when it is on disk. `async`: at once; a crash loses the
        `pending` rows, and a database that stays down loses those counted in `failed`.
    in_turn
        Whether other processes write as much; see `Database`.
    patience
        Seconds to wait for a database that is down.
    deadline
        Seconds until a caller is answered.

    Attributes
    ----------
    failing
        Why the last write failed; None if it did not, or if only its rows were at fault.

    Raises
    ------
    PerenneError
        If the database cannot be opened, see `Database`.

    """

    def __init__(
        self,
        url: str,
        mode: Literal["commit", "async"] = "commit",
        *,
        in_turn: bool = False,
        patience: float = PATIENCE,
        deadline: float = DEADLINE,
    ) -> None:
        self.mode = mode
        self.committed = 0
        self.failed = 0
        self.failing: str | None = None
        self._patience = patience
        self._deadline = deadline
        self._database = Database(url, prompt=True, in_turn=in_turn)
        self._taken = 0
        self._since = 0.0
        self._probe = 0  # bytes of the write that failed
        self._closed = False
        self._ended = False
        self._small: list[Job] = []
        self._large: deque[Job] = deque()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    async def append(self, entries: Sequence[Entry]) -> None:
        """Write predictions; return when they are committed, or at once in the mode `async`.

        Raises
        ------
        LogUnavailable
            If they could not be committed within the deadline. If the connection broke during the commit,
            they may be in the log all the same, but never twice.

        """
        if entries and (written := self.give(entries)):
            await written

    def give(self, entries: Sequence[Entry]) -> asyncio.Future[LabelResult] | None:
        """Have predictions written; return what `append` waits for, None in the mode `async`.

        Raises
        ------
        LogUnavailable
            If the log takes no more rows.

        """
        return self._give(entries, (), waits=self.mode == "commit")

    async def label(self, labels: Sequence[Label]) -> LabelResult:
        """Write outcomes; in both modes they are committed on return.

        Raises
        ------
        LogUnavailable
            If they could not be committed within the deadline.

        """
        waiting = self._give((), labels, waits=True)
        return await waiting if waiting else LabelResult(0, [], [])

    @property
    def pending(self) -> int:
        """Rows that are not committed yet."""
        return self._taken - self.committed - self.failed

    @property
    def lag(self) -> float:
        """Age in seconds of the oldest row that is not committed yet."""
        return time.monotonic() - self._since if self.pending else 0.0

    def close(self) -> None:
        """Commit what is waiting, and close the database."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            self._thread.join()
            self._database.close()

    def _give(
        self, entries: Sequence[Entry], labels: Sequence[Label], *, waits: bool
    ) -> asyncio.Future[LabelResult] | None:
        if self._closed:
            raise LogUnavailable("the log is closed")
        rows = len(entries) + len(labels)
        if self.pending + rows > MAX_WAITING:
            raise LogUnavailable(f"{self.pending} rows are waiting to be written, the limit is {MAX_WAITING}")
        done = self._promise() if waits else None
        job = Job(entries, labels, done, time.monotonic())
        if not self.pending:
            self._since = job.since
        self._taken += rows
        self._jobs.put(job)
        return done

    def _promise(self) -> asyncio.Future[LabelResult]:
        """What a caller waits for, within the deadline."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[LabelResult] = loop.create_future()
        late: Wakeup = done, LogUnavailable(f"nothing was committed for {self._deadline:g} s")
        timer = loop.call_later(self._deadline, _set_results, [late])
        done.add_done_callback(lambda _: timer.cancel())
        return done

    def _run(self) -> None:
        """The thread: take all waiting jobs, write them, wake their callers, until the log is closed."""
        while self._large or not self._ended:
            try:
                self._take(PROBE_SECONDS if self.failing else None)
            except queue.Empty:
                self._try_again()
                continue
            if self._small:
                group, self._small = self._small, []
                self._since = min(job.since for job in (*group, *self._large))
                self._commit(group)
            if self._large:
                self._since = self._large[0].since
                self._commit([self._large.popleft()])

    def _take(self, timeout: float | None) -> None:
        """Take the waiting jobs; if there is none at hand, wait for one.

        Raises
        ------
        queue.Empty
            If there is none within `timeout` seconds.

        """
        rows, waits = 0, not (self._large or self._ended)
        while rows < MAX_GROUP:
            try:
                job = self._jobs.get(waits, timeout)
            except queue.Empty:
                if waits:
                    raise
                return
            waits = False
            if job is None:
                self._ended = True
                return
            # Where predictions are acknowledged at once, a label must not overtake its own.
            if job.rows > LARGE and self.mode == "commit":
                self._large.append(job)
            else:
                self._small.append(job)
                rows += job.rows

    def _try_again(self) -> None:
        """Find out whether rows can be written again: a service that is not ready gets none to write."""
        try:
            self._database.probe(self._probe)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the thread must go on
            self.failing = self._reason(error)
        else:
            self.failing = None

    def _commit(self, group: list[Job]) -> None:
        group = self._without_given_up(group)
        if not group:
            return
        entries = [entry for job in group for entry in job.entries]
        outcome: list[LabelResult] | LogUnavailable
        try:
            outcome = self._written(entries, [job.labels for job in group])
        except LogUnavailable as error:
            if not self.failing and len(group) > 1:
                for job in group:  # one of them is at fault; the others must not fail with it
                    self._commit([job])
                return
            outcome = error
        rows = sum(job.rows for job in group)
        if isinstance(outcome, LogUnavailable):
            self._fail(rows, outcome)
        else:
            self.committed += rows
        self._wake(group, outcome)

    def _without_given_up(self, group: list[Job]) -> list[Job]:
        """The jobs without those whose callers were answered meanwhile that nothing is written."""
        since = time.monotonic() - self._deadline
        late = sum(job.rows for job in group if job.done and job.since < since)
        if not late:
            return group
        self._fail(late, LogUnavailable("their turn came too late"))
        return [job for job in group if not (job.done and job.since < since)]

    def _fail(self, rows: int, why: LogUnavailable) -> None:
        self.failed += rows
        logger.error("%d rows are not in the log: %s", rows, why)

    def _written(self, entries: Sequence[Entry], labels: Sequence[Sequence[Label]]) -> list[LabelResult]:
        """Write, with retries while the database is down; if it was down before, without retries."""
        until = time.monotonic() + (0 if self.failing else self._patience)
        while True:
            try:
                results = self._database.write(entries, labels)
            except Exception as error:  # whatever it is, the callers must be answered and the thread go on
                down = not _rows_at_fault(error)
                self.failing = self._reason(error) if down else None
                if down:
                    if isinstance(
                        error, FileMovedError
                    ):  # the next attempt may succeed, and nobody would know
                        logger.error("%s", self.failing)  # noqa: TRY400 -- the reason is all there is to know
                    self._probe = min(sum(len(entry.features) for entry in entries), MAX_PROBE)
                if not down or time.monotonic() >= until:
                    raise LogUnavailable(self._reason(error)) from error
                time.sleep(PAUSE)
            else:
                self.failing = None
                return results

    def _reason(self, error: Exception) -> str:
        """Why a write failed, without the values of its rows."""
        if isinstance(error, PerenneError):
            return str(error)
        why = reason(error) if isinstance(error, SQLAlchemyError) else type(error).__name__
        return f"{self._database.name}: {why}"

    def _wake(self, group: list[Job], outcome: list[LabelResult] | LogUnavailable) -> None:
        """Wake the callers, with one call for each event loop."""
        results: Sequence[LabelResult | LogUnavailable]
        results = [outcome] * len(group) if isinstance(outcome, LogUnavailable) else outcome
        waiting: dict[asyncio.AbstractEventLoop, list[Wakeup]] = defaultdict(list)
        for job, result in zip(group, results, strict=True):
            if job.done:
                waiting[job.done.get_loop()].append((job.done, result))
        for loop, wakeups in waiting.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_set_results, wakeups)


Wakeup = tuple[asyncio.Future[LabelResult], LabelResult | LogUnavailable]


def _set_results(wakeups: list[Wakeup]) -> None:
    for done, result in wakeups:
        if done.done():  # the caller was cancelled
            continue
        if isinstance(result, LogUnavailable):
            done.set_exception(LogUnavailable(str(result)))
        else:
            done.set_result(result)


def _rows_at_fault(error: Exception) -> bool:
    """Whether the rows are at fault, not the database: it may be full, locked, read-only or restarting."""
    if isinstance(error, DBAPIError):
        return isinstance(error, DataError | IntegrityError)
    return isinstance(error, StatementError)  # a value that the driver cannot even send
