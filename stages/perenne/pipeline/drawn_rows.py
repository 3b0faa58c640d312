"""The rows that Evidently draws: a sample of each side, kept, so that no run reads all batches for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from perenne.common.kept import Shelf
from perenne.common.params import Drift
from perenne.documents.drift import DriftReport
from perenne.pages import evidently
from perenne.pipeline.drift_fold import ScoredBatch
from perenne.pipeline.scored_files import ScoredFiles
from perenne.watch.validated import shown

TIMES = 10  # as many rows as are drawn are in the samples of the latest batches, from which they are drawn
SEALED, LATEST = "drawn", "latest"


class DrawnReference(NamedTuple):
    """The samples of the holdout, and of the rows predicted without being seen; `empty` has no rows."""

    measured: pd.DataFrame
    validated: pd.DataFrame
    empty: pd.DataFrame


def drawn(spec: Drift, batch: ScoredBatch) -> pd.DataFrame | None:
    """A sample of a batch; None if its rows are part of the reference."""
    return None if batch.in_reference else evidently.sampled(batch.rows, spec.report_rows, spec.seed)


class DrawnRows:
    """The rows that are drawn.

    Parameters
    ----------
    history
        The batches.
    shelf
        Where samples are kept.
    spec
        How many rows of each side, and the seed that decides which.
    signatures
        What each batch is.

    """

    def __init__(
        self, history: ScoredFiles, shelf: Shelf, spec: Drift, signatures: Mapping[pd.Period, str]
    ) -> None:
        self.history, self.shelf, self.spec, self.signatures = history, shelf, spec, signatures
        self._added: OrderedDict[str, pd.DataFrame] = OrderedDict()
        self._rows = 0

    def add(self, period: pd.Period, sample: pd.DataFrame) -> None:
        """Remember what `drawn` returned of a later batch, and forget what later ones displace."""
        self._added[self._name(period)] = sample
        self._rows += len(sample)
        while self._rows - len(next(iter(self._added.values()))) >= self._enough:
            self._rows -= len(self._added.popitem(last=False)[1])

    @property
    def _enough(self) -> int:
        return TIMES * self.spec.report_rows

    def _name(self, period: pd.Period) -> str:
        return f"{period} {self.signatures[period]}"

    def sides(
        self, validated: Mapping[pd.Period, pd.DataFrame], report: DriftReport
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """The holdout's rows, those of validation, and the latest ones: what `drift.render` takes.

        Parameters
        ----------
        validated
            As for `drift`; they are read only if nothing is kept.
        report
            Says how many rows each batch has.

        """
        sealed = self.shelf.load(SEALED)
        if not isinstance(sealed, DrawnReference):
            sealed = self._sealed(validated)
            self.shelf.save(SEALED, sealed)
        return sealed.measured, sealed.validated, pd.concat([sealed.empty, *self._latest(report)])

    def _sealed(self, validated: Mapping[pd.Period, pd.DataFrame]) -> DrawnReference:
        contract, spec = self.history.contract, self.spec
        samples = [self._sampled(rows) for rows in self.history.measured()]
        drawn = evidently.labelled_sample(shown(validated, contract), contract, spec.report_rows, spec.seed)
        # The holdout is sealed: its rows are shown, and what became of them is not.
        measured = self._sampled(pd.concat(samples).assign(**{contract.target: None}))
        return DrawnReference(measured, drawn, samples[0][:0])

    def _latest(self, report: DriftReport) -> list[pd.DataFrame]:
        """A sample of each of the latest batches, oldest first: of as many as hold enough rows."""
        counts = {batch.period: min(batch.rows, self.spec.report_rows) for batch in report.batches}
        chosen: list[pd.Period] = []
        rows = 0
        for period in reversed(self.history.later):
            if rows < self._enough and not self.history.is_known(period):
                chosen.append(period)
                rows += counts[str(period)]
        known: dict[str, pd.DataFrame] = self.shelf.load(LATEST) or {}
        found: dict[str, pd.DataFrame] = {}
        for period in reversed(chosen):
            name = self._name(period)
            sample = known.get(name, self._added.get(name))
            found[name] = self._sampled(self.history.batch(period).rows) if sample is None else sample
        if found.keys() != known.keys():
            self.shelf.save(LATEST, found)
        return list(found.values())

    def _sampled(self, rows: pd.DataFrame) -> pd.DataFrame:
        return evidently.sampled(rows, self.spec.report_rows, self.spec.seed)
