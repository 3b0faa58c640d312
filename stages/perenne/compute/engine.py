"""What an engine is, and the one that params.yaml asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from perenne.common.binned.gang import Gang
from perenne.compute import settings
from perenne.compute.local import Processes

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Gang, Protocol):
    """What does work on items: this process or others.

    Work for other processes is a function at the top of a module, or a `functools.partial` of one, and
    depends on nothing but its arguments and on files of the project. It may be done twice, where a worker was
    lost meanwhile: what it writes, it writes whole and always the same.
    """

    @property
    def here(self) -> bool:
        """Whether all work is done in this process, and sees what this process has in memory."""

    @property
    def count(self) -> int:
        """How many items are worked on at the same time."""

    @property
    def members(self) -> int:
        """How many processes can learn one model together; here one, whose threads share its memory."""

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item], *, title: str, unit: str
    ) -> Iterator[Result]:
        """Yield the result of each item, in their order, while later ones are worked on.

        Parameters
        ----------
        work
            Returns the result of an item.
        items
            What to work on.
        title, unit
            What the progress bar says; without a title there is none.

        Raises
        ------
        PerenneError
            Whatever the work of the first item that fails raises, or that there are no workers.

        """


@contextmanager
def opened(settled: settings.Compute | None = None) -> Iterator[Workers]:
    """Give the workers that params.yaml asks for, until the block ends.

    Parameters
    ----------
    settled
        Where to work, if not as params.yaml says.

    Raises
    ------
    PerenneError
        If the section `compute` is wrong, or the cluster cannot be reached.

    """
    found = settled or settings.load()
    if found.engine == settings.LOCAL:
        yield Processes(found.workers)
        return
    from perenne.compute.cluster import cluster  # an extra

    with cluster(found.scheduler or "") as workers:
        yield workers
