"""One's own data: the files under `data/incoming/CASE/`, of any kind that is read, one batch a period.

`dvc add`, `dvc import-url` and `dvc import-db` put files there. They are read in pieces and spooled by
period, so that neither a large file nor a long history has to fit into memory. A batch is the same, to
the byte, however its rows are ordered and whichever files they are in.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from perenne.cases.reading import KINDS, pieces, unlike
from perenne.cases.reading.canonical import canonical
from perenne.cases.reading.order import Order, joined
from perenne.cases.reading.plain import extended, replaced
from perenne.cases.source import FILE, ROW, TableBatch, TableSource
from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError, hint
from perenne.common.names import INCOMING

DATA = tuple(ending for ending in KINDS if ending != ".txt")  # a .txt may also be a note on the data


class Files(TableSource):
    """One's own files: those under `data/incoming/CASE/` that match `glob`."""

    delivered: ClassVar[bool] = True

    source: Literal["files"]
    glob: str

    def tables(self, contract: Contract) -> Iterator[TableBatch]:
        """Yield the rows of each period up to `through`.

        Yields
        ------
        TableBatch
            The period and its rows, with the contract's columns. The values of CSV files are text.

        Raises
        ------
        PerenneError
            If `through` is not a period of the contract, no file matches, a file cannot be read or lacks a
            column, no time in a file can be read, times have several offsets and the contract names no zone,
            or no row is in or before `through`.

        """
        through = periods.parse(self.through, contract.period, "params.yaml: ingest.through")
        with TemporaryDirectory(prefix="perenne-") as spool:
            paths = _matching(self.incoming, self.glob)
            _say_new(paths, contract)
            spooled = _spool(paths, contract, through, Path(spool))
            if not spooled:
                raise PerenneError(
                    f"{self.incoming}/{self.glob}: no row in or before {through} (ingest.through)"
                )
            for period in sorted(spooled):
                yield TableBatch(period, _joined(spooled[period], contract), tuple(map(str, paths)))


def _spool(
    paths: list[Path], contract: Contract, through: pd.Period, folder: Path
) -> dict[pd.Period, list[Path]]:
    spooled: dict[pd.Period, list[Path]] = defaultdict(list)
    calendar = Calendar(contract, paths)
    clocks = Clocks(contract)
    order = _order(contract)
    for number, path in enumerate(paths):
        first = 1  # data rows are counted from 1, the header is not one
        beside = calendar.begins(path)
        for piece in _read(path, contract, order):
            clocks.check(piece, path, first)
            by_row = calendar.periods(piece[contract.time], beside, f"{path}: row {first}")
            beside = by_row.iloc[-1]
            piece = clocks.plain(piece)
            places: dict[Any, Any] = pd.Series(range(len(piece))).groupby(by_row).indices
            for period in (p for p in places if p <= through):
                file = folder / f"{periods.stem(period)}.{len(spooled[period])}.parquet"
                rows = pa.array(places[period], pa.int64())
                origin = {FILE: pa.array([number] * len(rows)), ROW: pc.add(rows, first)}
                pq.write_table(extended(piece.take(rows), origin), file)
                spooled[period].append(file)
            first += len(piece)
    return spooled


def _joined(files: list[Path], contract: Contract) -> pa.Table:
    """The pieces of a period in one order. Columns whose types differ from file to file meet as text."""
    tables = [pq.read_table(file, partitioning=None) for file in files]
    for name in contract.raw:
        kinds = {t.schema.field(name).type for t in tables} - {pa.null()}
        if len(kinds) > 1:
            tables = [replaced(t, name, t[name].cast(pa.string())) for t in tables]
    key = [contract.time, *contract.entity]
    order = [*key, *(name for name in contract.raw if name not in key)]
    whole = pa.concat_tables(tables, promote_options="default")
    numbers = {name: str(n) for n, name in enumerate(whole.column_names)}  # a name with a dot is a path there
    by_number = whole.rename_columns(numbers).sort_by([(numbers[name], "ascending") for name in order])
    return by_number.rename_columns(whole.column_names)


def _matching(folder: Path, glob: str) -> list[Path]:
    shared = [p for p in sorted(INCOMING.glob("*")) if p.name.lower().endswith(DATA) and p.is_file()]
    if shared and folder != INCOMING:
        raise PerenneError(
            f"{shared[0]}: each case has a folder of its own; move the files of this one to {folder}/ "
            "(with dvc move, where DVC keeps them)"
        )
    try:
        # Beside what DVC keeps lie files of its own and of Git's, and folders that it does not see.
        matches = sorted(
            p for p in folder.glob(glob) if p.is_file() and p.suffix != ".dvc" and not _unseen(p, folder)
        )
    except (ValueError, NotImplementedError) as error:
        raise PerenneError(f'params.yaml: ingest.glob: {glob!r}: {error}; write it like "*.csv"') from error
    for path in matches:
        if not str(path).isprintable():
            raise PerenneError(f"{str(path)!a}: its name cannot be printed; rename it")
    if not matches:
        there = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
        raise PerenneError(
            f"params.yaml: ingest.glob: nothing matches {glob!r} in {folder}; {hint(glob, there)}"
        )
    return matches


def _unseen(path: Path, folder: Path) -> bool:
    return any(part[0] == "." or part == "__pycache__" for part in path.relative_to(folder).parts)


