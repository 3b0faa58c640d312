"""Work in this process, or in several of this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


class Processes:
    """Processes of this machine; one: this one.

    Parameters
    ----------
    count
        How many.

    """

    def __init__(self, count: int = 1) -> None:
        self.count = count

    @property
    def here(self) -> bool:
        """As `Workers.here`."""
        return self.count == 1

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item], *, title: str, unit: str
    ) -> Iterator[Result]:
        """As `Workers.map`."""
        with tqdm(total=len(items), desc=title, unit=unit, disable=None if title else True) as bar:
            for result in self._done(work, items):
                bar.update()
                yield result

    def _done(self, work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        if self.here:
            yield from map(work, items)
            return
        from joblib import Parallel, delayed, parallel_config

        # As many threads in all as there are processes: more would only wait for each other.
        with (
            parallel_config(backend="loky", inner_max_num_threads=1),
            Parallel(self.count, return_as="generator") as pool,
        ):
            yield from pool(delayed(work)(item) for item in items)


HERE = Processes()
