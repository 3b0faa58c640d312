"""Files: one Parquet file a period, JSON that is the same on every machine, and nothing half-written."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.common import periods
from stages.common.contract import Contract
from stages.common.errors import PerenneError

ARROW = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "category": pa.string(),
    "datetime": pa.timestamp("us"),
    "text": pa.string(),
}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` for a file or a folder; it becomes `path` only if all went well."""
    temporary = path.with_name(f".{path.name}.part")
    _remove(temporary)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield temporary
        _remove(path)
        temporary.rename(path)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Canonical JSON: sorted keys, floats to 6 significant digits, what is not a number as null.

    Six digits, because the last ones of a sum depend on the width of the CPU's vectors.
    """
    text = json.dumps(_canonical(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _canonical(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(v) for v in value]
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def schema(contract: Contract, names: list[str] | None = None) -> pa.Schema:
    """The Arrow schema of valid rows: the same in every batch, whatever is missing in it."""
    chosen = names or list(contract.columns)
    return pa.schema([(name, ARROW[contract.columns[name].type]) for name in chosen])


def to_table(frame: pd.DataFrame, like: pa.Schema | None = None) -> pa.Table:
    """A frame as an Arrow table without pandas' notes, whose text changes from version to version."""
    return pa.Table.from_pandas(frame, schema=like, preserve_index=False).replace_schema_metadata(None)


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write one table; equal tables give equal bytes."""
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_parquet(path: Path) -> pd.DataFrame:
    """Read a Parquet file; one that cannot be read is a `PerenneError` that names it."""
    try:
        frame: pd.DataFrame = pq.read_table(path, partitioning=None).to_pandas()
    except FileNotFoundError as error:
        raise PerenneError(f"{path}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise PerenneError(f"{path}: not a readable Parquet file (truncated?): {error}") from error
    return frame


def listed(folder: Path, contract: Contract) -> dict[pd.Period, Path]:
    """The batches in a folder, oldest first."""
    files = {periods.from_stem(p.stem, contract.period, str(p)): p for p in folder.glob("*.parquet")}
    if not files:
        raise PerenneError(f"{folder}: no batch, expected one Parquet file a {contract.period}")
    return dict(sorted(files.items()))
