"""Which rows can be scored: those that the service would take, and that say whose they are."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
import pyarrow.compute as pc

from perenne.common import batches
from perenne.common.column import Column
from perenne.common.contract import Contract
from perenne.pipeline.quick_check import edges, listed, reads_as, within
from perenne.pipeline.validate import broken_cells
from perenne.predict.inputs import needed
from perenne.serving.rows import MAX_TEXT


def checked(raw: pd.DataFrame, contract: Contract, zone: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read rows by a contract.

    Parameters
    ----------
    raw
        The rows as they arrived, numbered from 0, with columns of the contract.
    contract
        That of the version that is to score them.
    zone
        Whose clocks times without an offset are read by; None: they are kept as they are.

    Returns
    -------
    tuple of DataFrame
        The rows in the contract's types, and the cells that break a rule, see `validate.broken_cells`. A
        category that the contract does not list breaks none: it is scored, as the service does.

    """
    columns = {name: contract.columns[name] for name in raw.columns}
    frame = pd.DataFrame({name: batches.typed(raw[name], column, zone) for name, column in columns.items()})
    must = needed(contract)
    schema = {
        name: pandera.Column(
            nullable=column.missing or name not in must, checks=_checks(column, contract.zone)
        )
        for name, column in columns.items()
    }
    return frame, broken_cells(raw, frame, pandera.DataFrameSchema(schema))


def plain(table: pa.Table, contract: Contract, zone: str | None) -> bool:
    """Whether `checked` would change no value of some rows and find no broken rule, seen at a glance.

    Parameters
    ----------
    table
        The rows as they arrived, with columns of the contract.
    contract, zone
        As for `checked`.

    Returns
    -------
    bool
        False also where the quick look cannot tell.

    """
    if not reads_as(table, batches.schema(contract, table.column_names)):
        return False
    must = needed(contract)
    for name in table.column_names:
        column, values = contract.columns[name], table[name]
        if zone and column.type == "datetime":  # it may have no offset
            return False
        if values.null_count and name in must and not column.missing:
            return False
        if column.values and column.type == "integer" and not listed(values, frozenset(column.values)):
            return False
        if not within(values, edges(column, contract.zone)):
            return False
        if pa.types.is_string(values.type) and (pc.max(pc.utf8_length(values)).as_py() or 0) > MAX_TEXT:
            return False
    return True


def _checks(column: Column, zone: str | None) -> list[pandera.Check]:
    checks = []
    if allowed := column.limits or column.moments(zone):
        checks.append(pandera.Check.in_range(*allowed, error="range"))
    if column.values and column.type == "integer":
        checks.append(pandera.Check.isin(list(column.values), error="category"))
    if column.type in ("category", "text"):
        too_long = f"longer than {MAX_TEXT} characters"
        checks.append(pandera.Check.str_length(max_value=MAX_TEXT, error=too_long))
    return checks
