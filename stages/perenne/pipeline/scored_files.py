"""The batches of a history, scored by one model: its reference, and what came later. Read when asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from perenne.common import predicted
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.watch.reference import Read, ReferenceRows, few

Score = Callable[[pd.DataFrame], predicted.Array]


class ScoredFiles:
    """Files by period, with what reads and scores their rows.

    Parameters
    ----------
    files
        All of the history, oldest first.
    read
        Returns the clean rows of a period: all columns, or at least those that are named.
    score
        Returns the predictions of rows.
    cut, contract
        Of the model.

    """

    def __init__(
        self, files: Mapping[pd.Period, Path], read: Read, score: Score, cut: Cut, contract: Contract
    ) -> None:
        self.files, self.read, self.score, self.cut, self.contract = files, read, score, cut, contract
        self.window = cut.reference(files)
        #: Of the last periods up to `as_of` the rows were known, but not the labels: only those are new.
        self.later = cut.news(files)
        self.through = max(files)
        self._scores: dict[pd.Period, predicted.Array] = {}

    def __getstate__(self) -> Mapping[str, object]:
        """Without the scores that are known: another process reads other batches."""
        return self.__dict__ | {"_scores": {}}

    def reference(self) -> ReferenceRows:
        """The rows of each period of the reference, with NaN for the scores of those not of the holdout."""
        keep = few(self.files[period] for period in self.window)
        return ReferenceRows(self.window, self._of_reference, keep=keep)

    def measured(self) -> Iterator[pd.DataFrame]:
        """The rows of each period of the holdout."""
        return (self._of_reference(one, None) for one in self.window if self.cut.part(one) == "holdout")

    def matured(self, period: pd.Period) -> bool:
        """Whether the labels of a period are known by now."""
        return bool(period + self.cut.label_delay <= self.through)

    def batch(self, period: pd.Period) -> ScoredBatch:
        """A later batch with its scores."""
        rows = self.read(period, None)
        rows = predicted.assign(rows, self.score(rows), self.contract)
        return ScoredBatch(period, rows, self.matured(period), self.is_known(period))

    def is_known(self, period: pd.Period) -> bool:
        """Whether the rows of a later batch are part of the reference, so that only its labels are new."""
        return bool(period <= self.cut.as_of)

    def _of_reference(self, period: pd.Period, names: Sequence[str] | None) -> pd.DataFrame:
        """The rows of a period with their predictions; scores of the holdout are computed once."""
        if self.cut.part(period) != "holdout":
            return predicted.assign(self.read(period, names), math.nan, self.contract)
        whole = None
        if period not in self._scores:
            whole = self.read(period, None)
            self._scores[period] = self.score(whole)
        rows = whole if whole is not None and names is None else self.read(period, names)
        return predicted.assign(rows, self._scores[period], self.contract)
