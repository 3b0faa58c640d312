"""What is known of each entity before a row: lags and rolling figures, and never anything later.

A row at some time sees the rows of its entity at strictly earlier times. Of a feature it sees the value of
each of them; of the target only those of periods whose labels were known when the row's period began.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa

from perenne.common import batches, periods
from perenne.common.column_values import Columns, plain, series
from perenne.common.contract import Contract
from perenne.common.names import HIDDEN

Values = Sequence[Any]  # of one row or one column, in the types of `perenne.common.column_values`
GROUP = f"{HIDDEN}group"  # a column of the store: the entities of one choice of `by`
THROUGH = b"through"


class PastRow(NamedTuple):
    """An earlier row: its time in microseconds, what orders rows of one time, its period, its values."""

    time: int
    tie: tuple[str, ...]
    period: int
    values: tuple[Any, ...]


TIME, ORDER, PERIOD = itemgetter(0), itemgetter(0, 1), itemgetter(2)


class Window(NamedTuple):
    """One feature: a figure over the last rows, or over those of some time, of the value at a place.

    `place` is None if rows are counted. `matures`: the value is the target, which is known later.
    """

    name: str
    kind: str
    place: int | None
    rows: int | None
    span: int
    matures: bool

    def start(self, past: Sequence[PastRow], time: int, end: int) -> int:
        """The first row, of those up to `end`, that a row at some time needs."""
        if self.rows is not None:
            return max(0, end - self.rows)
        return bisect_left(past, time - self.span, 0, end, key=TIME)

    def end(self, past: Sequence[PastRow], time: int, known: int) -> int:
        """Where the rows end that a row at some time may see; `known` is the last period with labels."""
        end = len(past) if past and past[-1].time < time else bisect_left(past, time, key=TIME)
        return min(end, bisect_right(past, known, key=PERIOD)) if self.matures else end

    def value(self, past: Sequence[PastRow], time: int, known: int) -> Any:
        """The figure for a row; None if it has no value."""
        end = self.end(past, time, known)
        start = self.start(past, time, end)
        if self.place is None:
            return end - start
        if self.kind == "lag":
            return past[start].values[self.place] if end - start == self.rows else None
        some = past[start:end]
        present = [value for row in some if (value := row.values[self.place]) is not None]
        if not present and some and self.kind == "sum":
            return None
        return FIGURES[self.kind](present)


def _mean(values: Values) -> float | None:
    return math.fsum(values) / len(values) if values else None


# Sums are exact and rounded once: their order does not matter.
FIGURES: dict[str, Callable[[Values], Any]] = {
    "mean": _mean,
    "sum": math.fsum,
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "count": len,
}


class Group:
    """The earlier rows by entity, for the features that name an entity by the same columns."""

    def __init__(self, by: tuple[str, ...], contract: Contract) -> None:
        own = [(n, s) for n, s in contract.derived.items() if s.past and _by(n, contract) == by]
        self.by = by
        # Two rows of one time need an order of their own, unless `by` says all that makes them two.
        unique = bool(contract.entity) and set(contract.entity) <= set(by)
        others = [] if unique else [name for name in contract.entity if name not in by]
        used = dict.fromkeys(name for _, spec in own for name in spec.ingredients)
        self.columns = [*used, *(name for name in others if name not in used)]
        first = [] if unique else [*others, *(name for name in used if name != contract.target)]
        self.ties = [self.columns.index(name) for name in dict.fromkeys(first)]
        self.windows = [
            Window(
                name,
                spec.kind,
                self.columns.index(spec.ingredients[0]) if spec.ingredients else None,
                1 if spec.kind == "lag" and spec.rows is None else spec.rows,
                spec.span,
                contract.target in spec.ingredients,
            )
            for name, spec in own
        ]
        self.once = bool(contract.entity)
        self.entities: dict[tuple[Any, ...], list[PastRow]] = {}
        self.met_again = False

    def keys(self, columns: Columns) -> Iterator[tuple[Any, ...] | None]:
        """The entity of each row; None if a part of it is missing."""
        for key in zip(*(columns[name] for name in self.by), strict=True):
            yield None if None in key else key

    def rows(self, columns: Columns, times: Sequence[int], of: Sequence[int]) -> Iterator[PastRow]:
        """The rows as they are kept; `of` are their periods."""
        values = zip(*(columns[name] for name in self.columns), strict=True) if self.columns else None
        for time, period in zip(times, of, strict=True):
            row = next(values) if values else ()
            yield PastRow(time, tuple(repr(row[place]) for place in self.ties), period, row)

    def add(self, columns: Columns, times: Sequence[int], of: Sequence[int]) -> None:
        """Keep rows; one whose entity and time are there already is left out."""
        entities = self.entities
        for key, row in zip(self.keys(columns), self.rows(columns, times, of), strict=True):
            if key is None:
                continue
            past = entities.get(key)
            if past is None:
                entities[key] = [row]
            else:
                self.met_again = True
                self._insert(past, row)

    def ordered(self, columns: Columns, times: Sequence[int], of: Sequence[int]) -> list[PastRow]:
        """Rows of one entity in order, whoever it is; arguments as for `add`."""
        rows = self.rows(columns, times, of)
        past = [row] if (row := next(rows, None)) else []
        for later in rows:
            self._insert(past, later)
        return past

    def _insert(self, past: list[PastRow], row: PastRow) -> None:
        if past[-1].time < row.time:
            past.append(row)
            return
        place = bisect_right(past, row[:2], key=ORDER)
        if not (self.once and place and past[place - 1][:2] == row[:2]):
            past.insert(place, row)

    def prune(self, begins: int, before: int) -> None:
        """Drop what no row from a time on can need.

        Parameters
        ----------
        begins
            The first time of the newest batch: its rows are kept, so that they can be predicted again.
        before
            The last period whose labels a row of that batch may know.

        """
        for key in list(self.entities):
            past = self.entities[key]
            first = min(w.start(past, begins, w.end(past, begins, before)) for w in self.windows)
            if first == len(past):
                del self.entities[key]
            elif first:
                del past[:first]


def _by(name: str, contract: Contract) -> tuple[str, ...]:
    return contract.derived[name].by or tuple(contract.entity)


class Past:
    """The earlier rows of all entities, as far as a contract's features need them.

    Parameters
    ----------
    contract
        Names the features, the entities, the time, and how late labels arrive.

    Attributes
    ----------
    through
        The last period whose rows are in; None before the first.

    """

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        choices = dict.fromkeys(_by(name, contract) for name in contract.remembered)
        self.groups = [Group(by, contract) for by in choices]
        self.through: pd.Period | None = None
        self._kept = self._rows = 0

    @property
    def needs(self) -> list[str]:
        """The columns of rows that are added."""
        return [*dict.fromkeys(name for group in self.groups for name in (*group.by, *group.columns))]

    def add(self, columns: Columns, times: Sequence[int], of: Sequence[int]) -> None:
        """Keep rows, in any order.

        Parameters
        ----------
        columns
            The columns of `needs`, and maybe more.
        times, of
            Of each row its time in microseconds and the ordinal of its period.

        """
        self._rows += len(times)
        for group in self.groups:
            group.add(columns, times, of)

    def figures(self, columns: Columns, times: Sequence[int], of: Sequence[int]) -> Columns:
        """The features of rows, as known at the time of each.

        Parameters
        ----------
        columns
            With those that name entities.
        times, of
            As for `add`.

        """
        known = [self.known(period) for period in of]
        made: Columns = {}
        for group in self.groups:
            empty: list[PastRow] = []
            found = [empty if key is None else group.entities.get(key, empty) for key in group.keys(columns)]
            named = [key is not None for key in group.keys(columns)]
            for window in group.windows:
                value = window.value
                made[window.name] = [
                    value(past, time, last) if has else None
                    for past, time, last, has in zip(found, times, known, named, strict=True)
                ]
        return made

    def known(self, period: int) -> int:
        """The last period whose labels a row of a period may know.

        A store ends somewhere: whoever reads it later knows what a row of the next period would have known.
        """
        last = period - 1 if self.through is None else min(period - 1, self.through.ordinal)
        return last - self.contract.label_delay

    def closed(self, period: pd.Period, *, last: bool = False) -> None:
        """All rows of a period are in: drop what no later one can need, once in a while or at the `last`."""
        self.through = None
        if last or self._rows > 2 * self._kept:
            begins = periods.microseconds(periods.bounds(period, self.contract.zone)[0])
            for group in self.groups:
                group.prune(begins, self.known(period.ordinal))
            self._kept = self._rows = sum(len(p) for group in self.groups for p in group.entities.values())

    def table(self, through: pd.Period) -> pa.Table:
        """All rows that are kept, as a store; equal rows give equal bytes."""
        contract, names = self.contract, self.needs
        schema = batches.schema(contract, [contract.time, *(n for n in names if n != contract.time)])
        parts = [pa.table({GROUP: pa.array([], pa.int64())} | {f.name: pa.array([], f.type) for f in schema})]
        for number, group in enumerate(self.groups):
            kept = sorted(
                ((row, key) for key, past in group.entities.items() for row in past),
                key=lambda one: (one[0].time, repr(one[1]), one[0].tie),
            )
            columns: Columns = {contract.time: [row.time for row, _ in kept]}
            columns |= {n: [key[i] for _, key in kept] for i, n in enumerate(group.by)}
            columns |= {n: [row.values[i] for row, _ in kept] for i, n in enumerate(group.columns)}
            frame = pd.DataFrame(
                {
                    n: series(columns.get(n, [None] * len(kept)), contract.columns[n].type)
                    for n in schema.names
                }
            )
            table = batches.to_table(frame, schema)
            parts.append(table.add_column(0, GROUP, pa.array([number] * len(kept), pa.int64())))
        return pa.concat_tables(parts).replace_schema_metadata({THROUGH: str(through).encode()})


def stored(table: pa.Table, contract: Contract) -> Past:
    """The past in a store that `Past.table` made with the same contract."""
    past = Past(contract)
    through = (table.schema.metadata or {}).get(THROUGH, b"").decode()
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    for number, group in enumerate(past.groups):
        rows = frame[frame[GROUP] == number]
        columns = {n: plain(rows[n], contract.columns[n].type) for n in (*group.by, *group.columns)}
        group.add(columns, *moments(rows, contract))
    past.through = periods.exact(through, contract.period, "the store") if through else None
    return past


def moments(rows: pd.DataFrame, contract: Contract) -> tuple[list[int], list[int]]:
    """Of each row its time in microseconds and the ordinal of its period."""
    times = rows[contract.time]
    of = periods.of(times, contract.period, contract.zone).astype("int64")
    return plain(times, "datetime"), of.tolist()
