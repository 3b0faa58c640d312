"""Work on the machines of a Dask cluster.

What is sent are functions by their names, names of files and small results: workers read and write the
project's files themselves. Work of a worker that is lost is done again by another one.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from perenne.common import extras, project_code
from perenne.common.errors import PerenneError
from perenne.compute import settings, ticket

try:
    from distributed import Client, Future, get_worker
    from distributed.client import FutureCancelledError
    from distributed.protocol import pickle
    from distributed.scheduler import KilledWorker
    from distributed.security import Security
except ImportError as error:
    raise PerenneError(
        f"params.yaml: compute.engine: dask is not installed; {extras.install('dask')}"
    ) from error

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_SECONDS = 15
PATIENCE = 60  # seconds without any worker, after which the run ends
LOOK_SECONDS = 5  # between two looks whether there is any
AHEAD = 3  # parts of a worker that wait: enough that none is idle, too few for results to pile up
LOST = "scheduler-connection-lost"  # Dask's word
GONE = "the connection to the scheduler was lost; run this again"
MOST_TOGETHER = 64  # items of a part
PARTS_OF_WORKER = 32  # at least, before a part has more items than one


class DaskWorkers:
    """The workers of a cluster.

    Parameters
    ----------
    client
        Connected to the scheduler.
    address
        What errors call it.
    pass_
        The ticket of the run.

    """

    def __init__(self, client: Client, address: str, pass_: Path) -> None:
        self.client, self.address, self.ticket = client, address, pass_

    here = False

    @property
    def count(self) -> int:
        """How many workers there are now, at least 1."""
        return max(1, len(self._names()))

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item], *, title: str, unit: str
    ) -> Iterator[Result]:
        """As `Workers.map`."""
        waiting: deque[Future[Any]] = deque()
        size = _together(len(items), self.count)
        parts = [tuple(items[first : first + size]) for first in range(0, len(items), size)]
        rest = iter(parts)
        with tqdm(total=len(items), desc=title, unit=unit, disable=None if title else True) as bar:
            try:
                with self._named():
                    # Sent once, however much it holds, and handed on among the workers.
                    task = self.client.submit(Task, pickle.dumps(work), self.ticket, pure=False)
                for part in parts:
                    self._fill(waiting, rest, task)
                    results = self._results(waiting.popleft())
                    bar.update(len(part))
                    yield from results
            finally:
                self._forget(waiting)

    def _fill(
        self, waiting: deque[Future[Any]], rest: Iterator[tuple[Item, ...]], task: Future[Task]
    ) -> None:
        """Send as much as the workers are to have."""
        for part in islice(rest, max(0, AHEAD * self.count - len(waiting))):
            with self._named():
                # Not pure: files have changed since the same was asked before.
                waiting.append(self.client.submit(_done, task, part, pure=False))

    def _results(self, future: Future[Any]) -> list[Any]:  # of any kind
        """The results of some items, once they are there."""
        since = time.monotonic()
        with self._named():
            while True:
                try:
                    done = future.result(timeout=LOOK_SECONDS)
                except TimeoutError:
                    if future.status == "error" and isinstance(future.exception(), TimeoutError):
                        raise  # the work's own, such as that of a file system
                    if self.client.status != "running":
                        raise PerenneError(f"{self.address}: {GONE}") from None
                    if self._names():
                        since = time.monotonic()
                    elif time.monotonic() - since > PATIENCE:
                        raise PerenneError(
                            f"{self.address}: no worker for {PATIENCE} s; start some, and run this again"
                        ) from None
                    continue
                if isinstance(done, Refusal):
                    raise PerenneError(f"{self.address}: the worker {done.worker} {done.reason}")
                return list(done)

    def _names(self) -> list[str]:
        return sorted(self.client.scheduler_info(n_workers=-1).get("workers", ()))

    def _forget(self, waiting: deque[Future[Any]]) -> None:
        if waiting and self.client.status == "running":
            self.client.cancel(list(waiting), force=True)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Within it, an error of the cluster is one line that names it."""
        try:
            yield
        except KilledWorker as error:
            raise PerenneError(
                f"{self.address}: {error.allowed_failures + 1} workers were lost while they did the same "
                "piece of work; they may lack memory"
            ) from error
        except (RuntimeError, FutureCancelledError, OSError) as error:
            said = self._said(error)
            if said is None:
                raise
            raise PerenneError(f"{self.address}: {said}") from error

    def _said(self, error: Exception) -> str | None:
        """What an error says of the cluster; None: nothing."""
        if self.client.status != "running" or getattr(error, "reason", "") == LOST:
            return GONE
        if isinstance(error, FutureCancelledError) or "deserialization" in str(error):
            return "the scheduler cannot read the work; start it again, in an environment of the same lock"
        return None


class Refusal(NamedTuple):
    """A worker must not do this work."""

    worker: str
    reason: str


class Task(NamedTuple):
    """Work, with the ticket that a worker must accept.

    The work is packed: it may hold the project's own code, which the scheduler does not know, and a worker
    only once it has accepted the ticket.
    """

    packed: bytes
    ticket: Path


def _done(task: Task, items: Sequence[Any]) -> list[Any] | Refusal:
    """The result of each item; runs in a worker."""
    worker = get_worker()
    reason = ticket.refused(task.ticket)
    if worker.state.nthreads > 1:
        reason = f"has {worker.state.nthreads} threads, must have one; start it with --nthreads 1"
    if reason:
        return Refusal(worker.address, reason)
    try:
        work = _unpacked(task)
    except (ImportError, AttributeError) as error:
        return Refusal(worker.address, f"cannot read the work: {error}; start it again")
    with threadpool_limits(1):  # a worker is one core
        return [work(item) for item in items]


@lru_cache(maxsize=1)
def _unpacked(task: Task) -> Callable[[Any], Any]:
    """The work of a task, for all of its parts."""
    project_code.make_importable()
    work: Callable[[Any], Any] = pickle.loads(task.packed)
    return work


def _together(items: int, workers: int) -> int:
    """How many items are sent together: what sending costs is shared, and no worker is long alone at the end.

    >>> _together(40, 2), _together(26_280, 4)
    (1, 64)
    """
    return min(MOST_TOGETHER, max(1, items // (PARTS_OF_WORKER * workers)))


@contextmanager
def cluster(address: str) -> Iterator[DaskWorkers]:
    """Give the workers of a scheduler.

    Raises
    ------
    PerenneError
        If it cannot be reached.

    """
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what it says of errors comes as an error as well
    try:
        client = Client(
            address,
            timeout=CONNECT_SECONDS,
            set_as_default=False,
            security=Security(require_encryption=True) if address.startswith(settings.TLS) else None,
        )
    except (OSError, TypeError, ValueError) as error:
        raise PerenneError(f"{address}: no Dask scheduler answers: {' '.join(str(error).split())}") from error
    try:
        with ticket.issued() as path:
            yield DaskWorkers(client, address, path)
    finally:
        client.close(timeout=CONNECT_SECONDS)
