"""Batches: one Parquet file per period.

Also how a value is read as a type of the contract: in the same way wherever it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from perenne.common import periods
from perenne.common.column import Column, spelling
from perenne.common.contract import Contract
from perenne.common.disk import replacing
from perenne.common.errors import PerenneError

ARROW = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "datetime": pa.timestamp("us"),
    "text": pa.string(),
}

EXACT = 2**53  # a float holds every integer below it
TRUE, FALSE = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")
BOOLEANS = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)


def typed(values: pd.Series, column: Column, zone: str | None = None) -> pd.Series:
    """The values in the contract's type, shape (n,); a value that cannot be read so becomes missing.

    Parameters
    ----------
    values
        Of any dtype, shape (n,).
    column
        Names the type.
    zone
        How times are read: see `periods.times`.

    Returns
    -------
    Series
        With the same index: Int64, float64 (infinite values are missing), boolean, datetime64[us] without a
        zone; strings for a category or a text, in the spelling of `contract.spelling`.

    Examples
    --------
    >>> typed(pd.Series([" 12", "3.0", "3.5", "1,5"]), Column(type="integer", role="ignored")).tolist()
    [12, 3, <NA>, <NA>]

    """
    if pd.api.types.is_datetime64_any_dtype(values) and column.type in ("integer", "number", "boolean"):
        values = pd.Series(None, index=values.index, dtype="float64")  # pandas would count since 1970
    match column.type:
        case "integer":
            return _integers(values)
        case "number":
            numbers = _numbers(values)
            return numbers.where(numbers.abs() < math.inf)
        case "boolean":
            if pd.api.types.is_bool_dtype(values):
                return values.astype("boolean")
            return _booleans(values, column)
        case "datetime":
            return periods.times(values, zone)
        case _:
            return _texts(values)


def _numbers(values: pd.Series) -> pd.Series:
    """Floats: of digits the nearest one, as a request's are, where pandas may take the one beside it."""
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    if pd.api.types.is_numeric_dtype(values):
        return numbers
    known = numbers.notna().to_numpy()
    texts, exact = values[known], numbers.to_numpy(copy=True)
    try:
        exact[known] = pa.array(texts, pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # not only texts, or with blanks around: one by one
        pairs = zip(texts.tolist(), exact[known].tolist(), strict=True)
        exact[known] = [_nearest(text, near) for text, near in pairs]
    return pd.Series(exact, index=values.index, name=values.name)


def _nearest(value: object, near: float) -> float:
    try:
        return float(value) if isinstance(value, str) else near
    except ValueError:
        return near


def _booleans(values: pd.Series, column: Column) -> pd.Series:
    """The truth of words: the column's own, or those that anybody writes."""
    if column.words is None:
        return values.astype("str").str.strip().str.lower().map(BOOLEANS).astype("boolean")
    return _texts(values).str.casefold().map(column.words).astype("boolean")


def _texts(values: pd.Series) -> pd.Series:
    """Texts in their one spelling; a number is spelled as its digits are, whatever type its file has."""
    text = values.astype("str")
    if pd.api.types.is_float_dtype(values):
        large = values.abs().between(EXACT, math.inf, inclusive="left")
        text = text.mask(large, values[large].map(lambda number: str(int(number))))
    spelled = {value: spelling(value) or None for value in text.dropna().unique()}
    return text.map(spelled).astype("str") if any(k != v for k, v in spelled.items()) else text


def _integers(values: pd.Series) -> pd.Series:
    """Integers, exact beyond 2**53 too, where floats are not: identifiers may be that large."""
    numbers = pd.to_numeric(values, errors="coerce", dtype_backend="numpy_nullable")
    if not pd.api.types.is_float_dtype(numbers) and numbers.dtype != "UInt64":
        return numbers.astype("Int64")
    size = numbers.abs().fillna(0)
    whole = numbers.where((size < EXACT) & (numbers % 1 == 0)).astype("Int64")
    large = values[(size >= EXACT).astype(bool)]
    return whole.fillna(pd.Series([_exact(value) for value in large], index=large.index, dtype="Int64"))


def _exact(value: object) -> int | None:
    """An integer of 64 bits from its digits; None if a float has rounded it."""
    try:
        number = None if isinstance(value, float) else int(str(value))
    except ValueError:
        return None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def schema(contract: Contract, names: list[str] | None = None) -> pa.Schema:
    """The Arrow schema of valid rows: the same in every batch, whichever values are missing.

    `names` are the columns to keep, by default all of the contract.
    """
    chosen = names or list(contract.columns)
    return pa.schema([(name, ARROW[contract.columns[name].type]) for name in chosen])


def to_table(frame: pd.DataFrame, like: pa.Schema | None = None) -> pa.Table:
    """A frame as an Arrow table without pandas' metadata, whose text changes with its version.

    `like` is the schema to write. Without it, a column that mixes types is written as text.
    """
    if like is None:
        mixed = [name for name in frame if frame[name].dtype == object and not _arrow_takes(frame[name])]
        frame = frame.astype(dict.fromkeys(mixed, "str"))
    return pa.Table.from_pandas(frame, schema=like, preserve_index=False).replace_schema_metadata(None)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Valid rows as a frame in the contract's types, as `typed` gives them."""
    types = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = table.to_pandas(types_mapper=types.get)
    return frame


def _arrow_takes(values: pd.Series) -> bool:
    try:
        pa.array(values, from_pandas=True)
    except pa.ArrowException:
        return False
    return True


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write one table to a file, whole or not at all; equal tables give equal bytes."""
    with replacing(path) as temporary:
        encode(temporary, table)


def encode(to: Path | BinaryIO, table: pa.Table) -> None:
    """Write one table in the way that all batches are written."""
    pq.write_table(table, to, compression="zstd")


def read_parquet(path: Path, columns: Sequence[str] | None = None, *, nullable: bool = False) -> pd.DataFrame:
    """Read a Parquet file.

    Parameters
    ----------
    path
        The file.
    columns
        Those to read, as far as the file has them; None: all.
    nullable
        Keep integers beside missing values, where pandas would turn the column into floats.

    Raises
    ------
    PerenneError
        Names the file if there is none, or if it cannot be read.

    """
    return as_read(read_table(path, columns), nullable=nullable)


def as_read(table: pa.Table, *, nullable: bool) -> pd.DataFrame:
    """The frame of a table; `nullable` as for `read_parquet`."""
    types = {pa.int64(): pd.Int64Dtype()}.get if nullable else None
    frame: pd.DataFrame = table.to_pandas(types_mapper=types)
    return frame


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file as an Arrow table; arguments and errors as for `read_parquet`."""
    try:
        with pq.ParquetFile(path) as file:
            return file.read(columns)
    except FileNotFoundError as error:
        raise PerenneError(f"{path}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise PerenneError(f"{path}: not a readable Parquet file (truncated?): {error}") from error


def listed(folder: Path, contract: Contract) -> dict[pd.Period, Path]:
    """The batches in a folder by period, oldest first.

    Raises
    ------
    PerenneError
        If there is none, or the name of a Parquet file is not a period of the contract.

    """
    files = {periods.from_stem(p.stem, contract.period, str(p)): p for p in folder.glob("*.parquet")}
    if not files:
        raise PerenneError(f"{folder}: no batch; it must hold one Parquet file per {contract.period}")
    return dict(sorted(files.items()))
