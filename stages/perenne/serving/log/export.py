"""Export the log as batches, predictions with their outcomes, that the pipeline can learn from.

One Parquet file per period, with the contract's columns and types; `ingest.source: files` reads them. The
same log gives the same bytes. Rows without a label are included, as in any batch: features may drift before
labels are known, and `validate` finds labels that are overdue.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from perenne.common import batches, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import HIDDEN, PROD
from perenne.serving.log.database import Database, Logged
from perenne.serving.predictions import several
from perenne.serving.rows import InputRow

CHUNK = 20_000  # rows in memory at a time
LABELLED, AT = f"{HIDDEN}labelled", f"{HIDDEN}at"  # columns of the spool only


class ExportSummary(NamedTuple):
    """The files that were written; how many rows they have, how many labelled ones; duplicates removed."""

    files: list[Path]
    rows: int
    labelled: int
    repeated: int

    def __str__(self) -> str:
        left = f"; {self.repeated:,} duplicates removed" if self.repeated else ""
        names = f"{self.files[0]} to {self.files[-1].name}" if self.files else "no file"
        return f"{self.rows:,} rows, {self.labelled:,} with labels, in {names}{left}"


def export(database: Database, contract: Contract, out: Path, through: pd.Period) -> ExportSummary:
    """Write the predictions in prod, one file per period.

    A row that was scored several times (same entity, same time) is written once: the labelled one if there is
    one, else the last.

    Parameters
    ----------
    database
        The log.
    contract
        Gives the columns, their types and the period.
    out
        The folder for `predictions-PERIOD.parquet`. A file of the same name is replaced.
    through
        The last period to write. It should be over: half a batch looks like drift.

    Returns
    -------
    ExportSummary
        Its files are in order of their periods.

    Raises
    ------
    PerenneError
        If a logged row lacks a feature of the contract. No file is written then.

    """
    files, rows, labelled, repeated = [], 0, 0, 0
    with TemporaryDirectory(prefix="perenne-") as spool:
        for period, pieces in sorted(_spool(database, contract, through, Path(spool)).items()):
            every = pa.concat_tables([pq.read_table(piece, partitioning=None) for piece in pieces]).to_pandas(
                types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get
            )
            once = _once(every, contract)
            path = out / f"predictions-{periods.stem(period)}.parquet"
            batches.write_parquet(path, _written(once, contract))
            files.append(path)
            rows, repeated = rows + len(once), repeated + len(every) - len(once)
            labelled += int(once[LABELLED].sum())
    return ExportSummary(files, rows, labelled, repeated)


def _written(rows: pd.DataFrame, contract: Contract) -> pa.Table:
    """The contract's columns; moments say that they are in UTC, else they would be taken for local times."""
    table = batches.to_table(rows[list(contract.raw)], batches.schema(contract, list(contract.raw)))
    if contract.zone is None:
        return table
    moments = [
        f.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(f.type) else f for f in table.schema
    ]
    return table.cast(pa.schema(moments))


def over(contract: Contract, now: datetime) -> pd.Period:
    """The last period that is over at a time with a zone.

    >>> from tests.tiny import contract
    >>> over(contract(), datetime(2021, 4, 30, 23, 59, tzinfo=UTC))
    Period('2021-03', 'M')
    """
    return periods.current(now, contract.period, contract.zone) - 1


def _spool(
    database: Database, contract: Contract, through: pd.Period, folder: Path
) -> dict[pd.Period, list[Path]]:
    """Split the log by period into files on disk, so that the whole log need not fit into memory."""
    pieces: dict[pd.Period, list[Path]] = defaultdict(list)
    logged = iter(tqdm(database.read(PROD), desc="export", unit="row", disable=None))
    while some := tuple(islice(logged, CHUNK)):
        frame = _frame(some, contract, database.name)
        of = periods.of(frame[contract.time], contract.period, contract.zone)
        for period, rows in frame.groupby(of):
            if period <= through:
                path = folder / f"{len(pieces)}.{period.ordinal}.{len(pieces[period])}.parquet"
                batches.write_parquet(path, batches.to_table(rows, _schema(contract)))
                pieces[period].append(path)
    return pieces


def _schema(contract: Contract) -> pa.Schema:
    marks = pa.schema([(LABELLED, pa.bool_()), (AT, pa.timestamp("us"))])
    return pa.unify_schemas([batches.schema(contract, list(contract.raw)), marks])


def _frame(some: tuple[Logged, ...], contract: Contract, name: str) -> pd.DataFrame:
    rows = list(_rows(some, contract, name))
    raw = pd.DataFrame(rows, columns=[*contract.raw, LABELLED, AT], dtype="object")
    # The service logs moments in UTC if the contract names a zone, else what the clock showed.
    zone = "UTC" if contract.zone else None
    typed = {column: batches.typed(raw[column], spec, zone) for column, spec in contract.raw.items()}
    marks = {LABELLED: raw[LABELLED].astype(bool), AT: raw[AT].astype("datetime64[us]")}
    return pd.DataFrame(typed | marks)


def _rows(some: tuple[Logged, ...], contract: Contract, name: str) -> Iterator[InputRow]:
    needed = {name for name in contract.required if not contract.raw[name].missing} - {contract.time}
    for entry, label in some:
        row: InputRow = json.loads(entry.features)
        absent = sorted(needed - row.keys())
        if absent:
            raise PerenneError(
                f"{name}: prediction {entry.id} of {entry.version} has no {absent[0]}, a feature of the "
                "contract; is this the log of another case, or of an older contract?"
            )
        if label is not None and isinstance(label, str) != bool(several(contract)):
            raise PerenneError(
                f"{name}: prediction {entry.id} of {entry.version} has the label {label!r}, which is no "
                f"{contract.target}; is this the log of another case, or of an older contract?"
            )
        at = entry.at.astimezone(UTC).replace(tzinfo=None)
        row[contract.time] = row.get(contract.time) or at.isoformat()
        yield row | {contract.target: label, LABELLED: label is not None, AT: at}


def _once(rows: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Each row once, in an order that does not depend on when it was scored."""
    key = [contract.time, *contract.entity]
    if contract.entity:
        last = rows.sort_values([LABELLED, AT], kind="stable")
        rows = last[~(last.duplicated(key, keep="last") & last[key].notna().all(axis=1))]
    order = [*key, *(name for name in contract.raw if name not in key), AT]
    return rows.sort_values(order, kind="stable")
