"""A gang of real processes: the workers of a Dask cluster on this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from perenne.compute import cluster
from perenne.compute.cluster import DaskWorkers
from tests import dask

Item = TypeVar("Item")
Result = TypeVar("Result")


class NotedWorkers(DaskWorkers):
    """Workers that note what they are called for."""

    calls: list[str]

    def run_together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Note the name of the function, and call it."""
        self.calls.append(function.__name__)
        return super().run_together(function, items)


@contextlib.contextmanager
def workers(folder: Path, count: int) -> Iterator[NotedWorkers]:
    """So many processes in a folder, which is the current one, until the context ends."""
    with (
        contextlib.chdir(folder),
        dask.cluster(folder, count) as started,
        cluster.cluster(started.address) as found,
    ):
        noted = NotedWorkers(found.client, found.address, found.ticket)
        noted.calls = []
        noted.client.wait_for_workers(count, timeout=60)
        yield noted
