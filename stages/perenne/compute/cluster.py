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
from perenne.common.binned.gang import GangError
from perenne.common.errors import PerenneError
from perenne.compute import settings, ticket

try:
    from distributed import Client, Future, get_worker
    from distributed.client import FutureCancelledError
    from distributed.comm.core import CommClosedError
    from distributed.protocol import pickle
    from distributed.scheduler import KilledWorker
    from distributed.security import Security
    from distributed.utils import get_ip
except ImportError as error:
    raise PerenneError(
        f"params.yaml: compute.engine: dask is not installed; {extras.install('dask')}"
    ) from error

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_SECONDS = 15
PATIENCE = 60  # seconds without any worker, after which the run ends
LOOK_SECONDS = 5  # between two looks whether there is any
SOON = 0.1  # seconds between two looks at a gang
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
                    task = self.client.submit(SentWork, pickle.dumps(work), self.ticket, pure=False)
                for part in parts:
                    self._fill(waiting, rest, task)
                    results = self._results(waiting.popleft())
                    bar.update(len(part))
                    yield from results
            finally:
                self._forget(waiting)

    @property
    def members(self) -> int:
        """As `Workers.members`."""
        return max(1, len(self._present()))

    @property
    def host(self) -> str:
        """As `Gang.host`."""
        place, _, port = self.address.rpartition("://")[2].rpartition(":")
        return str(get_ip(place.strip("[]"), int(port)))

    def run_together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """As `Gang.run_together`: each item on a worker of its own."""
        chosen = self._chosen(len(items))
        with self._named():
            task = self.client.submit(SentWork, pickle.dumps(function), self.ticket, pure=False)
            futures = deque(
                self.client.submit(
                    *(_done, task, (item,)), workers=[name], allow_other_workers=False, pure=False
                )
                for item, name in zip(items, chosen, strict=True)
            )
        try:
            return [self._results(future)[0] for future in self._all(futures, chosen)]
        finally:
            self._forget(futures)

    def _chosen(self, most: int) -> list[str]:
        """The names of so many workers, once there are as many: one that was lost may come again."""
        end = time.monotonic() + PATIENCE
        while len(names := self._present()) < most:
            if self.client.status != "running":
                raise PerenneError(f"{self.address}: {GONE}")
            if time.monotonic() > end:
                raise PerenneError(
                    f"{self.address}: {len(names)} of {most} workers are there after {PATIENCE} s; start "
                    "more, and run this again"
                )
            time.sleep(SOON)
        return names[:most]

    def _all(self, futures: deque[Future[Any]], chosen: Sequence[str]) -> Sequence[Future[Any]]:
        """The futures once all are done, or those that failed on their own account, at once."""
        while not all(future.done() for future in futures):
            lost = sorted({*chosen} - {*self._present()})
            failed = [future for future in futures if future.status == "error"]
            own = [future for future in failed if not isinstance(future.exception(), GangError)]
            if own:
                return own
            if lost or failed:
                raise GangError(f"lost {', '.join(lost)}" if lost else str(failed[0].exception()))
            if self.client.status != "running":
                raise PerenneError(f"{self.address}: {GONE}")
            time.sleep(SOON)
        return futures

    def _fill(
        self, waiting: deque[Future[Any]], rest: Iterator[tuple[Item, ...]], task: Future[SentWork]
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
                if isinstance(done, WorkerRefusal):
                    raise PerenneError(f"{self.address}: the worker {done.worker} {done.reason}")
                return list(done)

    def _names(self) -> list[str]:
        return sorted(self.client.scheduler_info(n_workers=-1).get("workers", ()))

    def _present(self) -> list[str]:
        """The same, as the scheduler says now: what the client was told lately may be of none."""
        try:
            return sorted(self.client.nthreads())
        except CommClosedError as error:
            raise PerenneError(f"{self.address}: {GONE}") from error

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


class WorkerRefusal(NamedTuple):
    """A worker must not do this work."""

    worker: str
    reason: str


class SentWork(NamedTuple):
    """Work, with the ticket that a worker must accept.

    The work is packed: it may hold the project's own code, which the scheduler does not know, and a worker
    only once it has accepted the ticket.
    """

    packed: bytes
    ticket: Path


def _done(task: SentWork, items: Sequence[Any]) -> list[Any] | WorkerRefusal:
    """The result of each item; runs in a worker."""
    worker = get_worker()
    reason = ticket.refused(task.ticket)
    if worker.state.nthreads > 1:
        reason = f"has {worker.state.nthreads} threads, must have one; start it with --nthreads 1"
    if reason:
        return WorkerRefusal(worker.address, reason)
    try:
        work = _unpacked(task)
    except (ImportError, AttributeError) as error:
        return WorkerRefusal(worker.address, f"cannot read the work: {error}; start it again")
    with threadpool_limits(1):  # a worker is one core
        return [work(item) for item in items]


@lru_cache(maxsize=1)
def _unpacked(task: SentWork) -> Callable[[Any], Any]:
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
