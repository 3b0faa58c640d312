"""Ingest: read the batches of the source up to `ingest.through`, and write one Parquet file per period."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa
from tqdm import tqdm

from perenne.cases.source import Batch, Source, TableSource, source_of
from perenne.common import batches, disk, params, periods, versions
from perenne.common.contract import Contract, read_contract
from perenne.common.errors import PerenneError, hint
from perenne.common.names import RAW
from perenne.pipeline.quick_check import QuickCheck


def ingest(source: Source, contract: Contract) -> Iterator[Batch]:
    """Yield the batches of a source, oldest first, with the contract's columns, sorted by time and entity.

    Rows are sorted so that a batch has the same bytes if its rows arrive in another order or in other files.

    Parameters
    ----------
    source
        Where the rows come from, and the last period to read.
    contract
        What the rows are.

    Yields
    ------
    A period and its rows, with the values as the source has them.

    Raises
    ------
    PerenneError
        If the source cannot be read, a batch lacks a column, two rows contradict each other, or there is no
        batch.

    """
    periods.parse(source.through, contract.period, "params.yaml: ingest.through")
    period = None
    for period, frame in source.batches(contract):
        missing = [name for name in contract.raw if name not in frame]
        if missing:
            raise PerenneError(
                f"{source.source}, {period}: no column {missing[0]!r}; {hint(missing[0], frame.columns)}"
            )
        yield period, _sorted(frame, contract, f"{source.source}, {period}")
    if period is None:
        raise PerenneError(
            f"params.yaml: ingest.through: {source.through!r} lies before the first batch of {source.source}"
        )


def tables(source: Source, contract: Contract) -> Iterator[tuple[pd.Period, pa.Table]]:
    """Yield the batches of a source as they are stored; parameters and errors are those of `ingest`.

    What arrives as a table in the contract's types is stored as it is, without a frame in between.

    Yields
    ------
    A period, and its rows as `table` has them.

    """
    if not isinstance(source, TableSource):
        yield from ((period, table(frame, contract)) for period, frame in ingest(source, contract))
        return
    quick = QuickCheck(contract)
    for batch in source.tables(contract):
        rows = batch.table.select(list(contract.raw))
        # With a zone, times without an offset are yet to be read by its clocks.
        if contract.zone is None and quick.reads(rows) and quick.all_differ(rows):
            yield batch.period, rows.combine_chunks()
        else:
            name = f"{source.source}, {batch.period}"
            yield batch.period, table(_sorted(batch.frame(), contract, name), contract)


def _sorted(frame: pd.DataFrame, contract: Contract, name: str) -> pd.DataFrame:
    rows = frame[list(contract.raw)].sort_values([contract.time, *contract.entity], kind="stable")
    _must_agree(rows, contract, name)
    return rows.reset_index(drop=True)


def _must_agree(rows: pd.DataFrame, contract: Contract, name: str) -> None:
    """Check that rows of one entity and time do not differ, unless a version says which of them counts."""
    key = [*contract.entity, contract.time]
    if not contract.entity:
        return
    twice = _typed(rows, contract, key).duplicated(keep=False).to_numpy()
    if not twice.any():
        return
    same, places = rows[twice].reset_index(drop=True), rows.index[twice]
    typed = _typed(same, contract, list(contract.raw))
    why = versions.repeats(typed[~versions.outdated(typed, contract)], contract)
    against = typed.loc[why.index[why == versions.CONTRADICTION]]
    if against.empty:
        return
    column, pair = _difference(against[against[key].eq(against.iloc[0][key]).all(axis=1)], contract)
    first, second = sorted(pair, key=lambda row: places[row])
    both = ", ".join(f"{n} {typed.loc[first, n]!s}" for n in key)
    raise PerenneError(
        f"{_place(places[first], name)} and {_place(places[second], name)} contradict each other: both are "
        f"{both}, but {column} is {same.loc[first, column]!r} and {same.loc[second, column]!r}; keep one, or "
        "give the contract a column with the role version: the latest counts"
    )


def _difference(rows: pd.DataFrame, contract: Contract) -> tuple[str, list[int]]:
    """A column and two rows that differ in it. A missing label is not a difference."""
    columns = {n: rows[n].dropna() if n == contract.target else rows[n] for n in contract.raw}
    distinct = {name: values.drop_duplicates().index for name, values in columns.items()}
    return next((name, list(index[:2])) for name, index in distinct.items() if len(index) > 1)


def _typed(rows: pd.DataFrame, contract: Contract, names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: batches.typed(rows[name], contract.raw[name], contract.zone) for name in names}
    )


def _place(row: tuple[str, int] | int, name: str) -> str:
    """Where a row is from: its file, if its source says so, and its number."""
    return f"{row[0]}: row {row[1]}" if isinstance(row, tuple) else f"{name}: row {row}"


def table(frame: pd.DataFrame, contract: Contract) -> pa.Table:
    """Convert a batch to the contract's types; a column with a value of another type is not converted.

    The stage `validate` reports which value that is.

    Parameters
    ----------
    frame
        Rows with at least the contract's columns.
    contract
        What the rows are.

    Returns
    -------
    The contract's columns, in its order.

    """
    read = _typed(frame, contract, list(contract.raw))
    other = [name for name in contract.raw if frame[name][read[name].isna().to_numpy()].notna().any()]
    fitting = [name for name in contract.raw if name not in other]
    converted = batches.to_table(read[fitting], batches.schema(contract, fitting))
    columns = {name: converted[name] for name in fitting}
    columns |= {name: batches.to_table(frame[[name]])[name] for name in other}
    return pa.table({name: columns[name] for name in contract.raw})


def main() -> None:
    """Write `data/raw/`, whole or not at all."""
    p = params.load("ingest")
    contract, source = read_contract(p.case), source_of(p.ingest, p.case)
    with disk.replacing(RAW) as folder:
        for period, rows in tqdm(tables(source, contract), desc="ingest", unit="batch", disable=None):
            batches.write_parquet(folder / f"{periods.stem(period)}.parquet", rows)
