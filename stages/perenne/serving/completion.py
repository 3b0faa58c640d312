"""The derived features of rows that are sent: by each row itself, and by the earlier rows of its entity.

Those come with the row, or else from the store of the version: the last rows of each entity that it knew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd

from perenne.common import periods
from perenne.common.column_values import Columns
from perenne.common.contract import Contract
from perenne.common.derived import HISTORY
from perenne.common.features import complete, early, needed
from perenne.common.past import Past, PastRow
from perenne.common.project_code import CodeError
from perenne.serving.rows import InputRow

EPOCH = datetime(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)


class CompletedRows(NamedTuple):
    """Rows with all their features, and of each row the time of the newest earlier row that was known.

    `newest` is empty if no feature looks back; None: no earlier row was known.
    """

    rows: Sequence[InputRow]
    newest: Sequence[str | None] = ()


class RequestFeatures:
    """Adds derived features to validated rows.

    Parameters
    ----------
    contract
        Declares them.
    past
        The store of the version; None: it has none.

    """

    def __init__(self, contract: Contract, past: Past | None = None) -> None:
        self.contract, self.past = contract, past
        self._needed = needed(contract)
        self._empty = Past(contract)

    @property
    def through(self) -> str | None:
        """The last period whose rows the store has; None without a store."""
        return str(self.past.through) if self.past and self.past.through is not None else None

    def complete(self, rows: Sequence[InputRow]) -> CompletedRows:
        """Return rows with their features; what a row has of them is left as it is.

        Parameters
        ----------
        rows
            As `PredictAdapter` returns them, maybe with earlier rows under `history`.

        Raises
        ------
        CodeError
            If code of the project fails; it has the row.

        """
        if not self.contract.derived:
            return CompletedRows(rows)
        newest: list[str | None] = []

        def look(columns: Columns) -> Columns:
            found: Columns = {name: [] for name in self.contract.remembered}
            for place, row in enumerate(rows):
                try:
                    values, last = self._looked(row, {n: [of[place]] for n, of in columns.items()})
                except CodeError as error:
                    error.row = place  # not that of the row's history
                    raise
                newest.append(self._text(last))
                for name, known in found.items():
                    known.append(_plain(row[name]) if name in row else values.get(name))
            return found

        made = complete(self._columns(rows), self.contract, look)
        derived = [(name, made[name], self.contract.columns[name].type) for name in self.contract.derived]
        completed: list[InputRow] = []
        for place, row in enumerate(rows):
            own = {name: value for name, value in row.items() if name != HISTORY}
            for name, values, kind in derived:
                if (value := values[place]) is not None:
                    own[name] = EPOCH + value * MICROSECOND if kind == "datetime" else value
            completed.append(own)
        return CompletedRows(completed, newest)

    def _columns(self, rows: Sequence[Mapping[str, object]]) -> Columns:
        return {name: [_plain(row.get(name)) for row in rows] for name in self._needed}

    def _looked(self, row: InputRow, columns: Columns) -> tuple[dict[str, Any], int | None]:
        """The features of one row that are made of earlier rows, and the time of the newest of those."""
        at: datetime = row[self.contract.time]
        time, period = (at - EPOCH) // MICROSECOND, self._period(at)
        if HISTORY not in row and (self.past is None or not self._answers(period)):
            return {}, None
        past = self._empty if HISTORY in row else self.past
        assert past  # noqa: S101 -- as above
        known = past.known(period.ordinal)
        sent = self._sent(row[HISTORY], columns) if HISTORY in row else None
        values: dict[str, Any] = {}  # of any type that a column may have
        last: int | None = None
        for number, group in enumerate(past.groups):
            key = next(group.keys(columns))
            if sent is None and key is None:
                continue
            rows = sent[number] if sent is not None else group.entities.get(key or (), [])
            for window in group.windows:
                values[window.name] = window.value(rows, time, known)
                if end := window.end(rows, time, known):
                    last = max(rows[end - 1].time, last or rows[end - 1].time)
        return values, last

    def _answers(self, period: pd.Period) -> bool:
        """Whether the store has what a row of a period needs: it has dropped what later rows do not."""
        through = self.past.through if self.past else None
        return through is not None and period >= through

    def _sent(self, history: Sequence[Mapping[str, Any]], row: Columns) -> list[list[PastRow]]:
        """The earlier rows that were sent with a row, for each group; not those that name another entity."""
        columns = early(self._columns(history), self.contract)
        times: list[int] = columns[self.contract.time]
        of = [self._period(earlier[self.contract.time]).ordinal for earlier in history]
        found = []
        for group in self._empty.groups:
            named = [(columns[name], row[name][0]) for name in group.by if row[name][0] is not None]
            mine = [n for n in range(len(of)) if all(values[n] in (None, own) for values, own in named)]
            some: Columns = {name: [columns[name][n] for n in mine] for name in self._empty.needs}
            found.append(group.ordered(some, [times[n] for n in mine], [of[n] for n in mine]))
        return found

    def _period(self, at: datetime) -> pd.Period:
        return periods.current(at, self.contract.period, self.contract.zone)

    def _text(self, time: int | None) -> str | None:
        if time is None:
            return None
        return (EPOCH + time * MICROSECOND).isoformat() + ("Z" if self.contract.zone else "")


def _plain(value: Any) -> Any:
    return (value - EPOCH) // MICROSECOND if isinstance(value, datetime) else value
