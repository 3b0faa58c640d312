"""One's own data: CSV (also gzipped) or Parquet files under `data/incoming/CASE/`, one batch a period.

`dvc add`, `dvc import-url` and `dvc import-db` put files there. They are read in pieces and spooled by
period, so that neither a large file nor a long history has to fit into memory. A batch is the same, to
the byte, however its rows are ordered and whichever files they are in.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from io import BufferedIOBase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal
from zlib import error as ZlibError  # noqa: N812 -- its only name is in lower case

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from perenne.cases.source import Batch, Source
from perenne.common import periods
from perenne.common.contract import Contract
from perenne.common.errors import PerenneError, hint
from perenne.common.names import HIDDEN, INCOMING

PIECE = 16 * 2**20  # bytes of CSV, or rows of Parquet times 256, read at a time
# What stands for a missing value in CSV, which has no other way to say so; not where a contract lists it.
MISSING = ["NA", "N/A", "NaN", "nan", "NULL", "null", "None"]
MAGIC = {b"PAR1": ".parquet", b"\x1f\x8b": ".csv.gz"}  # what files of these kinds begin with
FILE, ROW = f"{HIDDEN}file", f"{HIDDEN}row"  # columns of the spool only: where a row is from
NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}  # a missing id makes no float of it


class Files(Source):
    """One's own files: those under `data/incoming/CASE/` that match `glob`."""

    delivered: ClassVar[bool] = True

    source: Literal["files"]
    glob: str

    def batches(self, contract: Contract) -> Iterator[Batch]:
        """Yield the rows of each period up to `through`.

        Yields
        ------
        Batch
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
            pieces = _spool(paths, contract, through, Path(spool))
            if not pieces:
                raise PerenneError(
                    f"{self.incoming}/{self.glob}: no row in or before {through} (ingest.through)"
                )
            for period in sorted(pieces):
                rows = _joined(pieces[period], contract).to_pandas(types_mapper=NULLABLE.get)
                origin = [rows.pop(FILE).map(dict(enumerate(map(str, paths)))), rows.pop(ROW)]
                yield period, rows.set_index(pd.MultiIndex.from_arrays(origin))


def _spool(
    paths: list[Path], contract: Contract, through: pd.Period, folder: Path
) -> dict[pd.Period, list[Path]]:
    pieces: dict[pd.Period, list[Path]] = defaultdict(list)
    calendar = Calendar(contract, paths)
    clocks = Clocks(contract)
    for number, path in enumerate(paths):
        first = 1  # data rows are counted from 1, the header is not one
        beside = calendar.begins(path)
        for piece in _read(path, contract):
            clocks.check(piece, path, first)
            by_row = calendar.periods(piece[contract.time], beside, f"{path}: row {first}")
            beside = by_row.iloc[-1]
            piece = clocks.plain(piece)
            places: dict[Any, Any] = pd.Series(range(len(piece))).groupby(by_row).indices
            for period in (p for p in places if p <= through):
                file = folder / f"{periods.stem(period)}.{len(pieces[period])}.parquet"
                rows = pa.array(places[period], pa.int64())
                origin = {FILE: pa.array([number] * len(rows)), ROW: pc.add(rows, first)}
                pq.write_table(_beside(piece.take(rows), origin), file)
                pieces[period].append(file)
            first += len(piece)
    return pieces


def _joined(files: list[Path], contract: Contract) -> pa.Table:
    """The pieces of a period in one order. Columns whose types differ from file to file meet as text."""
    tables = [pq.read_table(file, partitioning=None) for file in files]
    for name in contract.columns:
        kinds = {t.schema.field(name).type for t in tables} - {pa.null()}
        if len(kinds) > 1:
            tables = [_with(t, name, t[name].cast(pa.string())) for t in tables]
    key = [contract.time, *contract.entity]
    order = [*key, *(name for name in contract.columns if name not in key)]
    whole = pa.concat_tables(tables, promote_options="default")
    numbers = {name: str(n) for n, name in enumerate(whole.column_names)}  # a name with a dot is a path there
    by_number = whole.rename_columns(numbers).sort_by([(numbers[name], "ascending") for name in order])
    return by_number.rename_columns(whole.column_names)


def _matching(folder: Path, glob: str) -> list[Path]:
    shared = [
        p for p in sorted(INCOMING.glob("*")) if p.name.lower().endswith(tuple(READERS)) and p.is_file()
    ]
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
        for path in files:
            own: Counter[pd.Period] = Counter()
            for piece in _read(path, contract, [contract.time]):
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
                f"{name}: {self.contract.time} {problem}, nor is any after it; write it like 2021-09-30"
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
        self.columns = [name for name, column in contract.columns.items() if column.type == "datetime"]
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
                piece = _with(piece, name, pc.local_timestamp(piece[name]))
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


@cache
def _say(line: str) -> None:
    """Print a warning, once."""
    print(f"warning: {line}", file=sys.stderr)


def _read(path: Path, contract: Contract, only: list[str] | None = None) -> Iterator[pa.Table]:
    """The contract's columns of a file or some of them, in pieces; whatever is wrong with it names it."""
    columns = list(contract.columns)
    kind = "".join(path.suffixes[-2:]).lower()
    reader = next((r for end, r in READERS.items() if kind.endswith(end)), None)
    if reader is None:
        raise PerenneError(f"{path}: not a file this reads; use {', '.join(READERS)}")
    with path.open("rb") as file:
        begins = file.read(4)
    content = next((end for magic, end in MAGIC.items() if begins.startswith(magic)), None)
    if content and not kind.endswith(content):
        raise PerenneError(f"{path}: holds {content} by its first bytes; give it that ending")
    for piece in reader(path, columns, only or columns):
        for name in piece.column_names:
            known = set(contract.columns[name].categories)
            missing = ["", *sorted(set(MISSING) - known)] if reader is _csv else [""]
            plain = _plain(piece[name], f"{path}: column {name!r}")
            piece = _with(piece, name, _present(plain, missing))
        yield piece


