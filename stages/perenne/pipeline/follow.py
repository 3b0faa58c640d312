"""Following a model, batch after batch: what earlier runs have computed is kept, so a run costs what is new.

Kept are, beside Git's own files (`perenne.common.kept`): the reference, counted; the state of the fold after
some batches with matured labels, the latest and a few farther back; and what the batches that wait for labels
say by themselves. Each state has a name made of all that came before it, file by file. So a batch that was
amended, other params or other code lead to other names: what is there under the old ones is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

import pandas as pd

from perenne.common.contract import Contract
from perenne.common.kept import Shelf, key
from perenne.common.params import Drift, Tolerance
from perenne.compute.engine import Workers
from perenne.compute.local import HERE
from perenne.documents.drift import DriftReport
from perenne.pipeline.drift_fold import (
    BatchExaminer,
    DriftFold,
    DriftReference,
    ExaminedBatch,
    FoldState,
    ScoredBatch,
)
from perenne.pipeline.scored_files import ScoredFiles

APART = 8  # states lie 1, 8, 64, ... batches back: an amended batch costs those after it, eight times at most
REFERENCE, WAITING, STATE = "reference", "waiting", "state"

Beside = TypeVar("Beside")
Rows = Mapping[pd.Period, pd.DataFrame]


class Followed(NamedTuple, Generic[Beside]):
    """The report, and what was noted of each batch beside it."""

    report: DriftReport
    beside: dict[pd.Period, Beside]


class DriftFollower(Generic[Beside]):
    """Follows one model over its batches.

    Parameters
    ----------
    history
        The batches.
    validated
        As for `drift`.
    importance, spec, tolerance
        As for `drift`.
    beside
        Is called with each batch that is read, and returns what to note of it: of one that waits for labels
        nothing, as it may not be read again.
    keep
        Is called with a period and what was noted of its batch, if it is not to be kept with the fold.
    workers
        What examines the batches, where they may be examined in any order.
    shelf
        Where to keep what was computed: it is of all that the results depend on, the later batches left out.
    signature
        What a batch is: other files, and other ways to read them, have others.
    title
        What the progress bar says.

    """

    def __init__(
        self,
        history: ScoredFiles,
        validated: Rows,
        importance: Mapping[str, float],
        spec: Drift,
        tolerance: Tolerance,
        *,
        beside: Callable[[ScoredBatch], Beside | None],
        shelf: Shelf,
        signature: Callable[[pd.Period], object],
        title: str,
        keep: Callable[[pd.Period, Beside], None] | None = None,
        workers: Workers = HERE,
    ) -> None:
        self.history, self.validated, self.importance = history, validated, importance
        self.spec, self.tolerance, self.title = spec, tolerance, title
        self.note, self.shelf, self.signature = beside, shelf, signature
        self.keep, self.workers = keep, workers
        self.contract: Contract = history.contract
        self.before: dict[str, ExaminedBatch] = {}
        self.waiting: dict[str, ExaminedBatch] = {}
        self.noted: dict[pd.Period, Beside] = {}

    def run(self) -> Followed[Beside]:
        """Go on from the latest state that still holds, to the last batch."""
        later = self.history.later
        known = self.shelf.load(REFERENCE)
        if not isinstance(known, DriftReference):
            reference = self.history.reference()
            known = DriftReference.of(reference, self.validated, self.spec, self.tolerance, self.contract)
            self.shelf.save(REFERENCE, known)
        matured = sum(map(self.history.matured, later))  # they are the first ones
        names = self._names(later[:matured])
        done, fold = self._begun(known, names)
        self.before = self.shelf.load(WAITING) or {}
        marks = set(_marks(matured))
        examined = self._examined(fold, later[done:])
        for place in range(done, len(later)):
            self._add(fold, later[place], examined)
            if place + 1 in marks:
                self.shelf.save(names[place], (fold.state(), self.noted))
        if self.waiting.keys() != self.before.keys():
            self.shelf.save(WAITING, self.waiting)
        self._tidy(names, matured)
        return Followed(fold.report(), self.noted)

    def _names(self, matured: list[pd.Period]) -> list[str]:
        """The name of the state after each batch: of what it is, and of all before it."""
        own = ((str(period), self.history.is_known(period), self.signature(period)) for period in matured)
        chain = accumulate(own, lambda before, one: key(before, one), initial="")
        return [f"{STATE}-{place:08}-{name}" for place, name in enumerate(chain)][1:]

    def _begun(self, known: DriftReference, names: list[str]) -> tuple[int, DriftFold]:
        """How many batches are done already, and the fold after them."""
        there = {*self.shelf.names()}
        for place in reversed(range(len(names))):
            found = self.shelf.load(names[place]) if names[place] in there else None
            if found is not None:
                state, self.noted = found
                return place + 1, self._fold(known, state)
        return 0, self._fold(known, None)

    def _fold(self, known: DriftReference, state: FoldState | None) -> DriftFold:
        return DriftFold(known, self.importance, self.spec, self.contract, state)

    def _examined(
        self, fold: DriftFold, later: Sequence[pd.Period]
    ) -> Iterator[tuple[ExaminedBatch, Beside | None]]:
        """Examine the batches that are not known, in their order, and as far as they are asked for."""
        examiner = fold.examiner
        workers = HERE if examiner.in_order else self.workers
        fresh = [period for period in later if self._name(period) not in self.before]
        work = partial(_examined, self.history, examiner, self.note)
        return workers.map(work, fresh, title=self.title, unit="batch")

    def _name(self, period: pd.Period) -> str:
        """The name of a batch that waits for labels; "" for others."""
        return "" if self.history.matured(period) else key(str(period), self.signature(period))

    def _add(
        self,
        fold: DriftFold,
        period: pd.Period,
        examined: Iterator[tuple[ExaminedBatch, Beside | None]],
    ) -> None:
        """Add a batch: one that waits for labels says the same by itself as long as it is the same."""
        name = self._name(period)
        batch = self.before.get(name)
        if batch is None:
            batch, noted = next(examined)
            if noted is not None and self.keep:
                self.keep(period, noted)
            elif noted is not None:
                self.noted[period] = noted
        fold.add(batch)
        # The numbers of blocks depend on the order in which batches are examined.
        if name and not fold.examiner.in_order:
            self.waiting[name] = batch

    def _tidy(self, names: list[str], matured: int) -> None:
        """Keep the states near each mark, and none of another past."""
        kept: dict[int, str] = {}
        there = {*self.shelf.names()}
        for place, name in enumerate(names):  # of each stretch of distances the farthest: it is to grow old
            if name in there:
                kept.setdefault(_stretch(matured - place - 1), name)
        last = {name for name in names[-1:] if name in there}
        stale = {name for name in there if name.startswith(STATE)} - {*kept.values()} - last
        self.shelf.remove(stale)


def _examined(
    history: ScoredFiles,
    examiner: BatchExaminer,
    note: Callable[[ScoredBatch], Beside | None],
    period: pd.Period,
) -> tuple[ExaminedBatch, Beside | None]:
    """What a batch says by itself, and what is noted of it."""
    batch = history.batch(period)
    return examiner.examine(batch), note(batch)


def _stretch(distance: int) -> int:
    """The stretch of distances that one lies in: 0, 1 to 7, 8 to 63, ..."""
    stretch = 0
    while distance >= APART**stretch:
        stretch += 1
    return stretch


def _marks(batches: int) -> list[int]:
    """After how many batches to keep a state: all, and 1, 8, 64, ... fewer."""
    marks, distance = [batches], 1
    while distance < batches:
        marks.append(batches - distance)
        distance *= APART
    return marks
