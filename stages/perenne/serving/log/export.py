"""The log as batches: what was predicted, with what happened, for the pipeline to learn from next.

One Parquet file a period, with the contract's columns and types; `ingest.source: files` takes them in. The
same log gives the same bytes. Rows whose label has not come are there without it, as in any batch: columns
may have moved before labels say so, and a label that is missing though it is due is for `validate` to find.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from perenne.common import batches, periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError
from perenne.common.names import PROD
from perenne.serving.log.store import Logged, Store

PIECE = 20_000  # rows that are held at a time
LABELLED, AT = "__labelled", "__at"  # columns of the spool alone


class Exported(NamedTuple):
    """The files that were written, and the rows that came in, are labelled, and were left out as repeated."""

    files: list[Path]
    rows: int
    labelled: int
    repeated: int

    def __str__(self) -> str:
        left = f"; {self.repeated:,} predicted again are there once" if self.repeated else ""
        names = f"{self.files[0]} to {self.files[-1].name}" if self.files else "no file"
        return f"{self.rows:,} rows, {self.labelled:,} with labels, in {names}{left}"


def export(store: Store, contract: Contract, out: Path, through: pd.Period) -> Exported:
    """Write the predictions of each period up to `through`, which should be over: half a batch looks moved.

    A row that was asked for again (the same entity at the same time) is there once: with its label, if any
    of them has one, else as it was asked for last.

    Raises
    ------
    PerenneError
        If what is in the log is not of the contract. Files that were there before are left as they were.

    """
    files, rows, labelled, repeated = [], 0, 0, 0
    with TemporaryDirectory(prefix="perenne-") as spool:
        for period, pieces in sorted(_spool(store, contract, through, Path(spool)).items()):
            every = pa.concat_tables([pq.read_table(piece, partitioning=None) for piece in pieces]).to_pandas(
                types_mapper={pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}.get
            )
            once = _once(every, contract)
            path = out / f"predictions-{periods.stem(period)}.parquet"
            batches.write_parquet(
                path, batches.to_table(once[list(contract.columns)], batches.schema(contract))
            )
            files.append(path)
            rows, repeated = rows + len(once), repeated + len(every) - len(once)
            labelled += int(once[LABELLED].sum())
    return Exported(files, rows, labelled, repeated)


def over(contract: Contract, now: datetime) -> pd.Period:
    """The last period that is over.

    >>> from tests.tiny import contract
    >>> over(contract(), datetime(2021, 4, 30, 23, 59, tzinfo=UTC))
    Period('2021-03', 'M')
    """
    return pd.Period(now.astimezone(UTC).replace(tzinfo=None), freq=periods.FREQUENCY[contract.period]) - 1


def _spool(store: Store, contract: Contract, through: pd.Period, folder: Path) -> dict[pd.Period, list[Path]]:
    """The log cut by period into pieces on the disk: neither it nor a long period need fit into memory."""
    pieces: dict[pd.Period, list[Path]] = defaultdict(list)
    found = iter(tqdm(store.read(PROD), desc="export", unit="row", disable=None))
    while some := tuple(islice(found, PIECE)):
        frame = _frame(some, contract, store.name)
        of = periods.of(frame[contract.time], contract.period)
        for period, rows in frame.groupby(of):
            if period <= through:
                path = folder / f"{len(pieces)}.{period.ordinal}.{len(pieces[period])}.parquet"
                batches.write_parquet(path, batches.to_table(rows, _schema(contract)))
                pieces[period].append(path)
    return pieces


def _schema(contract: Contract) -> pa.Schema:
    marks = pa.schema([(LABELLED, pa.bool_()), (AT, pa.timestamp("us"))])
    return pa.unify_schemas([batches.schema(contract), marks])


def _frame(some: tuple[Logged, ...], contract: Contract, name: str) -> pd.DataFrame:
    rows = list(_rows(some, contract, name))
    raw = pd.DataFrame(rows, columns=[*contract.columns, LABELLED, AT], dtype="object")
    typed = {column: batches.typed(raw[column], spec) for column, spec in contract.columns.items()}
    marks = {LABELLED: raw[LABELLED].astype(bool), AT: raw[AT].astype("datetime64[us]")}
    return pd.DataFrame(typed | marks)


def _rows(some: tuple[Logged, ...], contract: Contract, name: str) -> Iterator[dict[str, Any]]:
    needed = {column for column in contract.features if not contract.columns[column].missing}
    for entry, label in some:
        row: dict[str, Any] = json.loads(entry.features)
        absent = sorted(needed - row.keys())
        if absent:
            raise PerenneError(
                f"{name}: prediction {entry.id} of {entry.version} has no {absent[0]}, a feature of the "
                "contract; is it the log of another case, or of an older contract?"
            )
        at = entry.at.astimezone(UTC).replace(tzinfo=None)
        row[contract.time] = row.get(contract.time) or at.isoformat()
        yield row | {contract.target: label, LABELLED: label is not None, AT: at}


def _once(rows: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Each row once, in an order that does not depend on when it was asked for."""
    key = [contract.time, *contract.entity]
    if contract.entity:
        last = rows.sort_values([LABELLED, AT], kind="stable")
        rows = last[~(last.duplicated(key, keep="last") & last[key].notna().all(axis=1))]
    order = [*key, *(name for name in contract.columns if name not in key), AT]
    return rows.sort_values(order, kind="stable")
