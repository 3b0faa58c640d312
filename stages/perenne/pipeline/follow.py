"""Following a model, batch after batch: what earlier runs have computed is kept, so a run costs what is new.

Kept are, beside Git's own files (`perenne.common.kept`): the reference, counted; the state of the fold after
some batches with matured labels, the latest and a few farther back; and what the batches that wait for labels
say by themselves. Each state has a name made of all that came before it, file by file. So a batch that was
amended, other params or other code lead to other names: what is there under the old ones is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Generic, NamedTuple, TypeVar

import pandas as pd
from tqdm import tqdm

from perenne.common.contract import Contract
from perenne.common.kept import Shelf, key
from perenne.common.params import Drift, Tolerance
from perenne.documents.drift import DriftReport
from perenne.pipeline.drift_fold import DriftFold, DriftReference, ExaminedBatch, FoldState, ScoredBatch
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
    ) -> None:
        self.history, self.validated, self.importance = history, validated, importance
        self.spec, self.tolerance, self.title = spec, tolerance, title
        self.note, self.shelf, self.signature = beside, shelf, signature
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
        for place in tqdm(range(done, len(later)), self.title, unit="batch", disable=None):
            self._add(fold, later[place])
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

    def _add(self, fold: DriftFold, period: pd.Period) -> None:
        """Add a batch: one that waits for labels says the same by itself as long as it is the same."""
        name = "" if self.history.matured(period) else key(str(period), self.signature(period))
        if examined := self.before.get(name):
            fold.add(examined)
        else:
            batch = self.history.batch(period)
            noted = self.note(batch)
            if noted is not None:
                self.noted[period] = noted
            examined = fold.update(batch)
        # The numbers of blocks depend on the order in which batches are examined.
        if name and fold.before.registry is None:
            self.waiting[name] = examined

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
