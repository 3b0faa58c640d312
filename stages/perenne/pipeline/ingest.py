"""Ingest: bring in the batches, one Parquet file a period, up to `ingest.through`."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from perenne.cases.source import Batch, source_of
from perenne.common import batches, disk, params, periods
from perenne.common.contract import Contract, read_contract
from perenne.common.errors import PerenneError, hint
from perenne.common.names import RAW
from perenne.common.params import Ingest


def ingest(section: Ingest, contract: Contract) -> Iterator[Batch]:
    """Yield the batches of a source, oldest first, with the contract's columns, sorted by time and entity.

    Sorted, so that a batch keeps its bytes if the same rows arrive in another order or in other files.
    """
    source = source_of(section)
    periods.parse(source.through, contract.period, "params.yaml: ingest.through")
    period = None
    for period, frame in source.batches(contract):
        missing = [name for name in contract.columns if name not in frame]
        if missing:
            raise PerenneError(
                f"{source.source}, {period}: no column {missing[0]!r}; {hint(missing[0], frame.columns)}"
            )
        yield (
            period,
            frame[list(contract.columns)].sort_values([contract.time, *contract.entity], kind="stable"),
        )
    if period is None:
        raise PerenneError(
            f"params.yaml: ingest.through: {source.through!r} lies before the first batch of {source.source}"
        )


def table(frame: pd.DataFrame, contract: Contract) -> pa.Table:
    """The batch in the contract's types; a column with a value of another type stays as it came.

    Which value that is, `validate` says.
    """
    columns = {}
    for name, column in contract.columns.items():
        read = batches.typed(frame[name], column)
        fits = not (read.isna() & frame[name].notna()).any()
        like, values = (batches.schema(contract, [name]), read) if fits else (None, frame[name])
        columns[name] = batches.to_table(values.to_frame(name), like)[name]
    return pa.table(columns)


def main() -> None:
    """Write `data/raw/`, all of it or nothing."""
    p = params.load("ingest")
    contract = read_contract(p.case)
    with disk.replacing(RAW) as folder:
        for period, frame in tqdm(ingest(p.ingest, contract), desc="ingest", unit="batch", disable=None):
            batches.write_parquet(folder / f"{periods.stem(period)}.parquet", table(frame, contract))
