"""The batches that have arrived: the newest period of the source, and its batches through the stages' checks.

Nothing is written into the project: batches are stored in a temporary folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd

from perenne.cases.source import TableSource, source_of
from perenne.common import batches, names, periods
from perenne.common.contract import Contract
from perenne.common.features import BatchFeatures
from perenne.common.params import Params
from perenne.pipeline import ingest, validate

WHERE = "params.yaml: ingest.through"


class ArrivedBatches(NamedTuple):
    """The raw batches, one file per period; `through` is the last period.

    `derived` has the batches with their derived features that were asked for, and is added to.
    """

    files: dict[pd.Period, Path]
    through: pd.Period
    contract: Contract
    check: validate.BatchCheck
    derived: DerivedBatches

    def clean(self, period: pd.Period) -> pd.DataFrame:
        """The rows of a batch that fit the contract, in its types, with its derived features.

        Raises
        ------
        PerenneError
            If the period's file cannot be read, or too many of its rows do not fit.

        """
        if not self.contract.remembered:
            return self._typed(BatchFeatures(self.contract).add(self._checked(period), period))
        return self.derived.of(period, self.files, self._checked)

    def _checked(self, period: pd.Period) -> pd.DataFrame:
        path = self.files[period]
        return self.check.kept(batches.read_table(path), period, names.RAW / path.name)

    def _typed(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Converted as the stages do when they write and read: the types must be the same here."""
        kept: pd.DataFrame = batches.to_table(rows, batches.schema(self.contract)).to_pandas()
        return kept


class DerivedBatches:
    """Batches whose features look back: made in order, whichever is asked for first, and kept in a folder."""

    def __init__(self, contract: Contract, folder: Path) -> None:
        self._features = BatchFeatures(contract)
        self._schema = batches.schema(contract)
        self._folder = folder
        self._made: dict[pd.Period, Path] = {}

    def of(
        self, period: pd.Period, known: Iterable[pd.Period], checked: Callable[[pd.Period], pd.DataFrame]
    ) -> pd.DataFrame:
        """The rows of a period, which need those of all before it.

        Parameters
        ----------
        period
            One of those known.
        known
            All periods.
        checked
            Returns the rows of a period that fit the contract.

        """
        for earlier in sorted(known):
            if earlier <= period and earlier not in self._made:
                path = self._folder / f"{periods.stem(earlier)}.derived"
                rows = self._features.add(checked(earlier), earlier)
                batches.write_parquet(path, batches.to_table(rows, self._schema))
                self._made[earlier] = path
        return batches.read_parquet(self._made[period])


@contextmanager
def arrived(p: Params, contract: Contract, through: pd.Period) -> Iterator[ArrivedBatches]:
    """Read all batches of the source up to a period into a temporary folder, which is removed afterwards.

    Parameters
    ----------
    p
        The source, and the share of bad rows that is accepted.
    contract
        What the rows are.
    through
        The last period to read.

    Raises
    ------
    PerenneError
        If the source cannot be read, or has no batch up to that period.

    """
    source = source_of(p.ingest, p.case).model_copy(update={"through": str(through)})
    with TemporaryDirectory(prefix="perenne-") as folder:
        for period, rows in ingest.tables(source, contract):
            batches.write_parquet(Path(folder) / f"{periods.stem(period)}.parquet", rows)
        raw = batches.listed(Path(folder), contract)
        derived = DerivedBatches(contract, Path(folder))
        check = validate.BatchCheck(contract, max(raw), p.validation.max_quarantined_share)
        yield ArrivedBatches(raw, max(raw), contract, check, derived)


def newest(p: Params, contract: Contract, requested: str | None, now: datetime) -> pd.Period:
    """The last period to read: the requested one, or else the newest.

    For files it is the newest period in them that has ended; the data of one that has not are incomplete.
    Other sources could generate any period, so for them it is the one in params.yaml.

    Parameters
    ----------
    p
        The source, and the last period in params.yaml: the result is never before it.
    contract
        Its period is the length of a batch.
    requested
        The text of a period; None: none is requested.
    now
        The time by which a period must have ended.

    Raises
    ------
    PerenneError
        If a period is not written as one of the contract's, or the source cannot be read.

    """
    known = periods.parse(p.ingest.through, contract.period, WHERE)
    if requested is not None:
        return max(known, periods.parse(requested, contract.period, "--through"))
    source = source_of(p.ingest, p.case)
    if not source.delivered:
        return known
    ended = periods.current(now, contract.period, contract.zone) - 1
    upto = source.model_copy(update={"through": str(max(ended, known))})
    arrived = upto.tables(contract) if isinstance(upto, TableSource) else upto.batches(contract)
    return max([known, *(period for period, *_ in arrived)])
