"""Work in this process, or in several of this machine."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

from perenne.common.errors import PerenneError

KILLED = (
    "params.yaml: compute.workers: one of the processes was killed; it may lack memory: run this again, with "
    "fewer workers"
)

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

    members = 1
    host = "127.0.0.1"

    def run_together(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """As `Gang.run_together`, of a gang of one: this process."""
        return [function(item) for item in items]

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
        from joblib.externals.loky.process_executor import TerminatedWorkerError

        # As many threads in all as there are processes: more would only wait for each other. Large arrays are
        # handed over as files ("c": but may be written to as any array, as in this process).
        with (
            parallel_config(backend="loky", inner_max_num_threads=1, mmap_mode="c"),
            Parallel(self.count, return_as="generator") as pool,
        ):
            results = pool(delayed(_tried)(work, item) for item in items)
            try:
                for result in results:
                    if isinstance(result, PerenneError):
                        raise result
                    yield result
            except TerminatedWorkerError as error:
                raise PerenneError(KILLED) from error
            finally:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that work is given up: the error says why
                    results.close()


def _tried(work: Callable[[Item], Result], item: Item) -> Result | PerenneError:
    """The result of an item, or its error: what is raised there is not that of the first item in order."""
    try:
        return work(item)
    except PerenneError as error:
        return error


HERE = Processes()
