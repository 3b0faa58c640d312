"""Whether a batch keeps its contract, seen at a glance: in the columns of its file, without a frame.

A batch that does goes on as it is. For any other, `validate` says in detail what is wrong, if anything is.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from perenne.common import batches, periods
from perenne.common.column import Column, spelling
from perenne.common.contract import Contract

Edges = tuple[float, float]
MISSING = -(2**63)  # as a time; a frame takes it for no time at all


class QuickCheck:
    """The rules of a contract for whole columns.

    Parameters
    ----------
    contract
        What the rows must be.

    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self._like = batches.schema(contract, list(contract.raw))
        self._edges = {name: edges(column, contract.zone) for name, column in contract.raw.items()}
        self._allowed = {name: frozenset(_allowed(column)) for name, column in contract.raw.items()}
        self._key = [*contract.entity, contract.time] if contract.entity else []

    def keeps(self, table: pa.Table, period: pd.Period, *, matured: bool) -> bool:
        """Whether no row of a batch breaks a rule and no value of it is written otherwise than in `clean`.

        Parameters
        ----------
        table
            The batch as it was read.
        period, matured
            As for `validate`.

        Returns
        -------
        bool
            False also where the quick look cannot tell.

        """
        if not self.reads(table):
            return False
        first, last = map(periods.microseconds, periods.bounds(period, self.contract.zone))
        for name, column in self.contract.raw.items():
            values, limits = table[name], self._edges[name]
            if values.null_count and not (column.missing or (name == self.contract.target and not matured)):
                return False
            if name == self.contract.time:
                limits = [*limits, (first, last)]
            elif column.type == "datetime" and "version" not in column.role:
                limits = [*limits, (-float("inf"), last)]
            if not (within(values, limits) and listed(values, self._allowed[name])):
                return False
        return self.all_differ(table)

    def reads(self, table: pa.Table) -> bool:
        """Whether a batch has the contract's columns and types, and `batches.typed` changes no value."""
        return reads_as(table, self._like)

    def all_differ(self, table: pa.Table) -> bool:
        """Whether no two rows have the same entity and time."""
        keys = {str(place): _comparable(table[name]) for place, name in enumerate(self._key)}
        if not keys:
            return True
        different = pa.table(keys).group_by(list(keys), use_threads=False).aggregate([])
        return bool(different.num_rows == len(table))


def _comparable(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values of a key: -0.0 is 0.0, which groups of Arrow take for another."""
    return pc.add(values, 0.0) if pa.types.is_floating(values.type) else values


def reads_as(table: pa.Table, like: pa.Schema) -> bool:
    """Whether rows have these columns and types, and `batches.typed` changes no value of them."""
    return bool(table.schema.equals(like, check_metadata=True)) and all(map(_typed, table.columns))


def edges(column: Column, zone: str | None) -> list[Edges]:
    """The range of a column, times in microseconds; none if it has none."""
    limits = [column.limits] if column.limits else []
    if moments := column.moments(zone):
        first, last = map(periods.microseconds, moments)
        limits.append((first, last))
    return limits


def _allowed(column: Column) -> tuple[str | int, ...]:
    """The values that a column may have; none if it may have any of its type."""
    if column.type == "boolean" or not column.values:
        return ()
    return column.categories if column.type == "category" else column.values


def within(values: pa.ChunkedArray, limits: list[Edges]) -> bool:
    """Whether all known values are between all edges."""
    if not limits:
        return True
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    low, high = (edge.as_py() for edge in pc.min_max(values).values())
    return low is None or all(first <= low and high <= last for first, last in limits)


def listed(values: pa.ChunkedArray, allowed: frozenset[str | int]) -> bool:
    """Whether all known values are allowed."""
    return not allowed or allowed.issuperset(_known(values))


def _typed(values: pa.ChunkedArray) -> bool:
    """Whether all known numbers are finite, all times are some, and texts in their one spelling."""
    if pa.types.is_floating(values.type):
        return pc.all(pc.is_finite(values)).as_py() is not False
    if pa.types.is_timestamp(values.type):
        return within(values, [(MISSING + 1, float("inf"))])
    texts = _known(values) if pa.types.is_string(values.type) else ()
    return all(text and spelling(text) == text for text in texts)


def _known(values: pa.ChunkedArray) -> list[Any]:
    different: list[Any] = pc.unique(values).drop_null().to_pylist()
    return different