class Calendar:
    """The period of each row. A row whose time cannot be right goes with the row before it in its file.

    There `validate` quarantines it: a batch of its own would have no other row. Its time is missing or cannot
    be read, is outside the contract's range, or, if the contract has none, is far from all others.
    """

    def __init__(self, contract: Contract, files: list[Path]) -> None:
        """Read the times of all files."""
        self.contract = contract
        self.allowed = contract.columns[contract.time].moments(contract.zone)
        rows: Counter[pd.Period] = Counter()
        self.files: dict[Path, list[pd.Period]] = {}  # the periods of each, in order of appearance
        order = _order(contract)
        for path in files:
            own: Counter[pd.Period] = Counter()
            for piece in _read(path, contract, order, [contract.time]):
                own.update(self._of(piece[contract.time]).dropna())
            rows.update(own)
            self.files[path] = list(own)
        self.astray = set() if self.allowed else set(periods.astray(rows))
        for period in sorted(self.astray):
            path = next(path for path, found in self.files.items() if period in found)
            _say(
                f"{path}: {rows[period]} row(s) in {period}, far from all others: they are quarantined as "
                f"outside their period; a range of {contract.time} in the contract would allow them"
            )

    def begins(self, path: Path) -> pd.Period | None:
        """The period of the first row of a file whose time can be right; None without such a row."""
        return next((period for period in self.files[path] if period not in self.astray), None)

    def periods(self, given: pa.ChunkedArray, beside: pd.Period | None, name: str) -> pd.Series:
        """The periods of some rows; `beside` is that of the row before them, `name` is for errors.

        Raises
        ------
        PerenneError
            If the file has no row whose time can be right.

        """
        if beside is None:
            value = given[0].as_py()
            problem = "is missing" if value is None else f"= {value!r} is not a date that can be right"
            raise PerenneError(
                f"{name}: {self.contract.time} {problem}, nor is any after it; write it like 2021-09-30, "
                'or name its format in the contract, such as read: {dates: "%d/%m/%Y"}'
            )
        found = self._of(given)
        placed = found.mask(found.isin(self.astray)).ffill()
        return placed.where(placed.notna(), beside)

    def _of(self, given: pa.ChunkedArray) -> pd.Series:
        """The periods of some rows; missing for a time that the contract does not allow."""
        times = periods.times(given.to_pandas(), self.contract.zone)
        if self.allowed:
            times = times.where(times.between(*self.allowed))
        return periods.of(times, self.contract.period, self.contract.zone)


class Clocks:
    """What offsets of times mean. Without a zone in the contract, all times of a column have the same."""

    def __init__(self, contract: Contract) -> None:
        self.zone = contract.zone
        self.columns = [name for name, column in contract.raw.items() if column.type == "datetime"]
        self.seen: dict[str, tuple[str, str]] = {}

    def check(self, piece: pa.Table, path: Path, first: int) -> None:
        """Refuse a second offset in a column, here or in an earlier piece."""
        for name in self.columns if self.zone is None else ():
            for offset, row, value in _offsets(piece[name]):
                known, where = self.seen.setdefault(name, (offset, f"{path}: row {first + row}"))
                if offset != known:
                    raise PerenneError(
                        f"{path}: row {first + row}: {name} = {value!r} has {offset or 'no offset'}, "
                        f"but {known or 'no offset'} is in {where}; "
                        "name the clocks in the contract, such as zone: Europe/Paris"
                    )

    def plain(self, piece: pa.Table) -> pa.Table:
        """The same rows; without a zone in the contract, times are what the clock showed."""
        for name in self.columns if self.zone is None else ():
            if pa.types.is_timestamp(piece[name].type) and piece[name].type.tz:
                piece = replaced(piece, name, pc.local_timestamp(piece[name]))
        return piece


def _offsets(values: pa.ChunkedArray) -> Iterator[tuple[str, int, object]]:
    """Each offset of the times in a column, with the first row that has it, counted from 0, and its value."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        texts = pd.Series(("+00:00" if kind.tz == "UTC" else kind.tz) or "", index=range(len(values)))
    elif pa.types.is_string(kind):
        texts = periods.offsets(values.to_pandas())
    else:
        return
    given = values.to_pandas()
    for row in texts[periods.times(given).notna()].drop_duplicates().index:
        yield str(texts[row]), int(row), given[row] if pa.types.is_string(kind) else str(given[row])


def _say_new(paths: list[Path], contract: Contract) -> None:
    """Say which columns have been added to some files only: nobody sees otherwise that they are left out."""
    for path, names in unlike(paths, contract.read).items():
        new = [repr(name) for name in names if name not in contract.columns]
        if new:
            _say(f"{path}: not in all files nor in the contract, so left out: column {', '.join(new)}")


@cache
def _say(line: str) -> None:
    """Print a warning, once."""
    print(f"warning: {line}", file=sys.stderr)


def _order(contract: Contract) -> Order | None:
    """What stands for the times of rows in a pass over all files; None if they have some."""
    return Order(contract.read.batch) if contract.read.batch else None


def _read(
    path: Path, contract: Contract, order: Order | None, only: list[str] | None = None
) -> Iterator[pa.Table]:
    """The contract's columns of a file or some of them, in pieces; whatever is wrong with it names it."""
    parts = contract.read.time
    made = order is not None or parts is not None
    columns = [name for name in contract.raw if not made or name != contract.time]
    least = list(parts.named.values()) if parts else columns[:1]
    asked = [name for name in only or columns if name in columns] or least
    known = {name: column.categories for name, column in contract.raw.items()}
    if order:
        order.begin()
    for piece in pieces(path, contract.read, asked, needed=columns, known=known):
        for name in piece.column_names:
            piece = replaced(piece, name, canonical(piece[name], contract.columns[name], contract.read))
        if order:
            piece = extended(piece, {contract.time: order.days(len(piece))})
        elif parts:
            piece = extended(piece, {contract.time: joined(piece, parts)})
        yield piece
