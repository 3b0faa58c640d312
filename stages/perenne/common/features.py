"""Derived features, computed: the same function for batches, files and requests, so that the bits agree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from perenne.common import feature_code
from perenne.common.column_values import Columns, plain, series
from perenne.common.contract import Contract
from perenne.common.derived import DAYS, Part
from perenne.common.errors import PerenneError
from perenne.common.past import Past, moments

DAY = 86_400_000_000  # microseconds
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLACES = 12  # decimals of a logarithm: its last bits may differ between C libraries

PARTS: dict[Part, Callable[[datetime], int | str]] = {
    "hour": lambda at: at.hour,
    "weekday": lambda at: DAYS[at.weekday()],
    "day": lambda at: at.day,
    "week": lambda at: at.isocalendar().week,
    "month": lambda at: at.month,
    "quarter": lambda at: (at.month + 2) // 3,
    "year": lambda at: at.year,
}


def complete(
    columns: Columns, contract: Contract, look: Callable[[Columns], Columns], *, check: bool = False
) -> Columns:
    """Return rows with all derived features; one that is among the columns already is left as it is.

    Parameters
    ----------
    columns
        The delivered columns that the features are made of.
    contract
        Declares the features.
    look
        Returns the features that are made of earlier rows, for rows with these columns.
    check
        Also check that code of the project gives each row the same value whatever rows are beside it.

    """
    made = early(columns, contract, check=check)
    if contract.remembered:
        made = look(made) | made
    for name in contract.derived:
        if name not in made:
            made[name] = _local(name, made, contract, check=check)
    return made


def early(columns: Columns, contract: Contract, *, check: bool = False) -> Columns:
    """Return rows with the features that no earlier row is needed for; arguments as for `complete`."""
    made = dict(columns)
    late: set[str] = set(contract.remembered)
    for name, spec in contract.derived.items():
        if spec.past or late & set(spec.ingredients):
            late.add(name)
        elif name not in made:
            made[name] = _local(name, made, contract, check=check)
    return made


def _local(name: str, columns: Columns, contract: Contract, *, check: bool) -> list[Any]:
    """A feature of the row itself."""
    spec = contract.derived[name]
    if spec.code:
        return feature_code.made(name, columns, contract, check=check)
    first, *rest = (columns[each] for each in spec.ingredients)
    if spec.part:
        return _parts(first, spec.part, contract.zone)
    if spec.kind == "difference":
        unit = DAY if contract.columns[spec.ingredients[0]].type == "datetime" else 1
        return [_difference(a, b, unit) for a, b in zip(first, rest[0], strict=True)]
    if spec.kind == "ratio":
        return [_ratio(a, b) for a, b in zip(first, rest[0], strict=True)]
    return [_log(a, shift=spec.kind == "log1p") for a in first]


def _parts(times: Sequence[int | None], part: Part, zone: str | None) -> list[Any]:
    """A part of each time, by the contract's clocks."""
    clocks, read = ZoneInfo(zone) if zone else UTC, PARTS[part]
    known = {
        time: read((EPOCH + timedelta(microseconds=time)).astimezone(clocks))
        for time in {time for time in times if time is not None}
    }
    return [None if time is None else known[time] for time in times]


def _ratio(a: float | None, b: float | None) -> float | None:
    """A share; of nothing it is missing."""
    if a is None or b is None or b == 0:
        return None
    return _finite(a / b)


def _difference(a: float | None, b: float | None, unit: int) -> float | None:
    return None if a is None or b is None else _finite((a - b) / unit)


def _log(a: float | None, *, shift: bool) -> float | None:
    """The natural logarithm, of 1 + a if shifted; missing where there is none."""
    if a is None or a <= (-1 if shift else 0):
        return None
    return round(math.log1p(a) if shift else math.log(a), PLACES)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def needed(contract: Contract) -> list[str]:
    """The delivered columns that features are made of, and what says whose and of when a row is."""
    used = {name for spec in contract.derived.values() for name in (*spec.ingredients, *(spec.by or ()))}
    if any(spec.code and not spec.of for spec in contract.derived.values()):
        used.update(feature_code.seen(contract))
    if contract.remembered:
        used |= {contract.time, *contract.entity}
    return [name for name in contract.raw if name in used]


def columns_of(rows: pd.DataFrame, contract: Contract) -> Columns:
    """The columns of a typed frame that features are made of; what a frame lacks is missing."""
    gone: list[Any] = [None] * len(rows)
    return {
        name: plain(rows[name], contract.columns[name].type) if name in rows else gone
        for name in needed(contract)
    }


def with_features(
    rows: pd.DataFrame, contract: Contract, look: Callable[[Columns], Columns], *, check: bool = False
) -> pd.DataFrame:
    """Return a typed frame with all derived features, each in the type of its column.

    Parameters
    ----------
    rows
        With the delivered columns. A feature of earlier rows that it has is left as it is.
    contract, look, check
        As for `complete`.

    """
    if not contract.derived:
        return rows
    given = [name for name in contract.remembered if name in rows]
    columns = columns_of(rows, contract)
    columns |= {name: plain(rows[name], contract.columns[name].type) for name in given}
    made = complete(columns, contract, look, check=check)
    return rows.assign(
        **{
            name: series(made[name], contract.columns[name].type, rows.index)
            for name in contract.derived
            if name not in given
        }
    )


class BatchFeatures:
    """The features of batches, one batch after the other, oldest first.

    Parameters
    ----------
    contract
        Declares them.

    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        self.past = Past(contract)
        self._last: pd.Period | None = None
        self._batches = 0

    def add(self, rows: pd.DataFrame, period: pd.Period) -> pd.DataFrame:
        """Return the rows of a batch with all features; they depend on no later batch.

        Parameters
        ----------
        rows
            All rows of the period that count, in the contract's types.
        period
            Later than those before.

        Raises
        ------
        PerenneError
            If code of the project fails, or returns what it must not.

        """
        if not self.contract.derived:
            return rows
        times, of = moments(rows, self.contract) if self.contract.remembered else ([], [])

        def look(columns: Columns) -> Columns:
            # All at once: a row sees those of strictly earlier times, in whatever order they are in.
            self.past.add(columns, times, of)
            return self.past.figures(columns, times, of)

        made = with_features(rows, self.contract, look, check=True)
        if self.contract.remembered:
            self.past.closed(period)
        self._last, self._batches = period, self._batches + 1
        return made

    def store(self) -> pa.Table:
        """The last rows of each entity, for who predicts later rows; without columns if none is needed.

        Raises
        ------
        PerenneError
            If no entity has a second row in several batches, so that no feature has a value.

        """
        if not self.contract.remembered or self._last is None:
            return pa.table({})
        for group in self.past.groups:
            if self._batches > 1 and not group.met_again:
                windows = group.windows[0].name
                raise PerenneError(
                    f"contract.yaml: derived.{windows}: no row has an earlier one of the same "
                    f"{' and '.join(group.by)}; name what rows have in common, as in by: [customer]"
                )
        self.past.closed(self._last, last=True)
        return self.past.table(self._last)
