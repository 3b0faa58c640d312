"""The batches that have come: how far the source goes by now, and its batches through the stages' own checks.

Nothing is written into the project: what comes in is spooled to a folder that goes away again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd

from perenne.cases.source import source_of
from perenne.common import batches, names, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.params import Params
from perenne.pipeline import ingest, validate

WHERE = "params.yaml: ingest.through"


class Arrived(NamedTuple):
    """The raw batches, one file a period; `through` is the last."""

    files: dict[pd.Period, Path]
    through: pd.Period
    contract: Contract
    most_quarantined: float

    def clean(self, period: pd.Period) -> pd.DataFrame:
        """The rows of a batch that keep the contract; a `PerenneError` if too many of them do not."""
        path = self.files[period]
        raw = batches.read_parquet(path, nullable=True)
        matured = period + self.contract.label_delay <= self.through
        checked = validate.validate(raw, period, self.contract, matured=matured)
        problem = validate.too_many(checked, names.RAW / path.name, self.most_quarantined)
        if problem:
            raise PerenneError(problem)
        # As the stages write and read them: what a column's type is must not hang on the way it came.
        kept: pd.DataFrame = batches.to_table(checked.kept, batches.schema(self.contract)).to_pandas()
        return kept


@contextmanager
def arrived(p: Params, contract: Contract, through: pd.Period) -> Iterator[Arrived]:
    """Bring in all that the source has up to a period."""
    source = source_of(p.ingest).model_copy(update={"through": str(through)})
    with TemporaryDirectory(prefix="perenne-") as folder:
        for period, frame in ingest.ingest(source, contract):
            path = Path(folder) / f"{periods.stem(period)}.parquet"
            batches.write_parquet(path, ingest.table(frame, contract))
        found = batches.listed(Path(folder), contract)
        yield Arrived(found, max(found), contract, p.validation.max_quarantined_share)


def newest(p: Params, contract: Contract, asked: str | None, now: datetime) -> pd.Period:
    """The last period to bring in: the one asked for, or else what there is.

    Files say by themselves how far they go, but a period that has not ended yet is not all there. Other
    sources would make up any period, so those go as far as params.yaml says.
    """
    known = periods.parse(p.ingest.through, contract.period, WHERE)
    if asked is not None:
        return max(known, periods.parse(asked, contract.period, "--through"))
    source = source_of(p.ingest)
    if not source.delivered:
        return known
    ended = pd.Period(now, freq=known.freqstr) - 1
    rows = source.model_copy(update={"through": str(max(ended, known))}).batches(contract)
    return max([known, *(period for period, _ in rows)])
