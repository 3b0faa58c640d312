"""A gang of real processes: the workers of a Dask cluster on this machine."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import distributed

from perenne.common.binned.gang import GangError

Item = TypeVar("Item")
Result = TypeVar("Result")
SECONDS = 60  # for a lost worker to be replaced


class Workers:
    """A call for each item on a worker of its own: see `perenne.common.binned.gang.Gang`."""

    host = "127.0.0.1"

    def __init__(self, client: Any) -> None:
        self.client = client
        self.calls: list[str] = []

    def run_together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Call the function on as many workers as there are items, or fail as soon as one of them does."""
        self.calls.append(function.__name__)
        self.client.wait_for_workers(len(items), timeout=SECONDS)
        chosen = self.addresses()[: len(items)]
        futures = [
            self.client.submit(function, item, workers=[address], allow_other_workers=False, pure=False)
            for item, address in zip(items, chosen, strict=True)
        ]
        lost = set[str]()
        try:
            while not all(future.done() for future in futures):
                lost = set(chosen) - set(self.addresses())
                if lost or any(future.status == "error" for future in futures):
                    break
                time.sleep(0.05)
            errors = [future.exception() for future in futures if future.status == "error"]
            for error in sorted(errors, key=lambda each: isinstance(each, GangError)):
                raise error
            if any(future.status != "finished" for future in futures):
                raise GangError(f"lost {', '.join(sorted(lost))}")
            return [future.result() for future in futures]
        finally:
            self.client.cancel(futures)

    def addresses(self) -> list[str]:
        """Of all workers that are there, as the scheduler says: what the client keeps may be of none."""
        return sorted(self.client.nthreads())


@contextmanager
def workers(count: int) -> Iterator[Workers]:
    """So many processes, until the context ends."""
    cluster: Any = partial(distributed.LocalCluster, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    client: Any = distributed.Client
    with (
        warnings.catch_warnings(action="ignore", category=ResourceWarning),  # a socket that it forgets
        cluster(n_workers=count, processes=True) as made,
        client(made) as connected,
    ):
        gc.collect()
        yield Workers(connected)