def _csv(path: Path, columns: list[str], only: list[str]) -> Iterator[pa.Table]:
    """Every value as text: what does not fit the contract is `validate`'s to say, row by row."""
    convert = pcsv.ConvertOptions(column_types=dict.fromkeys(only, pa.string()), include_columns=only)
    read, parse = pcsv.ReadOptions(block_size=PIECE), pcsv.ParseOptions(newlines_in_values=True)
    try:
        with _open(path) as file:
            _check(path, next(csv.reader(_decoded(file, path)), []), columns)
            if not any(line.strip() for line in file):
                return  # a header alone: a period without rows
        with pa.input_stream(str(path), compression="gzip" if _gzipped(path) else None) as file:
            for batch in pcsv.open_csv(file, read, parse, convert):
                yield pa.Table.from_batches([batch])
    except csv.Error as error:
        raise PerenneError(f"{path}: its first line cannot be read: {error}; end lines with \\n") from error
    except (pa.ArrowException, OSError, EOFError, ZlibError) as error:
        raise PerenneError(f"{path}: {_fault(path) or _one_line(error)}") from error


def _parquet(path: Path, columns: list[str], only: list[str]) -> Iterator[pa.Table]:
    try:
        with pq.ParquetFile(path) as file:
            _check(path, file.schema_arrow.names, columns)
            for batch in file.iter_batches(batch_size=max(1, PIECE // 256), columns=only):
                yield pa.Table.from_batches([batch]).select(only)
    except (pa.ArrowException, OSError) as error:
        raise PerenneError(
            f"{path}: not a readable Parquet file (truncated, or another format?): {_one_line(error)}"
        ) from error


READERS = {".csv": _csv, ".csv.gz": _csv, ".parquet": _parquet}


def _check(path: Path, header: list[str], columns: list[str]) -> None:
    if not header:
        raise PerenneError(f"{path}: is empty; must hold at least the columns {', '.join(columns)}")
    for name in columns:
        if name not in header:
            commas = "; values are separated by commas" if len(header) == 1 else ""
            raise PerenneError(f"{path}: no column {name!r}; {hint(name, header)}{commas}")
        if header.count(name) > 1:
            raise PerenneError(f"{path}: {header.count(name)} columns have the name {name!r}; keep one")


def _plain(values: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Values as one of the few types that batches are made of: integer, number, boolean, time, text.

    A decimal is text until the contract says what it is: as a float, two long identifiers could be one.
    """
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    plain = pa.string()
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        plain = pa.int64()
    elif pa.types.is_floating(kind):
        plain = pa.float64()
    elif pa.types.is_boolean(kind) or pa.types.is_null(kind):
        plain = kind
    elif pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        plain = pa.timestamp("us", getattr(kind, "tz", None))
    if pa.types.is_duration(kind):  # of which unit a number would be, nobody could see
        raise PerenneError(f"{name}: is {values.type}; use a number, a boolean, a time or text")
    options = pc.CastOptions(plain, allow_time_truncate=True, allow_float_truncate=True)
    try:
        given = values.cast(kind).cast(options=options)
        given.validate(full=True)
    except pa.ArrowException as error:
        raise PerenneError(
            f"{name}: is {values.type}; use a number, a boolean, a time or text: {_one_line(error)[:200]}"
        ) from error
    return pc.replace_substring_regex(given, r"\.0+$", "") if pa.types.is_decimal(kind) else given


def _present(values: pa.ChunkedArray, missing: list[str]) -> pa.ChunkedArray:
    """The values with null for each text that stands for a missing one, blanks around it or not."""
    if not pa.types.is_string(values.type):
        return values
    absent = pc.is_in(pc.utf8_trim_whitespace(values), value_set=pa.array(missing))
    return pc.if_else(absent, pa.scalar(None, pa.string()), values)


def _beside(table: pa.Table, more: dict[str, pa.Array]) -> pa.Table:
    for name, values in more.items():
        table = table.append_column(name, values)
    return table


def _with(table: pa.Table, name: str, values: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def _gzipped(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _open(path: Path) -> BufferedIOBase:
    return gzip.open(path) if _gzipped(path) else path.open("rb")


def _fault(path: Path) -> str | None:
    """What is wrong with the first line of a CSV that has too many or too few fields; None: no such line."""
    try:
        with _open(path) as file:
            rows = csv.reader(_decoded(file, path), strict=True)
            header, begins = next(rows), rows.line_num + 1
            for row in rows:
                if row and len(row) != len(header):
                    return (
                        f"line {begins}: {len(row)} fields, must be {len(header)} ({', '.join(header)}), "
                        f"found {','.join(row)[:80]!r}; a value with a comma needs quotes"
                    )
                begins = rows.line_num + 1
    except csv.Error as error:
        return f"line {begins}: {error}; is a quote not closed?"
    except (OSError, EOFError, ZlibError, StopIteration):
        pass  # what Arrow said will do
    return None


def _decoded(lines: Iterable[bytes], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise PerenneError(
                f"{path}: line {number}: not UTF-8: byte {line[error.start]:#x} in {line[:80]!r}; "
                "save it as UTF-8"
            ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
